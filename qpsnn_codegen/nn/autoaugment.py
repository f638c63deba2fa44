"""AutoAugment by kornia: each image goes through a pair of operations of its own, drawn from a learned list of 25.

kornia draws one pair for a whole batch, and from torch's global generator. Here its pairs and operations are
used, but what is drawn is ours: a row of amounts for each image.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.datasets import Dataset
from qpsnn_codegen.nn.training_options import PolicyName

if TYPE_CHECKING:
    from kornia.augmentation.auto.operations import OperationBase, PolicySequential
    from kornia.augmentation.container.params import ParamItem

NUMBERS = 5
"""Amounts an image takes: which pair; then whether, and how much, for each of its two operations."""


def check_policy(policy: PolicyName | None, data: Dataset) -> None:
    """Refuse a policy where it has no meaning, or where kornia is missing; None is always possible.

    Raises:
        UsageError: data that are no colour images of bytes, or no kornia.
    """
    if policy is None:
        return
    channels, height, width = data.shape
    # Sharpening looks at 3×3 pixels.
    if channels != 3 or data.max_value != 255 or min(height, width) < 3:
        raise UsageError(
            "autoaugment",
            f"{data.name} has {channels}×{height}×{width} values up to {data.max_value}, not colour images of bytes",
            "leave it out",
        )
    kornia_pairs(policy)


def autoaugmented(images: Tensor, policy: PolicyName, amounts: Tensor) -> Tensor:
    """Images, each changed by the pair of operations that its amounts choose.

    An image's result depends on its own amounts only, not on the others; torch's global generator is left as it was.

    Args:
        images: uint8 or float32 [N, 3, H, W], values 0 to 255.
        amounts: float32 [N, 5] from -1 to 1; see :data:`NUMBERS`.

    Returns:
        The same shape and type.

    Raises:
        UsageError: there is no kornia.
    """
    pairs = kornia_pairs(policy)
    shares = ((amounts + 1.0) / 2.0).clamp(0.0, 1.0)
    chosen = (shares[:, 0] * len(pairs)).long().clamp(0, len(pairs) - 1)
    changed = images.to(torch.float32) / 255.0
    with torch.random.fork_rng(devices=[]):
        for number in chosen.unique().tolist():
            mine = (chosen == number).nonzero().flatten()
            group = changed[mine]
            params = _params(pairs[number], group.shape, shares[mine, 1:])
            changed[mine] = pairs[number](group, params=params)
    changed = changed.clamp(0.0, 1.0) * 255.0
    return changed if images.dtype == torch.float32 else changed.round().to(images.dtype)


def _params(pair: PolicySequential, shape: torch.Size, shares: Tensor) -> list[ParamItem]:
    """What kornia would draw for images [N, 3, H, W] of one pair, from ``shares`` [N, 4], 0 to 1, instead."""
    from kornia.augmentation.container.params import ParamItem  # noqa: PLC0415

    items = []
    for number, (name, operation) in enumerate(pair.named_children()):
        gate, amount = shares[:, 2 * number : 2 * number + 2].unbind(1)
        # It fills in what follows from the shape, and draws a gate of its own, which is replaced.
        values = operation.forward_parameters(shape, mag=_magnitude(operation, shape, amount))
        values["batch_prob"] = (gate < operation.op.p).to(torch.float32)
        items.append(ParamItem(name, values))
    return items


def _magnitude(operation: OperationBase, shape: torch.Size, amounts: Tensor) -> Tensor | None:
    """Within the operation's range, as far as ``amounts`` [N] say; None if it has none."""
    if operation.magnitude_range is None:
        return None
    low, high = (float(bound) for bound in operation.magnitude_range)
    magnitudes = low + amounts * (high - low)
    # A magnitude given to kornia skips what it does to those it draws: whole bits, and shares of the size as pixels.
    kind = type(operation).__name__
    if kind == "Posterize":
        return magnitudes.round()
    if kind in ("TranslateX", "TranslateY"):
        return magnitudes * shape[-1 if kind == "TranslateX" else -2]
    return magnitudes


@cache
def kornia_pairs(policy: PolicyName) -> tuple[PolicySequential, ...]:
    """kornia's pairs of operations; raises :class:`~qpsnn_codegen.errors.UsageError` where there is no kornia."""
    try:
        # Only this needs kornia.
        from kornia.augmentation.auto import AutoAugment  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "autoaugment", "kornia is not installed", "run pip install 'qpsnn-codegen[autoaugment]'"
        ) from error
    return tuple(AutoAugment(policy).children())
