"""The script that installs Debian packages: what it finds missing, and that it says so when it may not install."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NEEDED = ("sh", "mktemp", "rm", "dirname", "id", "cut", "sed", "head", "tr", "cat", "grep", "tail")
COMPILERS = ("clang", "clang++", "as", "ld")
TOOLS = ("cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm", "ccache")


def check(checkout: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """Run it where only those tools are to be found; there is no apt-get among them."""
    script = checkout / "tools" / "system_packages.sh"
    command = [str(tools / "sh"), str(script), "test"]
    return subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Links to what the script itself uses, to clang and to everything it looks for."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in (*NEEDED, *COMPILERS, *TOOLS):
        link(folder, name)
    return folder


def link(folder: Path, name: str) -> None:
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed"
    (folder / name).symlink_to(found)


def test_nothing_is_missing(checkout: Path, tools: Path) -> None:
    result = check(checkout, tools)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("tool", "packages"),
    [
        ("cmake", "cmake"),
        ("ninja", "ninja-build"),
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
        ("ccache", "ccache"),
    ],
)
def test_a_missing_package_is_named(tool: str, packages: str, checkout: Path, tools: Path) -> None:
    (tools / tool).unlink()
    result = check(checkout, tools)
    assert result.returncode == 1
    assert f"may not install them here: {packages}\n" in result.stderr
    assert f"'apt-get install {packages}' as root" in result.stderr


@pytest.mark.parametrize(
    ("tool", "replacement", "packages"),
    [
        # The compiler without its C library.
        ("arm-none-eabi-gcc", 'exec {} -nostdinc "$@"', "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        # An emulator that does not know the board.
        ("qemu-system-arm", "echo 'mps2-an385  ARM MPS2'", "qemu-system-arm"),
    ],
)
def test_being_there_is_not_enough(tool: str, replacement: str, packages: str, checkout: Path, tools: Path) -> None:
    (tools / tool).unlink()
    (tools / tool).write_text(f"#!/bin/sh\n{replacement.format(shutil.which(tool))}\n")
    (tools / tool).chmod(0o755)
    result = check(checkout, tools)
    assert result.returncode == 1
    assert f"may not install them here: {packages}\n" in result.stderr
