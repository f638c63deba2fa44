"""Structured pruning: score the kernels of each conv, remove the lowest, shrink every tensor that follows.

Criteria (QP-SNN, section "SVS"): SVS counts the singular values of a kernel's firing-rate map; SCA is the
baseline, the magnitude of the membrane potential map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.network import SpikingNetwork, inference, record_potentials, record_spikes
from qpsnn_codegen.nn.schema import Node, Shape, check_nodes
from qpsnn_codegen.nn.structure import GraphBody, tensors_of

Criterion = Literal["svs", "sca"]
Rounding = Literal["text", "code"]

SINGULAR_VALUE_BOUND = 1e-6
# Nodes that hand channels on one to one.
_TRANSPARENT = ("batch_norm", "neuron", "max_pool", "avg_pool", "flatten")


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningReport:
    """What pruning did.

    ``kept`` maps conv names to the channel indices that stayed, ``untouched`` the other convs to the reason.
    """

    kept: Mapping[str, tuple[int, ...]]
    untouched: Mapping[str, str]
    parameters_before: int
    parameters_after: int


# --- scores


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


_CRITERIA: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[..., object]]] = {
    "svs": (svs_scores, record_spikes),
    "sca": (sca_scores, record_potentials),
}


def conv_scores(
    model: SpikingNetwork, images: Tensor, *, criterion: Criterion = "svs", batch: int = 64
) -> dict[str, Tensor]:
    """Score the output channels of every conv by the neuron behind it.

    Args:
        model: evaluated with its present codes.
        images: raw calibration inputs [N, C, H, W] (or [N, T, C, H, W] for spike networks); 64 to 256 are
            plenty.
        criterion: ``"svs"`` or ``"sca"``.
        batch: inputs per forward.

    Returns:
        conv name to float64 [out_channels]; convs without a neuron behind them are left out.
    """
    if criterion not in _CRITERIA:
        raise UsageError("criterion", f"{criterion!r} is unknown", "choose svs or sca")
    if len(images) == 0:
        raise UsageError("images", "there are none to score on", "give at least one")
    score, record = _CRITERIA[criterion]
    neurons = {conv: neuron for conv, neuron in _neuron_behind(model.nodes()).items() if neuron}
    totals: dict[str, Tensor] = {}
    with inference(model), record(model) as recorded:  # type: ignore[attr-defined]
        for part in images.split(batch):
            model(part)
            for conv, neuron in neurons.items():
                weighted = score(recorded[neuron]) * len(part)
                totals[conv] = totals[conv] + weighted if conv in totals else weighted
    return {conv: total / len(images) for conv, total in totals.items()}


def _neuron_behind(nodes: Sequence[Node]) -> dict[str, str | None]:
    readers = _readers(nodes)
    behind: dict[str, str | None] = {}
    for node in nodes:
        if node.kind != "conv":
            continue
        current = node
        while True:
            following = readers[current.name]
            # Scores describe the conv's own output, so an addition or a branch in between ends the search.
            if len(following) != 1 or following[0].kind not in (
                "batch_norm",
                "neuron",
                "max_pool",
                "avg_pool",
            ):
                behind[node.name] = None
                break
            current = following[0]
            if current.kind == "neuron":
                behind[node.name] = current.name
                break
    return behind


def _readers(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    readers: dict[str, list[Node]] = {node.name: [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers[source].append(node)
    return readers


# --- what may be removed


@dataclass(frozen=True, slots=True)
class _Followers:
    """Who shrinks with a conv: batch-norms, and consumers with the features each channel occupies there."""

    norms: tuple[str, ...]
    consumers: tuple[tuple[str, int], ...]


def _followers(conv: Node, nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> _Followers | str:
    """The followers of a conv, or why it has to stay whole."""
    if conv.attributes["groups"] != 1:
        return "it is grouped"
    readers = _readers(nodes)
    norms: list[str] = []
    consumers: list[tuple[str, int]] = []
    pending = [(conv, 1)]
    while pending:
        current, block = pending.pop(0)
        for reader in readers[current.name]:
            if reader.kind == "flatten":
                size = shapes[current.name][1:]
                area = size[0] * size[1] if size else 1
                pending.append((reader, block * area))
            elif reader.kind in _TRANSPARENT:
                if reader.kind == "batch_norm":
                    norms.append(reader.name)
                    if block != 1:
                        return f"{reader.name} normalizes flattened maps"
                pending.append((reader, block))
            elif reader.kind == "linear":
                consumers.append((reader.name, block))
            elif reader.kind == "conv" and reader.attributes["groups"] == 1:
                consumers.append((reader.name, 1))
            else:
                how = "grouped conv" if reader.kind == "conv" else reader.kind
                return f"its channels reach {reader.name} ({how})"
    return _Followers(tuple(norms), tuple(dict.fromkeys(consumers)))


def _keep(scores: Tensor, ratio: float, rounding: Rounding) -> tuple[int, ...]:
    count = len(scores)
    left = int(count * (1.0 - ratio)) if rounding == "code" else count - round(ratio * count)
    # Stable, so that equal scores keep the earlier kernel.
    best = torch.argsort(scores, descending=True, stable=True)[: max(left, 1)]
    return tuple(sorted(int(index) for index in best))


def _ratios(convs: Sequence[str], ratio: float | Sequence[float] | Mapping[str, float]) -> dict[str, float]:
    if isinstance(ratio, Mapping):
        unknown = [name for name in ratio if name not in convs]
        if unknown:
            raise UsageError("ratio", f"{unknown[0]!r} is no conv", f"the convs are {', '.join(convs)}")
        ratios = {name: float(ratio.get(name, 0.0)) for name in convs}
    elif isinstance(ratio, Sequence):
        if len(ratio) != len(convs):
            raise UsageError(
                "ratio", f"{len(ratio)} ratios for {len(convs)} convs", "give one per conv, or a single one"
            )
        ratios = {name: float(value) for name, value in zip(convs, ratio, strict=True)}
    else:
        ratios = {name: float(ratio) for name in convs}
    for name, value in ratios.items():
        if not 0.0 <= value < 1.0:
            raise UsageError("ratio", f"{value} for {name}", "give numbers from 0 to below 1")
    return ratios


# --- removal


def prune(
    model: SpikingNetwork,
    images: Tensor,
    ratio: float | Sequence[float] | Mapping[str, float],
    *,
    criterion: Criterion = "svs",
    rounding: Rounding = "text",
    prune_last: bool = False,
    batch: int = 64,
) -> tuple[SpikingNetwork, PruningReport]:
    """Remove the lowest-scoring output channels of every conv that can lose some.

    A conv of n channels keeps n - round(r·n) of them (``rounding="code"``: int(n·(1 - r)), as the paper's
    published code), at least one. Batch-norms and consumers lose the matching entries. Convs coupled to
    others by an addition, or grouped, stay whole, and so does the last conv unless ``prune_last`` (QP-SNN,
    section "Pruning").

    The new network is frozen to slices of the old codes, so before fine-tuning it computes exactly what the
    old one would with the removed channels silenced. Training re-quantizes the remaining weights.

    Args:
        model: left unchanged.
        images: raw calibration inputs, as in :func:`conv_scores`.
        ratio: r for all convs, one per conv in order, or by name (others 0).

    Returns:
        The smaller network, in evaluation mode, and a report.

    Raises:
        UsageError: a ratio outside [0, 1), unknown conv names, no images.
    """
    nodes = model.nodes()
    shapes = model.shapes()
    convs = [node.name for node in nodes if node.kind == "conv"]
    ratios = _ratios(convs, ratio)
    if rounding not in ("text", "code"):
        raise UsageError("rounding", f"{rounding!r} is unknown", "choose text or code")
    scores = conv_scores(model, images, criterion=criterion, batch=batch)
    edited = {node.name: dict(node.attributes) for node in nodes}
    tensors = tensors_of(model.steps())
    before = _parameters(tensors)
    kept: dict[str, tuple[int, ...]] = {}
    untouched: dict[str, str] = {}
    for node in nodes:
        if node.kind != "conv":
            continue
        reason: str | None = None
        followers = _followers(node, nodes, shapes)
        if node.name == convs[-1] and not prune_last:
            reason = "it is the last conv"
        elif ratios[node.name] == 0.0:
            reason = "its ratio is 0"
        elif isinstance(followers, str):
            reason = followers
        elif node.name not in scores:
            reason = "no neuron follows it directly"
        if reason is not None or isinstance(followers, str):
            untouched[node.name] = reason or str(followers)
            continue
        keep = _keep(scores[node.name], ratios[node.name], rounding)
        kept[node.name] = keep
        _remove(node.name, keep, followers, edited, tensors)
    smaller = tuple(replace(node, attributes=edited[node.name]) for node in nodes)
    body = GraphBody(smaller, check_nodes(smaller, model.input_shape), tensors)
    network = SpikingNetwork(
        body,
        timesteps=model.timesteps,
        input_shape=model.input_shape,
        input_kind=model.input_kind,
        divisor=model.divisor,
        mean=model.mean,
        std=model.std,
        class_names=model.class_names,
        max_value=model.max_value,
    )
    network.eval()
    report = PruningReport(
        kept=kept, untouched=untouched, parameters_before=before, parameters_after=_parameters(tensors)
    )
    return network, report


def _parameters(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for key, tensor in tensors.items() if key.rpartition(".")[2] in ("weight", "bias"))


def _remove(
    conv: str,
    keep: Sequence[int],
    followers: _Followers,
    attributes: Mapping[str, dict[str, object]],
    tensors: dict[str, Tensor],
) -> None:
    rows = torch.tensor(keep)

    def select(key: str, axis: int, indices: Tensor) -> None:
        if key in tensors:
            tensors[key] = tensors[key].index_select(axis, indices).contiguous()

    for part in ("weight", "codes", "bias"):
        select(f"{conv}.{part}", 0, rows)
    if tensors[f"{conv}.scale"].numel() > 1:
        select(f"{conv}.scale", 0, rows)
    attributes[conv]["out_channels"] = len(keep)
    for norm in followers.norms:
        for part in ("weight", "bias", "running_mean", "running_var"):
            select(f"{norm}.{part}", 0, rows)
        attributes[norm]["channels"] = len(keep)
    for consumer, block in followers.consumers:
        columns = (rows[:, None] * block + torch.arange(block)).reshape(-1)
        for part in ("weight", "codes"):
            select(f"{consumer}.{part}", 1, columns)
        key = "in_features" if "in_features" in attributes[consumer] else "in_channels"
        attributes[consumer][key] = len(columns)
