"""Random changes of training images: crop, flip, AutoAugment, cutout (as in QP-SNN); small affine ones for digits.

Drawing and applying are two steps, so that processes that share a batch draw alike and each applies its part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from qpsnn_codegen.nn.autoaugment import NUMBERS, autoaugmented
from qpsnn_codegen.nn.training_options import TrainingOptions

Amounts = Mapping[str, Tensor]
"""What was drawn: name to float tensor [N, ...], from -1 to 1; only of the changes that are switched on."""


def draw(count: int, options: TrainingOptions, generator: torch.Generator) -> Amounts:
    """Random amounts for ``count`` images."""
    amounts: dict[str, Tensor] = {}
    for name, numbers, wanted in (
        ("affine", 5, options.shift > 0.0 or options.rotate > 0.0 or options.zoom > 0.0),
        ("crop", 2, options.crop > 0),
        ("flip", 1, options.flip),
        ("autoaugment", NUMBERS, options.autoaugment is not None),
        ("cutout", 2, options.cutout > 0),
    ):
        if wanted:
            amounts[name] = (2.0 * torch.rand(numbers, count, generator=generator) - 1.0).T
    return amounts


def augmented(images: Tensor, options: TrainingOptions, amounts: Amounts) -> Tensor:
    """The images, each changed by its own amounts; frames of one recording alike.

    Args:
        images: raw values, [N, C, H, W] or [N, T, C, H, W].
        amounts: of :func:`draw`, for these images.

    Returns:
        The same shape; float32 if an affine change is among them.

    Raises:
        UsageError: AutoAugment without kornia.
    """
    changed = images.flatten(1, -3)
    if "crop" in amounts:
        changed = _cropped(changed, options.crop, amounts["crop"])
    if "flip" in amounts:
        changed = torch.where(amounts["flip"].reshape(-1, 1, 1, 1) > 0.0, changed.flip(-1), changed)
    if "autoaugment" in amounts and options.autoaugment is not None:
        # Frame by frame: kornia knows images only.
        single = changed.reshape(-1, *images.shape[-3:])
        each = amounts["autoaugment"].repeat_interleave(len(single) // len(images), 0)
        changed = autoaugmented(single, options.autoaugment, each).reshape(changed.shape)
    if "affine" in amounts:
        changed = _affine(changed, options, amounts["affine"])
    if "cutout" in amounts:
        changed = _cut(changed, options.cutout, amounts["cutout"])
    return changed.reshape(images.shape)


def _cropped(images: Tensor, border: int, amounts: Tensor) -> Tensor:
    """[N, C, H, W] moved by whole pixels, up to ``border`` each way; amounts [N, 2]."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (border, border, border, border))
    # 2·border + 1 places, each as likely.
    first = ((amounts + 1.0) / 2.0 * (2 * border + 1)).long().clamp(0, 2 * border)
    rows = first[:, :1] + torch.arange(height, device=first.device)
    columns = first[:, 1:] + torch.arange(width, device=first.device)
    each = torch.arange(len(images), device=first.device)
    return padded[each[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut(images: Tensor, side: int, amounts: Tensor) -> Tensor:
    """[N, C, H, W] without a square around a random pixel; amounts [N, 2]."""
    inside = []
    for axis, size in enumerate(images.shape[-2:]):
        centre = ((amounts[:, axis] + 1.0) / 2.0 * size).floor().clamp(0, size - 1)
        distance = torch.arange(size, device=amounts.device) - (centre[:, None] - side // 2)
        inside.append((distance >= 0) & (distance < side))
    square = inside[0][:, :, None] & inside[1][:, None, :]
    return images.masked_fill(square[:, None], 0)


def _affine(images: Tensor, options: TrainingOptions, amounts: Tensor) -> Tensor:
    """[N, C, H, W] moved, turned and scaled bilinearly, as float32; zeros come in; amounts [N, 5]."""
    height, width = images.shape[-2:]
    turn, down, right, tall, wide = amounts.unbind(1)
    angle = turn * math.radians(options.rotate)
    tall, wide = 1.0 + tall * options.zoom, 1.0 + wide * options.zoom
    # affine_grid's coordinates run from -1 to 1: a pixel is 2/width.
    rows = [
        torch.stack((wide * angle.cos(), -tall * angle.sin(), right * options.shift * 2.0 / width), 1),
        torch.stack((wide * angle.sin(), tall * angle.cos(), down * options.shift * 2.0 / height), 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images.to(torch.float32), grid, align_corners=False)
