"""One network of each family of the zoo on an emulated core, each on another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import qpsnn_codegen
from host_tests.support.authors import vgg_file
from host_tests.support.zoo_networks import inputs_for, tiny
from qpsnn_codegen import nn
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import open_target
from qpsnn_codegen.device.verification import verify_device
from qpsnn_codegen.kinds.wide_conv import WideConv

pytestmark = pytest.mark.slow

BOARDS = {
    "micro_cnn": "mps2-an385",
    "vgg16": "mps2-an386",
    "vggsnn": "mps2-an505",
    "resnet20": "mps2-an500",
    "sew_resnet18 for small images": "mps3-an547",
}


def verified(model: Path, board: str, inputs: NDArray[np.uint8], folder: Path) -> FirmwareFolder:
    """The folder of a model, after it was compared on a board."""
    qpsnn_codegen.compile(model).write(folder)
    firmware = FirmwareFolder.load(folder)
    with open_target(firmware, board) as session:
        verdict = verify_device(session.device, firmware, inputs)
    assert verdict.first is None
    assert verdict.mismatches == 0
    assert verdict.inputs > 0
    return firmware


@pytest.mark.parametrize("name", BOARDS)
def test_equal(name: str, tmp_path: Path) -> None:
    model = tiny(name)
    nn.save(model, tmp_path / "model.pt")
    verified(tmp_path / "model.pt", BOARDS[name], inputs_for(model, 3), tmp_path / "out")


def test_sixteen_bit_weights(tmp_path: Path) -> None:
    """On the core without a multiplication of 64 bits."""
    torch.save(vgg_file((9, 6, "M", 7), side=8), tmp_path / "model.pth.tar")
    inputs = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8).numpy()
    folder = verified(tmp_path / "model.pth.tar", "microbit", inputs, tmp_path / "out")
    assert any(isinstance(node, WideConv) and node.shift > 0 for node in folder.network.nodes)
