"""The networks performance is measured on: the shapes A to E others are measured on too, as QP-SNNs.

A and B are trained on MNIST (``train_mnist.py``). Weights of the others are random codes; biases are calibrated on
images made here, so that every hidden layer spikes at a chosen rate: what a layer costs depends on its shape, its bits
and its spikes, not on what it has learned. A is there both ways, since it was trained to spike little.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from qpsnn_codegen import nn
from qpsnn_codegen.kinds import AveragePool, BatchNorm, Conv, Flatten, Input, Linear, MaxPool, Neuron, Readout
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import Floats, Network, Node, Shape
from qpsnn_codegen.pipeline import load

TIMESTEPS = 4
IMAGES = 8
"""Calibration images."""
BITS = (8, 4, 2)
MODELS = Path(__file__).with_name("models")

Layer = int | str
"""A 3x3 convolution's channels, ``M`` for a 2x2 maximum pool, ``A`` for a 2x2 average pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A network's shape, and what it does.

    Attributes:
        rate: spikes per neuron and timestep.
        operations: synaptic operations per image that the rate is chosen for.
    """

    shape: Shape
    layers: tuple[Layer, ...]
    rate: float
    operations: float | None = None

    @property
    def bits(self) -> tuple[int, ...]:
        """Of the layers between the first and the last."""
        return BITS

    def network(self, bits: int, seed: int = 0) -> Network:
        """The network, its hidden layers calibrated to ``rate``; the first and the last layer have 8 bits."""
        return _Builder(self, bits, seed).network()

    def images(self, count: int, mnist: str | None = None) -> NDArray[np.uint8]:
        """Inputs uint8 ``[N, C, H, W]``; the first ``IMAGES`` are those the biases were calibrated on."""
        return images(self.shape, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network trained on MNIST. ``files``: the models by bits."""

    files: dict[int, str]

    @property
    def bits(self) -> tuple[int, ...]:
        """Of the layers between the first and the last; where there are none, of these two."""
        return tuple(self.files)

    def network(self, bits: int) -> Network:
        """The network of a model file; its first and its last layer have 8 bits, but for B's."""
        return load(MODELS / self.files[bits])

    def images(self, count: int, mnist: str | None = None) -> NDArray[np.uint8]:
        """Digits, bytes ``[N, 1, 28, 28]``: test images of MNIST's npz file, or else scikit-learn's enlarged."""
        if mnist is not None:
            return np.array(nn.mnist(mnist).test_images[:count])
        small = nn.digits().test_images[:count]
        large = np.kron(small, np.ones((1, 1, 3, 3), dtype=np.uint16)) * 255 // 16
        return np.pad(large, ((0, 0), (0, 0), (2, 2), (2, 2))).astype(np.uint8)


def _vgg(share_early: float, share_late: float) -> tuple[Layer, ...]:
    """The paper's VGG-16 with all but the last convolution pruned."""
    early, late = [int(share_early * c) for c in (64, 128, 256)], int(share_late * 512)
    one, two, three = early
    return (one, one, "M", two, two, "M", three, three, three, "M", late, late, late, "M", late, late, 512, "A")


BENCHMARKS: dict[str, Benchmark | Trained] = {
    "A": Trained(files={bits: f"A_{bits}bit.pt" for bits in BITS}),
    "A at 15 %": Benchmark(shape=(1, 28, 28), layers=(16, "M", 32, "M", 64, "M"), rate=0.15),
    "B": Trained(files={bits: f"B_{bits}bit.pt" for bits in BITS}),
    "C": Benchmark(shape=(3, 32, 32), layers=_vgg(1, 1), rate=0.0381, operations=54.6e6),
    "D": Benchmark(shape=(3, 32, 32), layers=_vgg(0.55, 0.49), rate=0.044),
    "E": Benchmark(shape=(3, 32, 32), layers=_vgg(0.51, 0.2), rate=0.0436, operations=11.6e6),
}


def chosen(arguments: Sequence[str]) -> tuple[list[tuple[str, int]], str | None]:
    """Networks and bits that a command line asks for, all by default, and MNIST's file if it names one."""
    mnist = next((argument for argument in arguments if argument not in BENCHMARKS), None)
    names = [argument for argument in arguments if argument in BENCHMARKS] or list(BENCHMARKS)
    return [(name, bits) for name in names for bits in BENCHMARKS[name].bits], mnist


def accuracies() -> str:
    """What the trained networks reached on all of MNIST's test images, for tables."""
    files = sorted({file for each in BENCHMARKS.values() if isinstance(each, Trained) for file in each.files.values()})
    reached = {Path(file).stem: nn.read_checkpoint(MODELS / file).training["accuracy"] for file in files}
    return ", ".join(f"{name} {float(str(value)):.2%}" for name, value in reached.items())


def image_source(mnist: str | None) -> str:
    """Where the images of A and B come from, for tables."""
    return "MNIST's test images" if mnist else "scikit-learn's digits, enlarged to 28x28"


