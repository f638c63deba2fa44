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
BLOCK_BYTES = {2: 8, 4: 16, 8: 16}
"""Of a row, per bits, as long as that many are left."""
_PIECES = (8, 4)
"""And of what is left then, before the last bytes."""
_WORD = 4
_SPARE_BYTES = 3
"""That may be read after the last bytes."""
_NIBBLES = ((0, 4), (2, 6), (1, 5), (3, 7))
"""For each pair of sums of a word of 4-bit lanes, which lanes end up in the lower and the upper half."""


def stored_bits(channels: int, bits: int) -> int:
    """The width that codes are stored with: rows of less than a word are filled with wider ones, which is faster."""
    while bits < 8 and 2 * bits * channels <= 8 * _WORD:
        bits *= 2
    return bits


def lane_channels(channels: int, bits: int) -> Integers:
    """The channel of each 16-bit sum, in the order of the sums; -1 where there is none.

    Sums 2 p and 2 p + 1 are pair p: of the channels p and p + n, where n is half of a group's, rounded up.
    """
    lanes = np.full(row_bytes(channels, bits) * (8 // bits), -1)
    for start in range(0, channels, GROUP):
        pairs = group_pairs(channels - start)
        lower = np.arange(start, start + pairs)
        lanes[start : start + 2 * pairs : 2] = lower
        upper = lower[: min(channels - start, GROUP) - pairs] + pairs
        lanes[start + 1 : start + 1 + 2 * len(upper) : 2] = upper
    return lanes


def group_pairs(channels: int) -> int:
    """Pairs of sums of the first group of so many channels."""
    return -(-min(channels, GROUP) // 2)


def row_bytes(channels: int, bits: int) -> int:
    """Bytes of one row of codes.

    Rows shorter than a block are filled up, which makes them faster to add up; longer ones of 2 bits where a byte is
    missing to a word.
    """
    size = -(-channels * bits // 8)
    if size < BLOCK_BYTES[bits]:
        return next(step for step in (4, 8, 16) if size <= step)
    return size + (bits == 2 and size % _WORD == 3)


def has_half(channels: int, bits: int) -> bool:
    """Whether half a block remains of a row behind its blocks."""
    return row_bytes(channels, bits) % BLOCK_BYTES[bits] >= _PIECES[0]


def rest_bits(channels: int, bits: int) -> int:
    """The width of codes in a byte that remains of a row: 4 where two 2-bit codes have it for themselves."""
    width = row_bytes(channels, bits)
    alone = bits == 2 and width % _WORD == 1 and channels <= 4 * (width - 1) + 2
    return 4 if alone else bits


def code_bytes(rows: int, channels: int, bits: int) -> int:
    """Bytes of all rows, and of what may be read behind them, in whole words."""
    width = row_bytes(channels, bits)
    spare = _SPARE_BYTES if width % _WORD else 0
    return -(-(rows * width + spare) // _WORD) * _WORD


def pack_blocks(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Codes ``[O, I, kh, kw]`` as ``qps_rows_t`` has them, in blocks of rows (kx, ky, input): uint8 ``[1, bytes]``."""
    outputs = len(codes)
    rows = codes.transpose(3, 2, 1, 0).reshape(-1, outputs)
    lanes = lane_channels(outputs, bits)
    width = row_bytes(outputs, bits)
    used = lanes >= 0
    placed = np.zeros((len(rows), len(lanes)), dtype=np.uint8)
    placed[:, _places(outputs, bits)[used]] = rows[:, lanes[used]]
    shifts = (bits * np.arange(8 // bits)).astype(np.uint8)
    packed = np.bitwise_or.reduce(placed.reshape(len(rows), width, -1) << shifts, axis=-1).astype(np.uint8)
    result = np.zeros((1, code_bytes(len(rows), outputs, bits)), dtype=np.uint8)
    parts = [packed[:, start : start + size].reshape(-1) for start, size in _parts(width, bits)]
    result[0, : packed.size] = np.concatenate(parts)
    return result


def _parts(width: int, bits: int) -> Iterator[tuple[int, int]]:
    """Where the blocks, the half, the word and the remaining bytes of a row begin, and their sizes."""
    start = 0
    while start < width:
        left = width - start
        size = next((size for size in (BLOCK_BYTES[bits], *_PIECES) if left >= size), left)
        yield start, size
        start += size


def _places(channels: int, bits: int) -> Integers:
    """The code of a row that each sum is of, in the order of the sums."""
    parts = _parts(row_bytes(channels, bits), bits)
    codes = np.array([start * 8 // bits + code for start, size in parts for code in _part_codes(size, bits)])
    if rest_bits(channels, bits) != bits:
        codes[-3], codes[-2] = codes[-2], codes[-3]
    return codes


def _part_codes(size: int, bits: int) -> list[int]:
    """The same of one block, half, word or rest."""
    if size < _WORD:
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
