"""The shipped models on every emulated machine: each logit and each digest of spikes equals the integer reference."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import qpsnn_codegen
from host_tests.errors.command import call_ok
from qpsnn_codegen import nn
from qpsnn_codegen.boards import all_boards
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import open_target
from qpsnn_codegen.device.verification import verify_device
from qpsnn_codegen.reference import run_reference

MODELS = tuple(f"digits_{bits}bit{pruned}" for bits in (8, 4, 2) for pruned in ("", "_pruned"))
BOARDS = tuple(board.name for board in all_boards() if board.emulator is not None)
ALL_OF_THEM = "mps2-an386"
"""The machine that runs all held-out digits through the models that are not pruned."""
SOME = 50

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def compiled(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return Compiled(checkout / "examples", tmp_path_factory.mktemp("digits"))


class Compiled:
    """The shipped models as folders, each made when it is first wanted."""

    def __init__(self, examples: Path, root: Path) -> None:
        self._examples = examples
        self._root = root
        self.folder = cache(self._folder)

    def _folder(self, model: str) -> FirmwareFolder:
        path = self._root / model
        qpsnn_codegen.compile(self._examples / f"{model}.pt").write(path)
        return FirmwareFolder.load(path)


def test_the_machines_are_those_promised() -> None:
    boards = {"mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"}
    chips = {"microbit", "netduinoplus2", "stm32vldiscovery"}
    assert set(BOARDS) == boards | chips


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("model", MODELS)
def test_equal(model: str, board: str, compiled: Compiled) -> None:
    everything = board == ALL_OF_THEM and not model.endswith("_pruned")
    images = nn.digits().test_images[: None if everything else SOME]
    folder = compiled.folder(model)
    with open_target(folder, board) as session:
        verdict = verify_device(session.device, folder, images)
        statistics = session.device.statistics()
        # What was used is painted, what may be used is proven; both are within what is reserved.
        assert session.stack_bound is not None
        assert 0 < statistics.stack_used <= session.stack_bound <= session.device.hello.stack_bytes
        assert session.scale.unit == "instructions"
    assert verdict.first is None
    assert (verdict.mismatches, verdict.inputs) == (0, 360 if everything else SOME)
    assert verdict.digests == verdict.inputs * len(folder.network.spiking()) * folder.network.timesteps
    assert verdict.logits == verdict.inputs * 10
    # A run for the logits and one for the digests.
    assert statistics.runs == 2 * verdict.inputs


def test_run_command(compiled: Compiled, tmp_path: Path) -> None:
    folder = compiled.folder("digits_4bit_pruned")
    digits = nn.digits()
    logits = run_reference(folder.network, digits.test_images).logits
    right = int((logits.argmax(axis=1) == digits.test_labels).sum())
    out = call_ok("run", folder.path, "digits", "--target", "mps2-an386", "-o", tmp_path / "out.npz")
    assert out.startswith("360 inputs on mps2-an386 (cortex-m4, emulated) in ")
    assert f"accuracy {right / 360:.2%}: {right} of 360" in out
    with np.load(tmp_path / "out.npz") as archive:
        assert np.array_equal(archive["logits"], logits)
        assert 100_000 < archive["instructions"].min() < archive["instructions"].max() < 100_000_000
