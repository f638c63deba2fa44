"""README.md's commands, typed in their order where its reader stands: in the root of a checkout."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from host_tests.errors.command import COMMAND

_LEFT_OUT = shutil.ignore_patterns(
    ".*", "out", "build", "dist", "__pycache__", "*.egg-info", "host_tests", "experiments"
)


def commands(readme: str) -> list[list[str]]:
    lines = re.findall(r"^    (?:\$ )?(?:\.venv/bin/)?qpsnn-codegen (.*)$", readme, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_every_command_in_order(checkout: Path, tmp_path: Path) -> None:
    """Trainings are cut to an epoch; all else is as it is typed."""
    tree = tmp_path / "tree"
    shutil.copytree(checkout, tree, ignore=_LEFT_OUT)
    before = files(tree)
    typed = commands((tree / "README.md").read_text())
    assert {words[0] for words in typed} >= {"run", "profile", "verify", "train", "prune", "finetune", "simulate"}
    for words in typed:
        short = ["--epochs", "1"] if words[0] in ("train", "finetune") else []
        result = subprocess.run(
            [COMMAND, *words, *short],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, (words, result.stderr)
    ignored = (checkout / ".gitignore").read_text().splitlines()
    assert "/out/" in ignored
    assert {path.parts[0] for path in files(tree) - before} == {"out"}
