"""Architectures with shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.layers import Shortcut
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.zoo_recipe import Layers, Recipe

RESNET20_WIDTHS = (64, 128, 256, 512)
SEW_RESNET18_WIDTHS = (64, 64, 128, 256, 512)


class BasicBlock(nn.Module):
    """conv, norm, LIF, conv, norm, plus the block's input by option A, LIF (QP-SNN, ResNet-20)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.conv1 = recipe.conv(in_channels, inner, stride=stride)
        self.norm1 = nn.BatchNorm2d(inner)
        self.neuron1 = recipe.neuron()
        self.conv2 = recipe.conv(inner, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else Shortcut.between(in_channels, out_channels, stride)
        self.neuron2 = recipe.neuron()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.neuron1(self.norm1(self.conv1(x)))))
        spikes: Tensor = self.neuron2(y + self.shortcut(x))
        return spikes


class SewBlock(nn.Module):
    """Two times conv, norm, LIF; the block's input is added to the spikes, which makes them counts (SEW-ResNet, ADD).

    Where the shape changes, the shortcut is a 1×1 conv, norm and LIF.
    """

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.conv1 = recipe.conv(in_channels, inner, stride=stride)
        self.norm1 = nn.BatchNorm2d(inner)
        self.neuron1 = recipe.neuron()
        self.conv2 = recipe.conv(inner, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.neuron2 = recipe.neuron()
        same = in_channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(
                recipe.conv(in_channels, out_channels, stride=stride, kernel=1),
                nn.BatchNorm2d(out_channels),
                recipe.neuron(),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.neuron1(self.norm1(self.conv1(x)))
        counts: Tensor = self.neuron2(self.norm2(self.conv2(y))) + self.shortcut(x)
        return counts


def _stages(
    block: Callable[..., nn.Module], channels: int, widths: Sequence[int], blocks: int, recipe: Recipe
) -> tuple[Layers, int]:
    """Stages of blocks, of which all but the first halve the map; with the channels they give."""
    layers: Layers = []
    for stage, width in enumerate(widths, start=1):
        names = [f"stage{stage}.{number}" for number in range(blocks)]
        outputs = {recipe.kept(f"{name}.conv2", width) for name in names}
        if len(outputs) > 1 or min(outputs) < channels:
            raise UsageError(
                "prune",
                f"stage {stage} would give {sorted(outputs)} channels where {channels} come in",
                "give one share for the conv2 of all blocks of a stage, and never fewer channels than before",
            )
        chain = nn.Sequential()
        for number, name in enumerate(names):
            inner = recipe.kept(f"{name}.conv1", width)
            chain.append(block(channels, inner, *outputs, 2 if number == 0 and stage > 1 else 1, recipe))
            (channels,) = outputs
        layers.append((f"stage{stage}", chain))
    return layers, channels


def _pooled(recipe: Recipe, channels: int) -> Layers:
    """The ending: the mean over the map, and a linear layer."""
    return [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten(1)), ("head", recipe.head(channels))]


def resnet(
    *,
    widths: Sequence[int] = RESNET20_WIDTHS,
    blocks: int = 3,
    classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    timesteps: int = 2,
    **options: Any,
) -> SpikingNetwork:
    """Residual network with option-A shortcuts, of any widths; by default ResNet-20.

    Args:
        widths: of the first conv, then of each stage; every stage but the first halves the map.
        blocks: basic blocks per stage.
    """
    if len(widths) < 2 or list(widths) != sorted(widths):
        raise UsageError("widths", f"{list(widths)}", "give at least two widths that do not shrink")
    recipe = Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **options)
    stem = recipe.kept("conv1", widths[0])
    layers: Layers = [
        ("conv1", recipe.conv(input_shape[0], stem, first=True)),
        ("norm1", nn.BatchNorm2d(stem)),
        ("neuron1", recipe.neuron()),
    ]
    stages, channels = _stages(BasicBlock, stem, widths[1:], blocks, recipe)
    return recipe.network([*layers, *stages, *_pooled(recipe, channels)])


def resnet20(**options: Any) -> SpikingNetwork:
    """The paper's ResNet-20: a conv, three stages of three basic blocks of 128 to 512 channels, option A; T = 2."""
    return resnet(**options)


def micro_resnet(*, widths: Sequence[int] = (8, 8, 16, 32), blocks: int = 1, **options: Any) -> SpikingNetwork:
    """For microcontrollers: a conv, three basic blocks of 8, 16 and 32 channels, option A; T = 2."""
    return resnet(widths=widths, blocks=blocks, **options)


def sew_resnet18(
    *,
    widths: Sequence[int] = SEW_RESNET18_WIDTHS,
    blocks: int = 2,
    classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    timesteps: int = 4,
    **options: Any,
) -> SpikingNetwork:
    """SEW-ResNet-18: 7×7 conv and pool, then four stages of two blocks whose spikes are added up to counts; T = 4.

    Args:
        widths: of the first conv, then of each stage.
        blocks: per stage.
        input_shape: inputs of 64 pixels and less start with a 3×3 conv instead, without stride or pool.
    """
    recipe = Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **options)
    stem = recipe.kept("conv1", widths[0])
    small = max(input_shape[1:]) <= 64
    first = recipe.conv(input_shape[0], stem, first=True, **({} if small else {"kernel": 7, "stride": 2}))
    layers: Layers = [("conv1", first), ("norm1", nn.BatchNorm2d(stem)), ("neuron1", recipe.neuron())]
    if not small:
        layers.append(("pool1", nn.MaxPool2d(3, stride=2, padding=1)))
    stages, channels = _stages(SewBlock, stem, widths[1:], blocks, recipe)
    return recipe.network([*layers, *stages, *_pooled(recipe, channels)])
