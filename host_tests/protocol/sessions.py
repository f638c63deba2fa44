"""Streams that go through every rule of the protocol once, for the fake network."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from host_tests.protocol import wire
from host_tests.protocol.fake_network import FakeNetwork
from host_tests.protocol.fuzz import session
from host_tests.protocol.oracle import Network, Oracle
from host_tests.protocol.programs import Program
from host_tests.protocol.wire import Answer, chunk, frame, packet, request, with_crc, words

NET = FakeNetwork()
EDGES = (0, 1, 24, 25, 29, 30, 34, 35, 59, 60, 69, 70, 71, 74, 75, 107, 108, 236, 300, 2**31, 2**32 - 1)
PICTURE = bytes((7 * i + 1) % 256 for i in range(NET.input_bytes))
REFUSED = b"\xee" + PICTURE[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A stream, and which build of the device it is for."""

    stream: bytes
    trace: bool = True
    faults: bool = False


@cache
def expected_answers(network: Network, stream: bytes, *, trace: bool, faults: bool) -> tuple[Answer, ...]:
    """The oracle's, computed once."""
    return tuple(Oracle(network, trace=trace, faults=faults).answers(stream))


def check(program: Program, network: Network, stream: bytes) -> None:
    """Assert that a device answers a stream as the oracle does."""
    expected = expected_answers(network, stream, trace=program.trace, faults=program.faults)
    actual = wire.answers(program.talk(stream))
    for index, (wanted, got) in enumerate(zip(expected, actual, strict=False)):
        assert got == wanted, f"answer {index}"
    assert len(actual) == len(expected)


def upload(data: bytes, size: int = 236) -> bytes:
    """The requests that write a whole input."""
    return b"".join(request(wire.WRITE, words(at) + data[at : at + size]) for at in range(0, len(data), size))


def crc(data: bytes | bytearray) -> int:
    return zlib.crc32(data)


def _values() -> Iterator[bytes]:
    """Requests for values at and around every edge, with the right CRC and another."""
    good, other = crc(PICTURE), crc(PICTURE) ^ 1
    yield request(wire.LOGITS, words(crc(bytes(300)), 0))
    yield upload(PICTURE)
    for one in (good, other):
        yield request(wire.RUN, words(one))
        for first in EDGES:
            yield request(wire.LOGITS, words(one, first), sequence=first % 256)
            yield request(wire.PROFILE, words(one, first))
            yield request(wire.TRACE, words(one, first))
            for layer, t in ((0, 0), (1, 3), (2, 24), (3, 0), (0, 25), (2**32 - 1, 2**32 - 1)):
                yield request(wire.SPIKES, words(one, layer, t, first))
    yield from (request(wire.STATS), upload(REFUSED))
    for kind, rest in ((wire.RUN, ()), (wire.LOGITS, (0,)), (wire.PROFILE, (0,)), (wire.TRACE, (0,))):
        yield request(kind, words(crc(REFUSED), *rest))
    yield from (request(wire.LOGITS, words(good, 0)), upload(PICTURE), request(wire.RUN, words(good)))
    yield from (
        upload(bytes(300), 100),
        request(wire.RUN, words(crc(bytes(300)))),
        request(wire.LOGITS, words(good, 0)),
    )
    yield from (request(wire.LOGITS, words(crc(bytes(300)), 0)), request(wire.STATS), request(wire.HELLO))


def _writes() -> Iterator[bytes]:
    """Writes at every edge; after each, the device's input must be what it should be."""
    oracle = Oracle(NET)
    for offset in (0, 1, 63, 64, 65, 299, 300, 301, 2**32 - 236, 2**32 - 1):
        for size in (0, 1, 2, 64, 235, 236):
            data = bytes((offset + i) % 251 for i in range(size))
            write = request(wire.WRITE, words(offset) + data)
            oracle.answers(write)
            yield write + request(wire.RUN, words(crc(oracle.input)))


def _bodies() -> Iterator[bytes]:
    """Every request with every length of body; no PROVOKE that would succeed."""
    for kind in (*range(12), wire.PROVOKE):
        for size in range(wire.BODY_MAX + 1):
            yield request(kind, bytes(size), sequence=size)


def _headers() -> Iterator[bytes]:
    for value in range(256):
        yield request(value, sequence=255 - value)
        yield request(value, words(9, 9, 9, 9), sequence=value)
        yield frame(packet(wire.ECHO, b"v", version=value, sequence=value))
        yield frame(packet(0xFE, b"v", version=value))
        yield frame(packet(wire.ECHO, b"s", status=value))
    yield request(wire.STATS)


def _framing() -> Iterator[bytes]:
    """All lengths around the limits, zeros in all places, damage at every place."""
    for size in (*range(12), *range(230, 270), 500, 509, 510, 511, 1000):
        for filler in (b"\0", b"\1", b"\xff", b"\1\0", b"\0\1"):
            yield frame((filler * size)[:size])
            yield frame(packet(wire.ECHO, (filler * size)[:size]))
            yield b"\0" + chunk((filler * size)[:size]) + b"\0"
            yield b"\0" + chunk(with_crc(packet(wire.ECHO, (filler * size)[:size])))[:-1] + b"\0"
    whole = request(wire.ECHO, b"a\0b" + bytes(range(20)), sequence=5)
    for at in range(len(whole)):
        yield whole[:at] + b"\0"
        yield whole[:at] + whole
        yield whole[:at] + whole[at + 1 :]
        for bit in range(8):
            yield whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] + b"\0"
    for code in range(1, 256):
        yield bytes([0, code, 0]) + bytes([code, 5]) + b"\0\0\0" + bytes([1, code, 1]) + b"\0"
    # As long as a 16-bit length can count, and then a good packet.
    yield b"\0" + chunk((b"\1" * 15 + b"\0") * 4096 + with_crc(packet(wire.ECHO, b"wrapped"))) + b"\0"
    yield b"\0" * 1000 + b"\xff" * 100_000 + b"\0" + b"\1" * 100_000 + b"\0" + request(wire.STATS) + b"\1\2\3"


def _faults() -> Iterator[bytes]:
    for kind in (0, 4, 5, 6, 2**32 - 1):
        yield request(wire.PROVOKE, words(kind), sequence=9)
    yield request(wire.HELLO) + request(wire.PROVOKE, words(2), sequence=9)
    yield request(wire.ECHO, b"x") + b"\0\0\0" + b"noise\0" + b"\1" * 5000 + b"\0" + request(wire.STATS) + b"\5\5"


def scripts() -> Mapping[str, Script]:
    """By name; together they notice every mutant of the device's code."""
    every = {"values": _values, "writes": _writes, "bodies": _bodies, "headers": _headers, "framing": _framing}
    made = {name: Script(stream=b"".join(parts())) for name, parts in every.items()}
    for name in ("values", "bodies"):
        made[f"{name}, not traced"] = Script(stream=made[name].stream, trace=False)
    made["faults"] = Script(stream=b"".join(_faults()), faults=True)
    made["fuzz"] = Script(stream=session(NET, seed=99, frames=3000).stream)
    return made
