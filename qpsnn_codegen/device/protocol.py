"""The serial protocol, version 1: packets, their bodies, and the bytes on the wire (docs/protocol.md).

What arrives is untrusted: a decoder checks sizes and fields and raises :class:`ProtocolError`, nothing else.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

import numpy as np
from cobs import cobs
from numpy.typing import NDArray

VERSION = 1
BODY_MAX = 240
WORDS_MAX = BODY_MAX // 4
DELIMITER = b"\0"

_HEAD = struct.Struct("<BBBB")
_CRC = struct.Struct("<I")
_PACKET_MIN = _HEAD.size + _CRC.size
FRAME_MAX = _PACKET_MIN + BODY_MAX + 1
"""Bytes between two delimiters: COBS adds one to a packet of up to 254 bytes."""

RESPONSE = 0x80


class Type(IntEnum):
    """Requests, and what only a device says; the answer to a request is its type with bit 7 set."""

    HELLO = 0x01
    WRITE = 0x02
    RUN = 0x03
    LOGITS = 0x04
    PROFILE = 0x05
    TRACE = 0x06
    SPIKES = 0x07
    ECHO = 0x08
    STATS = 0x09
    PROVOKE = 0x70
    REJECT = 0xFE
    FAULT = 0xFF


class Status(IntEnum):
    """How a request went."""

    OK = 0
    BAD_VERSION = 1
    UNKNOWN_TYPE = 2
    BAD_LENGTH = 3
    OUT_OF_RANGE = 4
    OTHER_INPUT = 5
    NOT_TRACED = 6
    MODEL_ERROR = 7
    BAD_CRC = 8
    BAD_COBS = 9
    TOO_LONG = 10
    TOO_SHORT = 11
    FAULTED = 12


class FaultKind(IntEnum):
    """``qps_fault_kind_t`` of qps_port.h."""

    UNKNOWN = 0
    STACK = 1
    BUS = 2
    USAGE = 3
    ASSERT = 4
    INTERRUPT = 5


class Provocation(IntEnum):
    """What PROVOKE can ask a test image to do."""

    STACK_OVERFLOW = 1
    BUS_FAULT = 2
    ASSERTION = 3
    ENDLESS_LOOP = 4


class ProtocolError(Exception):
    """Bytes that are no frame, packet or body of this protocol; the text is one clause."""


class VersionError(ProtocolError):
    """An intact packet of another version of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One message in either direction; ``body`` has at most BODY_MAX bytes, the other fields are bytes."""

    type: int
    sequence: int
    status: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        """The packet between two delimiters, whatever was left unfinished before it."""
        if len(self.body) > BODY_MAX:
            raise ValueError(f"a body of {len(self.body)} bytes")
        packet = _HEAD.pack(VERSION, self.type, self.sequence, self.status) + self.body
        encoded: bytes = cobs.encode(packet + _CRC.pack(zlib.crc32(packet)))
        return DELIMITER + encoded + DELIMITER

    @staticmethod
    def decode(frame: bytes) -> Packet:
        """The packet of what stood between two delimiters.

        Raises:
            ProtocolError: too long or short, no COBS, or another CRC.
            VersionError: intact, but another version.
        """
        if len(frame) > FRAME_MAX:
            raise ProtocolError(f"a frame of more than {FRAME_MAX} bytes")
        try:
            packet = bytes(cobs.decode(frame))
        except cobs.DecodeError:
            raise ProtocolError("a frame that is no COBS") from None
        if len(packet) < _PACKET_MIN:
            raise ProtocolError(f"a packet of {len(packet)} bytes")
        (crc,) = _CRC.unpack_from(packet, len(packet) - _CRC.size)
        if zlib.crc32(packet[: -_CRC.size]) != crc:
            raise ProtocolError("a packet with another CRC")
        version, kind, sequence, status = _HEAD.unpack_from(packet)
        if version != VERSION:
            raise VersionError(f"speaks version {version} of the protocol, this tool version {VERSION}")
        return Packet(type=kind, sequence=sequence, status=status, body=packet[_HEAD.size : -_CRC.size])


class FrameReader:
    """Cuts a stream into frames; holds at most one frame's worth of bytes, whatever arrives."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes, without their delimiters; one cut too long is longer than FRAME_MAX."""
        frames = []
        *ends, rest = data.split(DELIMITER)
        for end in ends:
            self._keep(end)
            if self._part:
                frames.append(bytes(self._part))
                self._part.clear()
        self._keep(rest)
        return frames

    def _keep(self, data: bytes) -> None:
        self._part += data[: FRAME_MAX + 1 - len(self._part)]


# --- bodies

