"""Progress bars for whatever may take more than a second; they show on a terminal only, and only after a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(total: int, what: str, unit: str = "input") -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the number of items just done."""
    with tqdm(total=total, desc=what, unit=unit, leave=False, delay=0.7, disable=None) as bar:
        yield lambda done: _advance(bar, done)


def _advance(bar: tqdm, done: int) -> None:
    bar.update(done)
