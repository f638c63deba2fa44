"""Tiny networks that together use every integer node and kernel option, with thresholds on observed membranes.

Random inputs almost never hit a threshold exactly, so each neuron's threshold is moved to a membrane that some input
really causes: one below it, on it, or one above it, in turn by channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host_tests.golden.handmade import Numbers, Sketch
from host_tests.support.fast_networks import FAST_NETWORKS, fast_network
from qpsnn_codegen.emit.golden import make_golden
from qpsnn_codegen.emit.render import render
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNetwork, IntegerNode, Integers, check_integer_network
from qpsnn_codegen.kinds.neuron import IntegerNeuron
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import LoweringOptions, lower
from qpsnn_codegen.network import Network, check_network
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import check_plan, make_plan
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.report.summary import summarize
from qpsnn_codegen.verification import adversarial_inputs

SAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An integer network with inputs; ``generic``: whatever kernels could run it, the generic ones do."""

    name: str
    network: IntegerNetwork
    inputs: NDArray[np.uint8]
    generic: bool = False

    @property
    def files(self) -> dict[str, str | bytes]:
        """Its folder, as the pipeline makes it."""
        return rendered(self.network, generic=self.generic)


def image() -> Network:
    """8-, 4- and 2-bit codes of odd counts, stride, padding, dilation, padded pools, rest that is not 0."""
    sketch = Sketch(seed=11, timesteps=4, reset_potential=0.25)
    sketch.image((3, 7, 6))
    sketch.conv("conv1", 9, 8, stride=(2, 1), rescaw=False, gain=2.0)
    sketch.neuron("lif1")
    sketch.max_pool("pool", Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1)))
    sketch.conv("conv2", 7, 4, (3, 2), padding=(2, 1), dilation=(2, 1))
    sketch.neuron("lif2")
    sketch.conv("conv3", 6, 2, (2, 2), padding=(0, 0))
    sketch.neuron("lif3")
    sketch.flatten()
    sketch.linear("fc", 4)
    sketch.readout("mean")
    return sketch.network()


def events() -> Network:
    """Spikes of 70 channels in groups that straddle words, dilated, soft resets, decays by multiplication, counts."""
    sketch = Sketch(seed=12, timesteps=5, reset="soft", decay=0.9)
    sketch.events((70, 4, 3))
    sketch.conv("conv1", 10, 4, groups=5)
    sketch.neuron("lif1")
    sketch.conv("conv2", 35, 2, (2, 2), padding=(1, 0), dilation=(2, 1))
    sketch.neuron("lif2", decay=0.75)
    sketch.conv("conv3", 5, 8, (1, 1), padding=(0, 0), bias=True)
    sketch.max_pool("pool", Window(kernel=(2, 2), stride=(2, 1), padding=(1, 1)))
    sketch.neuron("lif3", decay=0.5)
    sketch.flatten()
    sketch.linear("fc", 3, 4, rescaw=True)
    sketch.neuron("lif4")
    sketch.readout("count")
    return sketch.network()


def residual() -> Network:
    """A normalized image, integrate-and-fire with biases, shortcuts, gains of both signs below a pool."""
    sketch = Sketch(seed=13, timesteps=4, decay=1.0)
    sketch.image((2, 6, 6), normalized=True)
    sketch.conv("stem", 5, 8, rescaw=False)
    sketch.norm("stem_norm")
    spikes = sketch.neuron("stem_if")
    branch = sketch.shortcut("shortcut", 2, 2, 1, source=spikes)
    sketch.conv("conv", 8, 4, stride=(2, 2), after=spikes)
    current = sketch.norm("conv_norm")
    sketch.add("sum", current, branch)
    sketch.neuron("if")
    sketch.conv("conv2", 6, 4)
    sketch.max_pool("pool", Window(kernel=(2, 2), padding=(1, 1)))
    sketch.norm("norm2")
    branch = sketch.neuron("if2", reset="none")
    sketch.conv("conv3", 6, 4, groups=2)
    sketch.add("sum3", "conv3", branch)
    sketch.neuron("if3")
    sketch.average_pool("average")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("last", decay=0.5, reset="soft", threshold=0.4)
    return sketch.network()


