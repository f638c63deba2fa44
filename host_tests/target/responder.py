"""A device in Python on a real TCP socket or pseudo-terminal: honest, or out of order in one chosen way.

Its answers come from the integer reference, its framing from ``host_tests.protocol.wire``: nothing of the client's.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cobs import cobs
from numpy.typing import NDArray

from host_tests.protocol import wire
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.reference import run_reference

TICKS_PER_STAGE = 1000
COUNTER_HZ = 25_000_000
CALIBRATION = (524_288, 13_107)
STACK = (2048, 777)


class HangUpError(Exception):
    """Close the connection after sending these bytes."""

    def __init__(self, rest: bytes = b"") -> None:
        self.rest = rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The ``index``-th readable request since the start."""

    index: int
    type: int
    sequence: int
    body: bytes


Mischief = Callable[[Request, bytes], bytes]
"""What goes onto the line instead of the honest answer, given the request and that answer."""


def honest(request: Request, answer: bytes) -> bytes:
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What hello says besides the sizes."""

    digest: str
    name: str = "digits"
    version: str = "0.1.0"
    board: str = "mps2-an386"
    core: str = "cortex-m4"
    flags: int = 1
    timesteps: int | None = None


class Responder:
    """The device's side: requests in, frames out."""

    def __init__(self, folder: FirmwareFolder, inputs: NDArray[Any], mischief: Mischief = honest) -> None:
        self.folder = folder
        self.mischief = mischief
        self.identity = Identity(digest=folder.network.digest)
        self.seen: list[Request] = []
        self.outcomes = {zlib.crc32(data): index for index, data in enumerate(folder.pack(inputs))}
        self.outcome = run_reference(folder.network, inputs, trace=True)
        self.flipped: tuple[int, int, int, int] | None = None
        """A spike bit that is wrong: traced layer, timestep, index of the word, bit."""
        self.input = bytearray(folder.sizes["input_bytes"])
        self.ran = 0
        self._part = bytearray()

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The frames that answer ``data``."""
        for byte in data:
            if byte:
                self._part.append(byte)
            elif self._part:
                part = bytes(self._part)
                self._part.clear()
                yield self._answer(part)

    def _answer(self, part: bytes) -> bytes:
        try:
            packet = cobs.decode(part)
        except cobs.DecodeError:
            return self.frame(wire.REJECT, wire.BAD_COBS, 0)
        if len(packet) < 8 or zlib.crc32(packet[:-4]) != struct.unpack("<I", packet[-4:])[0]:
            return self.frame(wire.REJECT, wire.BAD_CRC, 0)
        request = Request(index=len(self.seen), type=packet[1], sequence=packet[2], body=bytes(packet[4:-4]))
        self.seen.append(request)
        status, body = self._execute(request)
        return self.mischief(request, self.frame(request.type | 0x80, status, request.sequence, body))

    @staticmethod
    def frame(kind: int, status: int, sequence: int, body: bytes = b"") -> bytes:
        return wire.frame(wire.packet(kind, body, sequence=sequence, status=status))

    def _execute(self, request: Request) -> tuple[int, bytes]:
        arguments = struct.unpack(f"<{len(request.body) // 4}I", request.body[: len(request.body) // 4 * 4])
        match request.type:
            case wire.HELLO:
                return wire.OK, self.hello()
            case wire.WRITE:
                offset, data = arguments[0], request.body[4:]
                self.input[offset : offset + len(data)] = data
                return wire.OK, b""
            case wire.ECHO:
                return wire.OK, request.body
            case wire.STATS:
                return wire.OK, wire.words(len(self.seen), *[0] * 7, self.ran, STACK[1])
        if zlib.crc32(self.input) != arguments[0]:
            return wire.OTHER_INPUT, b""
        return wire.OK, self._compute(request.type, self.outcomes[arguments[0]], arguments[1:])

    def _compute(self, kind: int, sample: int, arguments: tuple[int, ...]) -> bytes:
        logits = self.outcome.logits[sample]
        match kind:
            case wire.RUN:
                self.ran += 1
                return wire.words(int(logits.argmax()), TICKS_PER_STAGE * self.folder.sizes["stages"], STACK[1])
            case wire.LOGITS:
                return wire.words(*map(int, logits[arguments[0] :][:60]))
            case wire.PROFILE:
                pairs = [(TICKS_PER_STAGE + stage, 10 * stage) for stage in range(self.folder.sizes["stages"])]
                return b"".join(wire.words(*pair) for pair in pairs[arguments[0] :][:30])
            case wire.TRACE:
                layers = range(self.folder.sizes["trace_layers"])
                steps = range(self.folder.network.timesteps)
                digests = [self.digest(sample, layer, t) for layer in layers for t in steps]
                return wire.words(*digests[arguments[0] :][:60])
            case wire.SPIKES:
                layer, t, first = arguments
                words = [word for pixel in self.pixels(sample, layer, t) for word in pixel]
                return wire.words(*words[first:][:60])
        raise AssertionError(kind)

    def digest(self, sample: int, layer: int, t: int) -> int:
        pixels = self.pixels(sample, layer, t)
        return sum(zlib.crc32(wire.words(index, *pixel)) for index, pixel in enumerate(pixels)) % 2**32

    def pixels(self, sample: int, layer: int, t: int) -> list[list[int]]:
        """The words of every pixel, without the channels that the firmware leaves out."""
        node = self.folder.network.spiking()[layer]
        kept = getattr(node, "kept", None)
        train = self.outcome.spikes[node.name][sample, t]
        train = train if kept is None else train[kept]
        channels, height, width = train.shape
        pixels = [
            [
                sum(int(train[c, y, x]) << (c % 32) for c in range(w, min(w + 32, channels)))
                for w in range(0, channels, 32)
            ]
            for y in range(height)
            for x in range(width)
        ]
        if self.flipped is not None and self.flipped[:2] == (layer, t):
            _, _, index, bit = self.flipped
            words = len(pixels[0])
            pixels[index // words][index % words] ^= 1 << bit
        return pixels

    def hello(self) -> bytes:
        sizes = self.folder.sizes
        who = self.identity
        numbers = struct.pack(
            "<4H10I",
            *(240, sizes["trace_layers"], who.timesteps or sizes["timesteps"], sizes["stages"]),
            *(sizes["input_bytes"], sizes["classes"]),
            *(sizes["arena_bytes"], sizes["weight_bytes"], sizes["constant_bytes"]),
            *(STACK[0], COUNTER_HZ, *CALIBRATION, who.flags),
        )
        texts = (who.name, who.version, who.board, who.core)
        return numbers + bytes.fromhex(who.digest) + b"".join(text.encode() + b"\0" for text in texts)

    def claim(self, **fields: Any) -> None:
        """Say something else in hello."""
        self.identity = replace(self.identity, **fields)


@contextmanager
def on_socket(responder: Responder) -> Iterator[str]:
    """Serve on a local TCP port, one connection after another; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    _talk(responder, partial(connection.recv, 4096), connection.sendall)

        with _thread(serve, lambda: listener.shutdown(socket.SHUT_RDWR)):
            yield f"socket://127.0.0.1:{port}"


@contextmanager
def on_terminal(responder: Responder) -> Iterator[str]:
    """Serve on a pseudo-terminal; yields the path of its device."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    done, wake = os.pipe()

    def receive() -> bytes:
        ready, _, _ = select.select([ours, done], [], [])
        return b"" if done in ready else os.read(ours, 4096)

    def send(data: bytes) -> None:
        while data:
            data = data[os.write(ours, data) :]

    try:
        with _thread(lambda: _talk(responder, receive, send), lambda: os.write(wake, b"x")):
            yield os.ttyname(theirs)
    finally:
        for descriptor in (ours, theirs, done, wake):
            os.close(descriptor)


def _talk(responder: Responder, receive: Callable[[], bytes], send: Callable[[bytes], None]) -> None:
    while data := receive():
        try:
            for answer in responder.receive(data):
                if answer:
                    send(answer)
        except HangUpError as end:
            send(end.rest)
            return


@contextmanager
def _thread(target: Callable[[], None], stop: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(10)
        assert not thread.is_alive()
