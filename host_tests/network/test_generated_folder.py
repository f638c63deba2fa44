"""A generated folder in its user's hands: what its README shows builds, and its build files say what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from host_tests.network.conftest import Firmware
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import nn


def must(*command: object, cwd: Path) -> str:
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def blocks(readme: str, language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module", params=["image", "events"])
def project(request: pytest.FixtureRequest, small: Firmware, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generated one, ``net``, in it, and what the README of that one shows."""
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "image":
        compile_model(small.model, name="net").write(place / "net")
    else:
        head = nn.QuantLinear(2 * 4 * 4, 3, quantizer=nn.symmetric(8))
        body = torch.nn.Sequential(nn.LIF(), torch.nn.Flatten(1), head)
        network = nn.SpikingNetwork(body, timesteps=3, input_shape=(2, 4, 4), input_kind="spikes").freeze()
        nn.save(network, place / "events.pt")
        compile_model(place / "events.pt", name="net", weights_in="binary").write(place / "net")
    readme = (place / "net" / "README.md").read_text()
    (place / "main.c").write_text(blocks(readme, "c"))
    (place / "CMakeLists.txt").write_text(blocks(readme, "cmake"))
    return place


def test_the_program_of_the_readme(project: Path) -> None:
    readme = (project / "net" / "README.md").read_text()
    (command,) = re.findall(r"^    (gcc .*)$", readme, re.MULTILINE)
    must("sh", "-c", f"{command} -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror", cwd=project)
    said = must(project / "program", cwd=project)
    assert re.fullmatch(r"class \d\n", said)
    must("cmake", "-S", project, "-B", "build", cwd=project)
    must("cmake", "--build", "build", cwd=project)
    assert must(project / "build" / "program", cwd=project) == said


@pytest.mark.parametrize("generator", ["Unix Makefiles", "Ninja"])
def test_in_a_project_of_cpp_alone(generator: str, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "net", tmp_path / "net")
    (tmp_path / "main.cpp").write_text((project / "main.c").read_text())
    text = (project / "CMakeLists.txt").read_text().replace("LANGUAGES C)", "LANGUAGES CXX)")
    (tmp_path / "CMakeLists.txt").write_text(text.replace("main.c)", "main.cpp)"))
    must("cmake", "-G", generator, "-S", ".", "-B", "build", cwd=tmp_path)
    must("cmake", "--build", "build", cwd=tmp_path)
    assert re.fullmatch(r"class \d\n", must("build/program", cwd=tmp_path))


@pytest.mark.slow
def test_make_notices_other_options(small: Firmware, tmp_path: Path) -> None:
    shutil.copytree(small.folder, tmp_path / "net")
    make = ("make", "-C", "net")
    assert "gcc -O0" in must(*make, "CC=gcc", "CFLAGS=-O0", cwd=tmp_path)
    again = must(*make, "CC=gcc", "CFLAGS=-O0", cwd=tmp_path)
    assert "gcc" not in again
    odd = """CFLAGS=-O0 -DX='"a b"'"""
    assert "gcc -O0 -DX" in must(*make, "CC=gcc", odd, cwd=tmp_path)
    assert "gcc" not in must(*make, "CC=gcc", odd, cwd=tmp_path)
    assert "clang -O0 -DX" in must(*make, "CC=clang", odd, cwd=tmp_path)


@pytest.mark.parametrize(("boards", "has"), [((), "none"), (("microbit", "rpi_pico"), "microbit rpi_pico")])
def test_a_board_that_the_folder_lacks(boards: tuple[str, ...], has: str, small: Firmware, tmp_path: Path) -> None:
    compile_model(small.model, name="net", boards=boards).write(tmp_path / "net")
    for command in (("make", "BOARD=nosuch"), ("cmake", "-B", "build/cmake", "-DQPS_BOARD=nosuch")):
        result = subprocess.run(command, cwd=tmp_path / "net", capture_output=True, text=True, check=False)
        assert result.returncode != 0
        said = " ".join(result.stderr.split())
        assert f"there is no port of nosuch in this folder, which has {has};" in said
        assert "'qpsnn-codegen MODEL -o DIR --board nosuch' adds it" in said
        if command[0] == "make":
            assert len(result.stderr.splitlines()) == 1
