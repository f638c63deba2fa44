"""Writing a file so that it is either complete or not there."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from qpsnn_codegen.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, then rename over it.

    Raises:
        OutputError: no such folder, no permission, disk full; nothing is left behind.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        # mkstemp makes private files; a model is an ordinary one.
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
        reason = error.strerror or type(error).__name__
        raise OutputError(str(path), f"cannot be written ({reason})", "choose a writable folder with room") from error
