"""The folder that client tests use, and inputs for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from numpy.typing import NDArray

import qpsnn_codegen
from host_tests.target.networks import long_answers
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.emit.golden import random_inputs


@dataclass(frozen=True)
class Material:
    """A generated folder and three raw inputs, packed and not."""

    folder: FirmwareFolder
    inputs: NDArray[Any]
    packed: list[bytes]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    path = tmp_path_factory.mktemp("answers") / "firmware"
    qpsnn_codegen.compile(long_answers(), name="answers").write(path)
    folder = FirmwareFolder.load(path)
    inputs = random_inputs(folder.network, 3, seed=5)
    return Material(folder, inputs, folder.pack(inputs))
