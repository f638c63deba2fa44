"""docs/adding_a_layer.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COPIED = ("qpsnn_codegen", "firmware", "templates")
KERNEL = "firmware/runtime/qps_invert.c"
KINDS = "qpsnn_codegen/kinds/__init__.py"

_BLOCK = re.compile(r"^\*\*`(?P<path>[^`]+)`\*\*\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of the document, and the file its heading names."""

    path: str
    language: str
    text: str


def blocks(document: str) -> list[Block]:
    found = [Block(**match.groupdict()) for match in _BLOCK.finditer(document)]
    fenced = re.findall(r"^```\w+$", document, re.MULTILINE)
    assert len(found) == len(fenced), "a code block has no file name"
    return found


def changed(text: str, diff: str) -> str:
    """Apply hunks whose lines begin with a space, ``-`` or ``+``; each must fit at exactly one place."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        assert all(line[0] in " -+" for line in lines), hunk
        old = "".join(line[1:] for line in lines if line[0] != "+")
        new = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(old) == 1, f"the document's change fits {text.count(old)} places:\n{hunk}"
        text = text.replace(old, new)
    return text


def follow(document: str, root: Path) -> None:
    for block in blocks(document):
        path = root / block.path
        if block.language == "diff":
            path.write_text(changed(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
        else:
            assert not path.exists(), f"{block.path} is there already"
            path.write_text(block.text, encoding="utf-8")


def run(script: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    where = "import qpsnn_codegen, sys; sys.exit(not qpsnn_codegen.__file__.startswith(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", where, str(root)], cwd=root, env=environment, check=True)
    return subprocess.run(
        [sys.executable, script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(checkout: Path, tmp_path: Path) -> Path:
    """A copy of what a newcomer changes, with the document followed."""
    root = tmp_path.resolve() / "checkout"
    for folder in COPIED:
        shutil.copytree(checkout / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.o"))
    follow((checkout / "docs" / "adding_a_layer.md").read_text(encoding="utf-8"), root)
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_toy_layer_is_bit_exact_and_certified(copy: Path) -> None:
    result = run("try_not_spikes.py", copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^C against integers: 0 of [1-9]\d* spikes differ", result.stdout, re.MULTILINE)
    assert "0 spikes differ; certified: True" in result.stdout
    assert "qps_invert_run(&not_invert, " in (copy / "firmware_toy" / "toy.c").read_text(encoding="utf-8")


def test_toy_layer_survives_a_checkpoint(copy: Path) -> None:
    result = run("try_checkpoint.py", copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "'not_spikes'" in result.stdout
    assert "0 mismatches" in result.stdout


def test_wrong_kernel_is_found(copy: Path) -> None:
    edit(copy / KERNEL, "1U - spike", "spike")
    result = run("try_not_spikes.py", copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "layer lif2, timestep" in result.stdout


def test_missing_line_in_node_kinds_is_named(copy: Path) -> None:
    edit(copy / KINDS, "    (NotSpikes, (Inversion,)),\n", "")
    result = run("try_not_spikes.py", copy)
    assert result.returncode == 1
    assert "network.npz: is damaged" in result.stderr


def test_kernel_without_its_header_is_named(copy: Path) -> None:
    (copy / "firmware" / "runtime" / "qps_invert.h").unlink()
    result = run("try_not_spikes.py", copy)
    assert result.returncode == 1
    assert "no runtime header declares qps_invert_t" in result.stderr
