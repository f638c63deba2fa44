"""The readout on counts against the reference: lanes filled to the last, lists that end anywhere, any map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.agreement import check_c, kernels_of, of_network
from host_tests.support.layers import BITS, Layers, all_kinds_of_inputs, changed, counted_spikes
from qpsnn_codegen.integer_network import IntegerNetwork, IntegerNode
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.readout import Rescale, SumReadout
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.kernels.counts import COUNTED, CountsKernel
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import make_plan

pytestmark = pytest.mark.slow


def check(network: IntegerNetwork, inputs: NDArray[np.uint8] | None = None) -> CountsKernel:
    """C is right on these inputs, or on all kinds of them; returns the kernel that ran them."""
    kernel = make_plan(network, "net").stages[-1].kernel
    assert isinstance(kernel, CountsKernel)
    check_c(of_network(network, all_kinds_of_inputs(network) if inputs is None else inputs), [])
    return kernel


@pytest.mark.parametrize("classes", [1, 2, 3, 4, 5, 8, 9, 10, 15, 16, 17, 31, 32, 33, 100])
def test_any_number_of_classes(classes: int) -> None:
    """Words of 4, 8 and 16 codes."""
    for bits in BITS:
        check(Layers(seed=classes).events(37, 2, 3).network(classes, bits))


@pytest.mark.parametrize("shape", [(1, 1, 1), (31, 1, 1), (32, 3, 1), (33, 1, 4), (96, 2, 2), (97, 1, 2), (1, 9, 8)])
def test_any_map(shape: tuple[int, int, int]) -> None:
    """Spike words that are full, and such that are not."""
    check(Layers(seed=5).events(*shape).network(10, BITS[sum(shape) % 3]))


@pytest.mark.parametrize("timesteps", [1, 2, 3, 5, 8, 21])
@pytest.mark.parametrize("bits", BITS)
def test_lanes_filled_to_the_last(bits: int, timesteps: int) -> None:
    """All inputs spike all the time, and the codes are the largest: one input more would run over."""
    network = Layers(seed=1, timesteps=timesteps).events(300, 1, 1).network(20, bits)
    kernel = check(network)
    room = 2 ** (4 * bits) - 1
    needed = kernel.chunk * (2**bits - 1) * timesteps
    assert needed <= room
    assert kernel.chunk == COUNTED or needed + (2**bits - 1) * timesteps > room
    # Both ends of the chunk, at all its multiples and around them.
    counts = [n * kernel.chunk + more for n in range(4) for more in (-1, 0, 1) if n * kernel.chunk + more >= 0]
    check(network, counted_spikes(network, counts))
    steady = [np.broadcast_to(sample[:1], sample.shape) for sample in counted_spikes(network, counts)]
    check(network, np.stack(steady))


@pytest.mark.parametrize("bits", BITS)
def test_pooled_spikes(bits: int) -> None:
    """Sums of a pool and over time, the largest of them; also of one channel, and where the input itself is counts."""
    network = Layers(seed=bits, timesteps=2).events(37, 4, 6).sums(2, 3).network(17, bits)
    kernel = make_plan(network, "net").stages[-1].kernel
    assert isinstance(kernel, CountsKernel)
    assert kernel.chunk == min((2 ** (4 * bits) - 1) // ((2**bits - 1) * 12), COUNTED)
    lone = Layers(seed=1).events(1, 4, 4).sums(4, 4).network(3, bits)
    for pooled in (network, lone):
        check_c(of_network(pooled, all_kinds_of_inputs(pooled)), ["generic"])
    check(Layers(seed=2, timesteps=3).events(20, 3, 1, most=5).network(9, bits))


def test_counts_that_fill_a_byte() -> None:
    for most, kernel in ((85, "counts"), (86, "generic")):
        network = Layers(seed=1, timesteps=3).events(70, 1, 1, most=most).network(5, 8)
        assert kernels_of(network) == [kernel]
        if kernel == "counts":
            check(network)


def test_as_many_timesteps_as_lanes_and_counts_hold() -> None:
    for bits, most in ((2, 21), (4, 255), (8, 255)):
        for timesteps, kernel in ((most, "counts"), (most + 1, "generic")):
            network = Layers(seed=1, timesteps=timesteps).events(8, 1, 1).network(9, bits)
            assert kernels_of(network) == [kernel]
        check(Layers(seed=2, timesteps=most).events(70, 1, 1).network(9, bits))


@pytest.mark.parametrize("symmetric", [True, False])
def test_weights_and_scales_of_any_grid(symmetric: bool) -> None:
    """Both grids of weights, classes of unlike scales, offsets."""
    network = Layers(seed=3).events(50, 2, 1).network(7, 4, symmetric=symmetric)
    scales = np.array([1, 70_000, 65_536, 3, 100_000, 40_000, 65_537], dtype=np.int64)
    offset = np.array([0, -5, 70_000, 1, -(2**30), 2**30, 9], dtype=np.int64)
    check(changed(network, "logits", rescale=Rescale(multiplier=scales, offset=offset, exact=False)))
    check(changed(network, "logits", rescale=Rescale(multiplier=None, offset=offset, exact=False)))


def test_sums_beyond_32_bits_on_the_way() -> None:
    """Neither all codes' sum nor all events' times the zero point has to fit: only their difference."""
    # 70,000 inputs at 255 timesteps, half of them with the largest weight, half with the smallest.
    network = Layers(seed=4, timesteps=255).events(1250, 7, 8).network(2, 8)
    codes = np.zeros((2, 1250, 7, 8), dtype=np.uint8)
    codes[:, ::2] = 255
    network = changed(network, "classes", codes=codes, zero_point=128)
    everything = np.ones((1, 255, 1250, 7, 8), dtype=np.uint8)
    assert 255 * 255 * codes[0].size // 2 > 2**31
    check(network, everything)


def test_what_the_kernel_leaves_to_others() -> None:
    plain = Layers(seed=1).events(8, 3, 3)
    assert kernels_of(plain.network()) == ["counts"]
    options = PlanOptions(kernels=(("classes", "generic"),))
    assert [stage.kernel.name for stage in make_plan(plain.network(), "net", options).stages] == ["generic"]

    network = plain.network()
    first, conv, readout = network.nodes
    assert isinstance(conv, IntegerConv)
    assert isinstance(readout, SumReadout)

    def kernels(*nodes: IntegerNode) -> list[str]:
        return kernels_of(replace(network, nodes=nodes))

    # A window that is not the whole map, or hangs over it; groups; images; counts beyond a byte.
    part = replace(conv, codes=conv.codes[..., :1], window=Window(kernel=(3, 1), stride=(1, 3)))
    assert kernels(first, part, readout) == ["generic"]
    padded = replace(conv, codes=np.tile(conv.codes, (1, 1, 2, 2))[..., :5, :5])
    padded = replace(padded, window=Window(kernel=(5, 5), padding=(1, 1)))
    assert kernels(first, padded, readout) == ["generic"]
    grouped = Layers(seed=1).events(6, 1, 1).network()
    (conv6,) = (node for node in grouped.nodes if isinstance(node, IntegerConv))
    assert kernels_of(changed(grouped, "classes", codes=conv6.codes[:, :2], groups=3)) == ["generic"]
    assert kernels_of(Layers(seed=1).image(2, 3, 3).network()) == ["generic"]
    assert kernels_of(Layers(seed=1).image(2, 3, 3, most=1).network()) == ["generic"]
    assert kernels_of(Layers(seed=1, timesteps=4).events(8, 8, 8).sums(8, 8).network()) == ["generic", "generic"]
