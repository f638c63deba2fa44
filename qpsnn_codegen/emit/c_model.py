"""What the C of a model consists of: arrays, constant structs and calls, collected while the nodes describe themselves.

A node's ``describe`` says *what* it needs; names, literals and where a map lies are decided here, once for all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_literals import identifiers

if TYPE_CHECKING:
    from qpsnn_codegen.integer_network import IntegerNode
    from qpsnn_codegen.planning.groups import Group
    from qpsnn_codegen.planning.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CArray:
    """A constant array. ``rows`` breaks its text into lines; ``weights`` puts it into the weights file."""

    symbol: str
    ctype: str
    values: NDArray[Any]
    comment: str
    weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CStruct:
    """A constant struct with designated initializers, in order."""

    symbol: str
    ctype: str
    fields: tuple[tuple[str, str], ...]
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CLayer:
    """A kernel and its constants.

    Attributes:
        arguments: which of input, second, output, logits and scratch a stage's kernel takes.
        row_function: what computes one row; it takes the row's index besides.
        named: functions that the constants point to.
    """

    function: str
    symbol: str
    arguments: tuple[str, ...] = ()
    row_function: str = ""
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CGroup:
    """A group of stages: their kernels, and the array with the order of their rows, if they take turns."""

    group: Group
    layers: tuple[CLayer, ...]
    order: str

    @property
    def functions(self) -> frozenset[str]:
        """The runtime's functions that it calls or names."""
        called = (layer.row_function if self.order else layer.function for layer in self.layers)
        return frozenset(called).union(*(layer.named for layer in self.layers))


class CModel:
    """Collects the constants of one model; one is made per emission and read by the renderer.

    Args:
        weights: whether to pack the weights; without them, what is declared has the same names and types.
    """

    def __init__(self, plan: Plan, *, weights: bool = True) -> None:
        self.plan = plan
        self._packs = weights
        self.arrays: list[CArray] = []
        self.structs: list[CStruct] = []
        self._identifiers = identifiers([node.name for node in plan.network.nodes])
        self._sources: dict[str, CLayer] = {}
        self._nodes = {node.name: node for node in plan.network.nodes}
        self._types = plan.network.types()
        self._trace = {node.name: index for index, node in enumerate(plan.network.spiking())}

    def node(self, name: str) -> IntegerNode:
        """The integer node of that name."""
        return self._nodes[name]

    def symbol(self, name: str, part: str) -> str:
        """A C identifier for a part of a layer."""
        return f"{self._identifiers[name]}_{part}"

    def array(self, name: str, part: str, ctype: str, values: NDArray[Any], comment: str) -> str:
        """Declare a per-layer constant array and return its symbol."""
        symbol = self.symbol(name, part)
        self.arrays.append(CArray(symbol=symbol, ctype=ctype, values=values, comment=comment))
        return symbol

    def optional(self, name: str, part: str, ctype: str, values: NDArray[Any] | None, comment: str) -> str:
        """The same, or ``NULL`` where there are no values."""
        return "NULL" if values is None else self.array(name, part, ctype, values, comment)

    def weights(self, name: str, pack: Callable[[], NDArray[np.uint8]], comment: str) -> str:
        """Declare weights, which ``pack`` gives as uint8 ``[rows, row_bytes]``, and return their symbol."""
        rows = pack() if self._packs else np.zeros((0, 0), dtype=np.uint8)
        symbol = f"{self.plan.name}_weights_{self._identifiers[name]}"
        self.arrays.append(CArray(symbol=symbol, ctype="uint8_t", values=rows, comment=comment, weights=True))
        return symbol

    def struct(self, name: str, part: str, ctype: str, fields: Mapping[str, str | int], comment: str) -> str:
        """Declare a constant struct and return its symbol. Integers become unsigned literals."""
        symbol = self.symbol(name, part)
        texts = tuple((key, value if isinstance(value, str) else f"{value}U") for key, value in fields.items())
        self.structs.append(CStruct(symbol=symbol, ctype=ctype, fields=texts, comment=comment))
        return symbol

    def map_fields(self, name: str) -> str:
        """Initializer of the ``qps_map_t`` of a stored value."""
        return self.plan.layouts[name].c_fields()

    def source(self, name: str) -> str:
        """Initializer of the ``qps_source_t`` that yields a node's values as currents."""
        # Two stages may read the same currents or the same map: its constants are declared once.
        if name not in self._sources:
            self._sources[name] = self._declare_source(self._nodes[name])
        layer = self._sources[name]
        return f"{{{layer.function}, &{layer.symbol}}}"

    def _declare_source(self, node: IntegerNode) -> CLayer:
        if not node.stored:
            return node.describe(self)
        fields = dict(self.plan.layouts[node.name].fields())
        symbol = self.struct(node.name, "map", "qps_map_t", fields, f"the map {node.name} read as currents")
        return CLayer(function="qps_map_fill", symbol=symbol)

    def source_functions(self, names: Iterable[str]) -> list[str]:
        """The functions that yield these nodes' currents, of those that were declared as sources."""
        return [self._sources[name].function for name in names if name in self._sources]

    def range_comment(self, name: str) -> str:
        """What was proven of a node's values."""
        kind = self._types[name]
        return f"proven {int(kind.low.min())} <= value <= {int(kind.high.max())}"

    def verdict(self, name: str) -> str:
        """What is certified of a spiking layer."""
        by_layer = {certificate.layer: certificate for certificate in self.plan.network.certificates}
        return f"{name}: {by_layer[name]}"

    def static(self, name: str) -> int:
        """1 if a value is the same at every timestep, else 0."""
        return int(self._types[name].static)

    def trace(self, name: str) -> int:
        """The layer's index in traces."""
        return self._trace[name]

    @property
    def timesteps(self) -> int:
        """T."""
        return self.plan.network.timesteps


def describe(plan: Plan, *, weights: bool = True) -> tuple[CModel, list[CGroup]]:
    """The C of a plan: its constants, and the kernels of every group of stages; ``weights`` as of :class:`CModel`."""
    model = CModel(plan, weights=weights)
    return model, [_describe_group(model, group) for group in plan.groups]


def _describe_group(model: CModel, group: Group) -> CGroup:
    layers = tuple(model.plan.stages[index].kernel.describe(model) for index in group.stages)
    order = ""
    if group.order:
        node = model.plan.stages[group.last].node
        comment = "which stage computes its next row, counted from the first of the group"
        order = model.array(node, "order", "uint8_t", np.array(group.order, dtype=np.uint8), comment)
    return CGroup(group=group, layers=layers, order=order)
