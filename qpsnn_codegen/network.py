"""Network: the graph as its author thinks of it, in real numbers.

Every loader produces a :class:`Network`; nothing after it knows what file it came from. A node kind is one class in
:mod:`qpsnn_codegen.kinds`, derived from :class:`Node`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import InternalError, LoweringError, UnsupportedError

if TYPE_CHECKING:
    from qpsnn_codegen.lowering import Draft, Signal

Shape = tuple[int, int, int]
"""Channels, height, width of one sample at one timestep; a vector of K features is (K, 1, 1)."""

Floats = NDArray[np.float64]


def frozen_array(values: Any, dtype: Any) -> NDArray[Any]:
    """A read-only copy of ``values`` as ``dtype``: how every node keeps its arrays."""
    array = np.array(values, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(ABC):
    """One operation of the network.

    Attributes:
        name: unique; what reports and traces call the layer.
        inputs: names of the nodes whose outputs it reads, in order.
    """

    kind: ClassVar[str]
    arity: ClassVar[int] = 1

    name: str
    inputs: tuple[str, ...] = ()

    @abstractmethod
    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the output given those of the inputs; raises :class:`UnsupportedError` if they do not fit."""

    @abstractmethod
    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        """The node in real numbers: arrays ``[N, T, C, H, W]`` in, the same out, all float64."""

    def inner_spikes(self, *inputs: Floats) -> Mapping[str, Callable[[], Floats]]:
        """Spikes ``[N, T, C, H, W]`` of neurons that are part of this node, by their own name, when asked for."""
        return {}

    @abstractmethod
    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        """Add the node's integers to ``draft`` and say how its real output follows from them."""

    def refuse(self, what: str, remedy: str) -> UnsupportedError:
        """The error for an option of this node that cannot be translated."""
        return UnsupportedError(f"layer {self.name} ({self.kind})", what, remedy)

    def cannot_lower(self, what: str, remedy: str) -> LoweringError:
        """The error for a node whose integers cannot be made exact or kept within 32 bits."""
        return LoweringError(f"layer {self.name} ({self.kind})", what, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A graph of nodes in topological order: the input first, the readout last.

    Attributes:
        timesteps: T, the window of one inference.
        class_names: one per logit.
        digest: SHA-256 (hex) of the model file, or of the nodes when there was none.
    """

    nodes: tuple[Node, ...]
    timesteps: int
    class_names: tuple[str, ...]
    digest: str

    def shapes(self) -> dict[str, Shape]:
        """Output shape of every node, by name."""
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = node.output_shape(*(shapes[name] for name in node.inputs))
        return shapes

    def run(self, inputs: NDArray[Any], record: Iterable[str] = ()) -> tuple[Floats, dict[str, Floats]]:
        """Execute the network in float64, as defined in docs/numerics.md §1.

        Args:
            inputs: raw values, ``[N, C, H, W]`` (images) or ``[N, T, C, H, W]`` (spikes).
            record: names of nodes, or of neurons inside a node, whose outputs to return.

        Returns:
            Logits ``[N, K]``, and ``name -> [N, T, C, H, W]`` for the recorded nodes.
        """
        wanted = set(record)
        last_use = {name: node.name for node in self.nodes for name in node.inputs}
        values: dict[str, Floats] = {}
        kept: dict[str, Floats] = {}
        raw = np.asarray(inputs, dtype=np.float64)
        values[""] = raw if raw.ndim == 5 else raw[:, None]
        for node in self.nodes:
            arguments = [values[name] for name in (node.inputs or ("",))]
            values[node.name] = node.execute(*arguments, timesteps=self.timesteps)
            if node.name in wanted:
                kept[node.name] = values[node.name]
            kept |= {name: train() for name, train in node.inner_spikes(*arguments).items() if name in wanted}
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        logits = values[self.nodes[-1].name]
        return logits.reshape(len(logits), -1), kept


def check_network(network: Network) -> None:
    """Refuse a graph that is no network: the checker after loading.

    Raises:
        UnsupportedError: for what a user's model can get wrong (shapes that disagree, no readout).
        InternalError: for what only a loader can get wrong (names, order, arity).
    """
    seen: set[str] = set()
    for node in network.nodes:
        if node.name in seen:
            raise InternalError(f"layer {node.name}", "appears twice")
        if len(node.inputs) != node.arity or not seen.issuperset(node.inputs):
            raise InternalError(f"layer {node.name}", f"reads {node.inputs} before they exist")
        seen.add(node.name)
    kinds = [node.kind for node in network.nodes]
    if not kinds or kinds[0] != "input" or kinds.count("input") != 1:
        raise InternalError("network", "must have one input, first")
    if kinds[-1] != "readout" or kinds.count("readout") != 1:
        raise UnsupportedError("network", "does not end in one readout", "end the model with nn.Readout")
    if not 1 <= network.timesteps <= 4096:
        raise InternalError("network", f"has {network.timesteps} timesteps")
    used = {name for node in network.nodes for name in node.inputs}
    idle = sorted(seen - used - {network.nodes[-1].name})
    if idle:
        raise UnsupportedError(f"layer {idle[0]}", "is not used by any other", "remove it from the model")
    classes = network.shapes()[network.nodes[-1].name][0]
    if classes != len(network.class_names):
        raise UnsupportedError(
            "class names",
            f"there are {len(network.class_names)} for {classes} logits",
            "give one name per output of the last layer",
        )


def consumers(nodes: Iterable[Node]) -> Mapping[str, int]:
    """How many nodes read each node's output."""
    counts: dict[str, int] = {}
    for node in nodes:
        for name in node.inputs:
            counts[name] = counts.get(name, 0) + 1
    return counts
