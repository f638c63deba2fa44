"""The same model gives the same bytes: in another folder, process, time zone and year, whatever Python hashes to."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from host_tests.golden.models import MODELS

SCRIPT = """
import sys, time
from datetime import datetime, timezone

offset = float(sys.argv[3])
real_time, real_localtime, real_gmtime = time.time, time.localtime, time.gmtime
time.time = lambda: real_time() + offset
time.time_ns = lambda: int(time.time() * 1e9)
time.localtime = lambda seconds=None: real_localtime(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: real_gmtime(time.time() if seconds is None else seconds)

from host_tests.golden.models import MODELS
from qpsnn_codegen import compile

model, folder = sys.argv[1], sys.argv[2]
for weights_in in ("c", "binary"):
    compile(MODELS[model](), name="same", weights_in=weights_in).write(f"{folder}/{weights_in}")
print(time.strftime("%Y-%m-%d %H:%M", time.localtime()), hash("a text"))
"""

YEAR_S = 366 * 86400


def generate(checkout: Path, folder: Path, model: str, **environment: str) -> tuple[dict[str, bytes], str]:
    """The files a process of its own writes, and what the process saw of the world."""
    folder.mkdir(parents=True)
    offset = environment.pop("offset")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, model, str(folder), offset],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return files, result.stdout


@pytest.mark.parametrize("model", MODELS)
def test_same_bytes_elsewhere_and_on_another_day(model: str, checkout: Path, tmp_path: Path) -> None:
    here, world = generate(
        checkout, tmp_path / "here", model, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C", HOME="/", offset="0"
    )
    there, other_world = generate(
        checkout,
        tmp_path / "another place" / "far away",
        model,
        PYTHONHASHSEED="4242",
        TZ="Pacific/Chatham",
        LC_ALL="C.UTF-8",
        HOME=str(tmp_path),
        offset=str(YEAR_S),
    )
    assert [a != b for a, b in zip(world.split(), other_world.split(), strict=True)] == [True, True, True]
    assert len(here) > 60
    assert set(here) == set(there)
    assert [name for name in here if here[name] != there[name]] == []
    for name, data in here.items():
        check_contents(name, data, (checkout, tmp_path, Path(sys.prefix)))


def check_contents(name: str, data: bytes, places: tuple[Path, ...]) -> None:
    """No path of this machine anywhere, archives included, and none of their members has a date."""
    texts = [data]
    if name.endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts += [archive.read(member) for member in archive.namelist()]
            assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    for text in texts:
        for place in places:
            assert str(place).encode() not in text, f"{name} holds {place}"
