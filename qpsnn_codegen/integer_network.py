"""IntegerNetwork: the specification of the firmware.

Batch-norm, scales, thresholds and normalization are folded to integers; :mod:`qpsnn_codegen.reference` executes it
and is the oracle of every test. An integer node is stored (its output is a map in memory) or not (its output is a
current, computed where it is used).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.network import Shape

if TYPE_CHECKING:
    from qpsnn_codegen.certificate import Certificate
    from qpsnn_codegen.emit.c_model import CLayer, CModel
    from qpsnn_codegen.kinds.windows import Window

INT32_MAX = 2**31 - 1

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerType:
    """What is known of an integer node's output before it runs.

    Attributes:
        shape: channels, height, width.
        static: the same at every timestep.
        low, high: proven bounds of every value, per channel (int64 [C]).
    """

    shape: Shape
    static: bool
    low: Integers
    high: Integers

    @property
    def bound(self) -> int:
        """The largest magnitude any channel can reach."""
        return int(max(np.abs(self.low).max(), np.abs(self.high).max()))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerNode(ABC):
    """One integer operation; ``name`` is that of the network node it came from."""

    kind: ClassVar[str]
    stored: ClassVar[bool]
    """Whether the output is a map in memory (a stage) or a current (part of the stage that uses it)."""
    spikes: ClassVar[bool] = False
    """Whether the node has spikes for a trace to show."""
    channelwise: ClassVar[bool] = False
    """Whether channel c of the output depends on channel c of the only input alone, and is zero where that is."""
    planar: ClassVar[bool] = False
    """Whether its map is stored channel by channel, like an image, rather than pixel by pixel."""

    name: str
    inputs: tuple[str, ...] = ()

    @abstractmethod
    def output_type(self, *inputs: IntegerType) -> IntegerType:
        """Shape and proven range of the output."""

    @abstractmethod
    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        """The node in integers: ``[N, T, C, H, W]`` (T = 1 if static) in and out."""

    @abstractmethod
    def describe(self, c: CModel) -> CLayer:
        """Declare the node's constants in C and name the kernel that runs them."""

    def spike_train(self, result: Integers, *inputs: Integers, timesteps: int) -> Integers:
        """The spikes ``[N, T, C, H, W]`` a trace shows, given the node's output and inputs."""
        return result

    @property
    def silent(self) -> NDArray[np.bool_] | None:
        """Output channels [C] proven to be zero for every input, if that is known."""
        return None

    def select_outputs(self, keep: Integers) -> IntegerNode | None:
        """The node with only these output channels (of its inputs too if ``channelwise``); ``None`` if it cannot."""
        return None

    def select_inputs(self, keep: Integers) -> IntegerNode | None:
        """The node without all other input channels, which are zero; ``None`` if it cannot."""
        return None

    @property
    def verdict(self) -> str:
        """What the report says of the output of a stage that does not spike."""
        return "exact"

    @property
    def note(self) -> str:
        """What a report should say of the node besides its certificate; empty for nothing."""
        return ""

    def expand(self, spikes: NDArray[Any]) -> NDArray[Any]:
        """Spikes ``[N, T, C, H, W]`` of all channels the network had, from those that were kept."""
        return spikes

    def compact(self, spikes: NDArray[Any]) -> NDArray[Any]:
        """The reverse of :meth:`expand`: only the channels that were kept, as the firmware computes them."""
        return spikes

    def scratch_words(self, *inputs: IntegerType) -> int:
        """32-bit words its kernel needs besides its output (stage), or as a source of currents."""
        return 0

    def synapses(self) -> Synapses | None:
        """The node's weights, if it has any."""
        return None

    def constants(self) -> dict[str, NDArray[Any]]:
        """Its per-channel constants, as the C arrays they become."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapses:
    """Packed weights of a layer, for the planner and the report: codes ``[O, I/groups, kh, kw]``."""

    codes: NDArray[np.uint8] | NDArray[np.int16]
    bits: int
    groups: int
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerNetwork:
    """Integer nodes in execution order, the readout last. Compared and hashed by identity.

    Attributes:
        logit_scale: real logit = integer logit * logit_scale.
        certificates: for each spiking layer, what is proven of it (docs/numerics.md §6).
    """

    nodes: tuple[IntegerNode, ...]
    timesteps: int
    class_names: tuple[str, ...]
    digest: str
    logit_scale: float
    certificates: tuple[Certificate, ...]

    def types(self) -> Mapping[str, IntegerType]:
        """Output type of every node, by name."""
        return _types(self)

    def spiking(self) -> tuple[IntegerNode, ...]:
        """The nodes a trace shows, in the order of their trace index."""
        return tuple(node for node in self.nodes if node.spikes)


@lru_cache(maxsize=4)  # ranges are sums over all weights: seconds for a large network, and every stage asks for them
def _types(network: IntegerNetwork) -> Mapping[str, IntegerType]:
    types: dict[str, IntegerType] = {}
    for node in network.nodes:
        types[node.name] = node.output_type(*(types[name] for name in node.inputs))
    return MappingProxyType(types)


def check_integer_network(network: IntegerNetwork) -> None:
    """Refuse integers that could overflow or be misread: the checker after lowering.

    Raises:
        InternalError: a bound, an order or a constant is wrong.
    """
    seen: set[str] = set()
    for node in network.nodes:
        if node.name in seen or not seen.issuperset(node.inputs):
            raise InternalError(f"layer {node.name}", "is out of order in the integer network")
        seen.add(node.name)
        for name, array in node.constants().items():
            if not np.issubdtype(array.dtype, np.integer):
                raise InternalError(f"layer {node.name}", f"{name} is not an integer array")
    if network.timesteps < 1:
        raise InternalError("integer network", f"has {network.timesteps} timesteps")
    if not network.nodes or network.nodes[-1].kind != "readout":
        raise InternalError("integer network", "does not end in a readout")
    for name, kind in network.types().items():
        if np.any(kind.low > kind.high):
            raise InternalError(f"layer {name}", "has an empty range")
        if kind.bound > INT32_MAX:
            raise InternalError(f"layer {name}", "leaves int32")
    if {c.layer for c in network.certificates} != {n.name for n in network.spiking()}:
        raise InternalError("integer network", "has a spiking layer without a certificate")
    if not np.isfinite(network.logit_scale) or network.logit_scale <= 0:
        raise InternalError("integer network", "has no positive logit scale")
