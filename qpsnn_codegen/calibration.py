"""Calibration: what real inputs make a network do, counted in the integer reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import IntegerNetwork, Integers
from qpsnn_codegen.network import Network
from qpsnn_codegen.planning.work import Load, Reading, Work, pixels_pooled, reading, sees_all
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
        work: what it means for the cost of the stages.
        logit_error: where a layer is not fully certified, the largest distance of a logit from the real network's.
        decided: samples of which both predict the same class.
    """

    samples: int
    operations: dict[str, float]
    rates: dict[str, float]
    changed: dict[str, tuple[int, int]]
    work: Work
    logit_error: float | None = None
    decided: int = 0


def measure(
    network: Network,
    integers: IntegerNetwork,
    samples: NDArray[Any],
    progress: Callable[[int], None] = lambda done: None,
) -> Activity:
    """Run both networks on raw samples; raises :class:`~qpsnn_codegen.errors.DataError` if they do not fit."""
    counter = _Counter(integers)
    outcome = run_reference(integers, samples, trace=True, progress=progress, observe=counter.observe)
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
        operations={name: total / count for name, total in counter.operations.items()},
        rates={name: total / count for name, total in counter.rates.items()},
        changed=changed,
        work=counter.work(count),
        logit_error=logit_error,
        decided=decided,
    )


def measure_work(integers: IntegerNetwork, samples: NDArray[Any]) -> Work:
    """Only what costs depend on, without the real network; raises as :func:`measure` does."""
    counter = _Counter(integers)
    run_reference(integers, samples, observe=counter.observe)
    return counter.work(len(samples))


def _under_windows(active: NDArray[np.bool_], view: Reading) -> Integers:
    """How many of ``[N, T, C, H, W]`` are under each window: ``[N, T, groups, h, w]``."""
    pixels = active.reshape(*active.shape[:2], view.groups, -1, *active.shape[3:]).sum(axis=3)
    return np.asarray(view.window.view(pixels).sum(axis=(-2, -1)))


class _Counter:
    """Watches the reference node by node; everything is a sum over the samples."""

    def __init__(self, integers: IntegerNetwork) -> None:
        self._nodes = {node.name: node for node in integers.nodes}
        self._spiking = {node.name for node in integers.spiking()}
        self._timesteps = integers.timesteps
        self._sizes = pixels_pooled(integers)
        self._loads: dict[str, Load] = {}
        self._pooled: dict[str, Load] = {}
        self._inputs: Counter[str] = Counter()
        self._spikes: Counter[str] = Counter()
        self._awake: Counter[str] = Counter()
        self.operations: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def observe(self, name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        """An ``Observer`` of the reference."""
        node = self._nodes[name]
        synapses, view = node.synapses(), reading(node)
        if view is not None:
            active = arguments[0] != 0
            counts = _under_windows(active, view)
            load = Load.of(counts)
            self._loads[name] = self._loads[name] + load if name in self._loads else load
            if sees_all(view.window, active.shape[2:]):
                self._inputs[name] += int(active.any(axis=1).sum())
            if name in self._sizes:
                height, width = self._sizes[name]
                part = Load.of(counts[..., :height, :width])
                self._pooled[name] = self._pooled[name] + part if name in self._pooled else part
            if synapses is not None:
                done = load.events * len(synapses.codes) / synapses.groups
                self.operations[name] = self.operations.get(name, 0.0) + done
        if name in self._spiking:
            kept = node.spike_train(result, *arguments, timesteps=self._timesteps)
            train = node.expand(kept)
            self.rates[name] = self.rates.get(name, 0.0) + float(train.mean()) * len(train)
            self._spikes[name] += int(kept.sum())
            self._awake[name] += int(kept.any(axis=1).sum())

    def work(self, samples: int) -> Work:
        """Per inference."""
        return Work(
            loads={name: load.scaled(1 / samples) for name, load in self._loads.items()},
            inputs={name: total / samples for name, total in self._inputs.items()},
            pooled={name: load.scaled(1 / samples) for name, load in self._pooled.items()},
            spikes={name: total / samples for name, total in self._spikes.items()},
            awake={name: total / samples for name, total in self._awake.items()},
        )
