"""Spiking neurons and readouts.

Inside a network time is folded into the batch: tensors are [T*N, C, H, W] or [T*N, F], timestep outermost.
:class:`~qpsnn_codegen.nn.network.SpikingNetwork` tells every :class:`Temporal` module how many timesteps T
are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from qpsnn_codegen.errors import UsageError

Compare = Literal[">", ">="]
Reset = Literal["hard", "soft", "none"]
ReadoutMode = Literal["mean", "count", "last"]

COMPARES: tuple[Compare, ...] = (">", ">=")
RESETS: tuple[Reset, ...] = ("hard", "soft", "none")
READOUT_MODES: tuple[ReadoutMode, ...] = ("mean", "count", "last")

Observer = Callable[[Tensor, Tensor], None]


class _Fire(torch.autograd.Function):
    """Step function of the membrane potential with a triangular surrogate gradient."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, width: float, inclusive: bool) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold = threshold
        ctx.width = width
        fires = potential >= threshold if inclusive else potential > threshold
        return fires.to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (potential,) = ctx.saved_tensors
        distance = (potential - ctx.threshold).abs_()
        slope = (ctx.width - distance).clamp_min_(0.0).div_(ctx.width**2)
        return gradients[0] * slope, None, None, None


class Temporal(nn.Module):
    """A module that has to know the number of timesteps folded into its batch axis."""

    timesteps: int = 1

    def unfold(self, x: Tensor) -> Tensor:
        """[T*N, ...] to [T, N, ...] (a view).

        Raises:
            UsageError: the first axis is no multiple of T.
        """
        if x.shape[0] % self.timesteps:
            raise UsageError(
                type(self).__name__,
                f"a first axis of {x.shape[0]} is no multiple of {self.timesteps} timesteps",
                "run the body through SpikingNetwork, which folds time into the batch",
            )
        return x.reshape(self.timesteps, -1, *x.shape[1:])


class LIF(Temporal):
    """Leaky integrate-and-fire neurons.

    Ũ[t] = decay·U[t-1] + X[t]; a spike where Ũ exceeds the threshold; then the reset: ``hard`` sets U to
    ``reset_potential``, ``soft`` subtracts the threshold, ``none`` leaves U = Ũ. U[-1] is
    ``reset_potential``. (QP-SNN, section "Spiking neuron model": decay is the paper's τ = 0.5, θ = 1, hard
    reset to 0.)

    Args:
        decay: factor on the old potential, 0 <= decay <= 1.
        threshold: θ > 0; infinity never fires (and needs ``reset="none"``).
        compare: ``">"`` (as the paper's code) or ``">="`` (as its text).
        reset: ``"hard"``, ``"soft"`` or ``"none"``.
        reset_potential: potential before the first step and after a hard reset.
        surrogate_width: a in the surrogate gradient max(0, a - |Ũ - θ|)/a².

    Shape: [T*N, ...] to [T*N, ...], spikes 0.0 or 1.0 in the input's dtype.

    Raises:
        UsageError: an argument outside these ranges.
    """

    def __init__(
        self,
        decay: float = 0.5,
        threshold: float = 1.0,
        *,
        compare: Compare = ">",
        reset: Reset = "hard",
        reset_potential: float = 0.0,
        surrogate_width: float = 1.0,
    ) -> None:
        super().__init__()
        where = type(self).__name__
        if not 0.0 <= decay <= 1.0:
            raise UsageError(where, f"decay is {decay!r}", "give a number from 0 to 1")
        if not threshold > 0.0:
            raise UsageError(where, f"threshold is {threshold!r}", "give a positive number")
        if compare not in COMPARES:
            raise UsageError(where, f"compare is {compare!r}", "choose '>' or '>='")
        if reset not in RESETS:
            raise UsageError(where, f"reset is {reset!r}", "choose hard, soft or none")
        if math.isinf(threshold) and reset != "none":
            raise UsageError(where, "an infinite threshold never resets", "use reset='none'")
        if not math.isfinite(reset_potential):
            raise UsageError(where, f"reset_potential is {reset_potential!r}", "give a finite number")
        if not surrogate_width > 0.0:
            raise UsageError(where, f"surrogate_width is {surrogate_width!r}", "give a positive number")
        self.decay = float(decay)
        self.threshold = float(threshold)
        self.compare: Compare = compare
        self.reset: Reset = reset
        self.reset_potential = float(reset_potential)
        self.surrogate_width = float(surrogate_width)
        self.observers: list[Observer] = []

    def forward(self, x: Tensor) -> Tensor:
        currents = self.unfold(x)
        potential = torch.full_like(currents[0], self.reset_potential)
        spikes: list[Tensor] = []
        before_reset: list[Tensor] = []
        for current in currents.unbind(0):
            charged = self.decay * potential + current
            fired = self._fire(charged)
            potential = self._after_reset(charged, fired)
            spikes.append(fired)
            if self.observers:
                before_reset.append(charged)
        output = torch.stack(spikes)
        if self.observers:
            for observer in self.observers:
                observer(output, torch.stack(before_reset))
        folded = output.reshape(x.shape)
        # A "last" readout wants the potential, not the spikes; it rides along on the tensor because the
        # reading module is not known here.
        folded.last_potential = potential  # type: ignore[attr-defined]
        return folded

    def _fire(self, charged: Tensor) -> Tensor:
        if math.isinf(self.threshold):
            return torch.zeros_like(charged)
        fired: Tensor = _Fire.apply(  # type: ignore[no-untyped-call]
            charged, self.threshold, self.surrogate_width, self.compare == ">="
        )
        return fired

    def _after_reset(self, charged: Tensor, fired: Tensor) -> Tensor:
        if self.reset == "hard":
            # Not torch.where: the gradient also flows through the spike that resets, as in the paper's code.
            return charged * (1.0 - fired) + self.reset_potential * fired
        if self.reset == "soft":
            return charged - self.threshold * fired
        return charged

    def extra_repr(self) -> str:
        return (
            f"decay={self.decay}, threshold={self.threshold}, compare={self.compare!r}, "
            f"reset={self.reset!r}, reset_potential={self.reset_potential}"
        )


