"""Ready-made architectures.

All of them follow the same rule: first conv on the 8-bit symmetric grid per channel, last linear on the 8-bit
symmetric grid with one scale, everything between on the ReScaW grid at the requested bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.layers import QuantConv2d, QuantLinear, Shortcut
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.neurons import LIF, Compare, Reset
from qpsnn_codegen.nn.quantizers import Gamma, Quantizer, symmetric

POOL = "M"
VGG16_LAYOUT = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512)


class Recipe:
    """The choices every architecture shares.

    Args:
        bits, gamma, percentile: of the layers between the first and the last.
        compare, reset: of the neurons.
    """

    def __init__(
        self,
        *,
        bits: int = 4,
        gamma: Gamma = "mean",
        percentile: float = 95.0,
        compare: Compare = ">",
        reset: Reset = "hard",
    ) -> None:
        self.inner = Quantizer(grid="rescaw", bits=bits, gamma=gamma, percentile=percentile)
        self.compare = compare
        self.reset = reset

    def neuron(self) -> LIF:
        return LIF(compare=self.compare, reset=self.reset)

    def conv(self, in_channels: int, out_channels: int, *, first: bool = False, stride: int = 1) -> QuantConv2d:
        return QuantConv2d(
            in_channels,
            out_channels,
            3,
            stride=stride,
            padding=1,
            quantizer=symmetric(8) if first else self.inner,
        )

    def head(self, in_features: int, classes: int) -> QuantLinear:
        return QuantLinear(in_features, classes, quantizer=symmetric(8, per="layer"))


def _conv_stack(
    layout: Sequence[int | str], input_shape: Sequence[int], recipe: Recipe
) -> tuple[list[tuple[str, nn.Module]], tuple[int, int, int]]:
    channels, height, width = input_shape
    layers: list[tuple[str, nn.Module]] = []
    convs = pools = 0
    for entry in layout:
        if entry == POOL:
            pools += 1
            layers.append((f"pool{pools}", nn.MaxPool2d(2)))
            height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise UsageError("layout", f"{pools} pools leave nothing of {list(input_shape)}", "use fewer pools")
            continue
        if not isinstance(entry, int):
            raise UsageError("layout", f"entry {entry!r}", f"use widths and {POOL!r} for a max-pool")
        convs += 1
        layers += [
            (f"conv{convs}", recipe.conv(channels, entry, first=convs == 1)),
            (f"norm{convs}", nn.BatchNorm2d(entry)),
            (f"neuron{convs}", recipe.neuron()),
        ]
        channels = entry
    return layers, (channels, height, width)


def _sequential(layers: Sequence[tuple[str, nn.Module]]) -> nn.Sequential:
    body = nn.Sequential()
    for name, layer in layers:
        body.add_module(name, layer)
    return body


def cnn(
    *,
    layout: Sequence[int | str] = (16, POOL, 32, POOL, 32),
    classes: int = 10,
    input_shape: Sequence[int] = (1, 8, 8),
    timesteps: int = 4,
    divisor: float = 255.0,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """3×3 convs (conv, batch-norm, LIF) of the given widths with 2×2 max-pools at each ``"M"``, then a linear
    layer.

    Raises:
        UsageError: a layout that is none, or more pools than the input has pixels.
    """
    recipe = Recipe(**options)
    layers, shape = _conv_stack(layout, input_shape, recipe)
    layers += [("flatten", nn.Flatten(1)), ("head", recipe.head(shape[0] * shape[1] * shape[2], classes))]
    return SpikingNetwork(
        _sequential(layers),
        timesteps=timesteps,
        input_shape=input_shape,
        divisor=divisor,
        class_names=class_names,
    )


def mlp(
    *,
    hidden: Sequence[int] = (128,),
    classes: int = 10,
    input_shape: Sequence[int] = (1, 8, 8),
    timesteps: int = 4,
    divisor: float = 255.0,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """Linear layers (linear, batch-norm, LIF) of the given widths; the first on the 8-bit grid."""
    recipe = Recipe(**options)
    features = input_shape[0] * input_shape[1] * input_shape[2]
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten(1))]
    for number, width in enumerate(hidden, start=1):
        quantizer = symmetric(8) if number == 1 else recipe.inner
        layers += [
            (f"linear{number}", QuantLinear(features, width, quantizer=quantizer, bias=False)),
            (f"norm{number}", nn.BatchNorm1d(width)),
            (f"neuron{number}", recipe.neuron()),
        ]
        features = width
    layers.append(("head", recipe.head(features, classes)))
    return SpikingNetwork(
        _sequential(layers),
        timesteps=timesteps,
        input_shape=input_shape,
        divisor=divisor,
        class_names=class_names,
    )


def vgg16(
    *,
    width: float = 1.0,
    classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    timesteps: int = 4,
    divisor: float = 255.0,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """The paper's VGG-16: 13 convs with max-pools, AvgPool2d(2), one linear layer; T = 4.

    Args:
        width: factor on the channel counts (64 to 512).
        input_shape: sides of 32 or more.
    """
    recipe = Recipe(**options)
    layout = tuple(max(1, int(entry * width)) if isinstance(entry, int) else entry for entry in VGG16_LAYOUT)
    layers, (channels, height, side) = _conv_stack(layout, input_shape, recipe)
    layers += [
        ("pool", nn.AvgPool2d(2)),
        ("flatten", nn.Flatten(1)),
        ("head", recipe.head(channels * (height // 2) * (side // 2), classes)),
    ]
    return SpikingNetwork(
        _sequential(layers),
        timesteps=timesteps,
        input_shape=input_shape,
        divisor=divisor,
        class_names=class_names,
    )


class BasicBlock(nn.Module):
    """conv, norm, LIF, conv, norm, plus the block's input by option A, LIF (QP-SNN, ResNet-20)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.conv1 = recipe.conv(in_channels, out_channels, stride=stride)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.neuron1 = recipe.neuron()
        self.conv2 = recipe.conv(out_channels, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else Shortcut.between(in_channels, out_channels, stride)
        self.neuron2 = recipe.neuron()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.neuron1(self.norm1(self.conv1(x)))))
        spikes: Tensor = self.neuron2(y + self.shortcut(x))
        return spikes


