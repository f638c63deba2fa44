"""Networks built by hand, with numbers from the raw bits of a seeded generator, which no numpy version changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
from qpsnn_codegen.network import Network, Node, Shape


class Numbers:
    """Seeded numbers that are the same everywhere: numpy promises that only of raw bits, not of distributions."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def integers(self, low: int, high: int, shape: int | tuple[int, ...]) -> NDArray[np.int64]:
        """``low`` to ``high`` - 1."""
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), dtype=np.uint64).reshape(shape)
        return (raw >> np.uint64(20)).astype(np.int64) % (high - low) + low

    def reals(self, low: float, high: float, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Thousandths from ``low`` to ``high``."""
        return self.integers(round(low * 1000), round(high * 1000) + 1, shape) / 1000


@dataclass
class Sketch:
    """A network while it is being written down; each method appends a node that reads the one before, or ``after``.

    The node's name is returned. Neurons take the sketch's defaults unless told otherwise.
    """

    seed: int
    timesteps: int = 4
    nodes: list[Node] = field(default_factory=list)
    decay: float = 0.5
    reset: Literal["hard", "soft", "none"] = "hard"
    strict: bool = True
    reset_potential: float = 0.0

    def __post_init__(self) -> None:
        self.numbers = Numbers(self.seed)

    def network(self, class_names: tuple[str, ...] | None = None) -> Network:
        last = self.nodes[-1]
        assert isinstance(last, Readout)
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = node.output_shape(*(shapes[name] for name in node.inputs))
        names = class_names or tuple(f"class {k}" for k in range(shapes[last.name][0]))
        return Network(nodes=tuple(self.nodes), timesteps=self.timesteps, class_names=names, digest="0" * 64)

    def shape(self, name: str) -> Shape:
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = node.output_shape(*(shapes[i] for i in node.inputs))
        return shapes[name]

    def image(self, shape: Shape, *, normalized: bool = False) -> str:
        channels = shape[0]
        mean = self.numbers.reals(0.2, 0.6, channels) if normalized else np.zeros(channels)
        std = self.numbers.reals(0.2, 0.4, channels) if normalized else np.ones(channels)
        node = Input(name="input", shape=shape, spikes=False, max_value=255, divisor=255.0, mean=mean, std=std)
        return self._add(node)

    def events(self, shape: Shape, most: int = 1) -> str:
        zeros = np.zeros(shape[0])
        node = Input(name="input", shape=shape, spikes=True, max_value=most, divisor=1.0, mean=zeros, std=zeros + 1)
        return self._add(node)

    def conv(
        self,
        name: str,
        outputs: int,
        bits: int,
        kernel: tuple[int, int] = (3, 3),
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        rescaw: bool = True,
        bias: bool = False,
        gain: float = 1.0,
        after: str = "",
    ) -> str:
        source = after or self.nodes[-1].name
        inputs = self.shape(source)[0] // groups
        node = Conv(
            name=name,
            inputs=(source,),
            codes=self._codes((outputs, inputs, *kernel), bits, rescaw=rescaw),
            grid=self._grid(outputs, bits, inputs * kernel[0] * kernel[1], rescaw=rescaw, gain=gain),
            bias=self.numbers.reals(-0.2, 0.3, outputs) if bias else np.zeros(outputs),
            window=Window(kernel=kernel, stride=stride, padding=padding, dilation=dilation),
            groups=groups,
        )
        return self._add(node)

    def real_conv(self, name: str, outputs: int, *, stride: tuple[int, int] = (1, 1)) -> str:
        """3×3, padded by one row and two columns, with weights that lowering rounds."""
        source = self.nodes[-1].name
        window = Window(kernel=(3, 3), stride=stride, padding=(1, 2), dilation=(1, 2))
        node = RealConv(
            name=name,
            inputs=(source,),
            weights=self.numbers.reals(-0.7, 0.7, (outputs, self.shape(source)[0], 3, 3)),
            bias=self.numbers.reals(-0.2, 0.3, outputs),
            window=window,
        )
        return self._add(node)

    def real_linear(self, name: str, outputs: int) -> str:
        source = self.nodes[-1].name
        weights = self.numbers.reals(-0.7, 0.7, (outputs, self.shape(source)[0]))
        return self._add(
            RealLinear(name=name, inputs=(source,), weights=weights, bias=self.numbers.reals(-0.5, 0.5, outputs))
        )

    def linear(
        self, name: str, outputs: int, bits: int = 8, *, uniform: bool = False, rescaw: bool = False, bias: bool = True
    ) -> str:
        source = self.nodes[-1].name
        features = self.shape(source)[0]
        grid = self._grid(outputs, bits, features, rescaw=rescaw, gain=1.0)
        if uniform:
            one = np.full(outputs, float(grid.scale[0]))
            grid = Grid.rescaw(bits, one) if rescaw else Grid.symmetric(bits, one)
        node = Linear(
            name=name,
            inputs=(source,),
            codes=self._codes((outputs, features), bits, rescaw=rescaw),
            grid=grid,
            bias=self.numbers.reals(-0.5, 0.5, outputs) if bias else np.zeros(outputs),
        )
        return self._add(node)

    def norm(self, name: str, *, negative: bool = True) -> str:
        """Batch-norm; every third gain is negative unless told otherwise."""
        channels = self.shape(self.nodes[-1].name)[0]
        weight = self.numbers.reals(0.6, 1.4, channels)
        if negative:
            weight[1::3] *= -1
        node = BatchNorm(
            name=name,
            inputs=(self.nodes[-1].name,),
            weight=weight,
            bias=self.numbers.reals(-0.1, 0.4, channels),
            mean=self.numbers.reals(-0.2, 0.2, channels),
            variance=self.numbers.reals(0.4, 1.6, channels),
            eps=1e-5,
        )
        return self._add(node)

    def neuron_of(self, name: str, source: str, **options: Any) -> Neuron:
        defaults = {
            "decay": self.decay,
            "threshold": 1.0,
            "strict": self.strict,
            "reset": self.reset,
            "reset_potential": self.reset_potential,
        }
        return Neuron(name=name, inputs=(source,), **{**defaults, **options})

    def neuron(self, name: str, *, after: str = "", **options: Any) -> str:
        return self._add(self.neuron_of(name, after or self.nodes[-1].name, **options))

    def max_pool(self, name: str, window: Window) -> str:
        return self._add(MaxPool(name=name, inputs=(self.nodes[-1].name,), window=window))

    def average_pool(self, name: str, window: Window | None = None) -> str:
        return self._add(AveragePool(name=name, inputs=(self.nodes[-1].name,), window=window))

    def shortcut(self, name: str, stride: int, before: int, after: int, *, source: str) -> str:
        node = Shortcut(name=name, inputs=(source,), stride=stride, pad_before=before, pad_after=after)
        return self._add(node)

    def add(self, name: str, left: str, right: str) -> str:
        return self._add(Add(name=name, inputs=(left, right)))

    def flatten(self, name: str = "flat") -> str:
        return self._add(Flatten(name=name, inputs=(self.nodes[-1].name,)))

    def readout(self, mode: Literal["mean", "count", "last"], **neuron: Any) -> str:
        source = self.nodes[-1].name
        lif = self.neuron_of("potential", source, **neuron) if mode == "last" else None
        return self._add(Readout(name="logits", inputs=(source,), mode=mode, neuron=lif))

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def _codes(self, shape: tuple[int, ...], bits: int, *, rescaw: bool) -> NDArray[np.uint8]:
        return self.numbers.integers(0 if rescaw else 1, 2**bits, shape).astype(np.uint8)

    def _grid(self, outputs: int, bits: int, fan_in: int, *, rescaw: bool, gain: float) -> Grid:
        # So that a window of spikes moves a membrane by about the threshold.
        scale = np.asarray(self.numbers.reals(1.5, 4.0, outputs) * gain / np.sqrt(fan_in), dtype=np.float32).astype(
            np.float64
        )
        return Grid.rescaw(bits, scale) if rescaw else Grid.symmetric(bits, scale / 2 ** (bits - 1))
