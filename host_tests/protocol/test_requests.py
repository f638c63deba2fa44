"""Each request and each status, with the values spelled out."""

from __future__ import annotations

import re
import struct
import zlib

import pytest

from host_tests.protocol import wire
from host_tests.protocol.programs import fake_device
from host_tests.protocol.sessions import NET, PICTURE, REFUSED, crc, upload
from host_tests.protocol.wire import Answer, answers, chunk, frame, packet, request, with_crc, words
from qpsnn_codegen import resources


def talk(*frames: bytes, trace: bool = True, faults: bool = False) -> list[Answer]:
    return answers(fake_device(trace=trace, faults=faults).talk(b"".join(frames)))


def statuses(*frames: bytes, trace: bool = True) -> list[int]:
    return [answer.status for answer in talk(*frames, trace=trace)]


def values(answer: Answer) -> tuple[int, ...]:
    assert answer.status == wire.OK
    return struct.unpack(f"<{len(answer.body) // 4}I", answer.body)


def rejected(status: int) -> list[Answer]:
    return [Answer(type=0xFE, sequence=0, status=status, body=b"")]


class TestFraming:
    def test_an_answer_has_the_type_and_sequence_of_its_request(self) -> None:
        [answer] = talk(request(wire.ECHO, b"a\0b", sequence=200))
        assert answer == Answer(type=0x88, sequence=200, status=0, body=b"a\0b")

    def test_zeros_alone_are_no_frames(self) -> None:
        assert talk(b"\0" * 50) == []
        assert len(talk(b"\0\0", request(wire.ECHO), b"\0\0\0", request(wire.ECHO), b"\0")) == 2

    def test_nothing_is_answered_before_its_end(self) -> None:
        assert talk(request(wire.ECHO)[:-1]) == []

    @pytest.mark.parametrize("size", [0, 1, 239, 240])
    @pytest.mark.parametrize("filler", [b"\0", b"\1", b"\xff", b"\0\1"])
    def test_echo_of_any_body(self, size: int, filler: bytes) -> None:
        body = (filler * size)[:size]
        assert [answer.body for answer in talk(request(wire.ECHO, body))] == [body]

    def test_too_long(self) -> None:
        assert talk(request(wire.ECHO, bytes(241))) == rejected(wire.TOO_LONG)
        assert talk(request(wire.ECHO, b"\xff" * 241)) == rejected(wire.TOO_LONG)
        assert talk(b"\xff" * 1_000_000 + b"\0") == rejected(wire.TOO_LONG)

    def test_too_short(self) -> None:
        assert talk(b"\0" + chunk(with_crc(b"\1\x08\0")) + b"\0") == rejected(wire.TOO_SHORT)
        assert talk(b"\1\0") == rejected(wire.TOO_SHORT)

    def test_bad_cobs(self) -> None:
        assert talk(request(wire.ECHO, b"abc")[:-2] + b"\0") == rejected(wire.BAD_COBS)

    def test_bad_crc(self) -> None:
        data = with_crc(packet(wire.ECHO, b"abc"))
        for at in range(len(data)):
            damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert talk(b"\0" + chunk(damaged) + b"\0") == rejected(wire.BAD_CRC)

    def test_a_disconnect_inside_a_frame(self) -> None:
        whole = request(wire.WRITE, words(0) + b"a" * 100)
        for at in (2, 3, 50, len(whole) - 2):
            reject, good = talk(whole[:at], request(wire.ECHO, b"again", sequence=1))
            assert (reject.type, reject.status) == (0xFE, wire.BAD_COBS)
            assert (good.sequence, good.body) == (1, b"again")


class TestHeader:
    def test_another_version(self) -> None:
        [answer] = talk(frame(packet(wire.ECHO, b"abc", version=2, sequence=7)))
        assert answer == Answer(type=0x88, sequence=7, status=wire.BAD_VERSION, body=b"")

    def test_unknown_types(self) -> None:
        [answer] = talk(request(0x0A, b"abc", sequence=7))
        assert answer == Answer(type=0x8A, sequence=7, status=wire.UNKNOWN_TYPE, body=b"")

    @pytest.mark.parametrize("kind", [0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF])
    def test_types_that_no_request_may_have(self, kind: int) -> None:
        assert talk(request(kind, b"abc", sequence=7)) == rejected(wire.UNKNOWN_TYPE)
        assert talk(frame(packet(kind, version=2))) == rejected(wire.BAD_VERSION)

    def test_faults_are_provoked_in_test_images_only(self) -> None:
        [answer] = talk(request(wire.PROVOKE, words(1)))
        assert answer.status == wire.UNKNOWN_TYPE

    def test_the_status_of_a_request_is_ignored(self) -> None:
        assert [a.status for a in talk(frame(packet(wire.ECHO, status=3)))] == [wire.OK]


