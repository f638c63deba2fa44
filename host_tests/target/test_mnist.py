"""The shipped MNIST model keeps its promises to the smallest microcontrollers: accuracy, flash, RAM, instructions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import qpsnn_codegen
from host_tests.support.shared import shared_file
from qpsnn_codegen import nn
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.device.verification import verify_device
from qpsnn_codegen.pipeline import Compilation
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.arm import build_firmware
from qpsnn_codegen.toolchain.host_model import HostModel

pytestmark = pytest.mark.slow

BOARD = "mps2-an386"
FLASH = 24 * 1024
RAM = 10 * 1024
INSTRUCTIONS = 1_200_000
ACCURACY = 0.99
SHOWN = 32
REFERENCE = 500


@dataclass(frozen=True)
class Example:
    """The model file, what was compiled of it, and the folder."""

    model: Path
    compilation: Compilation
    folder: Path


@pytest.fixture(scope="module")
def mnist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    model = checkout / "examples" / "mnist_4bit_pruned.pt"
    compilation = qpsnn_codegen.compile(model)
    folder = tmp_path_factory.mktemp("mnist") / "firmware"
    compilation.write(folder)
    return Example(model, compilation, folder)


def test_it_is_what_the_name_says(mnist: Example) -> None:
    checkpoint = nn.read_checkpoint(mnist.model)
    bits = {
        node.name: node.attributes["quantizer"]["bits"] for node in checkpoint.nodes if "quantizer" in node.attributes
    }
    assert bits == {"conv1": 8, "conv2": 4, "conv3": 4, "head": 8}
    assert [checkpoint.tensors[f"conv{number}.codes"].shape[0] for number in (1, 2, 3)] == [9, 20, 40]
    assert checkpoint.timesteps == 4
    assert checkpoint.training["data"] == "mnist.npz"
    assert mnist.compilation.report["certified"] is True


def test_it_is_small(mnist: Example, tmp_path: Path) -> None:
    """The whole image: weights, constants, code of kernels, startup and serial application; arena, state and stack."""
    sizes = build_firmware(mnist.folder, BOARD, trace=False, build_dir=tmp_path).report["sizes"]
    assert sizes["weights"] + sizes["constants"] + sizes["code"] <= sizes["flash"] <= FLASH
    assert sizes["arena"] + sizes["application"] + sizes["stack"] <= RAM


def test_it_is_quick_and_the_same_on_the_core(mnist: Example, tmp_path: Path) -> None:
    with np.load(shared_file("data/mnist.npz")) as archive:
        images = archive["x_test"][:SHOWN, None]
    folder = FirmwareFolder.load(mnist.folder)
    plain = build_firmware(mnist.folder, BOARD, trace=False, build_dir=tmp_path / "plain")
    with run_firmware(folder, plain) as session:
        runs = [session.device.run(sample) for sample in folder.pack(images)]
        counts = [run.ticks * session.scale.per_tick for run in runs]
    assert INSTRUCTIONS / 10 < np.mean(counts) <= INSTRUCTIONS
    with run_firmware(folder, build_firmware(mnist.folder, BOARD, build_dir=tmp_path / "traced")) as session:
        verdict = verify_device(session.device, folder, images)
    assert (verdict.first, verdict.mismatches, verdict.inputs) == (None, 0, SHOWN)


def test_accuracy_on_the_held_out_images(mnist: Example) -> None:
    data = nn.mnist(shared_file("data/mnist.npz"))
    with HostModel(mnist.folder, trace=False) as host:
        logits = host.run(data.test_images).logits
    reference = run_reference(mnist.compilation.integers, data.test_images[:REFERENCE])
    assert np.array_equal(logits[:REFERENCE], reference.logits)
    accuracy = float((logits.argmax(axis=1) == data.test_labels).mean())
    assert accuracy >= ACCURACY
    # Certified: the float module sees the same spikes, and differs at ties of logits only.
    assert nn.read_checkpoint(mnist.model).training["accuracy"] == pytest.approx(accuracy, abs=2e-4)