class IF(LIF):
    """Integrate-and-fire neurons: :class:`LIF` without leak (decay 1)."""

    def __init__(
        self,
        threshold: float = 1.0,
        *,
        compare: Compare = ">",
        reset: Reset = "hard",
        reset_potential: float = 0.0,
        surrogate_width: float = 1.0,
    ) -> None:
        super().__init__(
            1.0,
            threshold,
            compare=compare,
            reset=reset,
            reset_potential=reset_potential,
            surrogate_width=surrogate_width,
        )


class LeakyIntegrator(LIF):
    """A leaky membrane that never fires, read by ``Readout("last")``."""

    def __init__(self, decay: float = 0.5, *, reset_potential: float = 0.0) -> None:
        super().__init__(decay, math.inf, reset="none", reset_potential=reset_potential)


class Readout(Temporal):
    """The network's logits from what arrives over T timesteps.

    Args:
        mode: ``"mean"``: mean over time of the incoming values (QP-SNN: logits averaged over T); ``"count"``:
            spikes of the preceding neuron summed over T; ``"last"``: the preceding neuron's potential after
            the last step, after its reset.

    Shape: [T*N, K] (or [T*N, K, 1, 1]) to [N, K].

    Raises:
        UsageError: an unknown mode, or ``"last"`` behind something that is no neuron.
    """

    def __init__(self, mode: ReadoutMode = "mean") -> None:
        super().__init__()
        if mode not in READOUT_MODES:
            raise UsageError("Readout", f"mode is {mode!r}", "choose mean, count or last")
        self.mode: ReadoutMode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "last":
            potential: Tensor | None = getattr(x, "last_potential", None)
            if potential is None:
                raise UsageError(
                    "Readout", "mode 'last' does not follow a neuron", "put LIF or LeakyIntegrator before it"
                )
            return potential.flatten(1)
        steps = self.unfold(x).flatten(2)
        return steps.mean(0) if self.mode == "mean" else steps.sum(0)

    def extra_repr(self) -> str:
        return repr(self.mode)
