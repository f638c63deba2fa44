"""Calibration: what real inputs make a network do, counted in the integer reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import IntegerNetwork, Integers
from qpsnn_codegen.network import Network
from qpsnn_codegen.reference import run_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Per inference, averaged over the calibration samples.

    Attributes:
        samples: how many there were.
        operations: layer of weights -> synaptic operations (one active input times one weight, all timesteps).
        rates: spiking layer -> spikes per neuron and timestep.
        changed: spiking layer that is not fully certified -> (spikes that differ from the real network, spikes
            compared).
        logit_error: where a layer is not fully certified, the largest distance of a logit from the real network's.
        decided: samples of which both predict the same class.
    """

    samples: int
    operations: dict[str, float]
    rates: dict[str, float]
    changed: dict[str, tuple[int, int]]
    logit_error: float | None = None
    decided: int = 0


def measure(
    network: Network,
    integers: IntegerNetwork,
    samples: NDArray[Any],
    progress: Callable[[int], None] = lambda done: None,
) -> Activity:
    """Run both networks on raw samples; raises :class:`~qpsnn_codegen.errors.DataError` if they do not fit."""
    operations: dict[str, float] = {}
    rates: dict[str, float] = {}
    nodes = {node.name: node for node in integers.nodes}
    spiking = {node.name for node in integers.spiking()}

    def observe(name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        node = nodes[name]
        synapses = node.synapses()
        if synapses is not None:
            active = synapses.window.view(arguments[0] != 0).sum()
            operations[name] = operations.get(name, 0.0) + float(active) * len(synapses.codes) / synapses.groups
        if name in spiking:
            train = node.expand(node.spike_train(result, *arguments, timesteps=integers.timesteps))
            rates[name] = rates.get(name, 0.0) + float(train.mean()) * len(train)

    outcome = run_reference(integers, samples, trace=True, progress=progress, observe=observe)
    count = len(samples)
    open_layers = [c.layer for c in integers.certificates if c.status != "certified"]
    changed: dict[str, tuple[int, int]] = {}
    logit_error, decided = None, count
    if open_layers:
        logits, real = network.run(samples, record=open_layers)
        logit_error = float(np.abs(outcome.logits * integers.logit_scale - logits).max())
        decided = int((outcome.logits.argmax(axis=1) == logits.argmax(axis=1)).sum())
        for name, spikes in real.items():
            integer = outcome.spikes[name].reshape(spikes.shape)
            changed[name] = (int((integer != spikes).sum()), spikes.size)
    return Activity(
        samples=count,
        operations={name: total / count for name, total in operations.items()},
        rates={name: total / count for name, total in rates.items()},
        changed=changed,
        logit_error=logit_error,
        decided=decided,
    )
