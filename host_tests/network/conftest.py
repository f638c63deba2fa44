"""The shipped example models, a small model of its own, and what each becomes in C."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import qpsnn_codegen
from qpsnn_codegen import nn
from qpsnn_codegen.pipeline import Compilation


@dataclass(frozen=True)
class Firmware:
    """A compiled model and the folder it was written to."""

    model: Path
    compilation: Compilation
    folder: Path


@pytest.fixture(scope="session")
def examples(checkout: Path) -> Path:
    return checkout / "examples"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """An untrained network for digits: two convs at 8 and 4 bits, two pools, a linear layer, T = 3."""
    model = tmp_path_factory.mktemp("small") / "small.pt"
    nn.save(nn.build("cnn", layout=(4, "M", 6, "M"), timesteps=3, divisor=16.0).freeze(), model)
    compilation = qpsnn_codegen.compile(model)
    folder = model.with_name("firmware")
    compilation.write(folder)
    return Firmware(model, compilation, folder)
