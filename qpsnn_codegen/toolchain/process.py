"""One child process whose input and output flow at the same time, without filling memory or a pipe."""

from __future__ import annotations

import contextlib
import io
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

_COPY_BYTES = 1 << 20
_STDERR_KEPT = 1 << 16
_PATIENCE_S = 10.0


class ProcessFailure(Exception):
    """A child process did not do what was asked of it; the text is one clause for the user."""


class _Output(io.RawIOBase):
    """The child's stdout, counted as it is read."""

    def __init__(self, raw: IO[bytes], progress: Callable[[int], None] | None) -> None:
        self._raw = cast("io.FileIO", raw)
        self._progress = progress
        self._count = 0
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = self._raw.readinto(buffer) or 0
        self._count += count
        self.ended = self.ended or not count
        if count and self._progress is not None:
            self._progress(self._count)
        return count


def run_streaming(
    command: Sequence[str],
    *,
    reader: Callable[[BinaryIO], T],
    stdin: bytes | memoryview | BinaryIO,
    progress: Callable[[int], None] | None = None,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> T:
    """Run ``command`` and return what ``reader`` makes of its output.

    The child is dead when this returns or raises, whatever the reason, Ctrl-C included.

    Raises:
        ProcessFailure: it cannot be started, ends with another status than 0 (preferred to what ``reader``
            then raises about its truncated output), exceeds ``timeout`` seconds, or writes more than is read.
    """
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
        )
    except OSError as error:
        raise ProcessFailure(f"cannot be started ({error.strerror})") from error
    # Pipes were asked for, so none of the three is None.
    pipes = (child.stdin, child.stdout, child.stderr)
    to_child, from_child, errors = (cast("IO[bytes]", pipe) for pipe in pipes)

    late = threading.Event()
    messages = bytearray()
    source = stdin if not isinstance(stdin, bytes | memoryview) else io.BytesIO(stdin)
    threads = [
        threading.Thread(target=_feed, args=(source, to_child), daemon=True),
        threading.Thread(target=_drain, args=(errors, messages), daemon=True),
    ]
    timer = threading.Timer(timeout, _expire, args=(child, late)) if timeout is not None else None
    output = _Output(from_child, progress)
    try:
        for thread in threads:
            thread.start()
        if timer is not None:
            timer.start()
        try:
            stream = io.BufferedReader(output, buffer_size=_COPY_BYTES)
            result = reader(cast("BinaryIO", stream))
            if stream.read(1):
                raise ProcessFailure("wrote more output than expected")
            child.wait()
        except Exception as error:
            # A truncated output is the symptom; that the child failed is the cause.
            if output.ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_PATIENCE_S)
            if child.poll() and not isinstance(error, ProcessFailure):
                threads[1].join(_PATIENCE_S)
                raise _failure(child.returncode, messages, late, timeout) from error
            raise
        threads[1].join(_PATIENCE_S)
        if child.returncode != 0:
            raise _failure(child.returncode, messages, late, timeout)
        return result
    finally:
        if timer is not None:
            timer.cancel()
        child.kill()
        child.wait()
        for thread in threads:
            if thread.ident is not None:
                thread.join(_PATIENCE_S)
        from_child.close()


def _feed(source: BinaryIO, sink: IO[bytes]) -> None:
    # A child that ends early breaks the pipe; its exit status says why.
    with contextlib.suppress(BrokenPipeError), io.BufferedWriter(cast("io.RawIOBase", sink)) as buffered:
        shutil.copyfileobj(source, buffered, _COPY_BYTES)


def _drain(stream: IO[bytes], kept: bytearray) -> None:
    with stream:
        while data := stream.read(_STDERR_KEPT):
            kept += data[: _STDERR_KEPT - len(kept)]


def _expire(child: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    child.kill()


def _failure(status: int, messages: bytearray, late: threading.Event, timeout: float | None) -> ProcessFailure:
    if late.is_set():
        return ProcessFailure(f"did not finish in {timeout:g} seconds")
    lines = [line.strip() for line in messages.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and set(line) != {"="}]
    findings = [line for line in lines if "runtime error:" in line or "ERROR: AddressSanitizer" in line]
    line = next(iter(findings or lines), "")
    what = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"failed with exit status {status}"
    return ProcessFailure(f"{what}: {line}" if line else what)
