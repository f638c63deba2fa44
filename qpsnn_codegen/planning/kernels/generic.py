"""The kernels that run every stage: currents channel by channel, neurons one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.layouts import pack_rows

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CLayer, CModel


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericKernel(Kernel):
    """Every node describes itself."""

    name: ClassVar[str] = "generic"

    @classmethod
    def fit(cls, candidate: Candidate) -> Self:
        return cls(candidate=candidate)

    @property
    def scratch_words(self) -> int:
        types = self.candidate.types
        return sum(part.scratch_words(*(types[name] for name in part.inputs)) for part in self.candidate.parts)

    @property
    def in_place(self) -> bool:
        pool = self.candidate.node
        return isinstance(pool, MapPool) and pool.reads_ahead(self.candidate.types[pool.inputs[0]])

    def weight_bytes(self, part: IntegerNode) -> int:
        synapses = part.synapses()
        return 0 if synapses is None else int(pack_rows(synapses.codes, synapses.bits, synapses.groups).nbytes)

    def constant_bytes(self, part: IntegerNode) -> int:
        return sum(array.nbytes for array in part.constants().values())

    def describe(self, c: CModel) -> CLayer:
        return self.candidate.node.describe(c)
