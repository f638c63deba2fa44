"""What the planner, the report and the emitter ask of a kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from qpsnn_codegen.integer_network import IntegerNode, IntegerType
from qpsnn_codegen.planning.rows import LayerRows
from qpsnn_codegen.planning.work import Work

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CLayer, CModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A stage that needs a kernel.

    Attributes:
        parts: its nodes, the farthest current first, the stored node last.
        types: output type of every node of the network.
        sources: the stored nodes the stage reads, by name.
        readers: how many nodes read each node.
    """

    parts: tuple[IntegerNode, ...]
    types: Mapping[str, IntegerType]
    sources: Mapping[str, IntegerNode]
    readers: Mapping[str, int]
    timesteps: int

    @property
    def node(self) -> IntegerNode:
        """The stored node the stage computes."""
        return self.parts[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel(ABC):
    """A way to run one stage."""

    name: ClassVar[str]

    candidate: Candidate

    @classmethod
    @abstractmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        """The kernel for this stage, or ``None`` if it cannot run it."""

    @property
    @abstractmethod
    def scratch_words(self) -> int:
        """32-bit words it needs besides its input and output."""

    @property
    def rows(self) -> LayerRows | None:
        """How it goes row by row, or ``None`` where it only runs whole maps."""
        return None

    @property
    def reads_bytes(self) -> bool:
        """Whether the spikes that it reads may be packed in bytes, rather than words."""
        return False

    @property
    def writes_bytes(self) -> bool:
        """Whether its own may."""
        return False

    @property
    def in_place(self) -> bool:
        """Whether its output may take the place of its input, if both have the same format."""
        return False

    @abstractmethod
    def weight_bytes(self, part: IntegerNode) -> int:
        """Bytes of packed weights of one part."""

    @abstractmethod
    def constant_bytes(self, part: IntegerNode) -> int:
        """Bytes of per-channel constants of one part."""

    @abstractmethod
    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        """What the stage does in one inference, by name: instructions are a constant of each name times its number.

        ``packed``: the maps of spikes that are packed in bytes.
        The constants are measured (``benchmarks/kernel_costs.py``), so names and numbers need to say only what the
        instructions grow with, not how many there are.
        """

    @abstractmethod
    def describe(self, c: CModel) -> CLayer:
        """Declare its constants in C and name the function that runs them."""
