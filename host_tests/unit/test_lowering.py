"""Lowering: exact decays, proven ranges, and refusals that name the layer and say what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from host_tests.golden.handmade import Sketch
from host_tests.golden.models import MODELS
from host_tests.mutants.cases import NETWORKS as CASES
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import InternalError, LoweringError, QpsnnError, UnsupportedError
from qpsnn_codegen.integer_network import IntegerNetwork, Integers, check_integer_network
from qpsnn_codegen.kinds.conv import Conv, Grid, IntegerConv
from qpsnn_codegen.kinds.neuron import Decay
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import LoweringOptions, lower
from qpsnn_codegen.network import Network, check_network
from qpsnn_codegen.planning.layouts import layout_of
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import adversarial_inputs

MEMBRANES = np.array([0, 1, -1, 2, -2, 3, -3, 7, -8, 1000, -1001, 2**30, -(2**30), 2**31 - 1, -(2**31) + 1])


class TestDecay:
    @pytest.mark.parametrize("shift", range(32))
    def test_powers_of_two_are_shifts(self, shift: int) -> None:
        decay, applied = Decay.of(2.0**-shift)
        assert (decay, applied) == (Decay(multiplier=0, rounding=0, shift=shift), Fraction(1, 2**shift))
        assert decay.apply(MEMBRANES).tolist() == [int(w) // 2**shift for w in MEMBRANES]

    @pytest.mark.parametrize("value", [0.75, 0.625, 255 / 256, 3 / 256, 0.875])
    def test_short_fractions_are_exact(self, value: float) -> None:
        decay, applied = Decay.of(value)
        assert applied == Fraction(value)
        assert decay.rounding == 0
        assert decay.apply(MEMBRANES).tolist() == [int(Fraction(value) * int(w) // 1) for w in MEMBRANES]

    @pytest.mark.parametrize("value", [0.9, 0.1, 1 / 3, 0.999999, 257 / 512, 1e-6, 1 - 2**-40])
    def test_others_are_rounded_to_31_bits(self, value: float) -> None:
        decay, applied = Decay.of(value)
        assert abs(applied - Fraction(value)) <= Fraction(1, 2**31)
        assert applied == Fraction(decay.multiplier, 2**31)
        assert 0 < decay.multiplier < 2**31
        nearest = [int((applied * int(w) + Fraction(1, 2)) // 1) for w in MEMBRANES]
        assert decay.apply(MEMBRANES).tolist() == nearest

    def test_products_stay_within_64_bits(self) -> None:
        decay, _ = Decay.of(1 - 2**-40)
        extreme = np.array([2**31 - 1, -(2**31)])
        assert decay.apply(extreme).tolist() == [
            (int(w) * decay.multiplier + decay.rounding) >> decay.shift for w in extreme
        ]


def lowered(name: str) -> IntegerNetwork:
    make, options = CASES[name] if name in CASES else (MODELS[name], LoweringOptions())
    return lower(make(), options)


def weights_of(conv: IntegerConv | WideConv) -> tuple[Integers, int, int, int]:
    """Weights as numbers, groups, and how sums are rounded: what is added to them, and how far they are shifted."""
    if isinstance(conv, WideConv):
        return conv.levels.astype(np.int64), 1, conv.half, conv.shift
    return conv.multiplier * conv.codes.astype(np.int64) - conv.zero_point, conv.groups, 0, 0


@pytest.mark.parametrize("name", [*CASES, *MODELS])
class TestRanges:
    def test_nothing_leaves_its_proven_range(self, name: str) -> None:
        network = lowered(name)
        types = network.types()
        seen: dict[str, bool] = {}

        def observe(layer: str, arguments: tuple[Integers, ...], result: Integers) -> None:
            kind = types[layer]
            low, high = kind.low[:, None, None], kind.high[:, None, None]
            assert (result >= low).all(), layer
            assert (result <= high).all(), layer
            assert result.shape[2:] == kind.shape, layer
            assert result.shape[1] == (1 if kind.static else network.timesteps), layer
            seen[layer] = True

        inputs = np.concatenate([random_inputs(network, 20, seed=3), adversarial_inputs(network)])
        run_reference(network, inputs, observe=observe)
        assert list(seen) == [node.name for node in network.nodes]

    def test_the_widest_inputs_reach_the_range(self, name: str) -> None:
        """The bounds of the first weights are tight: some input reaches each."""
        network = lowered(name)
        conv = next(node for node in network.nodes if isinstance(node, (IntegerConv, WideConv)))
        types = network.types()
        source = types[conv.inputs[0]]
        weights, groups, half, shift = weights_of(conv)
        per_group = len(weights) // groups
        for o in range(len(weights)):
            first = o // per_group * weights.shape[1]
            low, high = (bound[first : first + weights.shape[1], None, None] for bound in (source.low, source.high))
            largest = np.maximum(weights[o] * low, weights[o] * high)
            smallest = np.minimum(weights[o] * low, weights[o] * high)
            # A tap that falls into padding contributes 0.
            assert types[conv.name].high[o] == (int(np.maximum(largest, 0).sum()) + half) >> shift
            assert types[conv.name].low[o] == (int(np.minimum(smallest, 0).sum()) + half) >> shift

    def test_stored_values_fit_their_layout(self, name: str) -> None:
        network = lowered(name)
        limits = {
            "SPIKES": (0, 1),
            "COUNTS8": (0, 255),
            "COUNTS16": (0, 65535),
            "IMAGE_U8": (0, 255),
            "IMAGE_S8": (-128, 127),
            "IMAGE_S16": (-32768, 32767),
        }
        for node in network.nodes[:-1]:
            if node.stored:
                kind = network.types()[node.name]
                low, high = limits[layout_of(node, kind, network.timesteps).format]
                assert low <= int(kind.low.min()), node.name
                assert int(kind.high.max()) <= high, node.name


class TestInvariants:
    def test_lowering_is_a_function(self) -> None:
        network = MODELS["residual"]()
        first, second = lower(network), lower(network)
        assert [node.name for node in first.nodes] == [node.name for node in second.nodes]
        for left, right in zip(first.nodes, second.nodes, strict=True):
            for name, array in left.constants().items():
                assert np.array_equal(array, right.constants()[name])

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda n: replace(n, nodes=n.nodes[::-1]), "out of order"),
            (lambda n: replace(n, nodes=n.nodes[:-1]), "does not end in a readout"),
            (lambda n: replace(n, nodes=()), "does not end in a readout"),
            (lambda n: replace(n, nodes=(n.nodes[0], *n.nodes)), "out of order"),
            (lambda n: replace(n, certificates=n.certificates[1:]), "without a certificate"),
            (lambda n: replace(n, logit_scale=float("nan")), "logit scale"),
            (lambda n: replace(n, logit_scale=-1.0), "logit scale"),
            (lambda n: replace(n, nodes=(replace(n.nodes[0], max_value=2**40), *n.nodes[1:])), "leaves int32"),
            (lambda n: replace(n, nodes=(replace(n.nodes[0], max_value=-1), *n.nodes[1:])), "empty range"),
        ],
    )
    def test_the_checker_finds(self, change: Callable[[IntegerNetwork], IntegerNetwork], text: str) -> None:
        network = lower(MODELS["image"]())
        check_integer_network(network)
        with pytest.raises(InternalError, match=text):
            check_integer_network(change(network))


# ------------------------------------------------------------------------------------------------ refusals


def finish(sketch: Sketch) -> Network:
    sketch.flatten()
    sketch.linear("fc", 2)
    sketch.readout("mean")
    return sketch.network()


def two_currents_added() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    left = sketch.conv("left", 3, 4, after="input")
    right = sketch.conv("right", 3, 4, after="input")
    sketch.add("culprit", left, right)
    sketch.neuron("lif")
    return finish(sketch)


def three_branches() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((3, 4, 4))
    spikes = sketch.neuron("lif0", after=sketch.conv("conv0", 3, 4))
    current = sketch.conv("conv", 3, 4, after=spikes)
    total = sketch.add("first", current, spikes)
    sketch.add("culprit", total, spikes)
    sketch.neuron("lif")
    return finish(sketch)


def conv_after_conv() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.conv("conv1", 3, 4)
    sketch.conv("culprit", 3, 4)
    sketch.neuron("lif")
    return finish(sketch)


def conv_after_norm_of_spikes() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.norm("norm")
    sketch.conv("culprit", 3, 4)
    sketch.neuron("lif")
    return finish(sketch)


def norm_of_a_sum() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((3, 4, 4))
    spikes = sketch.neuron("lif0", after=sketch.conv("conv0", 3, 4))
    current = sketch.conv("conv", 3, 4, after=spikes)
    sketch.add("sum", current, spikes)
    sketch.norm("culprit")
    sketch.neuron("lif")
    return finish(sketch)


def norm_of_a_flat_map() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 2, 2))
    sketch.conv("conv", 3, 4)
    sketch.neuron("lif")
    sketch.flatten()
    sketch.norm("culprit")
    sketch.linear("fc", 2)
    sketch.readout("mean")
    return sketch.network()


def pool_of_a_sum() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((3, 4, 4))
    spikes = sketch.neuron("lif0", after=sketch.conv("conv0", 3, 4))
    current = sketch.conv("conv", 3, 4, after=spikes)
    sketch.add("sum", current, spikes)
    sketch.max_pool("culprit", Window(kernel=(2, 2)))
    sketch.neuron("lif")
    return finish(sketch)


def padded_average_of_an_offset() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.conv("conv", 3, 4)
    sketch.norm("norm")
    sketch.average_pool("culprit", Window(kernel=(2, 2), padding=(1, 1)))
    sketch.neuron("lif")
    return finish(sketch)


def average_of_a_normalized_image() -> Network:
    sketch = Sketch(seed=1)
    sketch.image((2, 4, 4), normalized=True)
    sketch.average_pool("culprit", Window(kernel=(2, 2)))
    sketch.conv("conv", 3, 4)
    sketch.neuron("lif")
    return finish(sketch)


def counts_beyond_16_bits() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 20, 20), most=255)
    sketch.average_pool("culprit", Window(kernel=(17, 17)))
    sketch.conv("conv", 3, 4)
    sketch.neuron("lif")
    return finish(sketch)


def readout_of_a_map() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.conv("conv", 3, 4)
    sketch.readout("mean")
    return replace(sketch.network(), class_names=("a", "b", "c"))


def readout_of_a_flat_map() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 2, 2))
    sketch.conv("conv", 3, 4)
    sketch.neuron("lif")
    sketch.flatten()
    sketch.readout("count")
    return sketch.network()


def shortcut_of_a_current() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    current = sketch.conv("conv", 3, 4)
    sketch.shortcut("culprit", 2, 1, 1, source=current)
    sketch.neuron("lif")
    return finish(sketch)


def shifted_events() -> Network:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.nodes[0] = replace(sketch.nodes[0], mean=np.array([0.5, 0.5]))  # type: ignore[call-arg]
    sketch.conv("conv", 3, 4)
    sketch.neuron("lif")
    return finish(sketch)


def no_leak_for_long() -> Network:
    sketch = Sketch(seed=1, timesteps=4096, decay=1.0, reset="none")
    sketch.image((16, 4, 4))
    sketch.conv("conv", 3, 8)
    sketch.neuron("culprit")
    return finish(sketch)


REFUSALS: dict[str, tuple[Callable[[], Network], str, str, type[QpsnnError]]] = {
    "two currents added": (two_currents_added, "culprit", "adds two weighted sums", UnsupportedError),
    "three branches": (three_branches, "culprit", "adds more than two branches", UnsupportedError),
    "conv after conv": (conv_after_conv, "culprit", "neither an input nor spikes", UnsupportedError),
    "conv after norm": (conv_after_norm_of_spikes, "culprit", "neither an input nor spikes", UnsupportedError),
    "norm of a sum": (norm_of_a_sum, "culprit", "normalizes a sum of branches", UnsupportedError),
    "norm of a flat map": (norm_of_a_flat_map, "culprit", "flattened map", UnsupportedError),
    "pool of a sum": (pool_of_a_sum, "culprit", "pools a sum of branches", UnsupportedError),
    "padded average of an offset": (padded_average_of_an_offset, "culprit", "batch-norm or bias", UnsupportedError),
    "average of a normalized image": (average_of_a_normalized_image, "culprit", "normalized image", UnsupportedError),
    "counts beyond 16 bits": (counts_beyond_16_bits, "culprit", "beyond 16 bits", UnsupportedError),
    "readout of a flat map": (readout_of_a_flat_map, "logits", "reads a flattened map", UnsupportedError),
    "shortcut of a current": (shortcut_of_a_current, "culprit", "other than spikes", UnsupportedError),
    "shifted events": (shifted_events, "input", "not bytes", UnsupportedError),
    "no leak for long": (no_leak_for_long, "culprit", "do not fit 32 bits in 4096 timesteps", LoweringError),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_the_layer_and_a_remedy(name: str) -> None:
    make, layer, text, error = REFUSALS[name]
    network = make()
    check_network(network)
    with pytest.raises(error, match=text) as caught:
        lower(network)
    assert caught.value.where.startswith(f"layer {layer} (")
    assert len(caught.value.remedy) > 10


@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, float("nan"), float("inf")])
def test_a_decay_out_of_range(value: float) -> None:
    neuron = Sketch(seed=1).neuron_of("culprit", "conv", decay=value)
    with pytest.raises(UnsupportedError, match="has a decay of") as error:
        neuron.output_shape((1, 1, 1))
    assert error.value.where == "layer culprit (neuron)"


def test_a_map_read_out() -> None:
    sketch = Sketch(seed=1)
    sketch.events((2, 4, 4))
    sketch.conv("conv", 3, 4)
    sketch.readout("mean")
    with pytest.raises(UnsupportedError, match="reads a map of 4x4"):
        sketch.network()


@pytest.mark.parametrize(
    ("channels", "kernel", "text"),
    [(3, (3, 3), "expects 2 channels, gets 3"), (2, (9, 9), "does not fit a map of 4x4")],
)
def test_shapes_that_disagree(channels: int, kernel: tuple[int, int], text: str) -> None:
    codes = np.zeros((3, 2, *kernel), dtype=np.uint8)
    grid = Grid.rescaw(4, np.ones(3))
    node = Conv(name="culprit", inputs=("x",), codes=codes, grid=grid, bias=np.zeros(3), window=Window(kernel=kernel))
    with pytest.raises(UnsupportedError, match=text) as error:
        node.output_shape((channels, 4, 4))
    assert error.value.where == "layer culprit (conv)"


def test_sums_beyond_32_bits() -> None:
    sketch = Sketch(seed=1)
    sketch.events((40_000, 1, 1), most=255)
    sketch.flatten()
    sketch.linear("culprit", 1, 8, rescaw=True)
    sketch.readout("mean")
    network = sketch.network()
    with pytest.raises(LoweringError, match="beyond 32 bits") as error:
        lower(network)
    assert error.value.where == "layer culprit (linear)"
