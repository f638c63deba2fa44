"""Layouts: how codes and maps lie in memory (docs/numerics.md §7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import IntegerNode, IntegerType
from qpsnn_codegen.network import Shape

Format = Literal["SPIKES", "SPIKES8", "COUNTS8", "COUNTS16", "IMAGE_U8", "IMAGE_S8", "IMAGE_S16"]

_VALUE_BYTES: dict[Format, int] = {"COUNTS8": 1, "COUNTS16": 2, "IMAGE_U8": 1, "IMAGE_S8": 1, "IMAGE_S16": 2}

_DESCRIPTION: dict[Format, str] = {
    "SPIKES": "[t][y][x] groups of {words} 32-bit words, bit c % 32 of word c / 32 is channel c",
    "SPIKES8": "[t][y][x] groups of {bytes} bytes, bit c % 8 of byte c / 8 is channel c",
    "COUNTS8": "[t][y][x][channel] unsigned bytes",
    "COUNTS16": "[t][y][x][channel] unsigned 16-bit",
    "IMAGE_U8": "[channel][y][x] unsigned bytes",
    "IMAGE_S8": "[channel][y][x] signed bytes",
    "IMAGE_S16": "[channel][y][x] signed 16-bit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout:
    """A map in memory.

    Attributes:
        frames: 1 for what does not change over time, else the timesteps.
        rows: of each frame that are in memory at once; the latest, row y in the place ``y % rows``.
    """

    format: Format
    shape: Shape
    frames: int
    rows: int

    @property
    def words_per_pixel(self) -> int:
        """32-bit words of one pixel of a spike map."""
        return -(-self.shape[0] // 32)

    @property
    def bytes_per_pixel(self) -> int:
        """Of any map that is stored pixel by pixel."""
        if self.format == "SPIKES":
            return 4 * self.words_per_pixel
        if self.format == "SPIKES8":
            return -(-self.shape[0] // 8)
        return _VALUE_BYTES[self.format] * self.shape[0]

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self.frames * self.rows * self.shape[2] * self.bytes_per_pixel

    @property
    def description(self) -> str:
        """The layout in words, for the generated header."""
        text = _DESCRIPTION[self.format].format(words=self.words_per_pixel, bytes=self.bytes_per_pixel)
        return text if self.rows == self.shape[1] else f"{text}, {self.rows} rows of {self.shape[1]}"

    def fields(self) -> Iterator[tuple[str, str | int]]:
        """Fields of a ``qps_map_t``."""
        yield "channels", self.shape[0]
        yield "height", self.shape[1]
        yield "width", self.shape[2]
        yield "timesteps", self.frames
        yield "rows", self.rows
        yield "format", f"QPS_MAP_{self.format}"

    def c_fields(self) -> str:
        """Initializer of a ``qps_map_t``."""
        texts = (
            f".{name} = {value}U" if isinstance(value, int) else f".{name} = {value}" for name, value in self.fields()
        )
        return "{" + ", ".join(texts) + "}"

    def pack(self, values: NDArray[Any]) -> bytes:
        """Bytes of one sample ``[frames, C, H, W]`` (non-negative; used for the caller's input)."""
        if self.format == "IMAGE_U8":
            return values.astype(np.uint8).tobytes()
        pixels = values.transpose(0, 2, 3, 1)
        if self.format == "COUNTS8":
            return pixels.astype(np.uint8).tobytes()
        return pack_spikes(pixels).tobytes()


def layout_of(node: IntegerNode, kind: IntegerType, timesteps: int) -> MapLayout:
    """The layout of a stored value: as narrow as its proven range allows."""
    high, low = int(kind.high.max()), int(kind.low.min())
    frames = 1 if kind.static else timesteps
    if node.planar and kind.static:
        chosen: Format = "IMAGE_U8" if low >= 0 and high <= 255 else "IMAGE_S8" if kind.bound <= 127 else "IMAGE_S16"
    else:
        chosen = "SPIKES" if high <= 1 else "COUNTS8" if high <= 255 else "COUNTS16"
    return MapLayout(format=chosen, shape=kind.shape, frames=frames, rows=kind.shape[1])


def pack_spikes(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    """Spikes ``[..., C]`` (0 or 1) as words ``[..., ceil(C / 32)]``, channel c in bit c % 32 of word c // 32."""
    channels = pixels.shape[-1]
    margin = -channels % 32
    padded = np.pad(pixels.astype(bool), [(0, 0)] * (pixels.ndim - 1) + [(0, margin)])
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4").astype(np.uint32)


def unpack_spikes(words: NDArray[np.uint32], channels: int) -> NDArray[np.uint8]:
    """The reverse: ``[..., ceil(C / 32)]`` to ``[..., C]``."""
    octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")[..., :channels]


def packed_bytes(codes: NDArray[Any], bits: int, groups: int) -> int:
    """Of :func:`pack_rows`."""
    outputs, group_inputs, kh, kw = codes.shape
    return int(kh * kw * groups * group_inputs * -(-(outputs // groups) * bits // 8))


def pack_rows(codes: NDArray[np.uint8] | NDArray[np.int16], bits: int, groups: int) -> NDArray[np.uint8]:
    """Codes ``[O, I/groups, kh, kw]`` as rows ``[kh * kw * I, row_bytes]``.

    Row (ky, kx, i) holds the codes that input i has for the outputs of its group, ``bits`` wide, lowest bits first,
    filled up with zeros to whole bytes: one event adds one contiguous row. Those of 16 bits are signed, low byte first.
    """
    outputs, group_inputs, kh, kw = codes.shape
    group_outputs = outputs // groups
    taps = codes.reshape(groups, group_outputs, group_inputs, kh, kw).transpose(3, 4, 0, 2, 1)
    rows: NDArray[Any] = taps.reshape(kh * kw * groups * group_inputs, group_outputs)
    if bits == 16:
        return np.ascontiguousarray(rows.astype("<i2")).view(np.uint8)
    per_byte = 8 // bits
    rows = np.pad(rows, ((0, 0), (0, -group_outputs % per_byte)))
    parts = rows.reshape(len(rows), -1, per_byte).astype(np.uint32) << (bits * np.arange(per_byte, dtype=np.uint32))
    return np.asarray(parts.sum(axis=-1), dtype=np.uint8)