@pytest.mark.parametrize(("trace", "faults"), [(True, False), (False, False), (True, True)])
def test_hello(trace: bool, faults: bool) -> None:
    [answer] = talk(request(wire.HELLO), trace=trace, faults=faults)
    assert struct.unpack("<4H", answer.body[:8]) == (240, 3, 25, 35)
    flags = trace + 2 * faults
    sizes = (300, 70, 4, 100_000, 1234, 2048, 25_000_000, 524_288, 13_107, flags)
    assert struct.unpack("<10I", answer.body[8:48]) == sizes
    assert answer.body[48:80].hex() == "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
    assert answer.body[80:] == b"fake\0" + b"0.0.fake\0" + b"host\0" + b"x86\0"


class TestInput:
    def test_written_in_any_pieces(self) -> None:
        for size in (1, 7, 236):
            *written, ran = talk(upload(PICTURE, size), request(wire.RUN, words(crc(PICTURE))))
            assert {answer.status for answer in written} == {wire.OK}
            assert all(answer.body == b"" for answer in written)
            assert ran.status == wire.OK

    @pytest.mark.parametrize(
        ("offset", "size", "status"),
        [
            (299, 1, wire.OK),
            (300, 0, wire.OK),
            (64, 236, wire.OK),
            (65, 236, wire.OUT_OF_RANGE),
            (299, 2, wire.OUT_OF_RANGE),
            (300, 1, wire.OUT_OF_RANGE),
            (301, 0, wire.OUT_OF_RANGE),
            (2**31, 4, wire.OUT_OF_RANGE),
            (2**32 - 1, 1, wire.OUT_OF_RANGE),
            (2**32 - 4, 8, wire.OUT_OF_RANGE),
        ],
    )
    def test_bounds(self, offset: int, size: int, status: int) -> None:
        expected = bytearray(300)
        if status == wire.OK:
            expected[offset : offset + size] = b"x" * size
        run = request(wire.RUN, words(zlib.crc32(expected)))
        assert statuses(request(wire.WRITE, words(offset) + b"x" * size), run) == [status, wire.OK]

    def test_no_offset(self) -> None:
        assert statuses(request(wire.WRITE, b"123")) == [wire.BAD_LENGTH]


class TestRun:
    def test_the_prediction(self) -> None:
        *_, ran = talk(upload(PICTURE), request(wire.RUN, words(crc(PICTURE))))
        result = NET.run(PICTURE)
        assert result is not None
        assert values(ran) == (result.logits.index(max(result.logits)), 10, 777)

    def test_the_first_of_equals(self) -> None:
        [ran] = talk(request(wire.RUN, words(crc(bytes(300)))))
        assert values(ran)[0] == 0

    def test_another_input(self) -> None:
        assert statuses(request(wire.RUN, words(0))) == [wire.OTHER_INPUT]

    def test_a_network_that_refuses(self) -> None:
        asked = words(crc(REFUSED))
        run, logits = request(wire.RUN, asked), request(wire.LOGITS, asked + words(0))
        *_, ran, got = talk(upload(REFUSED), run, logits)
        assert (ran.status, ran.body, got.status) == (wire.MODEL_ERROR, b"", wire.OTHER_INPUT)

    def test_logits_in_pieces(self) -> None:
        asked = crc(PICTURE)
        pieces = [request(wire.LOGITS, words(asked, first)) for first in (0, 60, 69, 70)]
        *_, ran, first, second, last, beyond = talk(upload(PICTURE), request(wire.RUN, words(asked)), *pieces)
        assert [len(values(each)) for each in (first, second, last)] == [60, 10, 1]
        logits = struct.unpack("<70i", first.body + second.body)
        result = NET.run(PICTURE)
        assert result is not None
        assert logits == result.logits
        assert min(logits) < 0 < max(logits)
        assert values(ran)[0] == logits.index(max(logits))
        assert beyond.status == wire.OUT_OF_RANGE

    def test_logits_belong_to_an_input(self) -> None:
        asked, blank = crc(PICTURE), crc(bytes(300))
        logits = request(wire.LOGITS, words(blank, 0))
        assert statuses(logits) == [wire.OTHER_INPUT]
        run = request(wire.RUN, words(blank))
        # They stay what they are until the next run, whatever is written.
        assert statuses(run, logits, upload(PICTURE), logits)[-1] == wire.OK
        assert statuses(run, upload(PICTURE), request(wire.RUN, words(asked)), logits)[-1] == wire.OTHER_INPUT


