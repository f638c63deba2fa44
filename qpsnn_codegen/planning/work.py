"""Work: what the inputs of a network make its stages do, as far as their cost depends on it.

Three ways to know it: calibration data (:mod:`qpsnn_codegen.calibration`), a rate assumed of every layer, or the worst
case, in which every pixel is non-zero and every neuron spikes at every timestep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import IntegerNetwork, IntegerNode
from qpsnn_codegen.kinds.neuron import IntegerNeuron
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import Floats, Shape

STEPS = 4
"""Timesteps of which ``peaks`` takes the fullest: those that a kernel may compute together."""

ASSUMED_RATE = 0.15
"""Spikes per neuron and timestep where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a layer of weights, or a pool over a map, meets in one inference.

    Attributes:
        steps: float64 ``[n]``: for how many pixels and timesteps the window holds n inputs that are not zero.
        peaks: float64 ``[n]``: for how many pixels the fullest of up to ``STEPS`` timesteps together holds n.
    """

    steps: Floats
    peaks: Floats

    @property
    def events(self) -> float:
        """Inputs that are not zero, seen from all windows and timesteps."""
        return self.events_below(len(self.steps))

    def events_below(self, limit: int) -> float:
        """The same of windows that hold fewer than ``limit``."""
        steps = self.steps[:limit]
        return float(np.arange(len(steps)) @ steps)

    @property
    def busy(self) -> float:
        """Pixels and timesteps with any event."""
        return float(self.steps[1:].sum())

    def chunks(self, size: int) -> float:
        """Parts of up to ``size`` events that the windows' events are cut into."""
        return float(-(-np.arange(len(self.steps)) // size) @ self.steps)

    def peaks_below(self, limit: int) -> float:
        """Pixels none of whose timesteps holds ``limit`` events."""
        return float(self.peaks[:limit].sum())

    @staticmethod
    def of(counts: NDArray[np.int64]) -> Load:
        """From counts ``[N, T, ...]`` of non-zero inputs, one per pixel."""
        blocks = [counts[:, first : first + STEPS].max(axis=1) for first in range(0, counts.shape[1], STEPS)]
        peaks = np.concatenate([block.ravel() for block in blocks])
        return Load(steps=np.bincount(counts.ravel()).astype(np.float64), peaks=np.bincount(peaks).astype(np.float64))

    def __add__(self, other: Load) -> Load:
        return Load(steps=_added(self.steps, other.steps), peaks=_added(self.peaks, other.peaks))

    def scaled(self, factor: float) -> Load:
        """Every number of pixels times ``factor``."""
        return Load(steps=self.steps * factor, peaks=self.peaks * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a node reads a map: window by window, the channels in ``groups``."""

    window: Window
    groups: int


def reading(node: IntegerNode) -> Reading | None:
    """How a layer of weights or a pool reads the map before it; ``None`` for nodes that do not, or read currents."""
    synapses = node.synapses()
    if synapses is not None:
        return Reading(window=synapses.window, groups=synapses.groups)
    return Reading(window=node.window, groups=1) if isinstance(node, MapPool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one inference does.

    Attributes:
        loads: of every node with a :func:`reading`.
        inputs: of every node that :func:`sees_all`, those that are not zero at some timestep.
        pooled: of layers in :func:`pixels_pooled`, what those pixels alone meet.
        spikes: of every spiking layer, over all timesteps and before any pool.
        awake: of every spiking layer, the neurons that spike at all.
    """

    loads: Mapping[str, Load]
    inputs: Mapping[str, float]
    pooled: Mapping[str, Load]
    spikes: Mapping[str, float]
    awake: Mapping[str, float]


def pixels_pooled(network: IntegerNetwork) -> dict[str, tuple[int, int]]:
    """By layer of weights, how many rows and columns of its pixels a pool reads that does not read all of them."""
    nodes = {node.name: node for node in network.nodes}
    result = {}
    for pool in network.nodes:
        if isinstance(pool, MapPool) and pool.window.stride == pool.window.kernel:
            neuron, (down, across) = nodes[pool.inputs[0]], pool.window.stride
            _, height, width = network.types()[neuron.name].shape
            read = height // down * down, width // across * across
            if isinstance(neuron, IntegerNeuron) and read != (height, width):
                result[neuron.inputs[0]] = read
    return result


def assumed_work(network: IntegerNetwork, rate: float) -> Work:
    """Every spiking input of a layer spikes at ``rate``, images are non-zero everywhere; 1 is the worst case."""
    types = network.types()
    ever = 1 - (1 - rate) ** network.timesteps
    loads, inputs, pooled, sizes = {}, {}, {}, pixels_pooled(network)
    for node in network.nodes:
        view = reading(node)
        if view is not None:
            source = types[node.inputs[0]]
            frames = 1 if source.static else network.timesteps
            taps = taps_inside(view.window, source.shape) * (source.shape[0] // view.groups)
            counts = np.round(taps * (1.0 if source.static else rate)).astype(np.int64)
            everywhere = np.broadcast_to(counts, (1, frames, view.groups, *counts.shape))
            loads[node.name] = Load.of(everywhere)
            if sees_all(view.window, source.shape):
                inputs[node.name] = float(np.prod(source.shape)) * (1.0 if source.static else ever)
            if node.name in sizes:
                height, width = sizes[node.name]
                pooled[node.name] = Load.of(everywhere[..., :height, :width])
    neurons = {node.name: _neurons(node, network) for node in network.spiking()}
    return Work(
        loads=loads,
        inputs=inputs,
        pooled=pooled,
        spikes={name: rate * network.timesteps * count for name, count in neurons.items()},
        awake={name: ever * count for name, count in neurons.items()},
    )


def worst_work(network: IntegerNetwork) -> Work:
    """No input makes more work than this."""
    return assumed_work(network, 1.0)


def sees_all(window: Window, shape: Shape) -> bool:
    """Whether a window is the whole map."""
    return window.kernel == shape[1:] and window.padding == (0, 0) and window.dilation == (1, 1)


def taps_inside(window: Window, shape: Shape) -> NDArray[np.int64]:
    """For each position of a window, how many of its taps lie inside the map: int64 ``[h, w]``."""
    inside: NDArray[np.int64] = window.view(np.ones(shape[1:], dtype=np.int64)).sum(axis=(-2, -1))
    return inside


def lines_inside(window: Window, shape: Shape) -> NDArray[np.int64]:
    """The same of its rows of taps, how many lie inside the map at all."""
    lines: NDArray[np.int64] = window.view(np.ones(shape[1:], dtype=np.int64)).any(axis=-1).sum(axis=-1)
    return lines


def _neurons(node: IntegerNode, network: IntegerNetwork) -> int:
    return int(np.prod(network.types()[node.name].shape))


def _added(left: Floats, right: Floats) -> Floats:
    total = np.zeros(max(len(left), len(right)))
    total[: len(left)] += left
    total[: len(right)] += right
    return total