def resnet(
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    blocks: int = 3,
    classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    timesteps: int = 2,
    divisor: float = 255.0,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """Residual network with option-A shortcuts; the defaults are the paper's ResNet-20 (T = 2).

    Args:
        widths: of the first conv, then of each stage; every stage but the first halves the map.
        blocks: basic blocks per stage.
    """
    if len(widths) < 2 or list(widths) != sorted(widths):
        raise UsageError("widths", f"{list(widths)}", "give at least two widths that do not shrink")
    recipe = Recipe(**options)
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", recipe.conv(input_shape[0], widths[0], first=True)),
        ("norm1", nn.BatchNorm2d(widths[0])),
        ("neuron1", recipe.neuron()),
    ]
    channels = widths[0]
    for stage, width in enumerate(widths[1:], start=1):
        chain = nn.Sequential()
        for number in range(blocks):
            stride = 2 if number == 0 and stage > 1 else 1
            chain.append(BasicBlock(channels, width, stride, recipe))
            channels = width
        layers.append((f"stage{stage}", chain))
    layers += [
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten(1)),
        ("head", recipe.head(channels, classes)),
    ]
    return SpikingNetwork(
        _sequential(layers),
        timesteps=timesteps,
        input_shape=input_shape,
        divisor=divisor,
        class_names=class_names,
    )


ARCHITECTURES: Mapping[str, Callable[..., SpikingNetwork]] = {
    "cnn": cnn,
    "mlp": mlp,
    "vgg16": vgg16,
    "resnet": resnet,
}


def build(arch: str, *, seed: int = 0, **options: Any) -> SpikingNetwork:
    """Build an architecture with reproducible initial weights; the global random state is left as it was.

    Args:
        arch: a key of :data:`ARCHITECTURES`.
        seed: of the initial weights.
        options: those of the architecture, and of :class:`Recipe`.

    Raises:
        UsageError: an unknown architecture, or an option it does not take.
    """
    if arch not in ARCHITECTURES:
        raise UsageError("arch", f"{arch!r} is unknown", f"choose one of {', '.join(ARCHITECTURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return ARCHITECTURES[arch](**options)
        except TypeError as error:
            raise UsageError("arch", f"{arch}: {error}", "see help(qpsnn_codegen.nn.zoo)") from error