def images(shape: Shape, count: int, seed: int = 1) -> NDArray[np.uint8]:
    """Smooth images of a few waves with some noise: uint8 ``[N, C, H, W]``, the same everywhere."""
    channels, height, width = shape
    numbers = _Numbers(seed)
    rows, columns = np.indices((height, width))
    result = np.zeros((count, channels, height, width))
    for image in range(count):
        for channel in range(channels):
            for _ in range(4):
                fy, fx, phase = numbers.uniform(3)
                result[image, channel] += np.sin(rows * (fy - 0.5) + columns * (fx - 0.5) + 6.3 * phase)
    noise = numbers.uniform(result.size).reshape(result.shape)
    return np.clip(128 + 28 * result + 16 * (noise - 0.5), 0, 255).astype(np.uint8)


class _Numbers:
    """Seeded numbers from raw bits, which no numpy version changes."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, count: int) -> Floats:
        """0 to 1."""
        raw = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64) / 2**53

    def bell(self, count: int) -> Floats:
        """Mean 0, deviation 1, as the sum of four uniform numbers has it."""
        return np.asarray((self.uniform(4 * count).reshape(4, count).sum(axis=0) - 2) * np.sqrt(3))


class _Builder:
    """Appends layer after layer, and carries the calibration images' spikes along."""

    def __init__(self, benchmark: Benchmark, bits: int, seed: int) -> None:
        self._benchmark = benchmark
        self._bits = bits
        self._numbers = _Numbers(seed)
        self._nodes: list[Node] = []
        self._values: Floats = images(benchmark.shape, IMAGES)[:, None].astype(np.float64)

    def network(self) -> Network:
        channels = self._benchmark.shape[0]
        zeros = np.zeros(channels)
        self._append(
            Input(
                name="image",
                shape=self._benchmark.shape,
                spikes=False,
                max_value=255,
                divisor=255.0,
                mean=zeros,
                std=zeros + 1,
            )
        )
        for index, layer in enumerate(self._benchmark.layers):
            if layer == "M":
                self._append(
                    MaxPool(name=f"pool{index}", inputs=self._last, window=Window(kernel=(2, 2), stride=(2, 2)))
                )
            elif layer == "A":
                self._append(
                    AveragePool(name=f"pool{index}", inputs=self._last, window=Window(kernel=(2, 2), stride=(2, 2)))
                )
            else:
                self._conv(f"conv{index}", int(layer))
        self._append(Flatten(name="flat", inputs=self._last))
        self._linear("head", 10, 8)
        self._append(Readout(name="readout", inputs=self._last, mode="mean", neuron=None))
        names = tuple(f"class {k}" for k in range(10))
        return Network(nodes=tuple(self._nodes), timesteps=TIMESTEPS, class_names=names, digest="0" * 64)

    @property
    def _last(self) -> tuple[str]:
        return (self._nodes[-1].name,)

    def _append(self, node: Node) -> None:
        self._nodes.append(node)
        self._values = node.execute(self._values, timesteps=TIMESTEPS)

    def _codes(self, shape: tuple[int, ...], bits: int) -> NDArray[np.uint8]:
        top = 2**bits - 1
        levels = top / 2 + self._numbers.bell(int(np.prod(shape))) * top / 4
        codes: NDArray[np.uint8] = np.clip(np.round(levels), 0, top).astype(np.uint8)
        return codes.reshape(shape)

    def _conv(self, name: str, outputs: int) -> None:
        inputs = self._values.shape[2]
        first = len(self._nodes) == 1
        bits = 8 if first else self._bits
        scale = np.full(outputs, 3.0 / np.sqrt(9 * inputs * (1.0 if first else self._benchmark.rate)))
        self._append(
            Conv(
                name=name,
                inputs=self._last,
                codes=self._codes((outputs, inputs, 3, 3), bits),
                grid=Grid.rescaw(bits, scale),
                bias=np.zeros(outputs),
                window=Window(kernel=(3, 3), padding=(1, 1)),
            )
        )
        self._neurons(name)

    def _linear(self, name: str, outputs: int, bits: int) -> None:
        features = self._values.shape[2]
        scale = np.full(outputs, 1.0 / np.sqrt(features))
        self._append(
            Linear(
                name=name,
                inputs=self._last,
                codes=self._codes((outputs, features), bits),
                grid=Grid.rescaw(bits, scale),
                bias=np.zeros(outputs),
            )
        )

    def _neurons(self, layer: str) -> None:
        """Batch-norm with biases that make each channel spike at the rate asked for, then the neurons."""
        channels = self._values.shape[2]
        norm = BatchNorm(
            name=f"{layer}_norm",
            inputs=self._last,
            weight=np.ones(channels),
            bias=np.zeros(channels),
            mean=np.zeros(channels),
            variance=np.ones(channels),
            eps=0.0,
        )
        neuron = Neuron(
            name=f"{layer}_lif",
            inputs=(norm.name,),
            decay=0.5,
            threshold=1.0,
            strict=True,
            reset="hard",
            reset_potential=0.0,
        )
        low, high = np.full(channels, -40.0), np.full(channels, 3.0)
        for _ in range(20):
            middle = (low + high) / 2
            spikes = neuron.execute(
                np.broadcast_to(
                    self._values + middle[:, None, None],
                    (IMAGES, TIMESTEPS, *self._values.shape[2:]),
                ),
                timesteps=TIMESTEPS,
            )
            busy = spikes.mean(axis=(0, 1, 3, 4)) > self._benchmark.rate
            low, high = np.where(busy, low, middle), np.where(busy, middle, high)
        # Thousandths: a shorter number than the search's, and no less good.
        self._append(replace(norm, bias=np.round(low, 3)))
        self._append(neuron)
