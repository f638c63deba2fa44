"""A hundred thousand frames, good, damaged and senseless: each gets its answer, and good requests keep working."""

from __future__ import annotations

from collections import Counter

import pytest

from host_tests.protocol import wire
from host_tests.protocol.fuzz import BATCH, session
from host_tests.protocol.programs import fake_device
from host_tests.protocol.sessions import NET
from host_tests.protocol.wire import Answer, answers
from host_tests.support.builds import COMPILERS

FRAMES = 25_000
SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_frame_gets_its_answer(seed: int) -> None:
    fuzzed = session(NET, seed, FRAMES)
    assert len(fuzzed.expected) >= FRAMES
    assert {answer.status for answer in fuzzed.expected} == set(range(13)) - {wire.NOT_TRACED, wire.FAULTED}
    good = Counter(answer.type & 0x7F for answer in fuzzed.expected if answer.status == wire.OK)
    assert min(good[kind] for kind in range(1, 10)) > FRAMES // 500, good
    for cc in COMPILERS:
        actual = answers(fake_device(cc).talk(fuzzed.stream))
        assert len(actual) == len(fuzzed.expected)
        assert (
            next((at for at, pair in enumerate(zip(actual, fuzzed.expected, strict=True)) if len(set(pair)) > 1), -1)
            < 0
        )
        assert len(fuzzed.good) >= FRAMES // (BATCH + 20)
        for number, at in enumerate(fuzzed.good):
            echo = Answer(type=0x88, sequence=(number + 1) % 256, status=wire.OK, body=wire.words(number + 1))
            assert actual[at] == echo


def test_the_stream_is_the_same_every_time() -> None:
    assert session(NET, 1, 500) == session(NET, 1, 500)
    assert session(NET, 1, 500).stream != session(NET, 2, 500).stream