def counts() -> Network:
    """Bytes of counts in, sums of spikes, counts beyond a byte, and currents averaged."""
    sketch = Sketch(seed=14, timesteps=3)
    sketch.events((3, 6, 6), most=9)
    sketch.conv("conv1", 5, 4, (3, 3), stride=(1, 2), gain=0.3)
    left = sketch.neuron("lif1")
    sketch.conv("conv2", 5, 8, after=left)
    right = sketch.neuron("lif2")
    total = sketch.add("sum", left, right)
    sketch.max_pool("most", Window(kernel=(1, 2)))
    sketch.average_pool("sums", Window(kernel=(2, 2), padding=(1, 1)))
    sketch.conv("conv3", 4, 2, (2, 2), padding=(0, 0))
    sketch.average_pool("mean", Window(kernel=(2, 2), stride=(2, 2)))
    sketch.neuron("lif3")
    sketch.flatten()
    sketch.linear("fc", 3, uniform=True)
    sketch.readout("mean")
    assert total == "sum"
    return sketch.network()


def wide() -> Network:
    """Counts beyond 8 bits, maps of several words per pixel, and potentials of many classes."""
    sketch = Sketch(seed=15, timesteps=3, decay=0.25)
    sketch.events((2, 5, 5), most=250)
    sketch.average_pool("sums", Window(kernel=(2, 2)))
    sketch.conv("conv1", 4, 8, (2, 2), padding=(1, 1), gain=0.01)
    sketch.neuron("lif1")
    sketch.shortcut("widened", 1, 30, 1, source="lif1")
    sketch.max_pool("pool", Window(kernel=(1, 2)))
    sketch.shortcut("shifted", 1, 1, 0, source="pool")
    sketch.conv("conv2", 48, 4, (2, 2), padding=(0, 0))
    sketch.neuron("lif2", decay=0.5)
    sketch.average_pool("average")
    sketch.flatten()
    sketch.linear("fc", 35)
    sketch.readout("last", threshold=0.3)
    return sketch.network()


def table() -> Network:
    """A normalized image of 8 bits, read by few weights, straight to the classes."""
    sketch = Sketch(seed=16, timesteps=3)
    sketch.image((2, 3, 3), normalized=True)
    sketch.conv("conv", 4, 4, bias=True)
    sketch.neuron("lif")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("mean")
    return sketch.network()


def real_weights() -> Network:
    """16-bit weights, in more than a block of outputs, on a normalized image and on spikes."""
    sketch = Sketch(seed=18, timesteps=3)
    sketch.image((2, 6, 5), normalized=True)
    sketch.real_conv("stem", 11, stride=(2, 1))
    sketch.norm("norm")
    sketch.neuron("lif")
    sketch.flatten()
    sketch.real_linear("fc", 3)
    sketch.readout("mean")
    return sketch.network()


def real_image() -> Network:
    """The same on an image of bytes, more of them than one list holds; outputs in blocks only."""
    sketch = Sketch(seed=19, timesteps=2)
    sketch.image((14, 4, 5))
    sketch.real_conv("stem", 8)
    sketch.neuron("lif")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("mean")
    return sketch.network()


def plain() -> Network:
    """No neurons at all: classes straight from the image."""
    sketch = Sketch(seed=17, timesteps=3)
    sketch.image((2, 3, 4))
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("mean")
    return sketch.network()


NETWORKS: Mapping[str, tuple[Callable[[], Network], LoweringOptions]] = {
    "image": (image, LoweringOptions()),
    "events": (events, LoweringOptions()),
    "residual": (residual, LoweringOptions()),
    "counts": (counts, LoweringOptions()),
    "wide": (wide, LoweringOptions()),
    "table": (table, LoweringOptions(input_bits=8)),
    "real_weights": (real_weights, LoweringOptions(readout_bits=16)),
    "real_image": (real_image, LoweringOptions()),
    "plain": (plain, LoweringOptions()),
}

"""Through the compiler."""

_GENERIC = " in generic kernels"
CASES = (*NETWORKS, *(f"{name}{_GENERIC}" for name in NETWORKS), *FAST_NETWORKS)
"""Names of all cases."""


