"""The first layer on an image of bytes: currents once per pixel, by multiplication, then the neurons."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers
from qpsnn_codegen.planning.kernels.base import Candidate
from qpsnn_codegen.planning.kernels.fusing import LayerKernel, is_plain, layer_parts
from qpsnn_codegen.planning.layouts import layout_of
from qpsnn_codegen.planning.work import Work, lines_inside, taps_inside

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

BLOCK = 8
"""``QPS_IMAGE_BLOCK``."""
_MAX_CODES = 2**14
"""Beyond this many, flash matters more than speed: codes take a byte, not two."""
_MAX_SUM = 2**24
"""Of the lower of two codes that share a word."""
_MAX_FILLED = 2**14
"""Bytes that may be spent on filling up rows of one byte per code."""
_MAX_ROW = 2**16
"""Offsets from row to row have 16 bits."""
CHUNK = 64
"""``QPS_IMAGE_CHUNK``."""
_FOUR = 4
"""Neurons that Helium looks at together."""
_DENSE = range(8, 33)
"""Inputs under a window all of which Helium multiplies at once (``QPS_DENSE_TAPS``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayerKernel(LayerKernel):
    """What the kernels of images share: all but how they add up codes."""

    @property
    def function(self) -> str:
        """Its functions in C, without ``_run`` and ``_row``."""
        return f"qps_{self.name}"

    @classmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        parts = layer_parts(candidate)
        if parts is None or not is_plain(parts[1]):
            return None
        conv, neuron, pool = parts
        source = candidate.types[conv.inputs[0]]
        node = candidate.sources.get(conv.inputs[0])
        if node is None or layout_of(node, source, candidate.timesteps).format != "IMAGE_U8":
            return None
        kernel = cls(candidate=candidate, conv=conv, neuron=neuron, pool=pool)
        return kernel if kernel._suits else None

    @property
    @abstractmethod
    def _suits(self) -> bool:
        """Whether codes and sums are such as this kernel can add up."""

    @property
    @abstractmethod
    def _row_bytes(self) -> int:
        """Bytes of a row of codes."""

    @abstractmethod
    def _packed(self) -> NDArray[np.uint8]:
        """The rows as they are stored."""

    @property
    @abstractmethod
    def _words(self) -> str:
        """What they are made of, for a comment."""

    @property
    def _registers(self) -> int:
        """In which Helium holds all inputs under a window; 0: there are too many of them, or too few."""
        return 0

    @property
    def _filled(self) -> int:
        """Codes of a row, filled up to whole blocks."""
        return -(-self._channels // BLOCK) * BLOCK

    def _filled_rows(self) -> NDArray[np.uint8]:
        rows = self.conv.codes.transpose(1, 2, 3, 0).reshape(self._rows, -1)
        return np.pad(rows, ((0, 0), (0, self._filled - self._channels)))

    @property
    def scratch_words(self) -> int:
        return 2 * self.candidate.timesteps * -(-self._channels // 32) + 2 * (self._rows + 1)

    def weight_bytes(self, part: IntegerNode) -> int:
        return self._rows * self._row_bytes if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        return 4 * self._filled + 8 * self._channels if part is self.neuron else 0

    def quiet(self) -> Integers:
        """Per channel, the largest constant current A with which no spike ever comes: int64 [C].

        A neuron's membrane never falls when A grows, so there is one such border.
        """
        neuron, kind = self.neuron, self.candidate.types[self.conv.name]
        # Outside what A can be: taken for quiet and for spiking, whatever they are.
        low, high = kind.low - 1, kind.high + 1

        def spikes(current: Integers) -> NDArray[np.bool_]:
            membrane = neuron.rest
            fired = np.zeros(len(current), dtype=bool)
            for _ in range(self.candidate.timesteps):
                membrane = neuron.decay.apply(membrane) + (current << neuron.fraction_bits)
                fired |= membrane > neuron.threshold
            return fired

        while np.any(high - low > 1):
            middle = (low + high) // 2
            fired = spikes(middle)
            low, high = np.where(fired, low, middle), np.where(fired, middle, high)
        return low

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        load, timesteps = self._load(work), self.candidate.timesteps
        planes = self.candidate.types[self.conv.inputs[0]].shape[0]
        pixels = float(load.steps.sum())
        # Of the pixels that see nothing, the first in a row stands for all.
        computed = load.busy + min(pixels - load.busy, float(self._size[0]))
        blocks = self._filled // BLOCK
        done = self._share * computed / max(pixels, 1.0)
        awake = work.awake[self.neuron.name] * done
        # If neurons spike independently of each other.
        fours = computed * self._filled / _FOUR * (1 - (1 - awake / max(computed * self._channels, 1.0)) ** _FOUR)
        seen = {
            "pixels": pixels,
            "planes": pixels * planes,
            "lines": self._inside(lines_inside) * planes,
            "inputs": self._inside(taps_inside) * planes,
            "events": load.events,
            "rows": load.events * blocks,
            "registers": computed * blocks * self._registers,
            "sums": computed * blocks,
        }
        few = "few inputs: " if self._registers else ""
        return {
            "stages": 1.0,
            **{f"{few}{name}": number for name, number in seen.items()},
            "neurons awake": awake,
            "neurons awake and steps": awake * timesteps,
            "fours awake": fours,
            "fours awake and steps": fours * timesteps,
            "spikes": work.spikes[self.neuron.name] * done,
            "spike words": computed * timesteps * -(-self._channels // 32),
            **self._stored(pixels * timesteps, packed),
        }

    def describe(self, c: CModel) -> CLayer:
        conv, neuron = self.conv, self.neuron
        _, inputs, kh, kw = conv.codes.shape
        comment = f"{conv.name}: rows [input {inputs}][ky {kh}][kx {kw}] of {self._words}"
        codes = c.weights(conv.name, self._packed, comment)
        border = np.full(self._filled, INT32_MAX)
        border[: self._channels] = self.quiet()
        quiet = c.array(neuron.name, "quiet", "int32_t", border, "largest current without a spike, per channel")
        constants = np.stack([neuron.threshold, neuron.rest], axis=1)
        neurons = c.array(neuron.name, "neurons", "int32_t", constants, "threshold and rest of every channel")
        fields: dict[str, Any] = {
            **self._fields(c),
            "codes": f"&{codes}[0]",
            "quiet": quiet,
            "neurons": neurons,
            "row_bytes": self._row_bytes,
            "multiplier": conv.multiplier,
            "zero_point": conv.zero_point,
            "decay_shift": neuron.decay.shift,
            "fraction_bits": neuron.fraction_bits,
        }
        symbol = c.struct(
            neuron.name,
            "layer",
            "qps_image_t",
            fields,
            f"{c.verdict(neuron.name)}; {conv.name}: {c.range_comment(conv.name)}",
        )
        return CLayer(
            function=f"{self.function}_run",
            row_function=f"{self.function}_row",
            symbol=symbol,
            arguments=("input", "output", "scratch"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKernel(ImageLayerKernel):
    """``qps_image_run``: two codes per word, both multiplied at once."""

    name: ClassVar[str] = "image"

    @property
    def _suits(self) -> bool:
        totals = self.conv.codes.reshape(self._channels, -1).sum(axis=1, dtype=np.int64)
        most = int(self.candidate.types[self.conv.inputs[0]].high.max())
        return self._rows * self._filled <= _MAX_CODES and int(totals.max()) * most < _MAX_SUM

    @property
    def _row_bytes(self) -> int:
        return 2 * self._filled

    def _packed(self) -> NDArray[np.uint8]:
        rows = self._filled_rows().astype(np.uint32)
        words = rows[:, 0::2] | rows[:, 1::2] << np.uint32(24)
        return np.ascontiguousarray(words.astype("<u4")).view(np.uint8)

    @property
    def _words(self) -> str:
        return "words with two codes, bits 0 and 24 up"

    @property
    def _registers(self) -> int:
        if self._rows not in _DENSE:
            return 0
        return 2 if self._rows <= _DENSE[-1] // 2 else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBytesKernel(ImageLayerKernel):
    """``qps_image_bytes_run``: a byte per code, pixels in chunks."""

    name: ClassVar[str] = "image_bytes"
    widths: ClassVar[tuple[int, ...]] = (8,)
    """Bits of the codes that it takes."""
    unpacked_words: ClassVar[int] = 0
    """Of scratch, for codes that are stored otherwise."""

    @property
    def _suits(self) -> bool:
        few = self._rows * (self._filled - self._channels) * self.conv.bits <= 8 * _MAX_FILLED
        return self.conv.bits in self.widths and few and self._filled < _MAX_ROW

    @property
    def scratch_words(self) -> int:
        listed = 2 * (min(self._rows, CHUNK) + 1)
        spikes = 2 * self.candidate.timesteps * -(-self._channels // 32)
        return spikes + self._filled + self.unpacked_words + listed

    @property
    def _row_bytes(self) -> int:
        return self._filled

    def _packed(self) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self._filled_rows())

    @property
    def _words(self) -> str:
        return "bytes"

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        chunks = self._load(work).chunks(CHUNK)
        return {
            **ImageLayerKernel.features(self, work, packed),
            "chunks": chunks,
            "chunks of blocks": chunks * (self._filled // BLOCK),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePackedKernel(ImageBytesKernel):
    """``qps_image_packed_<bits>_run``: the same for codes of 2 and 4 bits, unpacked chunk by chunk."""

    name: ClassVar[str] = "image_packed"
    widths: ClassVar[tuple[int, ...]] = (2, 4)
    unpacked_words: ClassVar[int] = 2 * CHUNK + 2 * (CHUNK + 1)
    """``QPS_UNPACKED_WORDS``."""

    @property
    def function(self) -> str:
        return f"qps_{self.name}_{self.conv.bits}"

    @property
    def _row_bytes(self) -> int:
        return self._filled * self.conv.bits // 8

    def _packed(self) -> NDArray[np.uint8]:
        """Of a block, code k is in byte k modulo as many as it has."""
        bits = self.conv.bits
        blocks = self._filled_rows().reshape(self._rows, -1, 8 // bits, bits)
        shifts = bits * np.arange(8 // bits, dtype=np.uint8)
        packed: NDArray[np.uint8] = np.bitwise_or.reduce(blocks << shifts[:, None], axis=2)
        return np.ascontiguousarray(packed.reshape(self._rows, -1))

    @property
    def _words(self) -> str:
        return f"{self.conv.bits} bits, blocks of {BLOCK} codes"

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        found = ImageBytesKernel.features(self, work, packed)
        return {**found, f"rows of {self.conv.bits} bits": found["rows"]}
