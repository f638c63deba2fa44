"""Weight quantizers: float weights to integer codes on a uniform grid, and back.

Two grids are offered, named as in the checkpoint (``docs/checkpoint.md``):

* ``rescaw``: QP-SNN (ICLR 2025), section "ReScaW". The weights of one output kernel are divided by a scale γ,
  clipped to [-1, 1] and rounded to one of 2^b levels; the levels are odd multiples of γ/(2^b - 1), so the
  grid has no zero. ``gamma="vanilla"`` (γ = 1) is the paper's baseline.
* ``symmetric``: an ordinary signed grid with a zero, used at 8 bits for the first and the last layer.

Codes are always computed in float32, whatever the dtype of the module: the codes of a network converted with
``.double()`` are then the codes it was trained with, not those of a slightly different rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qpsnn_codegen.errors import UsageError

Grid = Literal["rescaw", "symmetric"]
Gamma = Literal["mean", "max", "percentile", "vanilla"]
Per = Literal["channel", "layer"]

GRIDS: tuple[Grid, ...] = ("rescaw", "symmetric")
GAMMAS: tuple[Gamma, ...] = ("mean", "max", "percentile", "vanilla")
PERS: tuple[Per, ...] = ("channel", "layer")
BITS = (2, 4, 8)

# A kernel of zeros (or of float32 denormals) has no usable scale; below this bound one is made up.
SMALLEST_SCALE = 2.0**-40


def _per_kernel(weight: Tensor) -> Tensor:
    """View [O, I] or [O, I, kh, kw] weights as [O, I, kh, kw]."""
    return weight if weight.dim() == 4 else weight.reshape(weight.shape[0], -1, 1, 1)


def _gamma_mean(weight: Tensor, percentile: float) -> Tensor:
    # One axis at a time, last axis first: the published training code averages in this order, and a single
    # mean over all axes rounds differently in float32, which changes codes.
    magnitude = weight.abs()
    for axis in (3, 2, 1):
        magnitude = magnitude.mean(dim=axis, keepdim=True)
    return magnitude


def _gamma_max(weight: Tensor, percentile: float) -> Tensor:
    return weight.abs().amax(dim=(1, 2, 3), keepdim=True)


def _gamma_percentile(weight: Tensor, percentile: float) -> Tensor:
    flat = weight.abs().flatten(1)
    return torch.quantile(flat, percentile / 100.0, dim=1).reshape(-1, 1, 1, 1)


def _gamma_vanilla(weight: Tensor, percentile: float) -> Tensor:
    return torch.ones(weight.shape[0], 1, 1, 1, dtype=weight.dtype, device=weight.device)


_GAMMA_RULES: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "mean": _gamma_mean,
    "max": _gamma_max,
    "percentile": _gamma_percentile,
    "vanilla": _gamma_vanilla,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """How one layer's weights become codes; the ``quantizer`` attribute of a checkpoint node.

    Args:
        grid: ``"rescaw"`` or ``"symmetric"``.
        bits: 2, 4 or 8.
        gamma: the scale rule of the ``rescaw`` grid: ``"mean"`` (mean absolute weight, the paper's default),
            ``"max"``, ``"percentile"`` or ``"vanilla"`` (1). The ``symmetric`` grid always uses the maximum.
        percentile: which percentile of the absolute weights ``gamma="percentile"`` takes, 0 < percentile <=
            100.
        per: one scale per output ``"channel"``, or one for the whole ``"layer"``.

    Raises:
        UsageError: an argument outside these choices.
    """

    grid: Grid = "rescaw"
    bits: int = 4
    gamma: Gamma = "mean"
    percentile: float = 95.0
    per: Per = "channel"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("grid", self.grid, GRIDS),
            ("bits", self.bits, BITS),
            ("gamma", self.gamma, GAMMAS),
            ("per", self.per, PERS),
        ):
            if value not in allowed:
                choices = ", ".join(str(choice) for choice in allowed)
                raise UsageError(name, f"it is {value!r}", f"choose one of {choices}")
        if not 0.0 < self.percentile <= 100.0:
            raise UsageError("percentile", f"it is {self.percentile!r}", "give a number in (0, 100]")

    @property
    def steps(self) -> int:
        """s = 2^bits - 1, the largest code."""
        return (1 << self.bits) - 1

    def codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Quantize float weights.

        Args:
            weight: [O, I] or [O, I, kh, kw], any float dtype (computed in float32).

        Returns:
            ``(u, scale)``: uint8 codes of the weight's shape, and positive float32 scales [O] (per channel)
            or [1] (per layer).

        Equation (QP-SNN, ReScaW): u = round((clip(W/γ, -1, 1) + 1)·s/2), halves to even, s = 2^b - 1; on the
        symmetric grid u = round(W/α) + 2^(b-1) with α = max|W|/(2^(b-1) - 1).
        """
        kernels = _per_kernel(weight.detach().to(torch.float32))
        if self.per == "layer":
            kernels = kernels.reshape(1, -1, 1, 1)
        u, scale = self._codes_rescaw(kernels) if self.grid == "rescaw" else self._codes_symmetric(kernels)
        return u.to(torch.uint8).reshape(weight.shape), scale.reshape(-1)

    def _codes_rescaw(self, kernels: Tensor) -> tuple[Tensor, Tensor]:
        gamma = _GAMMA_RULES[self.gamma](kernels, self.percentile)
        gamma = gamma.clamp_min(SMALLEST_SCALE)
        clipped = (kernels / gamma).clamp(-1.0, 1.0)
        return torch.round((clipped + 1.0) * (self.steps / 2.0)), gamma

    def _codes_symmetric(self, kernels: Tensor) -> tuple[Tensor, Tensor]:
        half = 2 ** (self.bits - 1)
        alpha = kernels.abs().amax(dim=(1, 2, 3), keepdim=True) / (half - 1)
        # A zero kernel stays zero under any scale; 1 keeps the numbers ordinary.
        alpha = torch.where(alpha < SMALLEST_SCALE, torch.ones_like(alpha), alpha)
        # max|W|/α can round up past half - 1 in float32.
        return torch.round(kernels / alpha).clamp(1 - half, half - 1) + half, alpha

    def dequantize(self, codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        """The weights that codes stand for.

        Args:
            codes: uint8, [O, ...].
            scale: [O] or [1]; the float32 values :meth:`codes` returned, in any float dtype.
            dtype: in which the product is computed and returned.

        Returns:
            Weights of the shape of ``codes``: scale/s·(2u - s), or scale·(u - 2^(b-1)) on the symmetric grid.
        """
        u = codes.to(dtype)
        factor = scale.to(dtype).reshape(-1, *([1] * (codes.dim() - 1)))
        if self.grid == "rescaw":
            levels: Tensor
        if self.grid == "rescaw":
            levels = factor / self.steps * (2.0 * u - self.steps)
        else:
            levels = factor * (u - 2 ** (self.bits - 1))
        return levels

    def forward_weight(self, weight: Tensor) -> Tensor:
        """Quantized weights for the forward pass, with a straight-through gradient.

        The value is :meth:`dequantize` of :meth:`codes`, exactly. The gradient is that of γ·q(W/γ) with q's
        derivative taken as 1 and γ held constant, hence 1 everywhere, clipped weights included.
        """
        codes, scale = self.codes(weight)
        # The difference is exactly zero: it adds the gradient and nothing else.
        return self.dequantize(codes, scale, weight.dtype) + (weight - weight.detach())


def rescaw(bits: int, gamma: Gamma = "mean", *, percentile: float = 95.0) -> Quantizer:
    """The paper's quantizer: one γ per output kernel."""
    return Quantizer(grid="rescaw", bits=bits, gamma=gamma, percentile=percentile)


def vanilla(bits: int) -> Quantizer:
    """The paper's baseline: the ReScaW grid with γ = 1."""
    return Quantizer(grid="rescaw", bits=bits, gamma="vanilla")


def symmetric(bits: int = 8, *, per: Per = "channel") -> Quantizer:
    """A signed grid with a zero: per output channel for the first conv, per layer for the last linear."""
    return Quantizer(grid="symmetric", bits=bits, gamma="max", per=per)
