"""The checked-in C against what is generated now."""

from __future__ import annotations

import difflib
from pathlib import Path

from host_tests.golden.models import CHECKED_IN

GOLDEN = Path(__file__).resolve().parent


def stored(model: str, name: str) -> bytes:
    """A checked-in file; empty when it is missing."""
    path = GOLDEN / model / name
    return path.read_bytes() if path.is_file() else b""


def difference(model: str, name: str, text: str) -> list[str]:
    """A unified diff from the checked-in file to ``text``; empty if they are the same bytes."""
    old = stored(model, name)
    if old == text.encode():
        return []
    before, after = (part.decode(errors="replace").splitlines() for part in (old, text.encode()))
    path = f"host_tests/golden/{model}/{name}"
    titles = (f"{path} (checked in)", f"{path} (generated)")
    diff = list(difflib.unified_diff(before, after, *titles, lineterm=""))
    return diff or [f"{path}: differs in line ends only"]


def strangers(model: str) -> list[Path]:
    """Files in a model's folder that no model generates."""
    known = {pattern.format(name=f"golden_{model}") for pattern in CHECKED_IN}
    return sorted(path for path in (GOLDEN / model).glob("*") if path.name not in known)
