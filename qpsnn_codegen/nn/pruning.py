"""Structured pruning: score the channels of each layer, remove the lowest, shrink every tensor that follows.

By ratios per layer, as QP-SNN does, or down to a cost that the whole network may have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qpsnn_codegen.errors import BudgetError, UsageError
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.pruning_removal import arranged, removed
from qpsnn_codegen.nn.pruning_scores import Criterion, layer_scores, relative_scores
from qpsnn_codegen.nn.pruning_spaces import Space, find_spaces
from qpsnn_codegen.nn.schema import Node
from qpsnn_codegen.nn.structure import tensors_of

Rounding = Literal["text", "code"]
Ratio = float | Sequence[float] | Mapping[str, float]
Cost = Callable[[SpikingNetwork], float]

LEAST_SHARE = 0.1
"""Of each layer's channels, this share stays when a cost is what decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningReport:
    """What pruning did.

    Attributes:
        kept: layer to the channels that stayed, in their new order.
        untouched: the other convs and hidden linear layers, to the reason.
        scores: layer to the score of each channel it had.
        parameters_before, parameters_after: weights and biases.
    """

    kept: Mapping[str, tuple[int, ...]]
    untouched: Mapping[str, str]
    scores: Mapping[str, tuple[float, ...]]
    parameters_before: int
    parameters_after: int


def prunable_layers(model: SpikingNetwork) -> list[str]:
    """The layers that ratios are given for, in order: all convs, and the linear layers whose outputs are no logits."""
    nodes = model.nodes()
    last = next(node.inputs[0] for node in nodes if node.kind == "readout")
    return [node.name for node in nodes if node.kind == "conv" or (node.kind == "linear" and node.name != last)]


def prune(
    model: SpikingNetwork,
    images: Tensor,
    ratio: Ratio,
    *,
    criterion: Criterion = "svs",
    rounding: Rounding = "text",
    prune_last: bool = False,
    widths: Mapping[str, int] | None = None,
    batch: int = 64,
) -> tuple[SpikingNetwork, PruningReport]:
    """Remove the lowest-scoring output channels of every layer that can lose some.

    A layer of n channels keeps n - round(r·n) of them (``rounding="code"``: int(n·(1 - r)), as the paper's
    published code), at least one. Batch-norms and consumers lose the matching entries. Layers whose outputs are
    added lose the same channels and need the same ratio; what a shortcut brings from an earlier layer stays with that
    layer's. Grouped convs stay whole, and so does the last conv unless ``prune_last`` (QP-SNN, section "Pruning").

    The new network is frozen to slices of the old codes, so before fine-tuning it computes exactly what the
    old one would with the removed channels silenced. Training re-quantizes the remaining weights.

    Args:
        model: left unchanged.
        images: raw calibration inputs, as in :func:`layer_scores`.
        ratio: r for all layers, one per layer of :func:`prunable_layers`, or by name (others 0).
        widths: n of each layer, where the model has lost channels of it before; its own by default.

    Returns:
        The smaller network, in evaluation mode, and a report.

    Raises:
        UsageError: a ratio outside [0, 1), unknown layer names, no images.
    """
    if rounding not in ("text", "code"):
        raise UsageError("rounding", f"{rounding!r} is unknown", "choose text or code")
    ratios = _ratios(prunable_layers(model), ratio)
    pruning = _Pruning.of(model, images, criterion, batch, prune_last)
    counts: dict[int, int] = {}
    for place, space in pruning.free():
        shared = {ratios[layer] for layer in space.layers if layer in ratios} or {0.0}
        if len(shared) > 1:
            listed = ", ".join(f"{layer} {ratios[layer]:g}" for layer in space.layers)
            raise UsageError("ratio", f"layers that lose channels together differ ({listed})", "give them one ratio")
        (share,) = shared
        if share == 0.0:
            pruning.refuse(space, "its ratio is 0")
            continue
        width = space.width if widths is None else widths[space.layers[0]]
        left = int(width * (1.0 - share)) if rounding == "code" else width - round(share * width)
        counts[place] = min(max(left, 1), space.width)
    return pruning.result(counts)


