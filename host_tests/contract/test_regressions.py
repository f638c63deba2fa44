"""Networks that once compiled to wrong C, to no C, or to a certificate that was not true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from host_tests.support.builds import COMPILERS, run_c
from host_tests.support.examples import Parts
from host_tests.support.networks import network_of
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import LoweringError, UnsupportedError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds import Add, AveragePool, Flatten, MaxPool, Readout, Shortcut
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.network import Network, Node, check_network
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import adversarial_inputs, compare


def check_c(network: Network) -> IntegerNetwork:
    """C equals the reference; the integers, for further questions."""
    check_network(network)
    integers = lower(network)
    inputs = np.concatenate([random_inputs(integers, 6, 1), adversarial_inputs(integers)])
    expected = run_reference(integers, inputs, trace=True)
    for cc in COMPILERS:
        verdict = compare(expected, run_c(integers, inputs, cc))
        assert verdict.mismatches == 0, f"{cc}: {verdict.first}"
    return integers


def head(parts: Parts, source: str, features: int) -> list[Node]:
    return [
        Flatten(name="flatten", inputs=(source,)),
        parts.linear("linear", "flatten", features, 3),
        Readout(name="readout", inputs=("linear",), mode="mean"),
    ]


def test_two_layers_read_the_same_currents() -> None:
    """Its constants were declared twice, which is no C."""
    parts = Parts(1)
    nodes = [
        parts.image((2, 3, 3)),
        parts.conv("conv", "input", 2, 5, 4),
        parts.neuron("neuron1", "conv"),
        replace(parts.neuron("neuron2", "conv"), threshold=0.5),
        Add(name="add", inputs=("neuron1", "neuron2")),
        *head(parts, "add", 45),
    ]
    check_c(network_of(nodes, 4))


@pytest.mark.parametrize("mean", [0.0, -0.1])
def test_normalization_without_negative_values(mean: float) -> None:
    """Its 16-bit table was written to a map of bytes."""
    parts = Parts(2)
    image = replace(parts.image((2, 4, 4), table=True), mean=np.full(2, mean), std=np.array([0.2, 0.3]))
    nodes = [image, parts.conv("conv", "input", 2, 5, 4), parts.neuron("neuron", "conv"), *head(parts, "neuron", 80)]
    check_c(network_of(nodes, 3))


def test_shortcut_of_a_normalized_image_is_not_certified() -> None:
    """The rounding of its table was forgotten on the way through the shortcut."""
    parts = Parts(3)
    image = replace(parts.image((2, 3, 3), table=True), mean=np.zeros(2), std=np.array([0.2, 0.3]))
    nodes = [
        image,
        Shortcut(name="shortcut", inputs=("input",), stride=1, pad_before=1, pad_after=0),
        parts.conv("conv", "shortcut", 3, 5, 4),
        parts.neuron("neuron", "conv"),
        *head(parts, "neuron", 45),
    ]
    integers = check_c(network_of(nodes, 3))
    assert integers.certificates[0].status == "bounded"


def test_complemented_codes_beyond_int32_are_refused() -> None:
    """Codes of zero have small sums; a negative gain complements them to the largest."""
    parts = Parts(4)
    conv = parts.conv("conv", "input", 3, 2, 8, kernel=7)
    nodes = [
        parts.image((3, 7, 7), table=True),
        replace(conv, codes=np.zeros((2, 3, 7, 7), dtype=np.uint8), window=Window(kernel=(7, 7))),
        replace(parts.batch_norm("norm", "conv", 2), weight=np.full(2, -1.0)),
        parts.neuron("neuron", "norm"),
        *head(parts, "neuron", 2),
    ]
    with pytest.raises(LoweringError, match="beyond 32 bits"):
        check_c(network_of(nodes, 1))


@pytest.mark.parametrize("decay", [0.5 + 1e-12, 0.25 - 1e-13, 2.0**-31, 1e-9, 1e-12])
def test_a_rounded_decay_is_not_certified(decay: float) -> None:
    """A decay that rounds to a power of two was certified as if it were one, with the shift's floor; 2^-31 crashed."""
    parts = Parts(5)
    nodes = [
        parts.image((2, 4, 4)),
        parts.conv("conv", "input", 2, 7, 4),
        replace(parts.neuron("neuron", "conv"), decay=decay),
        *head(parts, "neuron", 7 * 16),
    ]
    integers = check_c(network_of(nodes, 4))
    assert integers.certificates[0].status == "bounded"


@pytest.mark.parametrize("threshold", [float("inf"), 1e6, 1.0])
def test_potentials_that_never_spike_keep_their_scale(threshold: float) -> None:
    """The unit of a silent channel was chosen for its spikes alone, and the logits came out in that unit."""
    parts = Parts(6)
    nodes: list[Node] = [
        parts.image((2, 3, 3)),
        Flatten(name="flatten", inputs=("input",)),
        parts.linear("linear", "flatten", 18, 3),
        replace(parts.batch_norm("norm", "linear", 3), weight=np.array([1.0, 1e-3, -0.7])),
    ]
    neuron = replace(parts.neuron("last", "norm", "none"), threshold=threshold)
    nodes.append(Readout(name="readout", inputs=("norm",), mode="last", neuron=neuron))
    network = network_of(nodes, 4)
    integers = check_c(network)
    inputs = random_inputs(integers, 20, 3)
    logits, _ = network.run(inputs)
    real = run_reference(integers, inputs).logits * integers.logit_scale
    assert np.abs(real - logits).max() < (1e-3 if threshold > 1 else 0.05) * np.abs(logits).max()


@pytest.mark.parametrize("bias", np.linspace(0.5, 6, 12).tolist())
def test_potentials_leave_room_for_their_bias(bias: float) -> None:
    """Fraction bits filled int32 with the membrane alone, and one bias in eight was refused."""
    parts = Parts(6)
    nodes = [
        parts.image((2, 3, 3)),
        Flatten(name="flatten", inputs=("input",)),
        replace(parts.linear("linear", "flatten", 18, 3), bias=np.array([bias, 0.0, 0.0])),
    ]
    neuron = replace(parts.neuron("last", "linear", "none"), threshold=float("inf"))
    integers = lower(network_of([*nodes, Readout(name="readout", inputs=("linear",), mode="last", neuron=neuron)], 4))
    assert integers.logit_scale < 1e-6


def test_windows_outside_the_map_are_refused() -> None:
    """The largest of no values: minus infinity in reality, nonsense in integers, zero in C."""
    parts = Parts(7)
    window = Window(kernel=(2, 2), padding=(1, 1), dilation=(3, 3))
    nodes = [
        parts.image((2, 2, 2)),
        parts.conv("conv", "input", 2, 5, 4),
        MaxPool(name="max", inputs=("conv",), window=window),
        parts.neuron("neuron", "max"),
        *head(parts, "neuron", 5),
    ]
    with pytest.raises(UnsupportedError, match="outside the map"):
        check_network(network_of(nodes, 3))


def test_shortcut_of_large_counts_takes_little_memory() -> None:
    """Histories of a shortcut of 16 bits were enumerated: its square, in gigabytes, only to be given up."""
    parts = Parts(8)
    nodes = [
        parts.image((1, 14, 14)),
        AveragePool(name="average", inputs=("input",), window=None),
        parts.conv("conv", "average", 1, 1, 4, kernel=1),
        Add(name="add", inputs=("conv", "average")),
        parts.neuron("neuron", "add"),
        *head(parts, "neuron", 1),
    ]
    integers = check_c(network_of(nodes, 3))
    assert integers.types()["average"].high.max() == 255 * 14 * 14
