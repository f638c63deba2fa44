"""The folder that client tests use, and inputs for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

import qpsnn_codegen
from host_tests.target.networks import long_answers
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.toolchain.arm import Firmware, build_firmware


@dataclass(frozen=True)
class Material:
    """A generated folder and three raw inputs, packed and not."""

    folder: FirmwareFolder
    inputs: NDArray[Any]
    packed: list[bytes]


class Images:
    """A folder built for boards, each when it is first wanted."""

    def __init__(self, folder: Path, root: Path, *, checks: bool = False) -> None:
        self._folder = folder
        self._root = root
        self._checks = checks
        self.of = cache(self._of)

    def _of(self, board: str) -> Firmware:
        return build_firmware(self._folder, board, checks=self._checks, build_dir=self._root / board)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    path = tmp_path_factory.mktemp("answers") / "firmware"
    qpsnn_codegen.compile(long_answers(), name="answers").write(path)
    folder = FirmwareFolder.load(path)
    inputs = random_inputs(folder.network, 3, seed=5)
    return Material(folder, inputs, folder.pack(inputs))