@cache
def case(name: str) -> Case:
    """A case by its name."""
    if name in FAST_NETWORKS:
        fast = fast_network(name)
        return Case(name=name, network=fast.network, inputs=fast.inputs)
    if name.endswith(_GENERIC):
        return replace(case(name.removesuffix(_GENERIC)), name=name, generic=True)
    make, options = NETWORKS[name]
    network = make()
    check_network(network)
    lowered = lower(network, options)
    kind = lowered.nodes[0].output_type()
    shape = kind.shape if kind.static else (network.timesteps, *kind.shape)
    most = int(kind.high.max())
    random = Numbers(99).integers(0, most + 1, (SAMPLES, *shape))
    # Half of them sparse, as spikes are.
    random[::2] *= Numbers(98).integers(0, 4, random[::2].shape) == 0
    inputs = np.concatenate([random.astype(np.uint8), adversarial_inputs(lowered)])
    tuned = at_thresholds(lowered, inputs)
    check_integer_network(tuned)
    return Case(name=name, network=tuned, inputs=inputs)


@cache
def files_of(name: str) -> Mapping[str, str | bytes]:
    """A case's folder, rendered once."""
    return case(name).files


def rendered(network: IntegerNetwork, *, generic: bool = False) -> dict[str, str | bytes]:
    """The folder of an integer network, as the pipeline makes it."""
    kernels = tuple((node.name, "generic") for node in network.nodes[1:] if generic)
    plan = make_plan(network, "net", PlanOptions(schedule="rows", kernels=kernels))
    check_plan(plan)
    report = summarize(plan, None, "")
    return render(plan, golden=make_golden(network, None), report=report, options="", weights_in="c")


def at_thresholds(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> IntegerNetwork:
    """The network with every threshold at, next below or next above a membrane that ``inputs`` cause."""
    for index, node in enumerate(network.nodes):
        if isinstance(node, IntegerNeuron) and (node.threshold < INT32_MAX).any():
            charged = _charged(network, node, inputs)
            tuned = replace(node, threshold=_near(charged, node.threshold))
            nodes = (*network.nodes[:index], tuned, *network.nodes[index + 1 :])
            network = replace(network, nodes=nodes)
    return network


def _charged(network: IntegerNetwork, node: IntegerNeuron, inputs: NDArray[np.uint8]) -> tuple[Integers, Integers]:
    """Membranes ``[C, values]`` at the first comparison and at the second, had none passed the threshold before."""
    seen: list[tuple[Integers, ...]] = []

    def observe(name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        if name == node.name:
            seen.append(arguments)

    run_reference(network, inputs, observe=observe)
    resting = replace(node, threshold=np.full_like(node.threshold, INT32_MAX))
    arguments = [np.concatenate(parts) for parts in zip(*seen, strict=True)]
    first, second = (resting.trajectory(steps, *arguments)[1].swapaxes(0, 1) for steps in (1, 2))
    channels = len(node.threshold)
    return first.reshape(channels, -1), second.reshape(channels, -1)


def _near(charged: tuple[Integers, Integers], before: Integers) -> Integers:
    """Per channel the middle of what was observed, at the first or second comparison, minus, plus or plus no 1."""
    result = before.copy()
    first, second = charged
    for c in range(len(result)):
        # A neuron whose second membrane is the larger did not spike before it, with a threshold in between.
        later = second[c][second[c] > first[c] + 1]
        values = np.sort(later if c % 2 and len(later) else first[c])
        result[c] = values[len(values) // 2] + (c // 2 % 3) - 1
    return result


def integer_nodes(cases: tuple[str, ...] = CASES) -> set[type[IntegerNode]]:
    """The kinds of integer node the cases use."""
    return {type(node) for name in cases for node in case(name).network.nodes}


def observed_hits(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> dict[int, int]:
    """How often a membrane is 1 below, on, or 1 above its threshold, over all spiking layers."""
    hits = {-1: 0, 0: 0, 1: 0}

    def observe(name: str, arguments: tuple[Integers, ...], result: Any) -> None:
        node = next(n for n in network.nodes if n.name == name)
        if isinstance(node, IntegerNeuron):
            resting = replace(node, threshold=np.full_like(node.threshold, INT32_MAX))
            distance = resting.trajectory(1, *arguments)[1] - node.threshold[:, None, None]
            for away in hits:
                hits[away] += int((distance == away).sum())

    run_reference(network, inputs, observe=observe)
    return hits
