"""The reference: executes an IntegerNetwork in numpy. The oracle of every test (docs/numerics.md §5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.arrays import check_raw
from qpsnn_codegen.integer_network import IntegerNetwork, Integers

_BATCH_VALUES = 2**22
"""Values of the widest map in one batch: what keeps large networks within memory."""


Observer = Callable[[str, tuple[Integers, ...], Integers], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of a network gives, in Python or in C.

    Attributes:
        logits: int32 ``[N, K]``.
        spikes: layer -> uint8 ``[N, T, C, H, W]``, before any pooling; empty unless traced.
    """

    logits: NDArray[np.int32]
    spikes: dict[str, NDArray[np.uint8]]


def run_reference(
    network: IntegerNetwork,
    inputs: NDArray[Any],
    *,
    trace: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    observe: Observer = lambda name, arguments, result: None,
) -> Outcome:
    """Execute the integers for raw ``inputs``: images uint8 ``[N, C, H, W]`` or spikes ``[N, T, C, H, W]``.

    Args:
        progress: called with the number of samples just done.
        observe: called with every node's name, inputs and output, batch by batch.

    Raises:
        DataError: the inputs have another shape or range than the network's.
    """
    samples = check_inputs(network, inputs)
    types = network.types()
    widest = max(int(np.prod(kind.shape)) * (1 if kind.static else network.timesteps) for kind in types.values())
    batch = max(1, min(256, _BATCH_VALUES // widest))
    logits: list[NDArray[np.int32]] = []
    spikes: dict[str, list[NDArray[np.uint8]]] = {node.name: [] for node in network.spiking()} if trace else {}
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        logits.append(_run_batch(network, part, spikes, observe))
        progress(len(part))
    classes = len(network.class_names)
    empty = np.empty((0, classes), dtype=np.int32)
    return Outcome(
        logits=np.concatenate([empty, *logits]),
        spikes={name: np.concatenate(parts) for name, parts in spikes.items() if parts},
    )


def _run_batch(
    network: IntegerNetwork, samples: Integers, spikes: dict[str, list[NDArray[np.uint8]]], observe: Observer
) -> NDArray[np.int32]:
    last_use = {name: node.name for node in network.nodes for name in node.inputs}
    values: dict[str, Integers] = {"": samples}
    result = samples
    for node in network.nodes:
        arguments = [values[name] for name in (node.inputs or ("",))]
        result = node.execute(*arguments, timesteps=network.timesteps)
        values[node.name] = result
        if node.name in spikes:
            shown = node.spike_train(result, *arguments, timesteps=network.timesteps)
            spikes[node.name].append(node.expand(shown.astype(np.uint8)))
        observe(node.name, tuple(arguments), result)
        for name in node.inputs:
            if last_use[name] == node.name:
                values.pop(name, None)
    return result.reshape(len(samples), -1).astype(np.int32)


def check_inputs(network: IntegerNetwork, inputs: NDArray[Any], where: str = "inputs") -> Integers:
    """The inputs as int64 ``[N, T or 1, C, H, W]``.

    Args:
        where: they come from, for errors.

    Raises:
        DataError: no integers, another shape, or values out of range.
    """
    kind = network.nodes[0].output_type()
    expected = kind.shape if kind.static else (network.timesteps, *kind.shape)
    check_raw(where, inputs, expected, int(kind.high.max()))
    samples = inputs.astype(np.int64)
    return samples[:, None] if kind.static else samples
