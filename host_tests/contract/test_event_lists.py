"""The event-driven kernel's lists of spikes, where they are kept from window to window, overflow, and are made anew."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.agreement import case_of, check_c, events_kernel
from host_tests.support.layers import Layers, all_kinds_of_inputs
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window

pytestmark = pytest.mark.slow


def patchy_inputs(network: IntegerNetwork) -> NDArray[np.uint8]:
    """Inputs ``[N, T, C, H, W]`` whose columns are empty, sparse, dense or full, another in every timestep.

    Some have the same density everywhere: around a half, where lists of some timesteps overflow and others do not.
    """
    rng = np.random.default_rng(8)
    shape = network.nodes[0].output_type().shape
    density = rng.choice([0.0, 0.0, 0.0, 0.05, 0.5, 0.7, 1.0], (12, network.timesteps, 1, 1, shape[2]))
    density[:6] = np.array([0.0, 0.2, 0.5, 0.6, 0.7, 1.0])[:, None, None, None, None]
    # Events at either end of a row only.
    density[6:8] = 0.0
    density[6, ..., 0] = density[7, ..., -1] = 0.5
    return (rng.random((12, network.timesteps, *shape)) < density).astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "timesteps"),
    [*((width, 4) for width in range(1, 10)), (2, 1), (3, 2), (5, 3), (8, 3), (3, 5), (7, 9)],
)
def test_kernels_of_any_width(width: int, timesteps: int) -> None:
    """Lists move, overflow and are empty, in words and in bytes, over borders and outside; or they are not kept."""
    layers = Layers(seed=width, timesteps=timesteps).events(40, 3, 9)
    layers.layer(24, 4, Window(kernel=(3, width), padding=(1, width // 2)), rest=400)
    layers.layer(16, 2, Window(kernel=(1, width), padding=(0, width + 1)), rest=30)
    codes = layers.rng.integers(0, 150, (13, 16, 3, width)).astype(np.uint8)  # of which sums fit 16 bits
    apart = Window(kernel=(3, width), padding=(2, width - 1), dilation=(2, 1))
    layers.layer(13, 8, apart, codes=codes, fraction_bits=0, rest=-70)
    network = layers.network()
    kept = [events_kernel(network, index).slot > 0 for index in range(3)]
    assert kept == [1 < width <= 8 and timesteps <= 4] * 3
    check_c(case_of(layers, patchy_inputs(network)), ["events"] * 3)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_kernels_wider_than_the_map(size: int) -> None:
    """Every window has every column: with all inputs spiking the lists overflow at once."""
    layers = Layers(seed=size).events(20, 3, 2)
    layers.layer(33, 4, Window(kernel=(size, size), padding=(size // 2, size - 1)), rest=100)
    layers.layer(8, 2, Window(kernel=(size, size), padding=(size // 2, size // 2)), rest=20)
    network = layers.network()
    assert events_kernel(network).slot
    assert events_kernel(network, 1).slot
    check_c(case_of(layers, np.concatenate([patchy_inputs(network), all_kinds_of_inputs(network)])), ["events"] * 2)


@pytest.mark.parametrize(
    "window",
    [
        Window(kernel=(3, 3), stride=(1, 2), padding=(1, 1)),
        Window(kernel=(3, 3), padding=(2, 2), dilation=(2, 2)),
        Window(kernel=(3, 9)),
    ],
    ids=["stride", "dilation", "whole width"],
)
def test_lists_that_are_not_kept(window: Window) -> None:
    layers = Layers(seed=9).events(20, 4, 9).layer(33, 4, window, rest=100)
    network = layers.network()
    assert events_kernel(network).slot == 0
    check_c(case_of(layers, patchy_inputs(network)), ["events"])


@pytest.mark.parametrize("width", [682, 683])
def test_maps_as_wide_as_16_bits_allow(width: int) -> None:
    """Indices of kept lists grow with the column, padding included; one column more, and they are not kept."""
    layers = Layers(seed=10, timesteps=2).events(32, 3, width)
    layers.layer(9, 4, Window(kernel=(3, 3), padding=(1, 0)), rest=100)
    network = layers.network()
    assert (events_kernel(network).slot > 0) == (width * 32 * 3 < 2**16)
    case = case_of(layers, patchy_inputs(network))
    assert case.inputs[..., -1].any()
    check_c(case, ["events"])
