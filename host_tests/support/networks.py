"""Networks for tests: random ones from Hypothesis, over every kind of node and option, and their parts by hand.

Hypothesis chooses the structure, so that a failing network shrinks; weights and constants come from a seeded generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Literal, TypeVar

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
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
    Shortcut,
)
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import LoweringOptions
from qpsnn_codegen.network import Network, Node, Shape

T = TypeVar("T")

InputKind = Literal["image", "normalized", "events"]

CLASSES = 3
NARROW = (1, 2, 3, 5, 8)
WIDE = (1, 3, 16, 31, 32, 33, 35, 64, 65, 96)
FLOAT64_BITS = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a group of random networks has in common.

    Attributes:
        exact: constants are dyadic, so that float64 executes the network without any rounding.
        residual: every block is a residual one.
    """

    name: str
    input: InputKind
    exact: bool = False
    residual: bool = False


FAMILIES = (
    Family(name="images", input="image"),
    Family(name="normalized-images", input="normalized"),
    Family(name="events", input="events"),
    Family(name="residual-images", input="image", residual=True),
    Family(name="residual-events", input="events", residual=True),
    Family(name="exact-images", input="image", exact=True),
    Family(name="exact-events", input="events", exact=True),
    Family(name="exact-residual", input="events", exact=True, residual=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network with the compiler's options for it."""

    network: Network
    options: LoweringOptions

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """Its spiking layers; the neurons of a readout are not among them."""
        return tuple(node for node in self.network.nodes if isinstance(node, Neuron))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The output of a node.

    Attributes:
        fine, coarse: all its values are multiples of 2^-fine and at most 2^coarse, if the family is exact.
        stored: spikes or counts, not a current.
        unit: one spike is worth 1; after an average it is worth less.
    """

    name: str
    shape: Shape
    fine: int
    coarse: float
    stored: bool = False
    unit: bool = True


def network_of(nodes: Sequence[Node], timesteps: int, classes: int = CLASSES) -> Network:
    """A checked-in-shape network with nameless classes."""
    names = tuple(f"class {k}" for k in range(classes))
    return Network(nodes=tuple(nodes), timesteps=timesteps, class_names=names, digest="0" * 64)


@st.composite
def cases(draw: st.DrawFn, family: Family) -> Case:
    """A random network of a family."""
    return _Builder(draw, family).build()


@dataclass
class _Builder:
    """Grows a network node by node; every choice that matters for shrinking is drawn."""

    draw: st.DrawFn
    family: Family
    nodes: list[Node] = field(default_factory=list)
    timesteps: int = 1
    decay: float = 0.5
    reset: Literal["hard", "soft", "none"] = "hard"
    table: bool = False
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def build(self) -> Case:
        self.rng = np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))
        self.timesteps = self.draw(st.integers(1, 16))
        if self.family.residual and self.timesteps > 8 and self.chance(80):
            self.timesteps -= 8  # shortcuts multiply the histories of a certificate
        self.reset = self.pick("hard", "soft", "none")
        decays = (0.5, 0.25, 1.0) if self.family.exact else (0.5, 0.5, 0.25, 1.0, 0.75, 0.9)
        self.decay = self.pick(*decays)
        self.table = self.family.input == "normalized"
        edge = self.input()
        block = self.residual_block if self.family.residual else self.block
        for _ in range(self.draw(st.integers(1, 2))):
            edge = block(edge)
        edge = self.head(edge)
        self.readout(edge)
        bits = 16 if self.family.input != "normalized" else self.pick(8, 16)
        return Case(network=network_of(self.nodes, self.timesteps), options=LoweringOptions(input_bits=bits))

    # ---------------------------------------------------------------------------------------- choices

    def pick(self, *options: T) -> T:
        return self.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred; shrinks to False."""
        return bool(self.draw(st.integers(0, 99)) >= 100 - percent)

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def add(
        self, node: Node, shape: Shape, fine: int, coarse: float, *, stored: bool = False, unit: bool = True
    ) -> Edge:
        assert node.output_shape(*(self.shape_of(name) for name in node.inputs)) == shape
        self.nodes.append(node)
        return Edge(name=node.name, shape=shape, fine=fine, coarse=coarse, stored=stored, unit=unit)

    def shape_of(self, name: str) -> Shape:
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = node.output_shape(*(shapes[i] for i in node.inputs))
        return shapes[name]

    @property
    def laborious(self) -> bool:
        """Whether certificates take long: every spike of the past counts."""
        return (self.reset == "soft" or self.family.residual) and self.timesteps > 4

    @property
    def settles(self) -> bool:
        """Whether channels without a usable gain can be given one: provable decays, not too many histories.

        The currents of a 16-bit table leave int32 too little room for it.
        """
        long = 8 if self.laborious or self.decay == 0.25 else 16
        return self.decay in (0.5, 0.25, 1.0) and self.timesteps <= long and not self.table

    def channels(self, size: int) -> int:
        options: tuple[int, ...] = NARROW if self.laborious or size > 36 else WIDE
        return self.pick(*options)

    # ----------------------------------------------------------------------------------------- layers

    def input(self) -> Edge:
        shape = (self.pick(1, 2, 3), self.draw(st.integers(1, 9)), self.draw(st.integers(1, 9)))
        mean, std = np.zeros(shape[0]), np.ones(shape[0])
        divisor, most, fine = 1.0, 1, 0
        if self.family.input == "events":
            most = self.pick(1, 1, 3)
        elif self.family.input == "image":
            divisor, most, fine = self.pick((256.0, 255, 8), (16.0, 16, 4), (255.0, 255, 8))
            if self.family.exact and divisor == 255.0:
                divisor = 256.0
        else:
            divisor, most = 255.0, 255
            mean = self.rng.uniform(0.2, 0.6, shape[0]) * self.pick(1, 0, -1)
            std = self.rng.uniform(0.2, 0.5, shape[0])
        node = Input(
            name="input",
            shape=shape,
            spikes=self.family.input == "events",
            max_value=most,
            divisor=divisor,
            mean=mean,
            std=std,
        )
        return self.add(node, shape, fine, log2(max(most / divisor, 1)))

    def window(self, size: tuple[int, int], kernels: Sequence[int], *, dilations: Sequence[int] = (1,)) -> Window:
        """A window that fits a map of ``size``, of any stride, with padding up to half the kernel."""
        sides = [self.window_side(n, kernels, dilations) for n in size]
        (kh, sh, ph, dh), (kw, sw, pw, dw) = sides
        return Window(kernel=(kh, kw), stride=(sh, sw), padding=(ph, pw), dilation=(dh, dw))

    def window_side(self, size: int, kernels: Sequence[int], dilations: Sequence[int]) -> tuple[int, int, int, int]:
        """Kernel, stride, padding, dilation."""
        kernel, dilation = self.pick(*kernels), self.pick(*dilations)
        padding = self.draw(st.integers(0, kernel // 2))
        while dilation * (kernel - 1) + 1 > size + 2 * padding:
            kernel, dilation = kernel - 1, 1
            padding = min(padding, kernel // 2)
        return kernel, self.draw(st.integers(1, 3)), padding, dilation

    def grid(self, outputs: int, fan_in: int) -> tuple[Grid, int, int]:
        """A weight grid, its lowest code, and f with every weight a multiple of 2^-f."""
        bits = self.pick(4, 2, 8)
        rescaw = self.draw(st.booleans())
        top = 2**bits - 1
        # Weights of about 1 / sqrt(fan-in) make neurons spike now and then.
        step = float(1 / (top * np.sqrt(fan_in)))
        scale: NDArray[np.float64]
        if self.family.exact:
            fine = max(0, ceil(-log2(step)) - 1)
            scale = np.ldexp(1.0, -fine - self.rng.integers(0, 2, outputs))
            fine += 1
        else:
            fine = 0
            scale = (step * self.rng.uniform(1, 4, outputs)).astype(np.float32).astype(np.float64)
        if rescaw:
            return Grid.rescaw(bits, scale * top), 0, fine
        return Grid.symmetric(bits, 2 * scale), 1, fine

    def codes(self, shape: tuple[int, ...], grid: Grid, lowest: int) -> NDArray[np.uint8]:
        codes = self.rng.integers(lowest, 2**grid.bits, shape)
        if self.chance(10):
            codes[:] = self.pick(lowest, 2**grid.bits - 1)
        return codes.astype(np.uint8)

    def bias(self, outputs: int) -> NDArray[np.float64]:
        if self.chance(50):
            return np.zeros(outputs)
        values = self.rng.normal(0, 0.3, outputs)
        return np.rint(values * 16) / 16 if self.family.exact else values

    def conv(self, edge: Edge) -> Edge:
        """A convolution of any geometry."""
        inputs, *size = edge.shape
        window = self.window((size[0], size[1]), (1, 2, 3, 5, 7), dilations=(1, 1, 2))
        height, width = window.output_size((size[0], size[1]))
        groups = self.pick(*(g for g in (1, 1, inputs, 2, 3, 5) if inputs % g == 0))
        outputs = ceil(self.channels(height * width) / groups) * groups
        shape = (outputs, inputs // groups, *window.kernel)
        fan_in = int(np.prod(shape[1:]))
        grid, lowest, fine = self.grid(outputs, fan_in)
        node = Conv(
            name=self.name("conv"),
            inputs=(edge.name,),
            codes=self.codes(shape, grid, lowest),
            grid=grid,
            bias=self.bias(outputs),
            window=window,
            groups=groups,
        )
        return self.add(node, (outputs, height, width), max(edge.fine + fine, 4), edge.coarse + log2(fan_in) / 2 + 2)

    def linear(self, edge: Edge, outputs: int) -> Edge:
        features = edge.shape[0]
        grid, lowest, fine = self.grid(outputs, features)
        node = Linear(
            name=self.name("linear"),
            inputs=(edge.name,),
            codes=self.codes((outputs, features), grid, lowest),
            grid=grid,
            bias=self.bias(outputs),
        )
        return self.add(node, (outputs, 1, 1), max(edge.fine + fine, 4), edge.coarse + log2(features) / 2 + 2)

    def batch_norm(self, edge: Edge, *, zero: bool = True) -> Edge:
        """Gains of both signs; a few of zero (unless not ``zero``), and a few far too small to matter."""
        count = edge.shape[0]
        if self.family.exact:
            weight = self.rng.choice([-1.5, -1.0, -0.5, 0.5, 1.0, 1.0, 1.5, 2.0], count)
            constants = np.rint(self.rng.normal(0.1, 0.3, (2, count)) * 8) / 8
            variance = self.rng.choice([0.25, 1.0, 4.0], count)
            eps, tiny = 0.0, 2.0**-5
        else:
            weight = self.rng.normal(0.8, 0.8, count)
            constants = self.rng.normal(0.1, 0.3, (2, count))
            variance = self.rng.uniform(0.2, 2, count)
            eps, tiny = 1e-5, float(self.pick(1e-3, 1e-6, 1e-12))
        if zero and self.settles:
            odd = self.rng.random(count)
            # Over many timesteps zeros are refused: so few of them that most networks are not.
            weight = np.where(odd < 0.04, 0.0, np.where(odd < 0.16, tiny * np.sign(weight), weight))
            # A constant channel exactly on its threshold is refused, and meant to be.
            constants[0][odd < 0.04] += 2.0**-9
        node = BatchNorm(
            name=self.name("norm"),
            inputs=(edge.name,),
            weight=weight,
            bias=constants[0],
            mean=constants[1],
            variance=variance,
            eps=eps,
        )
        return self.add(node, edge.shape, max(edge.fine + 6, 10), edge.coarse + 3)

    def pool(self, edge: Edge, *, average: bool, anywhere: bool = True) -> Edge:
        """A pool; ``anywhere`` False: not padded, as an average of something with an offset must be."""
        size = (edge.shape[1], edge.shape[2])
        kernels = (1, 2, 4) if average and self.family.exact else (2, 3)
        window: Window | None = self.window(size, kernels)
        if average and (not anywhere or self.family.exact):
            # An exact mean is over a power of two.
            kernel = (_at_most(kernels, size[0]), _at_most(kernels, size[1]))
            window = Window(kernel=kernel, stride=(self.draw(st.integers(1, 2)), 1))
        if average and self.chance(25) and (not self.family.exact or _is_power(size[0] * size[1])):
            window = None
        node: Node
        if average:
            node = AveragePool(name=self.name("average"), inputs=(edge.name,), window=window)
        else:
            assert window is not None
            node = MaxPool(name=self.name("max"), inputs=(edge.name,), window=window)
        shape = node.output_shape(edge.shape)
        fine = edge.fine + (ceil(log2(size[0] * size[1])) if average else 0)
        return self.add(node, shape, fine, edge.coarse, stored=edge.stored, unit=edge.unit and not average)

    def neuron_node(self, edge: Edge, name: str) -> Neuron:
        threshold = self.pick(1.0, 0.5, 1.5) if self.family.exact else self.pick(1.0, 1.0, 0.3, 0.7)
        rest = self.pick(0.0, 0.0, 0.25, -0.5) if self.family.exact else self.pick(0.0, 0.0, 0.1, -0.3)
        decay = self.decay
        if self.family.exact:
            # Each decay adds bits; beyond float64's, integrate instead.
            used = max(edge.fine, 2) + max(edge.coarse, 1) + log2(self.timesteps) + 1
            assume(used <= FLOAT64_BITS)
            if used - log2(decay) * self.timesteps > FLOAT64_BITS:
                decay = 1.0
        return Neuron(
            name=name,
            inputs=(edge.name,),
            decay=decay,
            threshold=threshold,
            strict=self.draw(st.booleans()),
            reset=self.reset,
            reset_potential=rest,
        )

    def neuron(self, edge: Edge) -> Edge:
        node = self.neuron_node(edge, self.name("neuron"))
        self.table = False
        return self.add(node, edge.shape, 0, 0, stored=True)

    # ----------------------------------------------------------------------------------------- blocks

    def block(self, edge: Edge) -> Edge:
        """Weights, then perhaps batch-norm, a pool, the neurons, and a pool of their spikes."""
        current = self.conv(edge)
        if self.chance(75):
            current = self.batch_norm(current)
        if self.chance(30):
            current = self.pool(current, average=self.chance(30), anywhere=False)
        spikes = self.neuron(current)
        if self.chance(15):
            # A second layer of neurons that reads the same currents; its spikes are added to counts.
            plain = self.nodes[-2]
            if not isinstance(plain, BatchNorm | MaxPool):
                spikes = self.sum(spikes, self.neuron(current))
        if self.chance(35):
            spikes = self.pool(spikes, average=self.chance(50))
        return spikes

    def residual_block(self, edge: Edge) -> Edge:
        """Spikes, then weights whose current the same spikes join; or spikes joined to counts."""
        if not edge.stored:
            edge = self.block(edge)
        if edge.unit and self.chance(30):
            counts = self.sum(edge, self.neuron(self.batch_norm(self.conv_to(edge, edge.shape))))
            return self.pool(counts, average=True) if self.chance(40) else counts
        stride = self.pick(1, 2)
        before, after = (self.pick(0, 1, 2), self.pick(0, 1, 3)) if self.chance(50) else (0, 0)
        branch = edge
        if stride > 1 or before or after:
            channels, height, width = edge.shape
            shape = (channels + before + after, -(-height // stride), -(-width // stride))
            node = Shortcut(
                name=self.name("shortcut"),
                inputs=(edge.name,),
                stride=stride,
                pad_before=before,
                pad_after=after,
            )
            branch = self.add(node, shape, edge.fine, edge.coarse, stored=True, unit=edge.unit)
        current = self.batch_norm(self.conv_to(edge, branch.shape, stride))
        parts = (branch, current) if self.draw(st.booleans()) else (current, branch)
        return self.neuron(self.sum(*parts))

    def conv_to(self, edge: Edge, shape: Shape, stride: int = 1) -> Edge:
        """A convolution with a given output shape."""
        kernel = self.pick(1, 3)
        window = Window(kernel=(kernel, kernel), stride=(stride, stride), padding=(kernel // 2, kernel // 2))
        fan_in = edge.shape[0] * kernel * kernel
        grid, lowest, fine = self.grid(shape[0], fan_in)
        node = Conv(
            name=self.name("conv"),
            inputs=(edge.name,),
            codes=self.codes((shape[0], edge.shape[0], kernel, kernel), grid, lowest),
            grid=grid,
            bias=self.bias(shape[0]),
            window=window,
        )
        return self.add(node, shape, max(edge.fine + fine, 4), edge.coarse + log2(fan_in) / 2 + 2)

    def sum(self, left: Edge, right: Edge) -> Edge:
        node = Add(name=self.name("add"), inputs=(left.name, right.name))
        fine, coarse = max(left.fine, right.fine), max(left.coarse, right.coarse) + 1
        return self.add(
            node, left.shape, fine, coarse, stored=left.stored and right.stored, unit=left.unit and right.unit
        )

    def head(self, edge: Edge) -> Edge:
        """From a map to the currents of the classes."""
        if edge.shape[1:] != (1, 1) or self.chance(50):
            channels, height, width = edge.shape
            node = Flatten(name=self.name("flatten"), inputs=(edge.name,))
            edge = self.add(
                node, (channels * height * width, 1, 1), edge.fine, edge.coarse, stored=edge.stored, unit=edge.unit
            )
        if self.chance(40):
            hidden = self.linear(edge, self.channels(1))
            edge = self.neuron(self.batch_norm(hidden) if self.chance(50) else hidden)
        return self.linear(edge, CLASSES)

    def readout(self, edge: Edge) -> None:
        mode = self.pick("mean", "count", "last")
        neuron = None
        if self.chance(20):
            edge = self.batch_norm(edge, zero=mode != "last")
        if mode == "count":
            edge = self.neuron(edge)
        if mode == "last":
            neuron = self.neuron_node(edge, "last_neuron")
            if self.chance(50):
                neuron = Neuron(
                    name=neuron.name,
                    inputs=neuron.inputs,
                    decay=neuron.decay,
                    threshold=float("inf"),
                    strict=neuron.strict,
                    reset="none",
                    reset_potential=neuron.reset_potential,
                )
        self.nodes.append(Readout(name="readout", inputs=(edge.name,), mode=mode, neuron=neuron))  # type: ignore[arg-type]


def _at_most(options: Sequence[int], limit: int) -> int:
    return max(option for option in (*options, 1) if option <= limit)


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0
