"""The readout on counts: a linear layer of spikes, or of pooled ones, whose currents are only added up over time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.readout import SumReadout
from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.kernels.lanes import stored_bits
from qpsnn_codegen.planning.layouts import pack_rows
from qpsnn_codegen.planning.work import Work, sees_all

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

COUNTED = 64
"""Inputs that are listed at most: taking lanes apart for more of them at once saves next to nothing."""
_LEAST = 4
"""Inputs that are worth adding up together: with fewer, most of the time goes into taking lanes apart."""
_MAX_TIMES = 2**8 - 1
_MAX_BYTES = 2**24
"""How often an input spiked and where its row begins share a word."""
_WORD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsKernel(Kernel):
    """``qps_counts_run`` of spikes, ``qps_counts_pooled_run`` of sums: one that is n in all adds n times its row."""

    name: ClassVar[str] = "counts"

    conv: IntegerConv
    readout: SumReadout

    @classmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        if len(candidate.parts) != 2:
            return None
        conv, readout = candidate.parts
        if not isinstance(conv, IntegerConv) or not isinstance(readout, SumReadout):
            return None
        source = candidate.types[conv.inputs[0]]
        if source.static or int(source.low.min()) < 0 or not sees_all(conv.window, source.shape):
            return None
        if conv.groups != 1 or candidate.readers[conv.name] != 1:
            return None
        kernel = cls(candidate=candidate, conv=conv, readout=readout)
        fits = kernel._most * candidate.timesteps <= _MAX_TIMES and kernel._bytes < _MAX_BYTES
        return kernel if fits and kernel._room >= _LEAST else None

    @property
    def _most(self) -> int:
        """What an input can be at a timestep."""
        return max(int(self.candidate.types[self.conv.inputs[0]].high.max()), 1)

    @property
    def _room(self) -> int:
        """Inputs whose sums fit the lanes, whatever they are."""
        largest = ((1 << self.conv.bits) - 1) * self._most * self.candidate.timesteps
        return ((1 << 4 * self._bits) - 1) // largest

    @property
    def chunk(self) -> int:
        """Inputs that are listed before they are added up."""
        return min(self._room, COUNTED, self._rows)

    @property
    def scratch_words(self) -> int:
        return self.chunk

    @property
    def _classes(self) -> int:
        return len(self.conv.codes)

    @property
    def _bits(self) -> int:
        """Of codes as they are stored."""
        return stored_bits(self._classes, self.conv.bits)

    @property
    def _row_words(self) -> int:
        return -(-self._classes * self._bits // (8 * _WORD))

    @property
    def _row_bytes(self) -> int:
        """Bytes are read one by one, narrower codes in words, which some cores want aligned."""
        return self._classes if self._bits == 8 else _WORD * self._row_words

    @property
    def _rows(self) -> int:
        return int(np.prod(self.conv.codes.shape[1:]))

    @property
    def _bytes(self) -> int:
        return self._rows * self._row_bytes + -self._row_bytes % _WORD

    def _packed(self) -> NDArray[np.uint8]:
        """Rows one after the other, and what may be read behind the last."""
        rows = pack_rows(self.conv.codes, self._bits, groups=1)
        rows = np.pad(rows, ((0, 0), (0, self._row_bytes - rows.shape[1])))
        return np.pad(rows.reshape(1, -1), ((0, 0), (0, self._bytes - rows.size)))

    def weight_bytes(self, part: IntegerNode) -> int:
        return self._bytes if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        return sum(array.nbytes for array in part.constants().values()) if part is self.readout else 0

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        inputs, timesteps = work.inputs[self.conv.name], self.candidate.timesteps
        channels, height, width = self.candidate.types[self.conv.inputs[0]].shape
        pooled = self._most > 1
        looked_at = float((channels if pooled else -(-channels // 32)) * height * width)
        what = "values" if pooled else "spike words"
        # Some inputs are left over at the end.
        chunks = inputs // self.chunk + 1
        return {
            "stages": 1.0,
            "classes": float(self._classes),
            what: looked_at,
            f"{what} and steps": looked_at * timesteps,
            f"inputs among {what}": inputs,
            "inputs and steps": inputs * timesteps * (not pooled),
            f"words of {self._bits}-bit rows": inputs * self._row_words,
            "chunks": chunks,
            "chunks of words": chunks * self._row_words,
            "chunks of classes": chunks * self._classes,
        }

    def describe(self, c: CModel) -> CLayer:
        conv, readout = self.conv, self.readout
        _, inputs, kh, kw = conv.codes.shape
        comment = (
            f"{conv.name}: rows [ky {kh}][kx {kw}][input {inputs}], "
            f"each the {self._bits}-bit codes of {self._classes} classes, lowest bits first"
        )
        lanes = f"qps_counts_lanes_{self._bits}"
        fields: dict[str, Any] = {
            "input": c.map_fields(conv.inputs[0]),
            "codes": f"&{c.weights(conv.name, self._packed, comment)}[0]",
            "lanes": lanes,
            "row_bytes": self._row_bytes,
            "classes": self._classes,
            "bits": self._bits,
            "chunk": self.chunk,
            "multiplier": conv.multiplier,
            "zero_point": conv.zero_point,
            "rescale": readout.rescale.c_fields(c, readout.name),
        }
        comment = f"{readout.name}: {c.range_comment(readout.name)}; {conv.name}: {c.range_comment(conv.name)}"
        return CLayer(
            function="qps_counts_pooled_run" if self._most > 1 else "qps_counts_run",
            symbol=c.struct(readout.name, "layer", "qps_counts_t", fields, comment),
            arguments=("input", "logits", "scratch"),
            named=(lanes,),
        )
