"""The order in which sums of packed weight codes come apart (firmware/runtime/qps_rows.h)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import Integers

GROUP = 32
"""Channels of a spike word."""
PAIRS = 16
"""``QPS_PAIRS``: of sums of a group."""
SPARE_BYTES = 3
"""That may be read after the last row."""

BLOCK_BYTES = {2: 8, 4: 16, 8: 16}
"""Of a row, per bits, as long as that many are left."""
_NIBBLES = ((0, 4), (2, 6), (1, 5), (3, 7))
"""For each pair of sums of a word of 4-bit lanes, which lanes end up in the lower and the upper half."""


def lane_channels(channels: int, bits: int) -> Integers:
    """The channel of each 16-bit sum, in the order of the sums; -1 where a byte is filled up.

    Sum 2 p and 2 p + 1 are pair p. In whole groups of 32 channels pair p is (p, p + 16), then (2 p, 2 p + 1).
    """
    order: list[int] = []
    for start in range(0, channels - GROUP + 1, GROUP):
        order += [start + p + half for p in range(GROUP // 2) for half in (0, GROUP // 2)]
    rest = row_bytes(channels, bits) * (8 // bits) - len(order)
    tail = np.arange(len(order), len(order) + rest)
    return np.concatenate([np.array(order, dtype=np.int64), np.where(tail < channels, tail, -1)])


def row_bytes(channels: int, bits: int) -> int:
    """Bytes of one row of codes."""
    return -(-channels * bits // 8)


def code_bytes(rows: int, channels: int, bits: int) -> int:
    """Bytes of all rows, and of what may be read behind them, in whole words."""
    size = rows * row_bytes(channels, bits)
    spare = SPARE_BYTES if row_bytes(channels, bits) % 4 else 0
    return -(-(size + spare) // 4) * 4


def pack_blocks(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Codes ``[O, I, kh, kw]`` as ``qps_rows_t`` has them, in blocks of rows (kx, ky, input): uint8 ``[1, bytes]``."""
    outputs = len(codes)
    rows = codes.transpose(3, 2, 1, 0).reshape(-1, outputs)
    lanes = lane_channels(outputs, bits)
    width = row_bytes(outputs, bits)
    used = lanes >= 0
    placed = np.zeros((len(rows), len(lanes)), dtype=np.uint8)
    placed[:, _places(width, bits)[used]] = rows[:, lanes[used]]
    shifts = (bits * np.arange(8 // bits)).astype(np.uint8)
    packed = np.bitwise_or.reduce(placed.reshape(len(rows), width, -1) << shifts, axis=-1).astype(np.uint8)
    result = np.zeros((1, code_bytes(len(rows), outputs, bits)), dtype=np.uint8)
    parts = [packed[:, start : start + size].reshape(-1) for start, size in _parts(width, bits)]
    result[0, : packed.size] = np.concatenate(parts)
    return result


def _parts(width: int, bits: int) -> Iterator[tuple[int, int]]:
    """Where the blocks, words and remaining bytes of a row begin, and their sizes."""
    start = 0
    while start < width:
        left = width - start
        size = BLOCK_BYTES[bits] if left >= BLOCK_BYTES[bits] else min(left, 4)
        yield start, size
        start += size


def _places(width: int, bits: int) -> Integers:
    """The code of a row that each sum is of, in the order of the sums."""
    codes = [start * 8 // bits + code for start, size in _parts(width, bits) for code in _part_codes(size, bits)]
    return np.array(codes, dtype=np.int64)


def _part_codes(size: int, bits: int) -> list[int]:
    """The same of one block, word or rest."""
    if size < 4:
        return list(range(size * 8 // bits))
    if bits == 8:
        return [4 * word + code for pair in ((0, 2), (1, 3)) for word in range(size // 4) for code in pair]
    # Five words of 2-bit codes add up to two words of 4-bit lanes: of their even and of their odd codes.
    shares = 4 // bits
    return [
        32 // bits * word + shares * lane + share
        for pair in _NIBBLES
        for word in range(size // 4)
        for share in range(shares)
        for lane in pair
    ]