def prune_to(
    model: SpikingNetwork,
    images: Tensor,
    cost: Cost,
    limit: float,
    *,
    criterion: Criterion = "svs",
    prune_last: bool = False,
    batch: int = 64,
    where: str = "limit",
    unit: str = "",
) -> tuple[SpikingNetwork, PruningReport]:
    """Remove channels until the network costs no more than ``limit``, those first that matter least for what they cost.

    A channel's importance is its score relative to its layer's mean, over what the network saves per channel of that
    layer. Every layer keeps a tenth of its channels.

    Args:
        cost: of a network; falls as channels go.
        limit: in the same unit.
        where, unit: what errors call the limit, and what it counts.
        others: as in :func:`prune`.

    Raises:
        BudgetError: not even the smallest network is below the limit.
    """
    pruning = _Pruning.of(model, images, criterion, batch, prune_last)
    now = cost(model)
    order: list[tuple[float, int]] = []
    for place, space in pruning.free():
        spare = space.width - max(1, math.ceil(LEAST_SHARE * space.width))
        half = max(1, spare // 2)
        saving = (now - cost(pruning.network({place: space.width - half}))) / half if spare else 0.0
        if saving > 0.0:
            scores = relative_scores(pruning.scores[space.layers[0]]).sort().values[:spare]
            order += [(float(score) / saving, place) for score in scores]
    order.sort()

    def counts(lost: int) -> dict[int, int]:
        gone = [place for _, place in order[:lost]]
        return {place: pruning.spaces[place].width - gone.count(place) for place in set(gone)}

    if now <= limit:
        return pruning.result({})
    smallest = cost(pruning.network(counts(len(order))))
    if smallest > limit:
        least = math.ceil(smallest)
        raise BudgetError(where, f"the smallest network has {least:,} {unit}".rstrip(), f"give at least {least}")
    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(pruning.network(counts(middle))) <= limit:
            high = middle
        else:
            low = middle
    return pruning.result(counts(high))


def in_steps(
    model: SpikingNetwork,
    steps: int,
    step: Callable[[SpikingNetwork, float], tuple[SpikingNetwork, PruningReport]],
    tune: Callable[[SpikingNetwork], object],
) -> Iterator[tuple[SpikingNetwork, PruningReport]]:
    """Prune a little, fine-tune, prune a little more; yields the network and the report of each step.

    Args:
        steps: how many.
        step: prunes a network as far as a share, from 1/steps to 1, of the whole way.
        tune: trains in place; not called after the last step.
    """
    for number in range(1, steps + 1):
        model, report = step(model, number / steps)
        if number < steps:
            tune(model)
        yield model, report


def scaled(ratio: Ratio, share: float) -> Ratio:
    """A part of the way to a ratio, in the form it was given."""
    if isinstance(ratio, Mapping):
        return {name: value * share for name, value in ratio.items()}
    return [value * share for value in ratio] if isinstance(ratio, Sequence) else ratio * share


def count_parameters(model: SpikingNetwork) -> int:
    """Weights and biases."""
    tensors = tensors_of(model.steps())
    return sum(tensor.numel() for key, tensor in tensors.items() if key.rpartition(".")[2] in ("weight", "bias"))


def layer_widths(model: SpikingNetwork) -> dict[str, int]:
    """Output channels of every layer of :func:`prunable_layers`."""
    shapes = model.shapes()
    return {layer: shapes[layer][0] for layer in prunable_layers(model)}


def _ratios(layers: Sequence[str], ratio: Ratio) -> dict[str, float]:
    if isinstance(ratio, Mapping):
        unknown = [name for name in ratio if name not in layers]
        if unknown:
            raise UsageError("ratio", f"{unknown[0]!r} is no conv", f"choose from {', '.join(layers)}")
        ratios = {name: float(value) for name, value in ratio.items()}
    elif isinstance(ratio, Sequence):
        if len(ratio) != len(layers):
            raise UsageError(
                "ratio", f"{len(ratio)} ratios for {len(layers)} layers", "give one per conv, or a single one"
            )
        ratios = {name: float(value) for name, value in zip(layers, ratio, strict=True)}
    else:
        ratios = dict.fromkeys(layers, float(ratio))
    for name, value in ratios.items():
        if not 0.0 <= value < 1.0:
            raise UsageError("ratio", f"{value} for {name}", "give numbers from 0 to below 1")
    return ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pruning:
    """A model, its spaces and scores, and the reasons found so far why some stay whole."""

    model: SpikingNetwork
    spaces: tuple[Space, ...]
    scores: Mapping[str, Tensor]
    layers: tuple[str, ...]
    untouched: dict[str, str]

    @classmethod
    def of(cls, model: SpikingNetwork, images: Tensor, criterion: Criterion, batch: int, prune_last: bool) -> _Pruning:
        nodes = model.nodes()
        spaces = find_spaces(nodes, model.shapes())
        pruning = cls(
            model=model,
            spaces=spaces,
            scores=layer_scores(model, images, criterion=criterion, batch=batch),
            layers=tuple(prunable_layers(model)),
            untouched={},
        )
        last = _last_conv(nodes)
        for space in spaces:
            if space.fixed is not None:
                pruning.refuse(space, space.fixed)
            elif last in space.layers and not prune_last:
                for layer in space.layers:
                    own = "it is the last conv"
                    pruning.untouched[layer] = own if layer == last else f"it shares its channels with the last, {last}"
            elif any(layer not in pruning.scores for layer in space.layers):
                pruning.refuse(space, "no neuron follows it")
        return pruning

    def refuse(self, space: Space, reason: str) -> None:
        self.untouched.update({layer: reason for layer in space.layers if layer in self.layers})

    def free(self) -> list[tuple[int, Space]]:
        """The spaces that can lose channels, with their places."""
        return [
            (place, space)
            for place, space in enumerate(self.spaces)
            if space.layers and space.fixed is None and not self.untouched.keys() & set(space.layers)
        ]

    def orders(self, counts: Mapping[int, int]) -> list[tuple[int, ...]]:
        """The channels of each space, in order, when these keep so many."""
        orders: list[tuple[int, ...]] = []
        for place, space in enumerate(self.spaces):
            kept = set(range(space.width))
            if space.link is not None:
                first, end = space.link.pad_before, space.link.pad_before + self.spaces[space.link.source].width
                arriving = {first + channel for channel in orders[space.link.source]}
            else:
                first = end = 0
                arriving = set()
            if not space.layers:
                # Nothing but the shortcut fills these channels.
                kept -= set(range(first, end)) - arriving
            elif place in counts:
                # Stable, so that equal scores keep the earlier channel.
                best = torch.argsort(self.scores[space.layers[0]], descending=True, stable=True).tolist()
                rest = [channel for channel in best if channel not in arriving]
                kept = arriving | set(rest[: max(counts[place] - len(arriving), 0)])
            orders.append(arranged(space, kept, orders))
        return orders

    def network(self, counts: Mapping[int, int]) -> SpikingNetwork:
        return removed(self.model, self.spaces, self.orders(counts))

    def result(self, counts: Mapping[int, int]) -> tuple[SpikingNetwork, PruningReport]:
        orders = self.orders(counts)
        network = removed(self.model, self.spaces, orders)
        for place, space in self.free():
            if place not in counts:
                self.refuse(space, "its channels are worth what they cost")
        report = PruningReport(
            kept={layer: orders[place] for place in sorted(counts) for layer in self.spaces[place].layers},
            untouched={layer: self.untouched[layer] for layer in self.layers if layer in self.untouched},
            scores={layer: tuple(map(float, self.scores[layer])) for layer in self.layers if layer in self.scores},
            parameters_before=count_parameters(self.model),
            parameters_after=count_parameters(network),
        )
        return network, report


def _last_conv(nodes: Sequence[Node]) -> str | None:
    convs = [node.name for node in nodes if node.kind == "conv"]
    return convs[-1] if convs else None
