"""A few networks that send the fast kernels through every path they have, on any core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np

from host_tests.support.agreement import Tested, before_readout, case_of, of_network
from host_tests.support.layers import Layers, counted_spikes
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.neuron import Decay
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.kernels.counts import CountsKernel
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.plan import make_plan

AROUND = Window(kernel=(3, 3), padding=(1, 1))
COUNTS = (0, 1, 2, 4, 5, 6, 15, 16, 17, 18, 33, 34, 35, 51, 52, 84, 85, 86, 90, 91, 169, 170, 171, 257, 258, 300)


def both_ways() -> Tested:
    """Few events, for 16 bits, and too many, in layers of every width; whole groups and the channels left over."""
    layers = Layers(seed=1).events(200, 1, 1)
    layers.layer(101, 4, fraction_bits=4, rest=300)
    layers.layer(67, 2, fraction_bits=8)
    layers.layer(72, 8, fraction_bits=3, symmetric=True, rest=500)
    layers.layer(70, 4, fraction_bits=11)
    layers.layer(64, 2, decay_shift=2)
    layers.layer(50, 8, decay_shift=0)
    limit = limits(layers.network())[0]
    counts = (0, 1, limit - 2, limit - 1, limit, limit + 1, 120, 200)
    inputs = counted_spikes(layers.network(), counts)
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in inputs]
    case = case_of(layers, np.concatenate([inputs, steady]))
    for layer, (limit, spikes) in enumerate(
        zip(limits(case.network)[1:3], list(case.expected.spikes.values())[:2], strict=True)
    ):
        few = (spikes.sum(axis=(2, 3, 4)) < limit).all(axis=1)
        assert 0 < few.mean() < 1, f"layer {layer + 1} never has fewer and more than {limit} events"
    assert limits(case.network)[3:] == [0, 0, 0]
    return case


def limits(network: IntegerNetwork) -> list[int]:
    """``packed_limit`` of every layer."""
    return [kernel.packed_limit for kernel in _events(network)]


def _events(network: IntegerNetwork) -> list[EventsKernel]:
    kernels = [stage.kernel for stage in make_plan(network, "net").stages]
    return [kernel for kernel in kernels if isinstance(kernel, EventsKernel)]


def additions() -> Tested:
    """Lanes filled to the last in blocks; of 4 bits also in half a block, a word and three bytes."""
    return _additions(61, COUNTS)


def columns() -> Tested:
    """The same in words of 2 bits and halves of 4, and in sums of four lanes."""
    return _additions(14, (1, 3, 4, 5, 8, 67, 68, 69, 136, 137, 339, 340, 341, 400))


def words() -> Tested:
    """The same in words of 4 bits and halves of 8."""
    return _additions(7, (1, 3, 4, 5, 8, 16, 17, 18, 34, 35, 67, 68, 69, 136, 137))


def rests() -> Tested:
    """The same in two bytes of 2 bits, three of 4, two of 8; and in a single block of 2 bits."""
    return _additions(38, COUNTS)


def last_bytes() -> Tested:
    """One byte of 2 bits, behind three blocks; two of 4; words of 8."""
    return _additions(100, COUNTS)


def _additions(channels: int, counts: tuple[int, ...]) -> Tested:
    inputs = max(counts)
    layers = Layers(seed=2).events(inputs, 1, 1)
    for bits in (2, 4, 8):
        most = min((2**16 - 1) // inputs, 2**bits - 1)
        codes = layers.rng.integers(0, most + 1, (channels, inputs, 1, 1)).astype(np.uint8)
        codes[::3] = most
        layers.layer(channels, bits, fraction_bits=0, after="input", codes=codes)
    layers.add("neuron0", "neuron1").add("neuron0 + neuron1", "neuron2")
    return case_of(layers, counted_spikes(layers.network(), counts))


def windows() -> Tested:
    """More timesteps than are computed together, windows over borders and outside, and pools."""
    layers = Layers(seed=3, timesteps=6).events(33, 6, 5)
    layers.layer(64, 4, AROUND).pool(2, 2)
    layers.layer(34, 2, Window(kernel=(2, 2), padding=(2, 2)), fraction_bits=1, rest=9)
    layers.layer(32, 8, Window(kernel=(2, 3), padding=(1, 2), dilation=(2, 2)), symmetric=True, decay_shift=0)
    layers.layer(66, 4, Window(kernel=(3, 2), stride=(1, 2), padding=(2, 1)), fraction_bits=10).pool(3, 2)
    return few_of(case_of(layers))


def image_of_bytes() -> Tested:
    """A first layer on bytes, its pool, and layers with fewer timesteps than are computed together."""
    layers = Layers(seed=4, timesteps=3).image(3, 7, 6)
    layers.layer(35, 8, Window(kernel=(3, 2), padding=(2, 1), dilation=(2, 2)), fraction_bits=2, rest=2000).pool(2, 3)
    layers.layer(33, 4, AROUND, fraction_bits=1)
    layers.layer(64, 2)
    return few_of(case_of(layers))


def image_under_large_windows() -> Tested:
    """A first layer of more inputs than Helium multiplies all at once."""
    layers = Layers(seed=7, timesteps=3).image(2, 7, 6)
    layers.layer(19, 8, Window(kernel=(5, 5), padding=(2, 1)), fraction_bits=1)
    return few_of(case_of(layers))


def image_of_many_bytes() -> Tested:
    """Codes of a byte each: lists in chunks that end anywhere, sums beyond 24 bits, 16 channels and 8 left over."""
    layers = Layers(seed=8, timesteps=3).image(4, 23, 25)
    window = Window(kernel=(9, 11), padding=(1, 2), dilation=(2, 2), stride=(3, 4))
    codes = layers.rng.integers(0, 256, (22, 4, *window.kernel)).astype(np.uint8)
    codes[:4], codes[4:8] = 255, np.arange(4)[:, None, None, None]
    layers.layer(22, 8, window, codes=codes, fraction_bits=0, rest=2000)
    return few_of(case_of(layers))


def image_of_packed_codes() -> Tested:
    """Codes of 2 and of 4 bits, unpacked chunk by chunk; blocks beyond the channels."""
    layers = Layers(seed=9, timesteps=3).image(3, 21, 20)
    window = Window(kernel=(17, 13), padding=(1, 2), stride=(3, 4))
    for bits in (2, 4):
        codes = layers.rng.integers(0, 2**bits, (27, 3, *window.kernel)).astype(np.uint8)
        codes[:3] = 2**bits - 1
        layers.layer(27, bits, window, codes=codes, fraction_bits=0, rest=2000, after="input")
    return few_of(case_of(layers.add("neuron0", "neuron1")))


def square_windows(channels: int, timesteps: int) -> Tested:
    """Windows of 4x4 to 7x7 in strides of 2 and 3, alike and not, each of them right over the input."""
    layers = Layers(seed=14, timesteps=timesteps).events(11, 8, 8)
    strides = ((2, 2), (3, 3), (2, 3), (3, 2))
    for index in range(8):
        bits = (4, 2, 8)[(index + timesteps) % 3]
        window = _to_nine_pixels(4 + index % 4, strides[(index + index // 4 + timesteps) % 4])
        layers.layer(channels, bits, window, fraction_bits=index % 4, rest=7 * index, after="input")
        if index == 5:
            layers.neurons("soft")
    return few_of(case_of(_all_added(layers)))


def image_of_few_bits() -> Tested:
    """First layers of 2 and 4 bits in strides, with channels left over."""
    layers = Layers(seed=15, timesteps=3).image(3, 8, 8)
    for size, bits, stride in ((4, 2, (2, 2)), (5, 4, (3, 2)), (6, 2, (3, 3)), (7, 4, (2, 3))):
        layers.layer(19, bits, _to_nine_pixels(size, stride), fraction_bits=bits // 2, rest=300, after="input")
    return few_of(case_of(_all_added(layers)))


def _to_nine_pixels(size: int, stride: tuple[int, int]) -> Window:
    """A square window, padded such that a map of 8x8 becomes one of 3x3."""
    padding = [(size + 2 * step - 7) // 2 for step in stride]
    return Window(kernel=(size, size), stride=stride, padding=(padding[0], padding[1]))


def _all_added(layers: Layers) -> Layers:
    """With the sum of all maps so far: one that nobody reads has no place in memory."""
    total, *others = [node.name for node in layers.nodes if node.spikes]
    for name in others:
        layers.add(total, name)
        total = layers.nodes[-1].name
    return layers


def few_of(case: Tested) -> Tested:
    """Every third input, the one with least in it, which is nothing, and the one with most: a device is slow."""
    totals = case.inputs.sum(axis=tuple(range(1, case.inputs.ndim)), dtype=np.int64)
    most = int(totals.argmax())
    assert totals.min() == 0
    assert (case.inputs[most] == case.inputs.max()).all()
    chosen = np.unique([*range(0, len(totals), 3), int(totals.argmin()), most])
    return of_network(case.network, case.inputs[chosen])


def spikes_in_bytes() -> Tested:
    """Maps of whole bytes, of one byte, and of as many as leave some over when words are taken; pools among them."""
    layers = Layers(seed=6, timesteps=5).image(1, 7, 6)
    layers.layer(16, 4, AROUND, fraction_bits=1).pool(2, 1)
    layers.layer(40, 4, AROUND)
    layers.layer(24, 2, Window(kernel=(2, 3), padding=(1, 1), dilation=(1, 2)), fraction_bits=1).pool(1, 2)
    layers.layer(56, 8, AROUND, fraction_bits=0)
    layers.layer(3, 4, Window(kernel=(3, 3), padding=(1, 2), dilation=(2, 2)))
    layers.layer(33, 4, AROUND)
    return few_of(case_of(layers))


def kept_lists() -> Tested:
    """Lists that are kept from window to window: that move, overflow, and are empty; over much padding."""
    layers = Layers(seed=7).events(12, 4, 12)
    layers.layer(40, 8, AROUND, rest=-90, fraction_bits=0)
    layers.layer(40, 4, Window(kernel=(1, 2), padding=(0, 4)), rest=300)
    layers.layer(40, 2, Window(kernel=(3, 8), padding=(1, 0)), rest=40)
    layers.layer(40, 4, Window(kernel=(5, 7), padding=(2, 3)), rest=500, decay_shift=2)
    assert all(kernel.slot for kernel in _events(layers.network()))
    # From column to column and from timestep to timestep another density, none to all of them.
    shape = (10, 4, 1, 1, 12)
    densities = layers.rng.choice([0.0, 0.0, 0.02, 0.3, 0.5, 0.6, 0.7, 0.8, 1.0], shape)
    densities[:5] = np.array([0.01, 0.3, 0.55, 0.65, 1.0])[:, None, None, None, None]
    densities[1, 2:] = densities[2, 1] = densities[3, ::2, ..., 6:] = 0.0
    # Every row begins with events and ends without.
    densities[5] = np.where(np.arange(12) < 3, 0.3, 0.0)
    inputs = layers.rng.random((10, 4, 12, 4, 12)) < densities
    return case_of(layers, inputs.astype(np.uint8))


def long_sums(timesteps: int) -> Tested:
    """Fewer events than 16 bits have room for, as many, and more: once, twice, and all there are."""
    layers = Layers(seed=8, timesteps=timesteps).events(600, 1, 1)
    codes = layers.rng.integers(0, 256, (67, 600, 1, 1)).astype(np.uint8)
    layers.layer(67, 8, codes=codes, symmetric=True, fraction_bits=0, rest=4000, after="input")
    layers.layer(67, 8, fraction_bits=9, symmetric=True, decay_shift=2, rest=10**6, after="input")
    layers.layer(67, 8, after="input")
    layers.neurons("soft", decay=Decay(multiplier=1_932_735_283, rounding=2**30, shift=31), bias=3000)
    # Large codes of small weights: their sums leave 16 bits while the neurons do not.
    layers.layer(67, 8, codes=120 + codes % 17, symmetric=True, fraction_bits=0, rest=200, after="input")
    layers.add("neuron0", "neuron1").add("neuron2", "neuron3")
    layers.add("neuron0 + neuron1", "neuron2 + neuron3")
    network = layers.network()
    several, least, _, heavy = (kernel.sum_limit for kernel in _events(network))
    assert least == 257 < several < heavy < 600 < limits(network)[3]
    # As many below the least limit as above: so thresholds lie where one event more leaves 16 bits.
    counts = (0, 1, 2, 3, 50, 100, 200, *(limit + more for limit in (least, several, heavy) for more in (-1, 0, 1)))
    inputs = counted_spikes(network, (*counts, 2 * least, 2 * least + 1, 600))
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in inputs]
    case = case_of(layers, np.concatenate([inputs, steady]))
    assert [kernel.narrow for kernel in _events(case.network)[:2]] == [True, False]
    return case


def long_lists() -> Tested:
    """Lists kept from window to window that are longer than 16 bits have room for, next to others."""
    layers = Layers(seed=9).events(70, 3, 9).layer(35, 8, AROUND, rest=300, fraction_bits=0).pool(2, 2)
    (kernel,) = _events(layers.network())
    assert kernel.sum_limit + 40 < kernel.slot
    densities = layers.rng.choice([0.1, 0.4, 0.44, 0.48, 0.52, 1.0], (12, 4, 1, 1, 9))
    densities[:4] = np.array([0.38, 0.43, 0.5, 0.7])[:, None, None, None, None]
    inputs = layers.rng.random((12, 4, 70, 3, 9)) < densities
    return case_of(layers, inputs.astype(np.uint8))


def any_neurons(timesteps: int) -> Tested:
    """Soft resets and none, biases, decays by multiplication, shortcuts of spikes and of counts, sums of any size."""
    layers = Layers(seed=10, timesteps=timesteps).events(40, 4, 6)
    layers.layer(64, 4, AROUND, rest=50).neurons("soft")
    layers.layer(35, 2, AROUND, fraction_bits=4).neurons("none", bias=90)
    layers.layer(64, 8, AROUND, rest=500).neurons("soft", bias=700, decay=Decay(multiplier=3, rounding=0, shift=2))
    layers.layer(64, 4, AROUND, symmetric=True, rest=9).neurons(gain=60, shortcut="neuron0")
    layers.add("neuron2", "neuron3")
    decay = Decay(multiplier=1_932_735_283, rounding=2**30, shift=31)
    layers.layer(64, 8, AROUND, rest=700, after="neuron3")
    layers.neurons("soft", decay=decay, bias=40, gain=5000, shortcut="neuron2 + neuron3").pool(2, 2)
    return few_of(case_of(layers))


def quiet_shortcuts() -> Tested:
    """Shortcuts that spike where no event reaches the layer itself: pixels without events are not alike."""
    layers = Layers(seed=11).events(33, 4, 9).layer(40, 4, AROUND, fraction_bits=0)
    layers.layer(40, 4, Window(kernel=(1, 3), padding=(0, 1)), after="input").neurons(gain=99, shortcut="neuron0")
    (_, kernel) = _events(layers.network())
    assert kernel.slot
    inputs = layers.rng.random((9, 4, 33, 4, 9)) < np.array([0.0, 0.005, 0.02])[:, None, None, None, None].repeat(3, 0)
    return case_of(layers, inputs.astype(np.uint8))


def counts(bits: int) -> Tested:
    """A readout alone: lists that are empty, end with a chunk, and take several; two words of codes and some left."""
    network = Layers(seed=12).events(70, 3, 2).network(32 // bits * 2 + 3, bits, symmetric=bits != 4)
    kernel = make_plan(network, "net").stages[-1].kernel
    assert isinstance(kernel, CountsKernel)
    lengths = (0, 1, *(n * kernel.chunk + more for n in (1, 2, 3) for more in (-1, 0, 1)), 420)
    inputs = counted_spikes(network, lengths)
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in inputs]
    return of_network(network, np.concatenate([inputs[::3], steady]))


def pooled_counts() -> Tested:
    """A readout of sums, of spikes in a window of 2x3 and over time: lists as above."""
    network = Layers(seed=13).events(35, 4, 6).sums(2, 3).network(11, 4)
    densities = np.array([0.0, 0.01, 0.05, 0.1, 0.3, 1.0])[:, None, None, None, None]
    inputs = np.random.default_rng(13).random((6, 4, 35, 4, 6)) < densities
    return of_network(network, inputs.astype(np.uint8))


FAST_NETWORKS: Mapping[str, tuple[Callable[[], Tested], list[str]]] = {
    "both ways": (both_ways, ["events"] * 6),
    "additions": (additions, ["events"] * 3 + ["generic"] * 2),
    "columns": (columns, ["events"] * 3 + ["generic"] * 2),
    "words": (words, ["events"] * 3 + ["generic"] * 2),
    "rests": (rests, ["events"] * 3 + ["generic"] * 2),
    "last bytes": (last_bytes, ["events"] * 3 + ["generic"] * 2),
    "windows": (windows, ["events"] * 4),
    "bytes": (image_of_bytes, ["image", "events", "events"]),
    "bytes under large windows": (image_under_large_windows, ["image"]),
    "many bytes": (image_of_many_bytes, ["image_bytes"]),
    "many packed codes": (image_of_packed_codes, ["image_packed"] * 2 + ["generic"]),
    "square windows": (partial(square_windows, 35, 4), ["events"] * 8 + ["generic"] * 7),
    "square windows, 3 steps": (partial(square_windows, 13, 3), ["events"] * 8 + ["generic"] * 7),
    "bytes of few bits": (image_of_few_bits, ["image"] * 4 + ["generic"] * 3),
    "kept lists": (kept_lists, ["events"] * 4),
    "spikes in bytes": (spikes_in_bytes, ["image"] + ["events"] * 5),
    "long sums": (partial(long_sums, 4), ["events"] * 4 + ["generic"] * 3),
    "long sums, 3 steps": (partial(long_sums, 3), ["events"] * 4 + ["generic"] * 3),
    "long sums, 6 steps": (partial(long_sums, 6), ["events"] * 4 + ["generic"] * 3),
    "long lists": (long_lists, ["events"]),
    "any neurons": (partial(any_neurons, 4), ["events"] * 4 + ["generic", "events"]),
    "any neurons, 6 steps": (partial(any_neurons, 6), ["events"] * 4 + ["generic", "events"]),
    "quiet shortcuts": (quiet_shortcuts, ["events"] * 2),
    "counts of 2 bits": (partial(counts, 2), []),
    "counts of 4 bits": (partial(counts, 4), []),
    "counts of 8 bits": (partial(counts, 8), []),
    "counts of pooled spikes": (pooled_counts, ["generic"]),
}


@cache
def fast_network(name: str) -> Tested:
    """A network by its name."""
    make, kernels = FAST_NETWORKS[name]
    case = make()
    assert before_readout(case.network) == kernels
    return case