class TestTracing:
    def test_profile_in_pieces(self) -> None:
        asked = crc(PICTURE)
        first, second, beyond = (request(wire.PROFILE, words(asked, at)) for at in (0, 30, 35))
        *_, a, again, b, none = talk(upload(PICTURE), first, first, second, beyond)
        assert a == again
        pairs = values(a) + values(b)
        assert (len(a.body), len(b.body), none.status) == (240, 40, wire.OUT_OF_RANGE)
        # Stage 0 runs once more after the others, between the readings 36 and 37.
        assert pairs[::2] == (20 + 370, *(10 * (stage + 2) for stage in range(1, 35)))
        result = NET.run(PICTURE)
        assert result is not None
        assert pairs[1::2] == result.operations

    def test_digests_in_pieces(self) -> None:
        asked = crc(PICTURE)
        pieces = [request(wire.TRACE, words(asked, at)) for at in (0, 60, 74, 75)]
        *_, first, second, last, beyond = talk(upload(PICTURE), *pieces)
        digests = values(first) + values(second)
        assert (len(digests), values(last), beyond.status) == (75, digests[-1:], wire.OUT_OF_RANGE)
        # One of them from its definition: layer 2, timestep 7; 36 pixels of three words.
        spikes = b"".join(
            answer.body
            for at in (0, 60)
            for answer in talk(upload(PICTURE), request(wire.SPIKES, words(asked, 2, 7, at)))[2:]
        )
        assert len(spikes) == 4 * 36 * 3
        digest = sum(zlib.crc32(words(pixel) + spikes[12 * pixel : 12 * pixel + 12]) for pixel in range(36))
        assert digests[2 * 25 + 7] == digest % 2**32

    @pytest.mark.parametrize(
        ("layer", "t", "first", "status"),
        [
            (0, 0, 69, wire.OK),
            (0, 0, 70, wire.OUT_OF_RANGE),
            (1, 24, 0, wire.OK),
            (1, 24, 1, wire.OUT_OF_RANGE),
            (1, 25, 0, wire.OUT_OF_RANGE),
            (3, 0, 0, wire.OUT_OF_RANGE),
            (2**32 - 1, 2**32 - 1, 2**32 - 1, wire.OUT_OF_RANGE),
        ],
    )
    def test_spikes_at_the_edges(self, layer: int, t: int, first: int, status: int) -> None:
        asked = request(wire.SPIKES, words(crc(bytes(300)), layer, t, first))
        assert statuses(asked) == [status]

    def test_another_input(self) -> None:
        asked = [request(kind, words(0, 0)) for kind in (wire.PROFILE, wire.TRACE)]
        assert statuses(*asked, request(wire.SPIKES, words(0, 0, 0, 0))) == [wire.OTHER_INPUT] * 3

    def test_an_image_without_hooks(self) -> None:
        asked = words(crc(bytes(300)), 0)
        frames = [request(wire.PROFILE, asked), request(wire.TRACE, asked), request(wire.SPIKES, asked + words(0, 0))]
        assert statuses(*frames, request(wire.TRACE, asked[:4]), trace=False) == [wire.NOT_TRACED] * 3 + [
            wire.BAD_LENGTH
        ]
        assert statuses(request(wire.RUN, asked[:4]), request(wire.LOGITS, asked), trace=False) == [wire.OK] * 2


def test_stats() -> None:
    asked = words(crc(bytes(300)))
    *_, answer = talk(
        request(wire.RUN, asked),  # OK
        request(wire.RUN, words(1)),  # OTHER_INPUT counts as understood
        request(wire.PROFILE, asked + words(0)),
        b"\0" + chunk(packet(wire.ECHO) + bytes(4)) + b"\0",
        (b"\5\0") * 2,
        request(wire.ECHO, bytes(300)) * 3,
        (b"\1\0") * 4,
        frame(packet(wire.ECHO, version=9)) * 5,
        request(0) * 6,
        request(wire.HELLO, b"x") * 3 + request(wire.LOGITS, asked + words(70)) * 4,
        request(wire.STATS),
    )
    assert values(answer) == (3, 1, 2, 3, 4, 5, 6, 7, 3, 777)


class TestFaults:
    REST = (0x08001234, 0x08004321, 0x20000400, 0x00008200, 0xE8000000)

    @pytest.mark.parametrize("kind", [1, 2, 3])
    def test_are_reported_and_reported_again_to_every_frame(self, kind: int) -> None:
        fault = Answer(type=0xFF, sequence=0, status=wire.FAULTED, body=words(kind, *self.REST))
        provoke = request(wire.PROVOKE, words(kind), sequence=9)
        assert talk(provoke, faults=True) == [fault]
        after = (b"\0\0\0", request(wire.HELLO), b"junk\0", b"\xff" * 5000 + b"\0", b"no end")
        assert talk(request(wire.ECHO), provoke, *after, faults=True)[1:] == [fault] * 4

    def test_silence_ends_with_an_answer(self) -> None:
        [answer] = talk(request(wire.PROVOKE, words(4), sequence=9), faults=True)
        assert answer == Answer(type=0xF0, sequence=9, status=wire.OK, body=b"")

    @pytest.mark.parametrize("kind", [0, 5, 2**32 - 1])
    def test_other_kinds(self, kind: int) -> None:
        assert talk(request(wire.PROVOKE, words(kind)), faults=True)[0].status == wire.OUT_OF_RANGE


def test_the_numbers_are_those_of_the_header() -> None:
    header = (resources.firmware_dir() / "app" / "qps_frame.h").read_text(encoding="utf-8")
    names = re.findall(r"^    X\((\w+)\)", header, re.MULTILINE)
    assert [getattr(wire, name) for name in names] == list(range(13))
