"""Writing a file so that it is either complete or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from qpsnn_codegen.errors import OutputError


@contextmanager
def made_parents(folder: Path) -> Iterator[None]:
    """Make ``folder`` and its parents; on failure remove those that were made."""
    made: list[Path] = []
    try:
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            # Another process may have been faster; then it is not ours to remove.
            with suppress(FileExistsError):
                path.mkdir()
                made.append(path)
        yield
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream whose content becomes the file ``path`` when the block ends, and vanishes if it raises.

    Missing parent folders are made.

    Raises:
        OutputError: no permission, disk full; nothing is left behind.
    """
    try:
        with made_parents(path.parent), _replaced(path) as stream:
            yield stream
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(str(path), f"cannot be written ({reason})", "choose a writable folder with room") from error


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        # mkstemp makes private files; what users asked for is an ordinary one.
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise
