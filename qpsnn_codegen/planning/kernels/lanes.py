"""The order in which sums of packed weight codes come apart (firmware/runtime/qps_rows.h)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import Integers

GROUP = 32
"""Channels of a spike word."""
BLOCK_WORDS = {2: 2, 4: 4, 8: 4}
"""32-bit words of a row in a block, per bits, as long as that many are left."""

_PAIRS: dict[int, tuple[tuple[int, int], ...]] = {
    2: ((0, 8), (4, 12), (2, 10), (6, 14), (1, 9), (5, 13), (3, 11), (7, 15)),
    4: ((0, 4), (2, 6), (1, 5), (3, 7)),
    8: ((0, 2), (1, 3)),
}
"""Per bits: for each pair of 16-bit sums of a word, which of its codes end up in the lower and the upper half."""


def lane_channels(channels: int, bits: int) -> Integers:
    """The channel of each 16-bit sum, in the order of the sums; -1 where a word is filled up.

    Sum 2 p and 2 p + 1 are pair p. In whole groups of 32 channels pair p is (p, p + 16), then (2 p, 2 p + 1).
    """
    order: list[int] = []
    for start in range(0, channels - GROUP + 1, GROUP):
        order += [start + p + half for p in range(GROUP // 2) for half in (0, GROUP // 2)]
    rest = row_words(channels, bits) * (32 // bits) - len(order)
    tail = np.arange(len(order), len(order) + rest)
    return np.concatenate([np.array(order, dtype=np.int64), np.where(tail < channels, tail, -1)])


def row_words(channels: int, bits: int) -> int:
    """32-bit words of one row of codes."""
    return -(-channels * bits // 32)


def pack_blocks(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Codes ``[O, I, kh, kw]`` as blocks of rows, the layout of ``qps_rows_t``: uint8 ``[1, bytes]``."""
    outputs = len(codes)
    rows = codes.transpose(2, 3, 1, 0).reshape(-1, outputs)
    lanes = lane_channels(outputs, bits)
    per_word = 32 // bits
    position = np.empty(len(lanes), dtype=np.int64)
    for word in range(len(lanes) // per_word):
        pairs = [code for pair in _PAIRS[bits] for code in pair]
        position[word * per_word : (word + 1) * per_word] = word * per_word + np.array(pairs)
    placed = np.zeros((len(rows), len(lanes)), dtype=np.uint32)
    used = lanes >= 0
    placed[:, position[used]] = rows[:, lanes[used]]
    shifts = (bits * np.arange(per_word)).astype(np.uint32)
    words = np.bitwise_or.reduce(placed.reshape(len(rows), -1, per_word) << shifts, axis=-1).astype("<u4")
    block = BLOCK_WORDS[bits]
    whole = words.shape[1] // block * block
    parts = [words[:, start : start + block] for start in range(0, whole, block)]
    parts += [words[:, word : word + 1] for word in range(whole, words.shape[1])]
    return np.concatenate([np.ascontiguousarray(part).view(np.uint8).reshape(-1) for part in parts])[None]
