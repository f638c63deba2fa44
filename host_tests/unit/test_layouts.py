"""Layouts against naive loops: packed codes, packed spikes, bytes of a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import IntegerType
from qpsnn_codegen.kinds.input import IntegerInput, Lookup
from qpsnn_codegen.kinds.neuron import Decay, IntegerNeuron
from qpsnn_codegen.planning.layouts import (
    Format,
    MapLayout,
    layout_of,
    pack_rows,
    pack_spikes,
    packed_bytes,
    unpack_spikes,
)


def naive_rows(codes: NDArray[np.uint8], bits: int, groups: int) -> list[bytes]:
    """Row by row, bit by bit, as docs/numerics.md §7 says it."""
    outputs, group_inputs, kh, kw = codes.shape
    group_outputs = outputs // groups
    rows = []
    for ky in range(kh):
        for kx in range(kw):
            for i in range(groups * group_inputs):
                group = i // group_inputs
                number = 0
                for o in range(group_outputs):
                    number |= int(codes[group * group_outputs + o, i % group_inputs, ky, kx]) << (bits * o)
                rows.append(number.to_bytes(-(-group_outputs * bits // 8), "little"))
    return rows


class TestRows:
    @pytest.mark.parametrize("bits", [2, 4, 8])
    @pytest.mark.parametrize("groups", [1, 2, 5])
    @pytest.mark.parametrize("group_outputs", [1, 2, 3, 4, 5, 7, 8, 9])
    def test_against_a_naive_loop(self, bits: int, groups: int, group_outputs: int) -> None:
        rng = np.random.default_rng(bits * 100 + groups)
        codes = rng.integers(0, 2**bits, (groups * group_outputs, 3, 2, 3)).astype(np.uint8)
        assert [bytes(row) for row in pack_rows(codes, bits, groups)] == naive_rows(codes, bits, groups)
        assert packed_bytes(codes, bits, groups) == pack_rows(codes, bits, groups).nbytes

    def test_lowest_bits_first(self) -> None:
        codes = np.array([1, 2, 3], dtype=np.uint8).reshape(3, 1, 1, 1)
        assert pack_rows(codes, 2, 1).tolist() == [[0b00_11_10_01]]
        assert pack_rows(codes, 4, 1).tolist() == [[0x21, 0x03]]
        assert pack_rows(codes, 8, 1).tolist() == [[1, 2, 3]]

    def test_bytes_of_wide_weights(self) -> None:
        levels = np.arange(30, dtype=np.int16).reshape(5, 3, 2, 1)
        assert packed_bytes(levels, 16, 1) == pack_rows(levels, 16, 1).nbytes == 60

    @given(st.sampled_from([2, 4, 8]), st.integers(1, 4), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
    def test_any_shape(self, bits: int, groups: int, group_outputs: int, inputs: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shape = (groups * group_outputs, inputs, int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        codes = rng.integers(0, 2**bits, shape).astype(np.uint8)
        assert [bytes(row) for row in pack_rows(codes, bits, groups)] == naive_rows(codes, bits, groups)


class TestSpikes:
    @given(st.integers(1, 100), st.integers(0, 2**32 - 1))
    def test_bits_of_words(self, channels: int, seed: int) -> None:
        spikes = np.random.default_rng(seed).integers(0, 2, (2, 3, channels)).astype(np.uint8)
        words = pack_spikes(spikes)
        assert words.shape == (2, 3, -(-channels // 32))
        assert words.dtype == np.uint32
        for y in range(2):
            for x in range(3):
                number = sum(int(spike) << c for c, spike in enumerate(spikes[y, x]))
                assert [int(word) for word in words[y, x]] == [
                    number >> (32 * w) & 0xFFFFFFFF for w in range(words.shape[-1])
                ]
        assert np.array_equal(unpack_spikes(words, channels), spikes)

    @pytest.mark.parametrize("channel", [0, 1, 7, 8, 31, 32, 33, 63, 64])
    def test_a_single_channel(self, channel: int) -> None:
        spikes = np.zeros(65, dtype=np.int64)
        spikes[channel] = 1
        assert pack_spikes(spikes).tolist() == [(1 << (channel % 32)) * (w == channel // 32) for w in range(3)]

    def test_the_rest_of_the_last_word_is_zero(self) -> None:
        assert pack_spikes(np.ones(33)).tolist() == [0xFFFFFFFF, 1]


class TestMaps:
    @pytest.mark.parametrize(
        ("chosen", "bytes_of_all"),
        [
            ("SPIKES", 4 * 2 * 6 * 3),
            ("COUNTS8", 33 * 6 * 3),
            ("COUNTS16", 2 * 33 * 6 * 3),
            ("IMAGE_S16", 2 * 33 * 6 * 3),
        ],
    )
    def test_size(self, chosen: Format, bytes_of_all: int) -> None:
        layout = MapLayout(format=chosen, shape=(33, 9, 3), frames=3, rows=2)
        assert layout.words_per_pixel == 2
        assert layout.size == bytes_of_all

    def test_samples_are_packed_as_described(self) -> None:
        values = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
        image = MapLayout(format="IMAGE_U8", shape=(3, 2, 2), frames=1, rows=2)
        assert list(image.pack(values[:1])) == values[0].ravel().tolist()
        counts = MapLayout(format="COUNTS8", shape=(3, 2, 2), frames=2, rows=2)
        naive = [values[t, c, y, x] for t in range(2) for y in range(2) for x in range(2) for c in range(3)]
        assert list(counts.pack(values)) == naive
        spikes = MapLayout(format="SPIKES", shape=(3, 2, 2), frames=2, rows=2)
        words = [
            sum(int(values[t, c, y, x] % 2) << c for c in range(3))
            for t in range(2)
            for y in range(2)
            for x in range(2)
        ]
        assert np.frombuffer(spikes.pack(values % 2), dtype="<u4").tolist() == words

    def test_packed_size_is_the_planned_size(self) -> None:
        for chosen in ("IMAGE_U8", "COUNTS8", "SPIKES"):
            frames = 1 if chosen == "IMAGE_U8" else 4
            layout = MapLayout(format=chosen, shape=(35, 3, 2), frames=frames, rows=3)
            assert len(layout.pack(np.ones((frames, 35, 3, 2), dtype=np.uint8))) == layout.size

    @pytest.mark.parametrize(
        ("high", "expected"), [(1, "SPIKES"), (2, "COUNTS8"), (255, "COUNTS8"), (256, "COUNTS16"), (65535, "COUNTS16")]
    )
    def test_as_narrow_as_the_range(self, high: int, expected: str) -> None:
        kind = IntegerType(shape=(2, 1, 1), static=False, low=np.zeros(2, np.int64), high=np.array([0, high]))
        zeros = np.zeros(2, dtype=np.int64)
        node = IntegerNeuron(
            name="n",
            inputs=("i",),
            threshold=zeros,
            rest=zeros,
            drop=None,
            bias=None,
            gain=None,
            fraction_bits=0,
            decay=Decay(multiplier=0, rounding=0, shift=1),
            reset="hard",
        )
        layout = layout_of(node, kind, 5)
        assert (layout.format, layout.frames) == (expected, 5)

    def test_images_have_one_frame(self) -> None:
        node = IntegerInput(name="input", shape=(1, 2, 2), static=True, max_value=1)
        layout = layout_of(node, node.output_type(), 8)
        assert (layout.format, layout.frames, layout.size) == ("IMAGE_U8", 1, 4)

    @pytest.mark.parametrize(
        ("low", "high", "expected"), [(-127, 127, "IMAGE_S8"), (-128, 5, "IMAGE_S16"), (0, 300, "IMAGE_S16")]
    )
    def test_normalized_images(self, low: int, high: int, expected: str) -> None:
        table = np.zeros((1, 256), dtype=np.int16)
        table[0, :2] = low, high
        node = Lookup(name="t", inputs=("input",), table=table, bits=16)
        raw = IntegerInput(name="input", shape=(1, 2, 2), static=True, max_value=255).output_type()
        if low < 0:
            assert layout_of(node, node.output_type(raw), 8).format == expected
        else:
            # Never chosen for what a byte cannot hold.
            assert layout_of(node, node.output_type(raw), 8).size >= 2 * 4
