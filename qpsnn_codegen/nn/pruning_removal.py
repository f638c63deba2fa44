"""A network without some of its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.pruning_spaces import Space
from qpsnn_codegen.nn.schema import check_nodes
from qpsnn_codegen.nn.structure import GraphBody, tensors_of

Orders = Sequence[tuple[int, ...]]
"""For each space its old channels in their new order; those that are missing are removed."""


def arranged(space: Space, kept: set[int], orders: Orders) -> tuple[int, ...]:
    """The kept channels of a space in an order that its shortcut can express.

    What arrives by the shortcut stands together, in the order of the shortcut's other end; channels that no longer
    arrive by it are put before or behind. Without such channels, the order is the old one.

    Args:
        orders: of the spaces before this one.
    """
    if space.link is None:
        return tuple(sorted(kept))
    arriving = [space.link.pad_before + channel for channel in orders[space.link.source]]
    others = sorted(kept.difference(arriving))
    before = [channel for channel in others if channel < space.link.pad_before]
    return (*before, *arriving, *others[len(before) :])


def removed(model: SpikingNetwork, spaces: Sequence[Space], orders: Orders) -> SpikingNetwork:
    """The network with only these channels, frozen to slices of the codes it has.

    So it computes what the model does with the missing channels silenced. The model is left unchanged.
    """
    nodes = model.nodes()
    attributes = {node.name: dict(node.attributes) for node in nodes}
    tensors = tensors_of(model.steps())
    for space, order in zip(spaces, orders, strict=True):
        if space.link is not None:
            arriving = len(orders[space.link.source])
            before = sum(1 for channel in order if channel < space.link.pad_before)
            attributes[space.link.name] |= {"pad_before": before, "pad_after": len(order) - before - arriving}
        if order != tuple(range(space.width)):
            _select(space, torch.tensor(order), attributes, tensors)
    smaller = tuple(replace(node, attributes=attributes[node.name]) for node in nodes)
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
    return network


def _select(space: Space, order: Tensor, attributes: Mapping[str, dict[str, Any]], tensors: dict[str, Tensor]) -> None:
    def select(key: str, axis: int, indices: Tensor) -> None:
        if key in tensors:
            tensors[key] = tensors[key].index_select(axis, indices).contiguous()

    for layer in space.layers:
        for part in ("weight", "codes", "bias"):
            select(f"{layer}.{part}", 0, order)
        # One scale for the whole layer stays as it is.
        if attributes[layer]["quantizer"]["per"] == "channel":
            select(f"{layer}.scale", 0, order)
        key = "out_features" if "out_features" in attributes[layer] else "out_channels"
        attributes[layer][key] = len(order)
    for norm in space.norms:
        for part in ("weight", "bias", "running_mean", "running_var"):
            select(f"{norm}.{part}", 0, order)
        attributes[norm]["channels"] = len(order)
    for consumer, block in space.consumers:
        columns = (order[:, None] * block + torch.arange(block)).reshape(-1)
        for part in ("weight", "codes"):
            select(f"{consumer}.{part}", 1, columns)
        key = "in_features" if "in_features" in attributes[consumer] else "in_channels"
        attributes[consumer][key] = len(columns)
