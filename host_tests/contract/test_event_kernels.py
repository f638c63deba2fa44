"""The event-driven kernel against the reference, where its lanes fill up, its groups end and its timesteps run out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from host_tests.golden.handmade import Sketch
from host_tests.support.agreement import case_of, check_c, events_kernel, kernels_of, of_network
from host_tests.support.builds import emit
from host_tests.support.layers import (
    BITS,
    WINDOWS,
    Layers,
    all_kinds_of_inputs,
    changed,
    counted_spikes,
    hits,
    tuned,
    with_neuron,
)
from qpsnn_codegen.integer_network import INT32_MAX
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.neuron import Decay, IntegerNeuron
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.planning.kernels.lanes import BLOCK_BYTES, row_bytes, stored_bits
from qpsnn_codegen.planning.plan import make_plan

pytestmark = pytest.mark.slow

CHANNELS = (1, 2, 3, 6, 8, 10, 16, 31, 32, *range(18, 31, 2), *range(33, 64, 2), 64, 65, 100)
AROUND = Window(kernel=(3, 3), padding=(1, 1))


# --- channels


@pytest.mark.parametrize("symmetric", [False, True], ids=["rescaw", "symmetric"])
@pytest.mark.parametrize("bits", BITS)
def test_any_number_of_channels(bits: int, symmetric: bool) -> None:
    """Each reads the one before: so these are the numbers of inputs, too."""
    layers = Layers(seed=26 + bits).events(2, 3, 3)
    for index, outputs in enumerate(CHANNELS):
        window = Window(kernel=(1, 2), padding=(0, 1 - index % 2))
        layers.layer(outputs, bits, window, symmetric=symmetric, fraction_bits=1)
    # Rows of less than a block, and any number of bytes behind blocks.
    widths = {row_bytes(outputs, stored_bits(outputs, bits)) for outputs in CHANNELS}
    block = BLOCK_BYTES[bits]
    assert {width for width in widths if width <= block} == {4, 8, block}
    filled = {3, 7} if bits == 2 else set()
    assert {width % block for width in widths if width > block} == set(range(block)) - filled
    check_c(case_of(layers), ["events"] * len(CHANNELS))


@pytest.mark.parametrize("bits", BITS)
def test_channels_in_the_other_order(bits: int) -> None:
    """From many to few, over windows."""
    layers = Layers(seed=bits, timesteps=3).events(40, 3, 2)
    for outputs in (65, 33, 32, 31, 16, 15, 1, 2):
        codes = layers.rng.integers(0, 2 if bits == 8 else 2**bits, (outputs, layers.shape[0], 3, 3))
        layers.layer(outputs, bits, AROUND, codes=codes.astype(np.uint8), symmetric=bits == 2, rest=7)
    check_c(case_of(layers), ["events"] * 8)


# --- additions


COUNTS = (
    *(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15, 16, 17, 18, 19, 33, 34, 35, 50, 51, 52, 84, 85, 86, 87, 90, 91),
    *(102, 103, 169, 170, 171, 175, 254, 255, 256, 257),
)
MANY = (*COUNTS, 258, 259, 300, 340, 341, 425, 426, 511, 512, 600)


@pytest.mark.parametrize("timesteps", [2, 4])
@pytest.mark.parametrize("bits", BITS)
def test_any_number_of_additions(bits: int, timesteps: int) -> None:
    """Every lane limit crossed, in blocks and in single words, with the largest codes, the smallest and any."""
    counts = COUNTS if bits == 8 else MANY
    layers = Layers(seed=bits, timesteps=timesteps).events(max(counts), 1, 1)
    layers.layer({2: 61, 4: 61, 8: 45}[bits], bits, fraction_bits=0)
    inputs = counted_spikes(layers.network(), counts)
    assert sorted(inputs[:, 0].sum(axis=(1, 2, 3), dtype=np.int64).tolist()) == sorted(counts)
    case = case_of(layers, inputs)
    check_c(case, ["events"])


def test_many_additions_of_8_bits() -> None:
    layers = Layers(seed=1).events(max(MANY), 1, 1)
    codes = layers.rng.integers(0, 2, (45, max(MANY), 1, 1)) * 109
    codes[0] = 109
    assert 109 * max(MANY) <= 2**16 - 1 < 110 * max(MANY)
    layers.layer(45, 8, codes=codes.astype(np.uint8), symmetric=True, fraction_bits=0)
    check_c(case_of(layers, counted_spikes(layers.network(), MANY)), ["events"])


@pytest.mark.parametrize("bits", BITS)
def test_sums_that_fill_16_bits(bits: int) -> None:
    """The largest sum that fits, and one input more."""
    top = 2**bits - 1
    inputs = (2**16 - 1) // top
    for more in (0, 1):
        layers = Layers(seed=bits, timesteps=2).events(inputs + more, 1, 1)
        layers.layer(5, bits, fraction_bits=0, symmetric=True)
        kernel = events_kernel(layers.network())
        assert kernel.sum_limit == inputs
        counts = (0, 1, inputs - 1, inputs, inputs + more)
        check_c(case_of(layers, counted_spikes(layers.network(), counts)), ["events"])


@pytest.mark.parametrize("timesteps", [1, 3, 4, 6, 9])
def test_sums_beyond_16_bits(timesteps: int) -> None:
    """Narrow constants and wide ones, channels in groups and not, every decay; at some timesteps only, and at all."""
    layers = Layers(seed=timesteps, timesteps=timesteps).events(530, 1, 1)
    codes = layers.rng.integers(0, 256, (35, 530, 1, 1)).astype(np.uint8)
    codes[0] = np.where(np.arange(530) % 2, 255, 0)[:, None, None]
    for channels, symmetric, decay_shift, fraction_bits, rest in (
        (35, False, 1, 0, 900),
        (35, True, 2, 2, -300),
        (35, False, 2, 9, 70_000),
        (35, True, 1, 0, 30),
    ):
        layers.layer(
            channels,
            8,
            symmetric=symmetric,
            decay_shift=decay_shift,
            fraction_bits=fraction_bits,
            rest=rest,
            after="input",
            codes=codes if symmetric else None,
        )
    for index in range(1, 4):
        layers.add("neuron0" if index == 1 else layers.nodes[-1].name, f"neuron{index}")
    network = layers.network()
    assert [events_kernel(network, index).sum_limit for index in range(4)] == [257] * 4
    inputs = counted_spikes(network, (0, 1, 256, 257, 258, 513, 514, 515, 530))
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in inputs]
    case = case_of(layers, np.concatenate([inputs, steady]))
    assert [events_kernel(case.network, index).narrow for index in range(4)] == [False, True, False, True]
    check_c(case, ["events"] * 4 + ["generic"] * 3)


@pytest.mark.parametrize("bits", BITS)
def test_the_limit_of_sums_is_the_largest(bits: int) -> None:
    """As many of the largest codes as sum to less than 2^16, in the fullest channel, and not one more."""
    rng = np.random.default_rng(bits)
    for inputs in (20_000, 30_000):
        codes = rng.integers(0, 2**bits, (3, inputs, 1, 1)).astype(np.uint8)
        kernel = events_kernel(Layers(seed=1).events(inputs, 1, 1).layer(3, bits, codes=codes).network())
        heaviest = np.sort(codes.reshape(3, -1).astype(np.int64), axis=1)[:, ::-1]
        assert heaviest[:, : kernel.sum_limit].sum(axis=1).max() < 2**16
        assert kernel.sum_limit == inputs or heaviest[:, : kernel.sum_limit + 1].sum(axis=1).max() >= 2**16


# --- other neurons


DECAYS = {
    "by a shift": Decay(multiplier=0, rounding=0, shift=1),
    "of 1": Decay(multiplier=0, rounding=0, shift=0),
    "by a ratio": Decay(multiplier=7, rounding=0, shift=3),
    "rounded": Decay(multiplier=1_288_490_189, rounding=2**30, shift=31),
}


@pytest.mark.parametrize("timesteps", [1, 4, 7])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
def test_any_neurons(reset: Literal["hard", "soft", "none"], decay: str, timesteps: int) -> None:
    """With and without a bias, shortcuts of spikes and of counts, few channels and many, over windows and pools."""
    layers = Layers(seed=timesteps, timesteps=timesteps).events(34, 4, 4)
    layers.layer(34, 4, AROUND, rest=70).neurons(reset, decay=DECAYS[decay])
    layers.layer(34, 2, AROUND, fraction_bits=5, rest=200)
    layers.neurons(reset, decay=DECAYS[decay], bias=300, gain=900, shortcut="input")
    layers.add("neuron0", "neuron1")
    layers.layer(34, 8, AROUND, rest=90, after="neuron1")
    layers.neurons(reset, decay=DECAYS[decay], gain=3000, shortcut="neuron0 + neuron1").pool(2, 2)
    layers.layer(67, 4).neurons(reset, decay=DECAYS[decay], bias=20)
    check_c(case_of(layers), ["events", "events", "generic", "events", "events"])


def test_any_neurons_on_long_sums() -> None:
    layers = Layers(seed=2).events(600, 1, 1)
    layers.layer(40, 8, fraction_bits=1).neurons("soft", decay=DECAYS["rounded"], bias=5000)
    inputs = counted_spikes(layers.network(), (0, 1, 256, 257, 258, 514, 515, 600))
    check_c(case_of(layers, inputs), ["events"])


def test_shortcut_of_an_image() -> None:
    """Bytes that do not change over time."""
    layers = Layers(seed=3, timesteps=3).image(5, 4, 4).layer(5, 4, AROUND).layer(5, 4, AROUND, rest=40)
    layers.neurons(gain=9, shortcut="input")
    check_c(case_of(layers), ["image", "events"])


def test_parts_beyond_32_bits() -> None:
    """The membranes fit int32 by far; sums of codes and of their zero point, each for itself, do not."""
    inputs = 45_000
    layers = Layers(seed=1, timesteps=1).events(inputs, 1, 1)
    codes = np.ones((3, inputs, 1, 1), dtype=np.uint8)
    codes[:, : 2**16 - 1 - inputs] = 2
    layers.layer(3, 2, codes=codes, fraction_bits=14, rest=2**28)
    network = layers.network()
    assert (int(codes[0].sum()) * 2 << 14) + 2**27 > INT32_MAX
    assert inputs * (3 << 14) > INT32_MAX
    check_c(case_of(layers, counted_spikes(network, (0, 1, inputs // 2, inputs))), ["events"])


# --- timesteps, decays, constants


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 5, 8, 9])
def test_any_number_of_timesteps(timesteps: int) -> None:
    """With each decay, constants of 16 and of 32 bits, rests off zero, pools in between."""
    layers = Layers(seed=timesteps, timesteps=timesteps).events(3, 9, 7)
    layers.layer(35, 4, AROUND, fraction_bits=1)
    layers.layer(33, 2, decay_shift=2, rest=60).pool(2, 2)
    layers.layer(64, 8, decay_shift=0, fraction_bits=1, symmetric=True)
    layers.layer(40, 4, AROUND, fraction_bits=10, rest=10**6)
    layers.layer(65, 2, AROUND, decay_shift=0, fraction_bits=14, rest=2**20).pool(3, 2)
    layers.layer(70, 4, decay_shift=2, fraction_bits=12, symmetric=True, rest=-40_000)
    layers.layer(34, 8, decay_shift=1, fraction_bits=0, rest=3)
    layers.layer(32, 4, decay_shift=4, fraction_bits=3, rest=1000)
    case = case_of(layers)
    check_c(case, ["events"] * 8)
    narrow = [events_kernel(case.network, index).narrow for index in range(8)]
    assert narrow == [True, True, True, False, False, False, True, True]


@pytest.mark.parametrize("timesteps", [4, 6])
def test_neurons_that_always_and_never_spike(timesteps: int) -> None:
    """Thresholds at the ends of 16 bits, which are the last that narrow constants hold, and of 32 bits."""
    layers = Layers(seed=3, timesteps=timesteps).events(2, 3, 3).layer(67, 4, AROUND, fraction_bits=3)
    inputs = all_kinds_of_inputs(layers.network())
    network = tuned(layers.network(), inputs)
    occurring = network.nodes[2]
    assert isinstance(occurring, IntegerNeuron)
    for low, high, narrow in (
        (-(2**15) + 1, 2**15 - 1, True),
        (-(2**15), 0, False),
        (0, 2**15, False),
        (-(2**31), INT32_MAX, False),
    ):
        threshold = occurring.threshold.copy()
        threshold[3::4], threshold[1::4] = low, high
        changed = with_neuron(network, "neuron0", threshold=threshold)
        case = of_network(changed, inputs)
        assert events_kernel(changed).narrow == narrow
        spikes = case.expected.spikes["neuron0"]
        assert low == 0 or spikes[:, :, 3::4].all()
        assert high == 0 or not spikes[:, :, 1::4].any()
        check_c(case, ["events"])


@pytest.mark.parametrize("rest", [0, 900])
@pytest.mark.parametrize(("bits", "symmetric"), [(2, False), (4, False), (4, True), (8, True)])
def test_as_many_events_as_16_bits_allow(bits: int, symmetric: bool, rest: int) -> None:
    """At ``packed_limit`` cores with the DSP extension change to 32 bits: fewer events, as many, and more."""
    layers = Layers(seed=bits).events(200, 1, 1)
    layers.layer(64, bits, symmetric=symmetric, fraction_bits={2: 6, 4: 4, 8: 0}[bits], rest=rest)
    limit = events_kernel(layers.network()).packed_limit
    assert 3 < limit < 198
    inputs = counted_spikes(layers.network(), (0, 1, limit - 2, limit - 1, limit, limit + 1, 200))
    # Besides mixtures, the same count at every timestep.
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in inputs]
    check_c(case_of(layers, np.concatenate([inputs, steady])), ["events"])


# --- windows and pools


@pytest.mark.parametrize("channels", [33, 64])
@pytest.mark.parametrize("window", WINDOWS)
def test_any_window(window: str, channels: int) -> None:
    """Channels that fill their words lie next to those of the next pixel, others do not."""
    layers = Layers(seed=channels).events(channels, 7, 6).layer(5, 2, WINDOWS[window], fraction_bits=1)
    check_c(case_of(layers), ["events"])


@pytest.mark.parametrize("timesteps", [4, 5])
@pytest.mark.parametrize("pool", [(2, 2), (3, 3), (1, 2), (3, 1), (4, 3), (7, 8)], ids=str)
def test_fused_pools(pool: tuple[int, int], timesteps: int) -> None:
    """Also where it leaves rows and columns over: they are traced, but nobody reads them."""
    layers = Layers(seed=5, timesteps=timesteps).events(4, 7, 8)
    layers.layer(35, 4, AROUND, fraction_bits=1).pool(*pool).layer(6, 4)
    case = case_of(layers)
    assert make_plan(case.network, "net").stages[0].parts == ("conv0", "neuron0", "pool of neuron0")
    check_c(case, ["events", "events"])


def test_two_pools_in_a_row() -> None:
    """One is fused, the other is not."""
    layers = Layers(seed=6).events(4, 8, 9).layer(33, 4, AROUND, fraction_bits=1).pool(2, 2).pool(2, 3).layer(6, 4)
    check_c(case_of(layers), ["events", "generic", "events"])


# --- which kernel


def test_what_the_kernel_leaves_to_others() -> None:
    layers = Layers(seed=1).events(4, 6, 6).layer(6, 4, AROUND).pool(2, 2)
    network = layers.network()
    assert kernels_of(network) == ["events", "counts"]
    conv, neuron = network.nodes[1], network.nodes[2]
    assert isinstance(conv, IntegerConv)
    assert isinstance(neuron, IntegerNeuron)
    one = np.ones(6, dtype=np.int64)
    others = {
        "groups": changed(network, "conv0", groups=2, codes=conv.codes[:, :2]),
        "counts": changed(network, "input", max_value=2),
        "multiplier": changed(network, "conv0", multiplier=3),
    }
    assert {why: kernels_of(other)[0] for why, other in others.items()} == dict.fromkeys(others, "generic")
    # Only the kernel of events takes other neurons.
    image = Layers(seed=1).image(4, 6, 6).layer(6, 4, AROUND).network()
    assert kernels_of(image)[0] == "image"
    other_neurons: tuple[dict[str, Any], ...] = (
        {"reset": "soft", "drop": one},
        {"reset": "none"},
        {"bias": one},
        {"decay": replace(neuron.decay, multiplier=3, shift=2)},
    )
    for fields in other_neurons:
        assert kernels_of(changed(network, "neuron0", **fields))[0] == "events"
        assert kernels_of(changed(image, "neuron0", **fields))[0] == "generic"


def test_potentials_are_no_spikes() -> None:
    """A readout of potentials is a layer of neurons with a hard reset, too; it once got the kernel of spikes."""
    sketch = Sketch(seed=1)
    sketch.events((3, 2, 2))
    sketch.conv("conv", 5, 4)
    sketch.neuron("neuron")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("last")
    network = lower(sketch.network())
    check_c(of_network(network, all_kinds_of_inputs(network)), ["events"])


def test_constants_lie_on_words() -> None:
    """They are read two words at a time, which an address in between would make a fault on a core."""
    files = emit(make_plan(Layers(seed=1).events(3, 2, 2).layer(33, 4).network(), "net"))
    text = files["net.c"]
    assert isinstance(text, str)
    arrays = re.findall(r"^static (.*)const (\w+) \w+\[\d+\] = \{$", text, re.MULTILINE)
    assert ("_Alignas(4) ", "uint16_t") in arrays
    assert {alignment for alignment, _ in arrays} == {"_Alignas(4) "}


@pytest.mark.parametrize(
    "window",
    [
        Window(kernel=(2, 2)),
        Window(kernel=(2, 2), stride=(2, 2), padding=(1, 1)),
        Window(kernel=(2, 2), stride=(2, 2), dilation=(2, 2)),
        Window(kernel=(2, 2), stride=(3, 3)),
    ],
)
def test_pools_that_are_not_fused(window: Window) -> None:
    layers = Layers(seed=2).events(4, 6, 6).layer(6, 4, AROUND).pool_by(window)
    check_c(case_of(layers), ["events", "generic"])


def test_hits_are_counted() -> None:
    """What the other tests rely on: thresholds lie on membranes and next to them."""
    case = case_of(Layers(seed=4).events(3, 4, 4).layer(60, 4, AROUND))
    assert min(hits(case.network, case.inputs)["neuron0"].values()) >= 20
    away = with_neuron(case.network, "neuron0", threshold=np.full(60, 10**6))
    assert max(hits(away, case.inputs)["neuron0"].values()) == 0