_HELLO = struct.Struct("<4H10I32s")
_TEXT_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a device says of itself. Sizes in bytes; ``counter_hz`` in ticks per second, 0 if unknown."""

    body_max: int
    trace_layers: int
    timesteps: int
    stages: int
    input_bytes: int
    classes: int
    arena_bytes: int
    weight_bytes: int
    constant_bytes: int
    stack_bytes: int
    counter_hz: int
    calibration_instructions: int
    calibration_ticks: int
    traced: bool
    fault_tests: bool
    digest: str
    name: str
    tool_version: str
    board: str
    core: str

    @property
    def instructions_per_tick(self) -> Fraction | None:
        """As calibrated at the device's start with a loop of known length; ``None`` if its counter stands still."""
        if not self.calibration_ticks:
            return None
        return Fraction(self.calibration_instructions, self.calibration_ticks)

    @staticmethod
    def decode(body: bytes) -> Hello:
        """Raises :class:`ProtocolError` for a body that a device of this protocol cannot have sent."""
        if len(body) < _HELLO.size:
            raise ProtocolError(f"a hello of {len(body)} bytes")
        *numbers, flags, digest = _HELLO.unpack_from(body)
        texts = body[_HELLO.size :].split(b"\0")
        if len(texts) != 5 or texts.pop():
            raise ProtocolError("a hello without its four texts")
        name, tool_version, board, core = (_text(text) for text in texts)
        fields = dict(zip(Hello.__dataclass_fields__, map(int, numbers), strict=False))
        hello = Hello(
            **fields,
            traced=bool(flags & 1),
            fault_tests=bool(flags & 2),
            digest=digest.hex(),
            name=name,
            tool_version=tool_version,
            board=board,
            core=core,
        )
        for field in ("timesteps", "stages", "input_bytes", "classes"):
            if not getattr(hello, field):
                raise ProtocolError(f"a hello with {field} 0")
        if not 8 <= hello.body_max <= BODY_MAX:
            raise ProtocolError(f"a hello with bodies of {hello.body_max} bytes")
        return hello


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Of one inference: the class, its ticks of the counter, and bytes of stack used since the device started."""

    prediction: int
    ticks: int
    stack_used: int

    @staticmethod
    def decode(body: bytes) -> RunResult:
        """Raises :class:`ProtocolError` for another size."""
        prediction, ticks, stack_used = (int(word) for word in words(body, 3))
        return RunResult(prediction=prediction, ticks=ticks, stack_used=stack_used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``qps_fault_t`` of qps_port.h: where the core was when it could not go on."""

    kind: int
    pc: int
    lr: int
    sp: int
    status: int
    address: int

    @staticmethod
    def decode(body: bytes) -> Fault:
        """Raises :class:`ProtocolError` for another size."""
        values = (int(word) for word in words(body, 6))
        return Fault(**dict(zip(Fault.__dataclass_fields__, values, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What the device's receiver has seen since its start."""

    frames_ok: int
    bad_crc: int
    bad_cobs: int
    too_long: int
    too_short: int
    bad_version: int
    unknown_type: int
    bad_body: int
    runs: int
    stack_used: int

    @staticmethod
    def decode(body: bytes) -> Statistics:
        """Raises :class:`ProtocolError` for another size."""
        values = (int(word) for word in words(body, 10))
        return Statistics(**dict(zip(Statistics.__dataclass_fields__, values, strict=True)))


def words(body: bytes, count: int) -> NDArray[np.uint32]:
    """Exactly ``count`` little-endian words; raises :class:`ProtocolError` for another size."""
    if len(body) != 4 * count:
        raise ProtocolError(f"a body of {len(body)} bytes instead of {4 * count}")
    return np.frombuffer(body, dtype="<u4").astype(np.uint32)


def some_words(body: bytes, most: int, *, unit: int = 1) -> NDArray[np.uint32]:
    """Between one and ``most`` groups of ``unit`` words; raises :class:`ProtocolError` for anything else."""
    count, rest = divmod(len(body), 4 * unit)
    if rest or not 1 <= count <= most:
        raise ProtocolError(f"a body of {len(body)} bytes, for up to {4 * unit * most}")
    return words(body, count * unit)


def pack_words(*values: int) -> bytes:
    """Little-endian words, as a request's body starts."""
    return struct.pack(f"<{len(values)}I", *values)


def status_name(status: int) -> str:
    """A status in the words of docs/protocol.md."""
    return Status(status).name if status in {*Status} else f"unknown status {status}"


def _text(text: bytes) -> str:
    decoded = text.decode("ascii", errors="replace")
    if len(decoded) > _TEXT_MAX or not decoded.isascii() or not decoded.isprintable():
        raise ProtocolError("a hello with an unreadable text")
    return decoded
