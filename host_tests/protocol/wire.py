"""The protocol's packets and frames from the other end: PyPI's ``cobs`` and zlib, nothing of the device's code."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

VERSION = 1
BODY_MAX = 240
PACKET_MAX = 4 + BODY_MAX + 4

OK, BAD_VERSION, UNKNOWN_TYPE, BAD_LENGTH, OUT_OF_RANGE, OTHER_INPUT, NOT_TRACED, MODEL_ERROR = range(8)
BAD_CRC, BAD_COBS, TOO_LONG, TOO_SHORT, FAULTED = range(8, 13)

HELLO, WRITE, RUN, LOGITS, PROFILE, TRACE, SPIKES, ECHO, STATS = range(1, 10)
PROVOKE = 0x70
REJECT = 0xFE
FAULT = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response of the device; ``type`` has bit 7 set."""

    type: int
    sequence: int
    status: int
    body: bytes


def words(*values: int) -> bytes:
    """Unsigned 32-bit values as they travel."""
    return struct.pack(f"<{len(values)}I", *(value & 0xFFFFFFFF for value in values))


def packet(kind: int, body: bytes = b"", *, sequence: int = 0, version: int = VERSION, status: int = 0) -> bytes:
    """A packet without its CRC."""
    return bytes([version, kind, sequence, status]) + body


def with_crc(data: bytes) -> bytes:
    """A packet with its CRC."""
    return data + words(zlib.crc32(data))


def chunk(data: bytes) -> bytes:
    """What stands between two zeros on the wire for a packet with its CRC."""
    return bytes(cobs.encode(data))


def frame(data: bytes) -> bytes:
    """A packet without its CRC as it travels."""
    return b"\0" + chunk(with_crc(data)) + b"\0"


def request(kind: int, body: bytes = b"", *, sequence: int = 0) -> bytes:
    """A whole request as it travels."""
    return frame(packet(kind, body, sequence=sequence))


def answers(output: bytes) -> list[Answer]:
    """What a device sent; asserts that all of it is well-formed frames of version 1, each between zeros of its own."""
    assert not output or (output[0] == 0 and output[-1] == 0)
    parts = output.split(b"\0")
    # Two zeros between frames: one ends the frame before, one begins the next.
    assert [bool(part) for part in parts] == [False, *[True, False] * (len(parts) // 2)]
    return [_answer(bytes(cobs.decode(part))) for part in parts[1::2]]


def _answer(data: bytes) -> Answer:
    assert 8 <= len(data) <= PACKET_MAX
    assert words(zlib.crc32(data[:-4])) == data[-4:]
    version, kind, sequence, status = data[:4]
    assert version == VERSION
    return Answer(type=kind, sequence=sequence, status=status, body=data[4:-4])
