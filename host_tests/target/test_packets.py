"""Packets, frames and bodies on the host's side: round trips, limits, and whatever bytes may come."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tests.protocol import wire
from qpsnn_codegen.device.faults import describe
from qpsnn_codegen.device.protocol import (
    BODY_MAX,
    FRAME_MAX,
    Fault,
    FrameReader,
    Hello,
    Packet,
    ProtocolError,
    RunResult,
    Statistics,
    VersionError,
    some_words,
)

octets = st.integers(0, 255)
packets = st.builds(Packet, type=octets, sequence=octets, status=octets, body=st.binary(max_size=BODY_MAX))


@given(packets)
@example(Packet(type=0, sequence=0, body=bytes(BODY_MAX)))
@example(Packet(type=255, sequence=255, status=255, body=b"\xff" * BODY_MAX))
def test_a_packet_comes_back(packet: Packet) -> None:
    encoded = packet.encode()
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert Packet.decode(encoded[1:-1]) == packet
    same = wire.packet(packet.type, packet.body, sequence=packet.sequence, status=packet.status)
    assert encoded == wire.frame(same)


def test_a_body_has_a_limit() -> None:
    with pytest.raises(ValueError, match="241 bytes"):
        Packet(type=1, sequence=0, body=bytes(BODY_MAX + 1)).encode()


@given(st.lists(packets, max_size=5), st.data())
def test_frames_are_found_however_the_stream_is_cut(sent: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(packet.encode() for packet in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader()
    found = [
        frame
        for low, high in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in reader.feed(stream[low:high])
    ]
    assert [Packet.decode(frame) for frame in found] == sent


@given(st.lists(st.binary(max_size=2000), max_size=20), packets)
def test_a_packet_after_any_noise(noise: list[bytes], packet: Packet) -> None:
    reader = FrameReader()
    for part in noise:
        assert all(len(frame) <= FRAME_MAX + 1 for frame in reader.feed(part))
    (*_, frame) = reader.feed(packet.encode())
    assert Packet.decode(frame) == packet


def test_noise_does_not_pile_up() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert reader.feed(b"\x55" * 10_000) == []
    (frame,) = reader.feed(b"\0")
    assert len(frame) == FRAME_MAX + 1
    with pytest.raises(ProtocolError, match="more than"):
        Packet.decode(frame)


@given(st.binary(max_size=400))
def test_any_frame(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        Packet.decode(frame)


@given(packets, st.data())
def test_any_damage_is_seen(packet: Packet, data: st.DataObject) -> None:
    frame = bytearray(packet.encode()[1:-1])
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProtocolError):
        Packet.decode(bytes(frame))


@pytest.mark.parametrize("length", [0, 3, 7])
def test_too_short(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"packet of {length} bytes"):
        Packet.decode(wire.chunk(bytes(length)))


def test_too_long() -> None:
    with pytest.raises(ProtocolError, match="more than 249 bytes"):
        Packet.decode(wire.chunk(wire.with_crc(wire.packet(1, bytes(241)))))


def test_another_version() -> None:
    with pytest.raises(VersionError, match="speaks version 7"):
        Packet.decode(wire.chunk(wire.with_crc(wire.packet(1, version=7))))


DECODERS: list[Callable[[bytes], object]] = [
    Hello.decode,
    RunResult.decode,
    Fault.decode,
    Statistics.decode,
    lambda body: some_words(body, 60),
    lambda body: some_words(body, 30, unit=2),
]


@given(st.sampled_from(DECODERS), st.binary(max_size=BODY_MAX))
def test_any_body(decode: Callable[[bytes], object], body: bytes) -> None:
    try:
        value = decode(body)
    except ProtocolError:
        return
    if isinstance(value, Fault):
        text = describe(value)
        assert text.isprintable()


@given(st.integers(0, 2**32 - 1), st.binary(min_size=20, max_size=20))
def test_any_fault_can_be_said(kind: int, rest: bytes) -> None:
    text = describe(Fault.decode(wire.words(kind) + rest))
    assert text
    assert text.isprintable()


def test_faults_in_words() -> None:
    names = {0: "hard fault", 1: "stack overflow", 2: "bus fault", 3: "usage fault", 5: "unexpected interrupt"}
    for kind, name in names.items():
        assert describe(Fault.decode(wire.words(kind, 0, 0, 0, 0, 0))) == name
    assertion = Fault(kind=4, pc=0x1001, lr=0xFFFFFFF1, sp=0, status=0, address=77)
    assert describe(assertion) == "assertion failed, in line 77, at 0x00001001"
    bus = Fault(kind=2, pc=0x1000, lr=0x2003, sp=0, status=0x8200, address=0xE8000000)
    places = {0x1000: "work, a.c:5", 0x2000: "main, b.c:6"}
    where = "at 0x00001000 (work, a.c:5), called from 0x00002003 (main, b.c:6)"
    said = f"bus fault, {where}, accessing 0xe8000000, CFSR 0x00008200"
    assert describe(bus, places.__getitem__) == said


def test_crc_is_that_of_zlib() -> None:
    assert (
        wire.with_crc(b"123456789")[-4:] == zlib.crc32(b"123456789").to_bytes(4, "little") == bytes.fromhex("2639f4cb")
    )
