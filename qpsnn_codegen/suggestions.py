"""What to say of a name that nobody knows: the one that was meant, perhaps, and those there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def choose(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown ``name``, in one clause."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    question = f"did you mean {near[0]}? " if near else ""
    return f"{question}choose one of {', '.join(names)}"
