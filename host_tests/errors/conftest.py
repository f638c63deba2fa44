"""A small model, a small firmware folder, and a place to go wrong in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import qpsnn_codegen
from host_tests.errors.command import Workplace
from qpsnn_codegen import nn


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network for digits: two convs at 8 and 4 bits, two pools, a linear layer."""
    path = tmp_path_factory.mktemp("small") / "small.pt"
    layout = (4, "M", 6, "M")
    nn.save(nn.build("cnn", layout=layout, timesteps=2, divisor=16.0).freeze(), path)
    return path


@pytest.fixture(scope="session")
def small_firmware(small_model: Path) -> Path:
    folder = small_model.with_name("firmware")
    qpsnn_codegen.compile(small_model).write(folder)
    return folder


@pytest.fixture
def workplace(small_model: Path, small_firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    place = Workplace(tmp_path / "here", tmp_path / "temporary", small_model, small_firmware)
    place.folder.mkdir()
    place.temporary.mkdir()
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("TMPDIR", str(place.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(place.temporary))
    return place
