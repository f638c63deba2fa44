"""Weights that lowering rounds: the error it claims covers what it does, for every input; sums that must be shifted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.golden.handmade import Sketch
from qpsnn_codegen.errors import LoweringError, UnsupportedError
from qpsnn_codegen.kinds import Conv, RealConv, RealLinear
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.kinds.readout import SumReadout
from qpsnn_codegen.kinds.real_weights import rounded
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.lowering import Draft, LoweringOptions, lower
from qpsnn_codegen.network import Network, Node
from qpsnn_codegen.reference import run_reference


def sketch(seed: int, *, normalized: bool) -> Network:
    work = Sketch(seed=seed, timesteps=3)
    work.image((3, 5, 6), normalized=normalized)
    work.real_conv("stem", 10)
    work.neuron("lif")
    work.flatten()
    work.real_linear("fc", 4)
    work.readout("mean")
    return work.network()


@given(
    seed=st.integers(0, 10_000),
    weight_bits=st.sampled_from([8, 16]),
    input_bits=st.sampled_from([8, 16]),
    normalized=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_currents_err_by_no_more_than_is_claimed(
    seed: int, weight_bits: int, input_bits: int, normalized: bool
) -> None:
    """On noise and on images of black and white; the claim is not a hundred times what happens either."""
    network = sketch(seed, normalized=normalized)
    options = LoweringOptions(weight_bits=weight_bits, input_bits=input_bits, readout_bits=weight_bits)
    draft = Draft(network, options)
    image, stem = network.nodes[:2]
    signal = stem.lower(draft, image.lower(draft))
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (3, 3, 5, 6))
    inputs = np.concatenate([noise, 255 * (noise > 127), np.zeros((1, 3, 5, 6), dtype=np.int64) + 255])
    _, real = network.run(inputs, record=["stem"])
    seen = []
    run_reference(
        lower(network, options),
        inputs.astype(np.uint8),
        observe=lambda name, _, result: seen.append(result[:, 0]) if name == "stem" else None,
    )
    currents = np.concatenate(seen)
    worst = 0.0
    for channel in range(10):
        scale, offset, error = (float(part[channel]) for part in (signal.scale, signal.offset, signal.error))
        distance = np.abs(currents[:, channel] * scale + offset - real["stem"][:, 0, channel]).max()
        assert distance <= error * (1 + 1e-9)
        worst = max(worst, distance / error)
    assert worst > 0.01


def test_wide_sums_are_shifted_only_where_the_input_was_rounded() -> None:
    def stem(network: Network) -> WideConv:
        node = next(node for node in lower(network).nodes if node.name == "stem")
        assert isinstance(node, WideConv)
        return node

    exact, inexact = stem(sketch(1, normalized=False)), stem(sketch(1, normalized=True))
    assert exact.shift == 0
    assert inexact.shift > 0
    types = lower(sketch(1, normalized=True)).types()
    # Room for the membranes, and no bit given away.
    assert 2**29 // 4 <= types["stem"].bound <= 2**30 // 4


def test_exact_inputs_whose_sums_do_not_fit_are_refused() -> None:
    work = Sketch(seed=3)
    work.events((400, 2, 2), most=255)
    work.real_conv("stem", 3)
    work.neuron("lif")
    work.flatten()
    work.linear("fc", 2)
    work.readout("mean")
    network = work.network()
    with pytest.raises(LoweringError, match=r"layer stem .*beyond 32 bits; use fewer inputs or 8-bit weights"):
        lower(network)
    assert lower(network, LoweringOptions(weight_bits=8)).certificates[0].status == "bounded"


def test_groups_of_16_bit_codes_are_refused() -> None:
    work = Sketch(seed=4)
    work.image((4, 4, 4))
    work.conv("stem", 4, 8, groups=2, rescaw=False)
    work.neuron("lif")
    work.flatten()
    work.linear("fc", 2)
    work.readout("mean")
    network = work.network()
    image, stem, *rest = network.nodes
    assert isinstance(stem, Conv)
    wide = replace(stem, codes=stem.codes.astype(np.uint16) + 2**15, grid=Grid.symmetric(16, stem.grid.scale))
    with pytest.raises(UnsupportedError, match=r"layer stem .*grouped layer of 16-bit weights"):
        lower(replace(network, nodes=(image, wide, *rest)))


@pytest.mark.parametrize("bits", [8, 16])
def test_rounding(bits: int) -> None:
    weights = np.random.default_rng(bits).normal(size=(4, 2, 3, 3))
    weights[2] = 0.0
    codes, grid = rounded(weights, bits)
    top = 2 ** (bits - 1) - 1
    assert codes.min() >= 1
    assert codes.max() <= 2 * top + 1
    assert np.abs(grid.levels(codes)).reshape(4, -1).max(axis=1).tolist() == [top, top, 0, top]
    assert np.abs(grid.values(codes) - weights).max() <= grid.scale.max() / 2 * (1 + 1e-9)
    codes, grid = rounded(weights.reshape(4, -1), bits, per_layer=True)
    assert len(set(grid.scale.tolist())) == 1
    assert np.abs(grid.levels(codes)).max() == top


def test_weights_on_the_grid_are_exact_and_certified() -> None:
    """Nothing is rounded, so nothing is lost: the certificate and the readout say so."""
    network = sketch(5, normalized=False)
    nodes: list[Node] = []
    for node in network.nodes:
        if isinstance(node, RealConv | RealLinear):
            levels = np.random.default_rng(1).integers(-20, 21, node.weights.shape)
            levels.reshape(len(levels), -1)[:, 0] = 127
            nodes.append(replace(node, weights=levels / 1024.0))
        else:
            nodes.append(node)
    integers = lower(replace(network, nodes=tuple(nodes)), LoweringOptions(weight_bits=8, readout_bits=8))
    assert [certificate.status for certificate in integers.certificates] == ["certified"]
    readout = integers.nodes[-1]
    assert isinstance(readout, SumReadout)
    assert readout.verdict == "biases rounded"
    rounded_readout = lower(network).nodes[-1]
    assert isinstance(rounded_readout, SumReadout)
    assert rounded_readout.verdict == "weights and biases rounded"


def test_signal_of_half_a_unit() -> None:
    """The rounding of a shift is part of the error: without any other, it would be all of it."""
    network = sketch(6, normalized=True)
    draft = Draft(network, LoweringOptions())
    image, stem = network.nodes[:2]
    signal = stem.lower(draft, image.lower(draft))
    assert all(error > scale / 2 for error, scale in zip(signal.error, signal.scale, strict=True))
    assert isinstance(signal.error[0], Fraction)
