"""How much a channel matters: the criteria by which pruning chooses.

SVS (QP-SNN, section "SVS") counts the singular values of a kernel's firing-rate map; SCA, its baseline, is the
magnitude of the membrane potential map. L1, the usual baseline of networks without time, is that of the kernel itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.layers import QuantWeights
from qpsnn_codegen.nn.network import SpikingNetwork, inference, record_potentials, record_spikes
from qpsnn_codegen.nn.pruning_spaces import find_spaces

Criterion = Literal["svs", "sca", "l1"]
CRITERIA: tuple[Criterion, ...] = ("svs", "sca", "l1")

SINGULAR_VALUE_BOUND = 1e-6


def svs_scores(spikes: Tensor) -> Tensor:
    """Singular-value score of every channel.

    Args:
        spikes: [N, T, C, H, W].

    Returns:
        float64 [C]: the number of singular values above 1e-6 of the spike map averaged over T, averaged over
        N.
    """
    rates = spikes.to(torch.float64).mean(1)
    count: Tensor = (torch.linalg.svdvals(rates) > SINGULAR_VALUE_BOUND).sum(-1).to(torch.float64).mean(0)
    return count


def sca_scores(potentials: Tensor) -> Tensor:
    """Activity score of every channel.

    Args:
        potentials: [N, T, C, H, W], before the reset.

    Returns:
        float64 [C]: the L1 norm of the potential map, averaged over N and T.
    """
    return potentials.to(torch.float64).abs().sum((3, 4)).mean((0, 1))


def l1_scores(weight: Tensor) -> Tensor:
    """Magnitude of every kernel: float64 [O], the mean absolute weight of [O, ...]."""
    return weight.detach().to("cpu", torch.float64).abs().flatten(1).mean(1)


_RECORDED: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[..., object]]] = {
    "svs": (svs_scores, record_spikes),
    "sca": (sca_scores, record_potentials),
}


def layer_scores(
    model: SpikingNetwork, images: Tensor, *, criterion: Criterion = "svs", batch: int = 64
) -> dict[str, Tensor]:
    """Score the output channels of every conv and hidden linear layer.

    Layers whose outputs are added share their channels and so their scores: the mean over the neurons they reach (of
    L1: over the layers, each relative to its own mean).

    Args:
        model: evaluated with its present codes.
        images: raw calibration inputs [N, C, H, W] (or [N, T, C, H, W] for spike networks); 64 to 256 are
            plenty. L1 needs none.
        criterion: ``"svs"``, ``"sca"`` or ``"l1"``.
        batch: inputs per forward.

    Returns:
        layer name to float64 [channels]; layers without a neuron behind them are left out.

    Raises:
        UsageError: another criterion, or no images.
    """
    if criterion not in CRITERIA:
        raise UsageError("criterion", f"{criterion!r} is unknown", f"choose {', '.join(CRITERIA)}")
    spaces = [space for space in find_spaces(model.nodes(), model.shapes()) if space.layers and space.neurons]
    if criterion == "l1":
        modules = {step.name: step.module for step in model.steps()}
        each = [torch.stack([_relative(modules[layer]) for layer in space.layers]).mean(0) for space in spaces]
    else:
        if len(images) == 0:
            raise UsageError("images", "there are none to score on", "give at least one")
        of_neurons = _recorded_scores(model, images, criterion, batch, [n for space in spaces for n in space.neurons])
        each = [torch.stack([of_neurons[neuron] for neuron in space.neurons]).mean(0) for space in spaces]
    return {layer: scores for space, scores in zip(spaces, each, strict=True) for layer in space.layers}


def _relative(module: torch.nn.Module | None) -> Tensor:
    if not isinstance(module, QuantWeights):
        raise TypeError(f"a {type(module).__name__} has no weights")
    return relative_scores(l1_scores(module.weight))


def _recorded_scores(
    model: SpikingNetwork, images: Tensor, criterion: str, batch: int, neurons: Sequence[str]
) -> dict[str, Tensor]:
    score, record = _RECORDED[criterion]
    totals: dict[str, Tensor] = {}
    with inference(model), record(model) as recorded:  # type: ignore[attr-defined]
        for part in images.split(batch):
            model(part.to(model.device()))
            for neuron in neurons:
                weighted = score(recorded[neuron]).cpu() * len(part)
                totals[neuron] = totals[neuron] + weighted if neuron in totals else weighted
    return {neuron: total / len(images) for neuron, total in totals.items()}


def relative_scores(scores: Tensor) -> Tensor:
    """Scores over their mean, so that those of several layers can be held against each other."""
    return scores / scores.mean().clamp_min(torch.finfo(torch.float64).tiny)
