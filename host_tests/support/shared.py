"""Files that are not part of the project: tests that want them are skipped where they are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PLACES = (os.environ.get("QPSNN_SHARED"), _ROOT / "shared", _ROOT.parent / "shared")


def shared_file(name: str) -> Path:
    """A file below ``shared/``, in this checkout or beside it (or below ``$QPSNN_SHARED``); else skip."""
    for place in _PLACES:
        if place is not None and (path := Path(place) / name).exists():
            return path
    pytest.skip(f"there is no shared/{name}")
