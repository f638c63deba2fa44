"""Event cameras: recordings of (x, y, polarity, time) as T frames of two channels.

Three layouts are read. A flat npz holds all recordings of a part one behind the other, ``offsets_train`` saying where
each begins. Folders hold an npz per recording: ``train/CLASS/`` and ``test/CLASS/`` as DVS-Gesture is unpacked, or
``CLASS/`` alone as DVS-CIFAR10, of which the last tenth of each class is held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.arrays import need, read_npz
from qpsnn_codegen.nn.datasets.classes import Member, class_folders
from qpsnn_codegen.nn.datasets.dataset import MAX_BYTES, PARTS, Dataset, assemble, numbered
from qpsnn_codegen.nn.datasets.source import Source

SENSOR = 128
"""Rows and columns of the camera behind both published data sets."""

_FIELDS = ("x", "y", "p", "t")
# Products of time and frames then stay below 2^63.
_LONGEST = 2**50


@dataclass(frozen=True, slots=True, kw_only=True)
class Binning:
    """How events become frames.

    Args:
        frames: T.
        sensor: rows and columns the coordinates come from.
        size: rows and columns of a frame; cells of the sensor are joined.
        by: frames of equal ``"time"``, or of an equal ``"number"`` of events.
        most: counts above are cut off; 1 for spikes.
    """

    frames: int
    sensor: int
    size: int
    by: Literal["time", "number"]
    most: int

    def frame(self, where: str, events: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
        """Frames of one recording: uint8 [T, 2, size, size], the polarity being the channel.

        Args:
            where: for messages.
            events: ``x``, ``y`` (below ``sensor``), ``p`` (0 or 1) and ``t`` (any unit), each [events].

        Raises:
            DataError: arrays of other lengths, types or ranges.
        """
        columns = {name: _whole(where, name, events[name], len(events["x"])) for name in _FIELDS}
        x, y, p, t = (columns[name] for name in _FIELDS)
        if not len(x):
            return np.zeros((self.frames, 2, self.size, self.size), np.uint8)
        for name, limit in (("x", self.sensor), ("y", self.sensor), ("p", 2)):
            low, high = int(columns[name].min()), int(columns[name].max())
            if low < 0 or high >= limit:
                raise DataError(where, f"{name} runs from {low} to {high}", f"give 0 to {limit - 1} (?sensor=N)")
        t = t - t.min()
        if t.max() >= _LONGEST:
            raise DataError(where, f"its times span {t.max()}", "give microseconds")
        order = np.arange(len(x)) if self.by == "number" else t
        step = order * self.frames // (int(order.max()) + 1)
        row, column = (axis * self.size // self.sensor for axis in (y, x))
        cell = ((step * 2 + p) * self.size + row) * self.size + column
        counts = np.bincount(cell, minlength=self.frames * 2 * self.size**2)
        return np.minimum(counts, self.most).astype(np.uint8).reshape(self.frames, 2, self.size, self.size)


def _whole(where: str, name: str, values: NDArray[Any], count: int) -> NDArray[np.int64]:
    floats = values.dtype.kind == "f" and np.isfinite(values).all() and (np.abs(values) < _LONGEST).all()
    if values.shape != (count,) or not (values.dtype.kind in "biu" or floats):
        raise DataError(
            where, f"{name} is {values.dtype} {list(values.shape)}", f"give {count} finite numbers, one per event"
        )
    return values.astype(np.int64)


def open_events(source: Source) -> Dataset:
    """``events:PATH?frames=T``; options ``size``, ``sensor``, ``by``, ``max`` (see :class:`Binning`), ``holdout``."""
    frames = source.integer("frames", 10, 1, 4096)
    most = source.integer("max", 1, 1, 255)
    by = source.choice("by", ("time", "number"))
    given = source.integer("sensor", None, 1, 4096)
    size = source.integer("size", None, 1, 4096)
    path = source.file
    flat = read_npz(path, "give an npz with x_train, y_train, p_train, t_train, offsets_train, label_train and the "
                    "same for test") if path.is_file() else None  # fmt: skip
    sensor = given or (SENSOR if flat is None else _sensor_of(flat))
    binning = Binning(
        frames=frames or 10,
        sensor=sensor,
        size=size or sensor,
        by="number" if by == "number" else "time",
        most=most or 1,
    )
    if binning.size > sensor:
        raise DataError(source.text, f"size {size} is larger than the sensor's {sensor}", "give at most that")
    if flat is not None:
        arrays, names = _flat(path, flat, binning)
    else:
        arrays, names = _folders(source, binning)
    return assemble(path, arrays, names, divisor=1.0, max_value=binning.most)


def _sensor_of(arrays: Mapping[str, NDArray[Any]]) -> int:
    found = [arrays[f"{axis}_{part}"] for axis in "xy" for part in PARTS if f"{axis}_{part}" in arrays]
    highest = max((int(a.max()) for a in found if a.size and a.dtype.kind in "iu"), default=0)
    return min(max(highest + 1, 1), 4096)


def _check_size(where: str, recordings: int, binning: Binning) -> None:
    total = recordings * binning.frames * 2 * binning.size**2
    if total > MAX_BYTES:
        raise DataError(where, f"its frames are {total:,} bytes", "give fewer frames, or a smaller size")


def _flat(
    path: Path, arrays: dict[str, NDArray[Any]], binning: Binning
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    result: dict[str, NDArray[Any]] = {}
    for part in PARTS:
        # Times are either given, or as steps since the event before.
        clock = f"dt_{part}" if f"dt_{part}" in arrays else f"t_{part}"
        need(path, arrays, tuple(f"{name}_{part}" for name in ("x", "y", "p")))
        need(path, arrays, (clock, f"offsets_{part}", f"label_{part}"))
        offsets, labels = arrays[f"offsets_{part}"], arrays[f"label_{part}"]
        bounds = _bounds(path, part, offsets, len(arrays[f"x_{part}"]))
        if len(labels.shape) != 1 or len(bounds) != len(labels) + 1:
            raise DataError(str(path), f"{len(bounds)} offsets_{part} for labels {list(labels.shape)}", "give one more")
        _check_size(str(path), len(labels), binning)
        frames = np.empty((len(labels), binning.frames, 2, binning.size, binning.size), np.uint8)
        for number, (begin, end) in enumerate(pairwise(bounds)):
            events = {name: arrays[f"{name}_{part}"][begin:end] for name in ("x", "y", "p")}
            times = _whole(str(path), clock, arrays[clock][begin:end], end - begin)
            events["t"] = np.cumsum(times) if clock.startswith("d") else times
            frames[number] = binning.frame(str(path), events)
        result |= {f"x_{part}": frames, f"y_{part}": labels}
    return result, numbered([result["y_train"], result["y_test"]])


def _bounds(path: Path, part: str, offsets: NDArray[Any], events: int) -> list[int]:
    bounds = [int(bound) for bound in offsets] if offsets.ndim == 1 and offsets.dtype.kind in "iu" else []
    rising = all(low <= high for low, high in pairwise(bounds))
    if not bounds or bounds[0] != 0 or bounds[-1] != events or not rising:
        raise DataError(
            str(path), f"offsets_{part} do not run from 0 to {events}", "say where each recording begins, and the end"
        )
    return bounds


def _folders(source: Source, binning: Binning) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    members, names = class_folders(source, "*.npz", held_out=0.1)
    _check_size(source.path, sum(len(part) for part in members.values()), binning)
    arrays: dict[str, NDArray[Any]] = {}
    for part, listed in members.items():
        arrays[f"x_{part}"] = np.stack(list(_recordings(source, listed, binning)))
        arrays[f"y_{part}"] = np.array([member.label for member in listed])
    return arrays, names


def _recordings(source: Source, members: list[Member], binning: Binning) -> Iterator[NDArray[np.uint8]]:
    for member in members:
        events = read_npz(member.path, "give an npz with x, y, p, t for each recording")
        need(member.path, events, _FIELDS)
        yield binning.frame(str(member.path), events)
        source.progress(1)
