"""What the fast kernels rest on: the order of lanes, the room in 16 bits, and the border between quiet and spiking."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.layers import Layers, with_neuron
from qpsnn_codegen.integer_network import IntegerNetwork, Integers
from qpsnn_codegen.planning.kernels.base import Kernel
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.kernels.image import ImageKernel
from qpsnn_codegen.planning.kernels.lanes import (
    code_bytes,
    lane_channels,
    pack_blocks,
    rest_bits,
    row_bytes,
    stored_bits,
)
from qpsnn_codegen.planning.plan import make_plan

# --- lanes


def parts_of(packed: bytes, rows: int, bits: int, outputs: int) -> list[list[bytes]]:
    """Every row cut into blocks of 16 bytes (2-bit codes: 8) while they last, then 8 bytes, then 4, then the rest."""
    left = row_bytes(outputs, bits)
    found: list[list[bytes]] = [[] for _ in range(rows)]
    place = 0
    for size in (16, 8, 4, 3, 2, 1)[bits == 2 :]:
        while left >= size:
            for row in found:
                row.append(packed[place : place + size])
                place += size
            left -= size
    assert all(byte == 0 for byte in packed[place:])
    return found


def pairs_of(part: bytes, bits: int) -> list[tuple[int, int]]:
    """The sums of one part as its lanes come apart, each pair lower half first: as qps_rows.c does, for one row."""
    if len(part) < 4:
        flat = [byte >> shift & 2**bits - 1 for byte in part for shift in range(0, 8, bits)]
        return list(zip(flat[::2], [*flat[1::2], 0], strict=False))
    words = [int.from_bytes(part[k : k + 4], "little") for k in range(0, len(part), 4)]
    if bits == 2:
        upper = [(word & 0xCCCCCCCC) >> 2 for word in words]
        words = [nibbles for word, odd in zip(words, upper, strict=True) for nibbles in (word - (odd << 2), odd)]
    if bits < 8:
        upper = [(word & 0xF0F0F0F0) >> 4 for word in words]
        shares = [[word - (odd << 4) for word, odd in zip(words, upper, strict=True)], upper]
    else:
        shares = [words]
    return [
        (lanes >> shift & 0xFF, lanes >> shift + 16 & 0xFF) for share in shares for shift in (0, 8) for lanes in share
    ]


def unpacked(packed: bytes, rows: int, bits: int, outputs: int) -> NDArray[np.int64]:
    """Codes ``[row, output]``: pair p of a group of n channels, 32 or what is left, is (p, p + (n + 1) // 2)."""
    codes = np.full((rows, outputs), -1)
    for row, parts in enumerate(parts_of(packed, rows, bits, outputs)):
        *most, last = parts
        pairs = [pair for part in most for pair in pairs_of(part, bits)]
        pairs += pairs_of(last, rest_bits(outputs, bits) if len(last) == 1 else bits)
        for index, pair in enumerate(pairs):
            group, p = divmod(index, 16)
            here = min(32, outputs - 32 * group)
            half = (here + 1) // 2
            for channel, code, there in ((p, pair[0], p < half), (p + half, pair[1], p + half < here)):
                if there:
                    codes[row, 32 * group + channel] = code
                else:
                    assert code == 0, "what a row is filled up with"
    return codes


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("outputs", [*range(1, 68), 95, 96, 97, 100, 128, 129])
def test_packed_blocks_come_apart_again(outputs: int, bits: int) -> None:
    rng = np.random.default_rng(outputs)
    codes = rng.integers(0, 2**bits, (outputs, 3, 2, 1)).astype(np.uint8)
    packed = pack_blocks(codes, bits)
    assert packed.shape == (1, code_bytes(6, outputs, bits))
    spare = packed.shape[1] - 6 * row_bytes(outputs, bits)
    assert spare >= (3 if row_bytes(outputs, bits) % 4 else 0)
    # Row (kx, ky, input channel).
    rows = codes.transpose(3, 2, 1, 0).reshape(6, outputs)
    assert np.array_equal(unpacked(packed.tobytes(), 6, bits, outputs), rows)


def test_rows_are_a_word_at_least() -> None:
    """What fits a word is stored as wide as it does; fewer bits never take more."""
    assert [stored_bits(outputs, 2) for outputs in (1, 4, 5, 8, 9, 33)] == [8, 8, 4, 4, 2, 2]
    assert [stored_bits(outputs, 4) for outputs in (4, 5, 33)] == [8, 4, 4]
    for outputs in range(1, 140):
        sizes = [row_bytes(outputs, stored_bits(outputs, bits)) for bits in (2, 4, 8)]
        assert sizes == sorted(sizes)
        assert sizes[0] >= 4


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_channel_has_one_lane(bits: int) -> None:
    for outputs in range(1, 140):
        lanes = lane_channels(outputs, bits)
        assert len(lanes) == row_bytes(outputs, bits) * 8 // bits
        assert sorted(lanes[lanes >= 0].tolist()) == list(range(outputs))
        # Constants are cut off behind the last channel: the rest must be empty.
        assert (lanes[outputs:] == -1).all()


# --- room in 16 bits


def kernel_of(network: IntegerNetwork) -> Kernel:
    """The kernel of the first stage."""
    return make_plan(network, "net").stages[0].kernel


def events_kernel(bits: int, symmetric: bool, fraction_bits: int, rest: int, decay_shift: int = 1) -> EventsKernel:
    layers = Layers(seed=1).events(40, 1, 1)
    layers.layer(6, bits, symmetric=symmetric, fraction_bits=fraction_bits, rest=rest, decay_shift=decay_shift)
    kernel = kernel_of(layers.network())
    assert isinstance(kernel, EventsKernel)
    return kernel


def fits_signed(value: int) -> bool:
    return -(2**15) <= value < 2**15


def leaves_16_bits(kernel: EventsKernel, events: int) -> bool:
    """Whether the packed neurons, with so many events at every step, could leave 16 bits anywhere.

    Every path: each step has the smallest or the largest sum of that many weights, and the neuron spikes or not. What
    lies between cannot leave where the ends do not, because every operation is monotone.
    """
    conv, neuron = kernel.conv, kernel.neuron
    unit = 2**neuron.fraction_bits
    for codes, rest in zip(conv.codes, neuron.rest, strict=True):
        weights = sorted(conv.multiplier * int(code) - conv.zero_point for code in codes.flat)
        currents = [sum(weights[:events]), sum(weights[len(weights) - events :])]
        reached = {int(rest)}
        for _ in range(4):
            after: set[int] = set()
            for membrane, current in product(reached, currents):
                doubled = 2 * current * unit
                charged = (membrane + doubled) // 2
                assert charged == membrane // 2 + current * unit
                if not (fits_signed(doubled) and fits_signed(charged)):
                    return True
                after.add(charged)
            reached |= after
    return False


GRIDS = [(bits, symmetric) for bits in (2, 4, 8) for symmetric in (False, True)]


@pytest.mark.parametrize("rest", [0, 1, 1000, 32767])
@pytest.mark.parametrize("fraction_bits", [0, 1, 3, 6])
@pytest.mark.parametrize(("bits", "symmetric"), GRIDS)
def test_fewer_events_than_the_limit_stay_within_16_bits(
    bits: int, symmetric: bool, fraction_bits: int, rest: int
) -> None:
    kernel = events_kernel(bits, symmetric, fraction_bits, rest)
    limit = kernel.packed_limit
    assert limit > 0
    inputs = kernel.conv.codes.shape[1]
    assert not any(leaves_16_bits(kernel, events) for events in range(min(limit, inputs + 1)))
    if fraction_bits in (0, 6):
        assert (limit <= inputs) == (fraction_bits == 6 and bits > 2), "a border is among the cases, and none is"
    if limit < inputs:
        # The bound wastes one event at most: the largest negative number has one more than the largest positive.
        assert leaves_16_bits(kernel, limit + 1)


@pytest.mark.parametrize(
    ("fraction_bits", "rest", "decay_shift"), [(2, 0, 0), (2, 0, 2), (2, 2**15, 1), (12, -(2**15), 1)]
)
def test_no_events_where_16_bits_do_not_do(fraction_bits: int, rest: int, decay_shift: int) -> None:
    """Another decay than 1/2, or constants beyond 16 bits."""
    assert events_kernel(4, False, fraction_bits, rest, decay_shift).packed_limit == 0


def packed_step(
    membranes: Integers, sums: Integers, kernel: EventsKernel, events: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """qps_lif_pair() on 16-bit registers: membranes after the step, and who spiked."""
    conv, neuron = kernel.conv, kernel.neuron
    scale = neuron.fraction_bits + conv.multiplier
    cost = 2 * events * (conv.zero_point << neuron.fraction_bits)
    doubled = ((sums << scale) - cost).astype(np.uint16).astype(np.int16).astype(np.int64)
    membranes = (membranes + doubled) >> 1
    assert np.array_equal(membranes, membranes.astype(np.int16))
    spikes = neuron.threshold - membranes < 0
    return np.where(spikes, neuron.rest, membranes), spikes


@pytest.mark.parametrize("rest", [0, 500])
@pytest.mark.parametrize(("bits", "symmetric"), GRIDS)
def test_packed_neurons_are_the_plain_ones(bits: int, symmetric: bool, rest: int) -> None:
    kernel = events_kernel(bits, symmetric, 2, rest)
    conv, neuron = kernel.conv, kernel.neuron
    rng = np.random.default_rng(bits)
    for events in {0, 1, kernel.packed_limit // 2, kernel.packed_limit - 1}:
        packed = plain = np.broadcast_to(neuron.rest, (500, 6))
        for _ in range(4):
            sums = rng.integers(0, events * (2**bits - 1) + 1, plain.shape)
            sums[:20], sums[20:40] = 0, events * (2**bits - 1)
            charged = (plain >> 1) + ((conv.multiplier * sums - conv.zero_point * events) << neuron.fraction_bits)
            plain = np.where(charged > neuron.threshold, neuron.rest, charged)
            packed, spikes = packed_step(packed, sums, kernel, events)
            assert np.array_equal(spikes, charged > neuron.threshold)
            assert np.array_equal(packed, plain)


# --- quiet


def first_spike(current: int, threshold: int, rest: int, kernel: ImageKernel, timesteps: int) -> bool:
    membrane = rest
    for _ in range(timesteps):
        membrane = membrane // 2**kernel.neuron.decay.shift + current * 2**kernel.neuron.fraction_bits
        if membrane > threshold:
            return True
    return False


@pytest.mark.parametrize("decay_shift", [0, 1, 3])
@pytest.mark.parametrize("timesteps", [1, 2, 4, 7])
def test_quiet_is_the_largest_current_without_a_spike(timesteps: int, decay_shift: int) -> None:
    layers = Layers(seed=3, timesteps=timesteps).image(2, 2, 2, most=5)
    layers.layer(40, 4, symmetric=True, fraction_bits=3, rest=30, decay_shift=decay_shift)
    rng = np.random.default_rng(timesteps)
    thresholds = rng.integers(-400, 500, 40)
    thresholds[:3] = [-(2**31), 2**31 - 1, 0]
    network = with_neuron(layers.network(), "neuron0", threshold=thresholds)
    kernel = kernel_of(network)
    assert isinstance(kernel, ImageKernel)
    kind = network.types()["conv0"]
    low, high = kind.low, kind.high
    border = []
    for c, quiet in enumerate(kernel.quiet().tolist()):
        threshold, rest = int(thresholds[c]), int(kernel.neuron.rest[c])
        spikes = [
            first_spike(current, threshold, rest, kernel, timesteps) for current in range(int(low[c]), int(high[c]) + 1)
        ]
        # Once it spikes, it spikes with every larger current, too.
        assert spikes == sorted(spikes)
        assert quiet == int(low[c]) - 1 + spikes.count(False)
        border.append(0 < spikes.count(True) < len(spikes))
    assert sum(border) >= 8
    assert border[:2] == [False, False]
