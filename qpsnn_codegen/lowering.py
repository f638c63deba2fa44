"""Lowering: from real numbers to the integers of the firmware (docs/numerics.md §2 to §4).

Each node kind lowers itself. What flows between them is a :class:`Signal`: how the real values of an edge of the
network follow from the integers of a node. Batch-norm and scales only change the signal; a neuron turns it into
thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.certificate import Certificate, RealNeuron
from qpsnn_codegen.errors import LoweringError
from qpsnn_codegen.integer_network import IntegerNetwork, IntegerNode, IntegerType
from qpsnn_codegen.network import Network, consumers
from qpsnn_codegen.silent_channels import remove_silent

MAX_SIZE = 2**16 - 1
"""Largest number of channels, rows or columns: C holds them in 16 bits."""

FractionArray = NDArray[Any]
"""Object array [C] of :class:`fractions.Fraction`."""


def fractions(values: Any) -> FractionArray:
    """Exact rationals [C] of floats or integers."""
    # Fraction takes Python's scalars exactly, numpy's not all.
    plain = np.asarray(values).reshape(-1).tolist()
    result = np.empty(len(plain), dtype=object)
    for index, value in enumerate(plain):
        result[index] = Fraction(value)
    return result


def constant(value: Fraction | int, channels: int) -> FractionArray:
    """The same rational for every channel."""
    return fractions([Fraction(value)] * channels) if channels else np.empty(0, dtype=object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A shortcut: a stored map that a neuron adds to its current, weighted per channel."""

    node: str
    scale: FractionArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Potential:
    """What a readout of potentials needs to know of a neuron: U = unit (w - center)."""

    real: RealNeuron
    unit: FractionArray
    center: FractionArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An edge in real numbers: scale * integer + offset (+ branch), per channel.

    Attributes:
        node: the integer node.
        error: a bound on how far the true real value is from that, where an input had to be rounded; else 0.
        flat: a flatten has passed; the integers keep their map.
        shared: more than one node reads the integers below, so that they cannot be turned around.
        potential: set on the output of a neuron.
    """

    node: str
    scale: FractionArray
    offset: FractionArray
    error: FractionArray
    branch: Branch | None = None
    flat: bool = False
    shared: bool = False
    potential: Potential | None = None

    @property
    def uniform_scale(self) -> Fraction | None:
        """The scale if all channels share it and nothing is added, as weights need it."""
        first: Fraction = self.scale[0]
        plain = self.branch is None and not any(self.offset)
        return first if plain and all(value == first for value in self.scale) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringOptions:
    """What the user may choose, each 8 or 16.

    Attributes:
        input_bits: width of normalized images when normalization needs a table.
        weight_bits: width of weights that the model holds as real numbers.
        readout_bits: the same of its last layer.
    """

    input_bits: int = 16
    weight_bits: int = 16
    readout_bits: int = 8


class Draft:
    """The integer network while it is being built; it never leaves :func:`lower`."""

    def __init__(self, network: Network, options: LoweringOptions) -> None:
        self.timesteps = network.timesteps
        self.options = options
        self.nodes: dict[str, IntegerNode] = {}
        self.types: dict[str, IntegerType] = {}
        self.certificates: dict[str, Certificate] = {}
        self.logit_scale = Fraction(1)

    def add(self, node: IntegerNode) -> IntegerType:
        """Append a node, or put it in the place of the one with its name."""
        kind = node.output_type(*(self.types[name] for name in node.inputs))
        if max(kind.shape) > MAX_SIZE:
            raise LoweringError(
                f"layer {node.name}",
                f"gives a map of {'x'.join(map(str, kind.shape))}; channels, height and width end at {MAX_SIZE}",
                "split the layer",
            )
        self.types[node.name] = kind
        self.nodes[node.name] = node
        return self.types[node.name]

    def remove(self, name: str) -> IntegerNode:
        """Take back a node that its consumer absorbs."""
        del self.types[name]
        return self.nodes.pop(name)

    def negate(self, signal: Signal, channels: NDArray[np.bool_], layer: str) -> Signal:
        """The signal with the integers of these channels negated, and their scales with them.

        Raises:
            LoweringError: the integers are a map, or other nodes read them too.
        """
        if not channels.any():
            return signal
        chain = [signal.node]
        while True:
            node = self.nodes[chain[-1]]
            negated = getattr(node, "negated", None)
            if negated is None or signal.shared:
                raise LoweringError(
                    f"layer {layer}",
                    "has a negative gain on values it cannot turn around",
                    "put its batch-norm directly after a convolution or linear layer that nothing else reads",
                )
            self.nodes[chain[-1]] = negated(channels)
            if node.kind == "conv":
                break
            chain.append(node.inputs[0])
        for name in reversed(chain):
            self.add(self.nodes[name])
        scale = np.where(channels, -signal.scale, signal.scale)
        return replace(signal, scale=scale)


def lower(network: Network, options: LoweringOptions | None = None) -> IntegerNetwork:
    """Turn a network into integers.

    Raises:
        UnsupportedError: a combination of layers has no integer form here.
        LoweringError: a layer's integers cannot be made exact or kept within 32 bits.
    """
    draft = Draft(network, options or LoweringOptions())
    signals: dict[str, Signal] = {}
    uses = consumers(network.nodes)
    for node in network.nodes:
        signal = node.lower(draft, *(signals[name] for name in node.inputs))
        signals[node.name] = replace(signal, shared=True) if uses.get(node.name, 0) > 1 else signal
    nodes = remove_silent(draft.nodes.values())
    return IntegerNetwork(
        nodes=nodes,
        timesteps=network.timesteps,
        class_names=network.class_names,
        digest=network.digest,
        logit_scale=float(draft.logit_scale),
        certificates=tuple(draft.certificates[node.name] for node in nodes if node.spikes),
    )
