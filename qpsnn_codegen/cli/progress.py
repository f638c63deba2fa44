"""Progress of whatever may take more than a second; it shows on a terminal only, and only after a moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_DELAY = 0.7
_SIZE = {"ncols": 80, "nrows": 24}


def terminal_size() -> dict[str, int]:
    """What tqdm has to be told of the terminal: nothing, unless that has 0 rows or columns (``script``, some CI)."""
    try:
        return {} if all(os.get_terminal_size(sys.stderr.fileno())) else _SIZE
    except (OSError, ValueError):
        return {}


@contextmanager
def progress_bar(total: int, what: str, unit: str = "input") -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the number of items just done."""
    with tqdm(
        total=total or None, desc=what, unit=unit, leave=False, delay=_DELAY, disable=None, **terminal_size()
    ) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yield a function to be called with what is being done now, for work whose steps are unlike."""
    with tqdm(bar_format="{desc} ... ({elapsed})", leave=False, delay=_DELAY, disable=None, **terminal_size()) as bar:

        def say(step: str) -> None:
            bar.set_description_str(step)
            bar.update()

        yield say
