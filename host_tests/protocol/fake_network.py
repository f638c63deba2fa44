"""The fake network of ``fake/``, once more in numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from host_tests.protocol.oracle import Result

_MAPS = ((0, 5, 7, 2), (1750, 1, 1, 1), (1775, 9, 4, 3))
_TIMESTEPS = 25


class FakeNetwork:
    """More of everything than one answer carries; refuses inputs that begin with 0xEE."""

    name = "fake"
    version = "0.0.fake"
    digest = "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
    input_bytes = 300
    classes = 70
    timesteps = _TIMESTEPS
    stages = 35
    turns = (*range(stages), 0)
    layers = len(_MAPS)
    sizes = (4, 100_000, 1234)

    def run(self, data: bytes) -> Result | None:
        return None if data[0] == 0xEE else _run(data)


@lru_cache(maxsize=256)
def _run(data: bytes) -> Result:
    seed = sum((i + 1) * value for i, value in enumerate(data)) & 0xFFFFFFFF
    return Result(
        logits=tuple(_hash(seed, 500, 70).astype(np.int32).tolist()),
        operations=tuple(((_hash(seed, 0, 35) & 0xFFF) + [8, *[1] * 34]).tolist()),
        spikes=tuple(
            _hash(seed, 1000 + offset, _TIMESTEPS * height * width * words).reshape(_TIMESTEPS, height * width, words)
            for offset, height, width, words in _MAPS
        ),
    )


def _hash(seed: int, first: int, count: int) -> NDArray[np.uint32]:
    index = np.arange(first, first + count, dtype=np.uint32)
    value = np.uint32(seed) * (np.uint32(0x9E3779B9) + np.uint32(2) * index)
    value ^= value >> np.uint32(16)
    value *= np.uint32(0x85EBCA6B)
    return value ^ (value >> np.uint32(13))
