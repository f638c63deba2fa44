"""The compilers that tests run: what comes from the cache is what the compiler makes, call graphs included."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from host_tests.support.compiler_cache import compile_anew, use_compiler_cache

SOURCE = "static int twice(int x) { return 2 * x; }\nint f(int x) { return twice(x) + OFFSET; }\n"
NOTED = ("-mcpu=cortex-m4", "-mthumb", "-O0", "-g", "-fstack-usage", "-fcallgraph-info=su", "-MMD", "-c", "-o", "f.o")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache before the compilers, and whatever they make of it."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    use_compiler_cache(tmp_path / "cache")
    return tmp_path / "cache" / "objects"


def hits(cache: Path) -> int:
    command = ["ccache", "--print-stats"]
    environment = {**os.environ, "CCACHE_DIR": str(cache)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    counts = dict(line.split("\t") for line in told.splitlines())
    return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])


def made(folder: Path, cc: str, *options: str) -> dict[str, bytes]:
    """What a compiler leaves beside a source."""
    folder.mkdir()
    (folder / "f.c").write_text(SOURCE)
    map_option = f"-ffile-prefix-map={folder}=."
    subprocess.run([cc, *options, map_option, "f.c"], cwd=folder, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".c"}


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_an_object_is_found_again_in_another_folder(cc: str, cache: Path, tmp_path: Path) -> None:
    first, second = (made(tmp_path / name, cc, "-DOFFSET=1", "-c", "-o", "f.o") for name in ("first", "second"))
    assert first == second
    assert hits(cache) == 1
    assert made(tmp_path / "third", cc, "-DOFFSET=2", "-c", "-o", "f.o") != first
    assert hits(cache) == 1


def test_call_graphs_are_found_with_objects(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (made(tmp_path / name, "arm-none-eabi-gcc", "-DOFFSET=1", *NOTED) for name in ("first", "second"))
    assert hits(cache) == 1
    compile_anew(monkeypatch)
    anew = made(tmp_path / "anew", "arm-none-eabi-gcc", "-DOFFSET=1", *NOTED)
    assert hits(cache) == 1
    assert set(anew) == {"f.o", "f.d", "f.su", "f.ci"}
    assert first == second == anew
    assert anew["f.ci"].startswith(b"graph: ")
    assert b"graph: " not in anew["f.su"]


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (("-fstack-usage", "-fcallgraph-info=su", "-o", "f.c.obj", "-c"), {"f.c.obj", "f.c.su", "f.c.ci"}),
        (("-fstack-usage", "-fcallgraph-info=su", "-c"), {"f.o", "f.su", "f.ci"}),
        (("-fcallgraph-info=su", "-c", "-o", "f.o"), {"f.o", "f.ci"}),
    ],
    ids=["CMake's name", "no name", "no sizes"],
)
def test_other_call_graphs_are_the_compilers_own(
    options: tuple[str, ...], files: set[str], cache: Path, tmp_path: Path
) -> None:
    first, second = (
        made(tmp_path / name, "arm-none-eabi-gcc", "-mcpu=cortex-m4", "-DOFFSET=1", *options)
        for name in ("first", "second")
    )
    assert set(first) == files
    assert first == second
    assert "graph: " in first[next(name for name in files if name.endswith(".ci"))].decode()
