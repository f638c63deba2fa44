"""A few networks that together hold every kind of node: what the contract of kinds is tested on.

A new kind needs an example here, or ``host_tests/contract/test_kinds.py`` fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import numpy as np

from host_tests.support.networks import Case, network_of
from qpsnn_codegen.kinds import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Readout,
    RealConv,
    RealLinear,
    Shortcut,
)
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import LoweringOptions
from qpsnn_codegen.network import Node, Shape

Bits = Literal[2, 4, 8]


class Parts:
    """Nodes with seeded constants; each method names the node and what it reads."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def image(self, shape: Shape, *, table: bool = False) -> Input:
        mean = self.rng.uniform(0.3, 0.6, shape[0]) if table else np.zeros(shape[0])
        std = self.rng.uniform(0.2, 0.4, shape[0]) if table else np.ones(shape[0])
        return Input(name="input", shape=shape, spikes=False, max_value=255, divisor=255.0, mean=mean, std=std)

    def events(self, shape: Shape) -> Input:
        mean, std = np.zeros(shape[0]), np.ones(shape[0])
        return Input(name="input", shape=shape, spikes=True, max_value=1, divisor=1.0, mean=mean, std=std)

    def grid(self, bits: int, outputs: int, fan_in: int) -> Grid:
        return Grid.rescaw(bits, self.rng.uniform(1.5, 4, outputs) / np.sqrt(fan_in))

    def conv(
        self, name: str, source: str, inputs: int, outputs: int, bits: Bits, *, kernel: int = 3, groups: int = 1
    ) -> Conv:
        """Of stride 1, padded so that the map keeps its size."""
        shape = (outputs, inputs // groups, kernel, kernel)
        return Conv(
            name=name,
            inputs=(source,),
            codes=self.rng.integers(0, 2**bits, shape).astype(np.uint8),
            grid=self.grid(bits, outputs, int(np.prod(shape[1:]))),
            bias=self.rng.normal(0, 0.1, outputs),
            window=Window(kernel=(kernel, kernel), padding=(kernel // 2, kernel // 2)),
            groups=groups,
        )

    def linear(self, name: str, source: str, features: int, outputs: int) -> Linear:
        return Linear(
            name=name,
            inputs=(source,),
            codes=self.rng.integers(1, 256, (outputs, features)).astype(np.uint8),
            grid=Grid.symmetric(8, np.full(outputs, 0.02)),
            bias=self.rng.normal(0, 0.5, outputs),
        )

    def real_conv(self, name: str, source: str, inputs: int, outputs: int) -> RealConv:
        """3×3, padded, with weights as they are before quantization."""
        return RealConv(
            name=name,
            inputs=(source,),
            weights=self.rng.normal(0, 1.5 / np.sqrt(9 * inputs), (outputs, inputs, 3, 3)),
            bias=self.rng.normal(0, 0.1, outputs),
            window=Window(kernel=(3, 3), padding=(1, 1)),
        )

    def real_linear(self, name: str, source: str, features: int, outputs: int) -> RealLinear:
        return RealLinear(
            name=name,
            inputs=(source,),
            weights=self.rng.normal(0, 1.0, (outputs, features)),
            bias=self.rng.normal(0, 0.5, outputs),
        )

    def batch_norm(self, name: str, source: str, channels: int) -> BatchNorm:
        """Gains of both signs."""
        return BatchNorm(
            name=name,
            inputs=(source,),
            weight=self.rng.choice([-1.0, 1.0], channels) * self.rng.uniform(0.5, 1.5, channels),
            bias=self.rng.normal(0.2, 0.2, channels),
            mean=self.rng.normal(0, 0.2, channels),
            variance=self.rng.uniform(0.5, 1.5, channels),
            eps=1e-5,
        )

    def neuron(self, name: str, source: str, reset: Literal["hard", "soft", "none"] = "hard") -> Neuron:
        return Neuron(
            name=name, inputs=(source,), decay=0.5, threshold=1.0, strict=True, reset=reset, reset_potential=0.0
        )


def _pools() -> Case:
    """Pools of currents and of spikes, maxima, minima and sums; grouped weights; a readout of the mean."""
    parts = Parts(1)
    nodes: list[Node] = [
        parts.image((3, 8, 7)),
        parts.conv("conv1", "input", 3, 33, 8, groups=3),
        parts.batch_norm("norm1", "conv1", 33),
        MaxPool(name="max1", inputs=("norm1",), window=Window(kernel=(3, 2), stride=(1, 2), padding=(1, 0))),
        parts.neuron("neuron1", "max1"),
        AveragePool(name="average1", inputs=("neuron1",), window=Window(kernel=(2, 2), stride=(2, 1), padding=(1, 1))),
        parts.conv("conv2", "average1", 33, 7, 2),
        AveragePool(name="average2", inputs=("conv2",), window=Window(kernel=(2, 2))),
        parts.neuron("neuron2", "average2", "soft"),
        MaxPool(name="max2", inputs=("neuron2",), window=Window(kernel=(2, 2), stride=(2, 2), padding=(1, 1))),
        Flatten(name="flatten", inputs=("max2",)),
        parts.linear("linear", "flatten", 7 * 3 * 2, 3),
        Readout(name="readout", inputs=("linear",), mode="mean"),
    ]
    return Case(network=network_of(nodes, 4), options=LoweringOptions())


def _table(input_bits: int) -> Case:
    """Normalization by table, and a readout of potentials whose neurons spike too."""
    parts = Parts(2)
    nodes: list[Node] = [
        parts.image((2, 5, 5), table=True),
        parts.conv("conv", "input", 2, 35, 4),
        parts.neuron("neuron", "conv", "none"),
        Flatten(name="flatten", inputs=("neuron",)),
        parts.linear("linear", "flatten", 35 * 25, 3),
        Readout(name="readout", inputs=("linear",), mode="last", neuron=parts.neuron("last", "linear", "soft")),
    ]
    return Case(network=network_of(nodes, 5), options=LoweringOptions(input_bits=input_bits))


def _residual() -> Case:
    """Spikes as input, two kinds of addition, the shortcut with more channels, and counted spikes as logits."""
    parts = Parts(3)
    nodes: list[Node] = [
        parts.events((5, 6, 6)),
        parts.conv("conv1", "input", 5, 31, 4),
        parts.neuron("neuron1", "conv1"),
        Shortcut(name="shortcut", inputs=("neuron1",), stride=2, pad_before=1, pad_after=2),
        MaxPool(name="max", inputs=("neuron1",), window=Window(kernel=(2, 2), stride=(2, 2))),
        parts.conv("conv2", "max", 31, 34, 4),
        parts.batch_norm("norm2", "conv2", 34),
        Add(name="add1", inputs=("norm2", "shortcut")),
        parts.neuron("neuron2", "add1"),
        parts.conv("conv3", "neuron2", 34, 34, 2, groups=34),
        parts.neuron("neuron3", "conv3"),
        Add(name="add2", inputs=("neuron2", "neuron3")),
        AveragePool(name="average", inputs=("add2",), window=None),
        parts.linear("linear", "average", 34, 3),
        parts.neuron("neuron4", "linear"),
        Readout(name="readout", inputs=("neuron4",), mode="count"),
    ]
    return Case(network=network_of(nodes, 3), options=LoweringOptions())


def _nested_pools() -> Case:
    """A pool of currents that reads a pool of currents."""
    parts = Parts(4)
    nodes: list[Node] = [
        parts.image((2, 9, 9)),
        parts.conv("conv", "input", 2, 5, 4),
        AveragePool(name="average", inputs=("conv",), window=Window(kernel=(2, 2), stride=(2, 2))),
        MaxPool(name="max", inputs=("average",), window=Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1))),
        parts.neuron("neuron", "max"),
        Flatten(name="flatten", inputs=("neuron",)),
        parts.linear("linear", "flatten", 5 * 2 * 2, 3),
        Readout(name="readout", inputs=("linear",), mode="mean"),
    ]
    return Case(network=network_of(nodes, 3), options=LoweringOptions())


def _real_weights(bits: int) -> Case:
    """Weights that lowering rounds, on a normalized image, in front of a pool and as readout."""
    parts = Parts(5)
    nodes: list[Node] = [
        parts.image((3, 7, 6), table=True),
        parts.real_conv("conv1", "input", 3, 19),
        parts.batch_norm("norm1", "conv1", 19),
        MaxPool(name="max1", inputs=("norm1",), window=Window(kernel=(2, 2), stride=(2, 2))),
        parts.neuron("neuron1", "max1"),
        parts.conv("conv2", "neuron1", 19, 6, 4),
        parts.neuron("neuron2", "conv2", "soft"),
        parts.real_conv("conv3", "neuron2", 6, 8),
        parts.neuron("neuron3", "conv3", "soft"),
        Flatten(name="flatten", inputs=("neuron3",)),
        parts.real_linear("linear", "flatten", 8 * 3 * 3, 3),
        Readout(name="readout", inputs=("linear",), mode="mean"),
    ]
    return Case(network=network_of(nodes, 4), options=LoweringOptions(weight_bits=bits, readout_bits=bits))


EXAMPLES: Mapping[str, Callable[[], Case]] = {
    "pools": _pools,
    "table of 8 bits": lambda: _table(8),
    "table of 16 bits": lambda: _table(16),
    "residual": _residual,
    "nested pools": _nested_pools,
    "real weights of 8 bits": lambda: _real_weights(8),
    "real weights of 16 bits": lambda: _real_weights(16),
}


@cache
def example(name: str) -> Case:
    """The example of that name, made once."""
    return EXAMPLES[name]()
