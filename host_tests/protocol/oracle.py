"""What a device must answer, predicted by a second implementation of docs/protocol.md."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from cobs import cobs
from numpy.typing import NDArray

from host_tests.protocol import wire
from host_tests.protocol.wire import Answer, words

HELLO_FIXED_BYTES = 80
"""Of its answer, before the names."""
STACK_SIZE = 2048
STACK_USED = 777
BOARD = "host"
CORE = "x86"
COUNTER_HZ = 25_000_000
CALIBRATION = (524_288, 13_107)
FAULT_REST = (0x08001234, 0x08004321, 0x20000400, 0x00008200, 0xE8000000)
"""pc, lr, sp, status and address of every fault of host_port.c."""

_BODIES = {
    wire.HELLO: (0, 0),
    wire.WRITE: (4, 240),
    wire.RUN: (4, 4),
    wire.LOGITS: (8, 8),
    wire.PROFILE: (8, 8),
    wire.TRACE: (8, 8),
    wire.SPIKES: (16, 16),
    wire.ECHO: (0, 240),
    wire.STATS: (0, 0),
    wire.PROVOKE: (4, 4),
}
_TRACED = (wire.PROFILE, wire.TRACE, wire.SPIKES)


@dataclass(frozen=True)
class Result:
    """What one run gives.

    Attributes:
        logits: one signed value per class.
        operations: one count per stage.
        spikes: per traced layer uint32 ``[T, pixels, words]``.
    """

    logits: tuple[int, ...]
    operations: tuple[int, ...]
    spikes: tuple[NDArray[np.uint32], ...]

    @cached_property
    def digests(self) -> tuple[int, ...]:
        """One per layer and timestep."""
        return tuple(
            sum(zlib.crc32(words(i, *pixel)) for i, pixel in enumerate(frame.tolist())) & 0xFFFFFFFF
            for layer in self.spikes
            for frame in layer
        )


class Network(Protocol):
    """A network whose results are known; sizes as HELLO tells them."""

    name: str
    version: str
    digest: str
    input_bytes: int
    classes: int
    timesteps: int
    stages: int
    turns: tuple[int, ...]
    """The stages in the order they run; one that runs row by row is named for every row."""
    layers: int
    sizes: tuple[int, int, int]
    """Bytes of arena, weights and constants."""

    def __hash__(self) -> int:
        """By identity: what a network gives does not change."""

    def run(self, data: bytes) -> Result | None:
        """The result for an input, None if the network refuses it."""


class Refusal(Exception):
    """A status other than OK."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Oracle:
    """A device's state; ``trace`` and ``faults`` are how its image was built."""

    network: Network
    trace: bool = True
    faults: bool = False
    counts: dict[int, int] = field(default_factory=dict)
    runs: int = 0
    last: tuple[int, Result] | None = None
    fault: Answer | None = None

    def __post_init__(self) -> None:
        self.input = bytearray(self.network.input_bytes)

    def answers(self, stream: bytes) -> list[Answer]:
        """One for every frame of a stream; bytes behind the last zero are no frame."""
        return [self._next(part) for part in stream.split(b"\0")[:-1] if part]

    def _next(self, part: bytes) -> Answer:
        if self.fault is not None:
            return self.fault
        answer = self._answer(part)
        self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
        return answer

    def _answer(self, part: bytes) -> Answer:
        if decoded_length(part) > wire.PACKET_MAX:
            return reject(wire.TOO_LONG)
        try:
            data = bytes(cobs.decode(part))
        except cobs.DecodeError:
            return reject(wire.BAD_COBS)
        if len(data) < 8:
            return reject(wire.TOO_SHORT)
        if data[-4:] != words(zlib.crc32(data[:-4])):
            return reject(wire.BAD_CRC)
        version, kind, sequence, _ = data[:4]
        try:
            body = self._body(version, kind, data[4:-4])
        except Refusal as refusal:
            if kind >= 0x7E:
                return reject(refusal.status)
            return Answer(type=kind | 0x80, sequence=sequence, status=refusal.status, body=b"")
        if self.fault is not None:
            return self.fault
        return Answer(type=kind | 0x80, sequence=sequence, status=wire.OK, body=body)

    def _body(self, version: int, kind: int, body: bytes) -> bytes:
        if version != wire.VERSION:
            raise Refusal(wire.BAD_VERSION)
        if kind not in _BODIES or (kind == wire.PROVOKE and not self.faults):
            raise Refusal(wire.UNKNOWN_TYPE)
        least, most = _BODIES[kind]
        if not least <= len(body) <= most:
            raise Refusal(wire.BAD_LENGTH)
        if kind in _TRACED and not self.trace:
            raise Refusal(wire.NOT_TRACED)
        if kind == wire.ECHO:
            return body
        if kind == wire.WRITE:
            return self._write(int.from_bytes(body[:4], "little"), body[4:])
        arguments = struct.unpack(f"<{len(body) // 4}I", body)
        handlers: dict[int, Callable[..., bytes]] = {
            wire.HELLO: self._hello,
            wire.RUN: self._run,
            wire.LOGITS: self._logits,
            wire.PROFILE: self._profile,
            wire.TRACE: self._trace,
            wire.SPIKES: self._spikes,
            wire.STATS: self._stats,
            wire.PROVOKE: self._provoke,
        }
        return handlers[kind](*arguments)

    def _hello(self) -> bytes:
        net = self.network
        fixed = struct.pack("<4H", wire.BODY_MAX, net.layers, net.timesteps, net.stages)
        flags = int(self.trace) | 2 * int(self.faults)
        fixed += words(net.input_bytes, net.classes, *net.sizes, STACK_SIZE, COUNTER_HZ, *CALIBRATION, flags)
        fixed += bytes.fromhex(net.digest)
        assert len(fixed) == HELLO_FIXED_BYTES
        texts = (net.name, net.version, BOARD, CORE)
        return fixed + b"".join(text.encode() + b"\0" for text in texts)

    def _write(self, offset: int, data: bytes) -> bytes:
        if offset + len(data) > len(self.input):
            raise Refusal(wire.OUT_OF_RANGE)
        self.input[offset : offset + len(data)] = data
        return b""

    def _result(self, crc: int) -> Result:
        if crc != zlib.crc32(self.input):
            raise Refusal(wire.OTHER_INPUT)
        self.runs += 1
        self.last = None
        result = self.network.run(bytes(self.input))
        if result is None:
            raise Refusal(wire.MODEL_ERROR)
        self.last = crc, result
        return result

    def _run(self, crc: int) -> bytes:
        logits = self._result(crc).logits
        return words(logits.index(max(logits)), 10, STACK_USED)

    def _logits(self, crc: int, first: int) -> bytes:
        if first >= self.network.classes:
            raise Refusal(wire.OUT_OF_RANGE)
        if self.last is None or self.last[0] != crc:
            raise Refusal(wire.OTHER_INPUT)
        return words(*self.last[1].logits[first : first + 60])

    def _profile(self, crc: int, first: int) -> bytes:
        if first >= self.network.stages:
            raise Refusal(wire.OUT_OF_RANGE)
        self._result(crc)
        operations = self._result(crc).operations
        # Turn i lies between the readings i + 1 and i + 2 of the counter of host_port.c.
        ticks = [0] * self.network.stages
        for i, stage in enumerate(self.network.turns):
            ticks[stage] = (ticks[stage] + 10 * (i + 2)) & 0xFFFFFFFF
        pairs = zip(ticks[first : first + 30], operations[first : first + 30], strict=True)
        return words(*(value for pair in pairs for value in pair))

    def _trace(self, crc: int, first: int) -> bytes:
        if first >= self.network.layers * self.network.timesteps:
            raise Refusal(wire.OUT_OF_RANGE)
        return words(*self._result(crc).digests[first : first + 60])

    def _spikes(self, crc: int, layer: int, t: int, first: int) -> bytes:
        if layer >= self.network.layers or t >= self.network.timesteps:
            raise Refusal(wire.OUT_OF_RANGE)
        # The shape does not depend on the input, and is checked before it.
        shape = self._shapes()[layer]
        if first >= shape[1] * shape[2]:
            raise Refusal(wire.OUT_OF_RANGE)
        flat = self._result(crc).spikes[layer][t].ravel()
        return words(*flat[first : first + 60].tolist())

    def _shapes(self) -> Sequence[tuple[int, ...]]:
        blank = self.network.run(bytes(self.network.input_bytes))
        assert blank is not None
        return [layer.shape for layer in blank.spikes]

    def _stats(self) -> bytes:
        understood = sum(self.counts.get(s, 0) for s in (wire.OK, wire.OTHER_INPUT, wire.NOT_TRACED, wire.MODEL_ERROR))
        damage = (wire.BAD_CRC, wire.BAD_COBS, wire.TOO_LONG, wire.TOO_SHORT, wire.BAD_VERSION, wire.UNKNOWN_TYPE)
        bodies = self.counts.get(wire.BAD_LENGTH, 0) + self.counts.get(wire.OUT_OF_RANGE, 0)
        return words(understood, *(self.counts.get(s, 0) for s in damage), bodies, self.runs, STACK_USED)

    def _provoke(self, kind: int) -> bytes:
        if not 1 <= kind <= 4:
            raise Refusal(wire.OUT_OF_RANGE)
        if kind != 4:
            self.fault = Answer(type=wire.FAULT, sequence=0, status=wire.FAULTED, body=words(kind, *FAULT_REST))
        return b""


def reject(status: int) -> Answer:
    """The answer to what is no request."""
    return Answer(type=wire.REJECT, sequence=0, status=status, body=b"")


def decoded_length(part: bytes) -> int:
    """Bytes that a frame decodes to, also if it ends inside a block."""
    length = 0
    at = 0
    while at < len(part):
        code = part[at]
        length += min(code - 1, len(part) - at - 1)
        at += code
        length += int(code != 0xFF and at < len(part))
    return length
