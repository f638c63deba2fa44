"""Architectures without branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.layers import QuantLinear
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.quantizers import symmetric
from qpsnn_codegen.nn.zoo_recipe import Layers, Recipe

POOL = "M"
VGG16_LAYOUT = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512)
VGGSNN_LAYOUT = (64, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512)


def _convs(layout: Sequence[int | str], recipe: Recipe) -> tuple[Layers, tuple[int, int, int]]:
    """conv, batch-norm, LIF for each width, and a 2×2 max-pool for each ``"M"``; with the shape they give."""
    channels, height, width = recipe.input_shape
    layers: Layers = []
    convs = pools = 0
    for entry in layout:
        if entry == POOL:
            pools += 1
            layers.append((f"pool{pools}", nn.MaxPool2d(2)))
            height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise UsageError(
                    "layout",
                    f"{pools} pools leave nothing of {list(recipe.input_shape)}",
                    "use fewer pools or larger inputs",
                )
            continue
        if not isinstance(entry, int):
            raise UsageError("layout", f"entry {entry!r}", f"use widths and {POOL!r} for a max-pool")
        convs += 1
        outputs = recipe.kept(f"conv{convs}", entry)
        layers += [
            (f"conv{convs}", recipe.conv(channels, outputs, first=convs == 1)),
            (f"norm{convs}", nn.BatchNorm2d(outputs)),
            (f"neuron{convs}", recipe.neuron()),
        ]
        channels = outputs
    return layers, (channels, height, width)


def _halved(layout: Sequence[int | str], recipe: Recipe) -> SpikingNetwork:
    """The convs, an average pool of 2, a linear layer: the ending of the paper's VGGs."""
    layers, (channels, height, width) = _convs(layout, recipe)
    if min(height, width) < 2:
        raise UsageError(
            "input_shape", f"{list(recipe.input_shape)} leaves {height}x{width} for the last pool", "use larger inputs"
        )
    return recipe.network(
        [
            *layers,
            ("pool", nn.AvgPool2d(2)),
            ("flatten", nn.Flatten(1)),
            ("head", recipe.head(channels * (height // 2) * (width // 2))),
        ]
    )


def cnn(
    *,
    layout: Sequence[int | str] = (16, POOL, 32, POOL, 32),
    classes: int = 10,
    input_shape: Sequence[int] = (1, 8, 8),
    timesteps: int = 4,
    **options: Any,
) -> SpikingNetwork:
    """3×3 convs (conv, batch-norm, LIF) of any widths with 2×2 max-pools in between, then a linear layer.

    Args:
        layout: widths, and ``"M"`` for a pool.

    Raises:
        UsageError: a layout that is none, or more pools than the input has pixels.
    """
    recipe = Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **options)
    layers, (channels, height, width) = _convs(layout, recipe)
    return recipe.network([*layers, ("flatten", nn.Flatten(1)), ("head", recipe.head(channels * height * width))])


def micro_cnn(*, input_shape: Sequence[int] = (1, 28, 28), **options: Any) -> SpikingNetwork:
    """For the smallest microcontrollers: convs of 8, 16 and 32 channels for images of MNIST's size."""
    return cnn(**{"layout": (8, POOL, 16, POOL, 32, POOL), "input_shape": input_shape, **options})


def event_cnn(*, input_shape: Sequence[int] = (2, 34, 34), timesteps: int = 8, **options: Any) -> SpikingNetwork:
    """The same on events of two polarities, as of N-MNIST; T = 8."""
    outer = {"input_kind": "spikes", "layout": (8, POOL, 16, POOL, 32, POOL)}
    return cnn(**{**outer, "input_shape": input_shape, "timesteps": timesteps, **options})


def mlp(
    *,
    hidden: Sequence[int] = (128,),
    classes: int = 10,
    input_shape: Sequence[int] = (1, 8, 8),
    timesteps: int = 4,
    **options: Any,
) -> SpikingNetwork:
    """Linear layers (linear, batch-norm, LIF) of any widths; the first on the 8-bit grid."""
    recipe = Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **options)
    features = input_shape[0] * input_shape[1] * input_shape[2]
    layers: Layers = [("flatten", nn.Flatten(1))]
    for number, entry in enumerate(hidden, start=1):
        outputs = max(1, int(entry * recipe.factor))
        quantizer = symmetric(8) if number == 1 else recipe.inner
        layers += [
            (f"linear{number}", QuantLinear(features, outputs, quantizer=quantizer, bias=False)),
            (f"norm{number}", nn.BatchNorm1d(outputs)),
            (f"neuron{number}", recipe.neuron()),
        ]
        features = outputs
    return recipe.network([*layers, ("head", recipe.head(features))])


def vgg16(
    *,
    classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    timesteps: int = 4,
    **options: Any,
) -> SpikingNetwork:
    """The paper's VGG-16: 13 convs of 64 to 512 channels with max-pools, AvgPool2d(2), one linear layer; T = 4.

    Args:
        input_shape: sides of 32 or more.
    """
    return _halved(VGG16_LAYOUT, Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **options))


def vggsnn(
    *,
    classes: int = 10,
    input_shape: Sequence[int] = (2, 48, 48),
    timesteps: int = 10,
    **options: Any,
) -> SpikingNetwork:
    """The paper's VGGSNN on events: 8 convs of 64 to 512 channels, max-pools, AvgPool2d(2), one linear layer; T = 10.

    Args:
        input_shape: sides of 16 or more.
    """
    outer = {"input_kind": "spikes", **options}
    return _halved(VGGSNN_LAYOUT, Recipe(classes=classes, input_shape=input_shape, timesteps=timesteps, **outer))
