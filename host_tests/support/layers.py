"""Integer networks written down layer by layer with every constant chosen, so that a certain kernel must run them.

Thresholds are moved to membranes that really occur, at any timestep: random ones are hardly ever met exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.certificate import Certificate
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNetwork, IntegerNode, Integers, check_integer_network
from qpsnn_codegen.kinds.add import AddMaps
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.input import IntegerInput
from qpsnn_codegen.kinds.neuron import Decay, IntegerNeuron
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.kinds.readout import Rescale, SumReadout
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import Shape
from qpsnn_codegen.reference import check_inputs, run_reference
from qpsnn_codegen.verification import adversarial_inputs

BITS = (2, 4, 8)
WINDOWS = {
    "1x1": Window(kernel=(1, 1)),
    "2x3": Window(kernel=(2, 3), padding=(1, 1)),
    "3x3": Window(kernel=(3, 3), stride=(1, 2), padding=(1, 0)),
    "3x3 apart": Window(kernel=(3, 3), padding=(2, 1), dilation=(2, 2)),
    "3x2 apart in columns": Window(kernel=(3, 2), stride=(2, 1), dilation=(1, 2)),
    "3x3 apart in rows": Window(kernel=(3, 3), padding=(1, 2), dilation=(2, 1)),
    "5x5": Window(kernel=(5, 5), stride=(3, 2), padding=(2, 2)),
    "7x7": Window(kernel=(7, 7), stride=(2, 3), padding=(3, 1)),
    "outside": Window(kernel=(1, 1), padding=(2, 1)),
    "outside, between": Window(kernel=(2, 2), padding=(4, 3), dilation=(8, 7)),
    "outside, far": Window(kernel=(2, 3), stride=(2, 3), padding=(5, 6)),
    "whole map": Window(kernel=(7, 6)),
}
"""Of all kinds, over a map of 7x6."""

CLASSES = 3
AWAY = (-1, 0, 1)
"""Distances from a threshold at which a wrong comparison shows."""
HERE = Window(kernel=(1, 1))


@dataclass
class Layers:
    """An integer network while it is being written down; each method appends what reads the node before."""

    seed: int
    timesteps: int = 4
    nodes: list[IntegerNode] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @property
    def shape(self) -> Shape:
        """Of the last map."""
        return self.shapes[self.nodes[-1].name]

    def events(self, *shape: int, most: int = 1) -> Layers:
        return self._input((shape[0], shape[1], shape[2]), static=False, most=most)

    def image(self, *shape: int, most: int = 255) -> Layers:
        return self._input((shape[0], shape[1], shape[2]), static=True, most=most)

    def layer(
        self,
        outputs: int,
        bits: int,
        window: Window = HERE,
        *,
        symmetric: bool = False,
        codes: NDArray[np.uint8] | None = None,
        decay_shift: int = 1,
        fraction_bits: int = 2,
        rest: int = 0,
        after: str = "",
    ) -> Layers:
        """A convolution and its neurons; channel 0 has the largest codes, 1 the smallest, the others any.

        Args:
            codes: all of them.
            rest: rests are at most this far from 0, some as far.
            after: the map it reads; by default the last.
        """
        source = after or self.nodes[-1].name
        channels, height, width = self.shapes[source]
        index = sum(isinstance(node, IntegerNeuron) for node in self.nodes)
        if codes is None:
            codes = self.rng.integers(0, 2**bits, (outputs, channels, *window.kernel)).astype(np.uint8)
            if outputs > 2:
                codes[0], codes[1] = 2**bits - 1, 0
        conv = IntegerConv(
            name=f"conv{index}",
            inputs=(source,),
            codes=codes,
            bits=bits,
            multiplier=1 if symmetric else 2,
            zero_point=2 ** (bits - 1) if symmetric else 2**bits - 1,
            window=window,
            groups=1,
        )
        neuron = IntegerNeuron(
            name=f"neuron{index}",
            inputs=(conv.name,),
            threshold=np.zeros(outputs, dtype=np.int64),
            rest=np.resize(np.array([rest, -rest, rest // 3, 0, -rest // 2]), outputs).astype(np.int64),
            drop=None,
            bias=None,
            gain=None,
            fraction_bits=fraction_bits,
            decay=Decay(multiplier=0, rounding=0, shift=decay_shift),
            reset="hard",
        )
        self.nodes.append(conv)
        return self.append(neuron, (outputs, *window.output_size((height, width))))

    def neurons(
        self,
        reset: Literal["hard", "soft", "none"] = "hard",
        *,
        decay: Decay | None = None,
        bias: int = 0,
        gain: int = 0,
        shortcut: str = "",
    ) -> Layers:
        """Other neurons for the layer that was just written down.

        Args:
            bias, gain: the largest of any channel, and their negatives; 0 is none.
            shortcut: the map that ``gain`` is of.
        """
        neuron = self.nodes[-1]
        assert isinstance(neuron, IntegerNeuron)
        channels = len(neuron.threshold)
        self.nodes[-1] = replace(
            neuron,
            inputs=(*neuron.inputs, shortcut) if gain else neuron.inputs,
            reset=reset,
            drop=self.rng.integers(1, 40 << neuron.fraction_bits, channels) if reset == "soft" else None,
            bias=self.rng.integers(-bias, bias + 1, channels) if bias else None,
            gain=self.rng.integers(-gain, gain + 1, channels) if gain else None,
            decay=decay or neuron.decay,
        )
        return self

    def pool(self, height: int, width: int) -> Layers:
        """A maximum pool whose windows lie side by side."""
        return self.pool_by(Window(kernel=(height, width), stride=(height, width)))

    def pool_by(self, window: Window) -> Layers:
        """A maximum pool."""
        channels, *size = self.shape
        source = self.nodes[-1].name
        pool = MapPool(name=f"pool of {source}", inputs=(source,), window=window, mode="max")
        return self.append(pool, (channels, *window.output_size((size[0], size[1]))))

    def sums(self, height: int, width: int) -> Layers:
        """A pool of sums, likewise."""
        channels, *size = self.shape
        window = Window(kernel=(height, width), stride=(height, width))
        pool = MapPool(name="sums", inputs=(self.nodes[-1].name,), window=window, mode="sum")
        return self.append(pool, (channels, *window.output_size((size[0], size[1]))))

    def add(self, left: str, right: str) -> Layers:
        """The sum of two maps."""
        return self.append(AddMaps(name=f"{left} + {right}", inputs=(left, right)), self.shapes[left])

    def append(self, node: IntegerNode, shape: Shape) -> Layers:
        """Any other node."""
        self.nodes.append(node)
        self.shapes[node.name] = shape
        return self

    def network(self, classes: int = CLASSES, bits: int = 4, *, symmetric: bool = True) -> IntegerNetwork:
        """With a readout of everything at its end; class 0 has the largest codes."""
        codes = self.rng.integers(0, 2**bits, (classes, *self.shape)).astype(np.uint8)
        codes[0] = 2**bits - 1
        conv = IntegerConv(
            name="classes",
            inputs=(self.nodes[-1].name,),
            codes=codes,
            bits=bits,
            multiplier=1 if symmetric else 2,
            zero_point=2 ** (bits - 1) if symmetric else 2**bits - 1,
            window=Window(kernel=(self.shape[1], self.shape[2])),
            groups=1,
        )
        rescale = Rescale(multiplier=None, offset=np.zeros(classes, dtype=np.int64), exact=True)
        readout = SumReadout(name="logits", inputs=(conv.name,), timesteps=self.timesteps, rescale=rescale)
        nodes = (*self.nodes, conv, readout)
        return IntegerNetwork(
            nodes=nodes,
            timesteps=self.timesteps,
            class_names=tuple(map(str, range(classes))),
            digest="0" * 64,
            logit_scale=1.0,
            certificates=tuple(_bounded(node, self.timesteps) for node in nodes if isinstance(node, IntegerNeuron)),
        )

    def _input(self, shape: Shape, *, static: bool, most: int) -> Layers:
        return self.append(IntegerInput(name="input", shape=shape, static=static, max_value=most), shape)


def _bounded(neuron: IntegerNeuron, timesteps: int) -> Certificate:
    channels = len(neuron.threshold)
    return Certificate(
        layer=neuron.name,
        status="bounded",
        steps=0,
        timesteps=timesteps,
        channels=channels,
        proven=0,
        membrane_error=0.0,
    )


def changed(network: IntegerNetwork, name: str, **fields: object) -> IntegerNetwork:
    """The same with other fields of one node."""
    nodes = tuple(replace(node, **fields) if node.name == name else node for node in network.nodes)  # type: ignore[arg-type]
    return replace(network, nodes=nodes)


def counted_spikes(network: IntegerNetwork, counts: Sequence[int]) -> NDArray[np.uint8]:
    """Inputs with exactly so many spikes in each timestep ``[N, T, C, H, W]``: every count once in each of them."""
    shape = network.nodes[0].output_type().shape
    rng = np.random.default_rng(7)
    inputs = np.zeros((len(counts), network.timesteps, int(np.prod(shape))), dtype=np.uint8)
    for sample in range(len(counts)):
        for t in range(network.timesteps):
            count = counts[(sample + t) % len(counts)]
            inputs[sample, t, rng.permutation(inputs.shape[-1])[:count]] = 1
    return inputs.reshape(len(counts), network.timesteps, *shape)


def all_kinds_of_inputs(network: IntegerNetwork, random: int = 8) -> NDArray[np.uint8]:
    """None, all, a single pixel, borders, chequered, random of any density."""
    inputs = np.concatenate([random_inputs(network, random, seed=3), adversarial_inputs(network)])
    one = np.zeros((1, *inputs.shape[1:]), dtype=np.uint8)
    one.reshape(-1)[one.size // 2] = 1
    return np.concatenate([inputs, one])


def membranes(network: IntegerNetwork, inputs: NDArray[np.uint8], name: str, *, spiking: bool = True) -> Integers:
    """Every membrane of a layer before its comparison ``[N, T, C, H, W]``; not ``spiking``: as if it never passed."""
    (neuron,) = (node for node in network.nodes if node.name == name)
    assert isinstance(neuron, IntegerNeuron)
    seen: list[Integers] = []

    def observe(node: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        if node == name:
            seen.append(_membranes(neuron, arguments, network.timesteps, spiking=spiking))

    run_reference(network, inputs, observe=observe)
    return np.concatenate(seen)


def _membranes(neuron: IntegerNeuron, arguments: Sequence[Integers], timesteps: int, *, spiking: bool) -> Integers:
    charges = arguments[0] * 2**neuron.fraction_bits
    if neuron.bias is not None:
        charges = charges + neuron.bias[:, None, None]
    if neuron.gain is not None:
        charges = charges + neuron.gain[:, None, None] * arguments[1]
    rest, threshold = (values[:, None, None] for values in (neuron.rest, neuron.threshold))
    membrane = np.broadcast_to(rest, charges[:, 0].shape)
    steps = []
    for t in range(timesteps):
        membrane = neuron.decay.apply(membrane) + charges[:, min(t, charges.shape[1] - 1)]
        steps.append(membrane)
        if spiking and neuron.reset != "none":
            after = rest if neuron.drop is None else membrane - neuron.drop[:, None, None]
            membrane = np.where(membrane > threshold, after, membrane)
    return np.stack(steps, axis=1)


def tuned(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> IntegerNetwork:
    """The network with every threshold at, next below or next above a membrane that ``inputs`` cause.

    Channel by channel the membrane of another timestep, reached without a spike before.
    """
    timesteps = network.timesteps
    values = {"": check_inputs(network, inputs)}
    nodes = []
    for index, node in enumerate(network.nodes):
        arguments = [values[name] for name in (node.inputs or ("",))]
        result = node
        if isinstance(node, IntegerNeuron):
            charged = _membranes(node, arguments, timesteps, spiking=False).swapaxes(1, 2).swapaxes(0, 1)
            threshold = np.array([_threshold(index, c, history) for c, history in enumerate(charged)])
            assert np.abs(threshold).max() < INT32_MAX
            result = replace(node, threshold=threshold)
        # The next layer sees what this one makes of its new thresholds.
        values[node.name] = result.execute(*arguments, timesteps=timesteps)
        nodes.append(result)
    network = replace(network, nodes=tuple(nodes))
    check_integer_network(network)
    return network


def _threshold(layer: int, channel: int, charged: Integers) -> int:
    """From the membranes of one channel ``[N, T, H, W]``."""
    timesteps: int = charged.shape[1]
    step = (channel + layer) % timesteps
    histories = np.moveaxis(charged, 1, -1).reshape(-1, timesteps)[:, : step + 1]
    first = (histories[:, :-1] < histories[:, -1:] - 1).all(axis=1)
    values = np.sort(histories[first, -1] if first.any() else histories[:, 0])
    middle = int(values[len(values) // 2])
    return middle + (channel // timesteps + layer) % 3 - 1


def with_neuron(network: IntegerNetwork, name: str, **constants: Any) -> IntegerNetwork:
    """The same with other constants of one layer of neurons."""
    (node,) = (node for node in network.nodes if node.name == name)
    assert isinstance(node, IntegerNeuron)
    changed = replace(node, **constants)
    return replace(network, nodes=tuple(changed if each is node else each for each in network.nodes))


def restless(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> IntegerNetwork:
    """Thresholds such that every neuron spikes at every timestep."""
    for node in network.nodes:
        if isinstance(node, IntegerNeuron):
            never_rests = with_neuron(network, node.name, threshold=np.full(len(node.threshold), -INT32_MAX))
            # No lower than they must be: narrow constants stay narrow.
            lowest = membranes(never_rests, inputs, node.name).min(axis=(0, 1, 3, 4))
            network = with_neuron(network, node.name, threshold=lowest - 1)
    return network


def hits(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> dict[str, dict[int, int]]:
    """By layer, how many channels have a membrane 1 below, on, or 1 above their threshold."""
    neurons = {node.name: node for node in network.nodes if isinstance(node, IntegerNeuron)}
    met = {name: {away: np.zeros(len(node.threshold), dtype=bool) for away in AWAY} for name, node in neurons.items()}

    def observe(name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        if name in neurons:
            neuron = neurons[name]
            potentials = _membranes(neuron, arguments, network.timesteps, spiking=True)
            distance = potentials - neuron.threshold[:, None, None]
            for away in AWAY:
                met[name][away] |= (distance == away).any(axis=(0, 1, 3, 4))

    run_reference(network, inputs, observe=observe)
    return {name: {away: int(channels.sum()) for away, channels in found.items()} for name, found in met.items()}
