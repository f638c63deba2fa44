"""The kernels that run every stage: currents channel by channel, neurons one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from qpsnn_codegen.integer_network import IntegerNode, IntegerType
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.layouts import packed_bytes
from qpsnn_codegen.planning.work import Work, taps_inside

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
        return 0 if synapses is None else packed_bytes(synapses.codes, synapses.bits, synapses.groups)

    def constant_bytes(self, part: IntegerNode) -> int:
        return sum(array.nbytes for array in part.constants().values())

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        types = self.candidate.types
        result: defaultdict[str, float] = defaultdict(float, stages=1.0)
        repeats = {part.name: 1.0 for part in self.candidate.parts}
        for part in reversed(self.candidate.parts):
            sources = [types[name] for name in part.inputs]
            static = types[part.name].static and all(source.static for source in sources)
            frames = repeats[part.name] * (1 if static else self.candidate.timesteps)
            result[f"{part.kind} frames"] += frames * float(np.prod(types[part.name].shape[1:]))
            wide = " of 16 bits" if part.stored and types[part.name].static and types[part.name].bound >= 2**7 else ""
            result[f"{part.kind} values{wide}"] += frames * float(np.prod(types[part.name].shape))
            window, synapses = getattr(part, "window", None), part.synapses()
            if synapses is not None:
                # Others are multiplied: by values that are not 0 or 1, or weights that are not codes.
                spikes = _values(sources[0]) == "spikes" and synapses.bits <= 8
                taps = frames * float(taps_inside(synapses.window, sources[0].shape).sum()) * synapses.groups
                channels = synapses.codes.shape[1]
                load = work.loads[part.name].scaled(repeats[part.name])
                what = f"{synapses.bits}-bit codes" if spikes else "codes multiplied"
                if synapses.bits > 8:
                    what = "wide weights"
                result[f"rows of {what}"] += load.events
                result[what] += load.events * (len(synapses.codes) // synapses.groups)
                result["taps"] += taps
                result["spike words read" if spikes else "values read"] += taps * (
                    -(-channels // 32) if spikes else channels
                )
            elif isinstance(window, Window):
                # A source of currents computes a pixel as often as windows hold it.
                taps = float(taps_inside(window, sources[0].shape).sum())
                what = f"{part.kind} of {_values(sources[0])} to {_values(types[part.name])}"
                result[f"{what}, inputs"] += frames * taps * sources[0].shape[0]
                if part.name in work.loads and _values(sources[0]) == "spikes":
                    result[f"{what}, events"] += work.loads[part.name].events
                    result[f"{what}, busy windows"] += work.loads[part.name].busy
                for name in part.inputs:
                    if name in repeats:
                        repeats[name] *= taps / float(np.prod(sources[0].shape[1:]))
            else:
                result[f"{part.kind} inputs"] += frames * float(sum(np.prod(source.shape) for source in sources))
            result[f"{part.kind} spikes"] += work.spikes.get(part.name, 0.0)
        return dict(result)

    def describe(self, c: CModel) -> CLayer:
        return self.candidate.node.describe(c)


def _values(kind: IntegerType) -> str:
    """What the values are, for the cost of looking at them."""
    return "spikes" if not kind.static and int(kind.low.min()) >= 0 and int(kind.high.max()) <= 1 else "values"
