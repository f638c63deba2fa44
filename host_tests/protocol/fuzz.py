"""Streams of good, damaged and senseless frames from a seed, with the answers that they must get."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from host_tests.protocol import wire
from host_tests.protocol.oracle import Network, Oracle
from host_tests.protocol.wire import Answer, chunk, frame, packet, request, with_crc, words

BATCH = 250
"""Frames between two good requests whose answers are looked at by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A stream, the answers to it, and where among them those to the good request after each batch are."""

    stream: bytes
    expected: list[Answer]
    good: list[int]


def session(network: Network, seed: int, frames: int, *, trace: bool = True) -> Session:
    """A session of at least so many frames."""
    fuzzer = Fuzzer(network, seed, trace=trace)
    good = []
    while len(fuzzer.expected) < frames:
        end = len(fuzzer.expected) + BATCH
        while len(fuzzer.expected) < end:
            fuzzer.piece()
        good.append(len(fuzzer.expected))
        fuzzer.send(request(wire.ECHO, words(len(good)), sequence=len(good) % 256))
    return Session(stream=b"".join(fuzzer.stream), expected=fuzzer.expected, good=good)


class Fuzzer:
    """Grows a stream piece by piece; the oracle beside it knows what is in the device, so that requests can be good."""

    def __init__(self, network: Network, seed: int, *, trace: bool) -> None:
        self.random = random.Random(seed)
        self.oracle = Oracle(network, trace=trace)
        self.stream: list[bytes] = []
        self.expected: list[Answer] = []
        self.pieces: dict[Callable[[], bytes], int] = {
            self.good: 30,
            self.changed_packet: 20,
            self.changed_frame: 25,
            self.noise: 10,
            self.splice: 10,
            self.oversized: 3,
            self.disconnect: 2,
        }

    def piece(self) -> None:
        """Send something."""
        [make] = self.random.choices(list(self.pieces), list(self.pieces.values()))
        self.send(make())

    def send(self, data: bytes) -> None:
        """Append a piece that begins and ends with a zero."""
        self.stream.append(data)
        self.expected += self.oracle.answers(data)

    def good(self) -> bytes:
        return frame(self.packet())

    def changed_packet(self) -> bytes:
        """A wrong packet with a right CRC: gets past it."""
        return frame(self.mutate(self.packet()))

    def changed_frame(self) -> bytes:
        return b"\0" + self.mutate(chunk(with_crc(self.packet()))) + b"\0"

    def noise(self) -> bytes:
        return b"\0" + self.random.randbytes(self.random.randint(1, 400)) + b"\0"

    def splice(self) -> bytes:
        """The beginning of one frame and the end of another."""
        first, second = chunk(with_crc(self.packet())), chunk(with_crc(self.packet()))
        return (
            b"\0" + first[: self.random.randint(0, len(first))] + second[self.random.randint(0, len(second)) :] + b"\0"
        )

    def oversized(self) -> bytes:
        longer = self.random.choice((wire.BODY_MAX + 1, wire.BODY_MAX + 2, 245, 246, 260, 600, 5000))
        body = bytes(longer) if self.random.random() < 0.3 else self.random.randbytes(longer)
        return frame(packet(self.random.choice((wire.ECHO, wire.WRITE)), body))

    def disconnect(self) -> bytes:
        """Half a frame, and the next request by someone who does not know of it."""
        half = chunk(with_crc(self.packet()))
        return b"\0" + half[: self.random.randint(1, len(half))] + frame(self.packet())

    def packet(self) -> bytes:
        """A request with right or nearly right arguments."""
        r, network = self.random, self.oracle.network
        kind = r.choice([*range(1, 10), wire.ECHO, wire.WRITE, wire.LOGITS, wire.PROVOKE])
        crc = zlib.crc32(self.oracle.input)
        crc = crc if r.random() < 0.8 else crc ^ 1 << r.randrange(32)
        index = self.index
        body = {
            wire.WRITE: lambda: words(index(network.input_bytes)) + self.data(wire.BODY_MAX - 4),
            wire.RUN: lambda: words(crc),
            wire.LOGITS: lambda: words(crc, index(network.classes)),
            wire.PROFILE: lambda: words(crc, index(network.stages)),
            wire.TRACE: lambda: words(crc, index(network.layers * network.timesteps)),
            wire.SPIKES: lambda: words(crc, index(network.layers), index(network.timesteps), index(120)),
            wire.ECHO: lambda: self.data(wire.BODY_MAX),
            wire.PROVOKE: lambda: words(index(5)),
        }.get(kind, lambda: b"")()
        return packet(kind, body, sequence=r.randrange(256))

    def index(self, total: int) -> int:
        """Mostly one of ``total``, sometimes the first or last, one too many, or far too many."""
        r = self.random
        if r.random() < 0.7:
            return r.randrange(total)
        return r.choice((0, total - 1, total, total + 1, r.getrandbits(32), 2**32 - 1))

    def data(self, most: int) -> bytes:
        """Short, long or as long as possible; often with many zeros, sometimes with none."""
        r = self.random
        size = r.choice((r.randint(0, 8), r.randint(0, most), most))
        bits = bytes(r.choices((0, 1, 255), k=size))
        return r.choice((bytes(size), b"\xff" * size, b"\xee" * size, r.randbytes(size), bits))

    def mutate(self, data: bytes) -> bytes:
        """One to four changes of bits, bytes or length."""
        r = self.random
        changed = bytearray(data)
        for _ in range(r.randint(1, 4)):
            at = r.randrange(len(changed) + 1)
            change = r.randrange(6)
            if change == 0 and at < len(changed):
                changed[at] ^= 1 << r.randrange(8)
            elif change == 1 and at < len(changed):
                changed[at] = r.choice((0, 1, 2, 254, 255, r.randrange(256)))
            elif change == 2:
                changed.insert(at, r.randrange(256))
            elif change == 3:
                del changed[at : at + r.randint(1, 3)]
            elif change == 4:
                del changed[at:]
            else:
                changed[at:at] = changed[: r.randint(0, 20)]
        return bytes(changed)
