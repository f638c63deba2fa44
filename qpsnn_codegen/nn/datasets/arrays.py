"""Arrays in npz files: what others read their data from, and any of them described by a line."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_codegen.arrays import DAMAGE
from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.dataset import MAX_BYTES, Dataset, assemble, hold_out, numbered, split
from qpsnn_codegen.nn.datasets.source import Source

FOUR = ("x_train", "y_train", "x_test", "y_test")
AXES = "NTCHW"
_DEFAULT_LAYOUTS = {2: "NC", 3: "NHW", 4: "NCHW", 5: "NTCHW"}


def read_npz(path: Path, wanted: str) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an npz; never a pickle.

    Args:
        wanted: the remedy of the error, "give an npz with ...".

    Raises:
        DataError: a file that is missing, damaged, announces too much, or is no npz.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(str(path), "it is a single array", wanted)
        with archive:
            announced = sum(entry.file_size for entry in zipfile.ZipFile(path).infolist())
            if announced > MAX_BYTES:
                raise DataError(str(path), f"it announces {announced:,} bytes", f"give at most {MAX_BYTES:,}")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(str(path), "no such file", wanted) from error
    except (OSError, *DAMAGE) as error:
        raise DataError(str(path), f"cannot be read ({type(error).__name__})", wanted) from error


def need(path: Path, arrays: dict[str, npt.NDArray[Any]], names: tuple[str, ...]) -> None:
    """Refuse an npz without these arrays; raises :class:`DataError`."""
    missing = next((name for name in names if name not in arrays), None)
    if missing is not None:
        found = ", ".join(arrays) or "none"
        raise DataError(str(path), f"it has no {missing} (but {found})", "give an npz with " + ", ".join(names))


def four_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """An npz that has x_train, y_train, x_test and y_test; raises :class:`DataError`."""
    arrays = read_npz(path, "give an npz with " + ", ".join(FOUR))
    need(path, arrays, FOUR)
    return arrays


def from_npz(path: str | Path) -> Dataset:
    """Any images or frames: an npz like MNIST's, uint8 [N, H, W], [N, C, H, W] or [N, T, C, H, W].

    Optional ``class_names`` and ``divisor``.

    Raises:
        DataError: a file that is missing, damaged or not of this kind.
    """
    source = Path(path)
    arrays = four_arrays(source)
    frames = arrays["x_train"].ndim == 5
    highest = max(int(arrays[name].max(initial=1)) if frames else 255 for name in ("x_train", "x_test"))
    return assemble(
        source,
        arrays,
        _class_names(arrays, [arrays["y_train"]]),
        divisor=divisor_of(source, arrays, 1.0 if frames else 255.0),
        max_value=highest,
    )


def _class_names(arrays: dict[str, npt.NDArray[Any]], labels: list[npt.NDArray[Any]]) -> tuple[str, ...]:
    for key in ("class_names", "classes"):
        if key in arrays and arrays[key].dtype.kind in "US":
            return tuple(str(name) for name in arrays[key].reshape(-1).astype(str))
    return numbered(labels)


def divisor_of(path: Path, arrays: dict[str, npt.NDArray[Any]], default: float) -> float:
    """The optional ``divisor`` of an npz; raises :class:`DataError`."""
    divisor = arrays.get("divisor", np.array(default))
    if divisor.size != 1 or divisor.dtype.kind not in "iuf" or not 0.0 < float(divisor.reshape(-1)[0]) < np.inf:
        raise DataError(str(path), "divisor is no positive number", "store one positive number")
    return float(divisor.reshape(-1)[0])


def open_npz(source: Source) -> Dataset:
    """``npz:PATH``, with four arrays; or ``npz:PATH?x=NAME&y=NAME``, one array of samples and one of labels.

    Options of the second form: ``layout`` (the axes of x by letters of NTCHW, T for event streams), ``frames`` (sum
    the T axis up to so many), ``max`` (cut larger values off: 1 makes spikes), ``holdout`` (share of each class that is
    for testing), ``divisor``.
    """
    if "x" not in source.options and "y" not in source.options:
        return from_npz(source.file)
    x, y = source.word("x", "x"), source.word("y", "y")
    arrays = read_npz(source.file, f"give an npz with {x}, {y}")
    need(source.file, arrays, (x, y))
    layout = source.word("layout", _DEFAULT_LAYOUTS.get(arrays[x].ndim, ""))
    samples, labels = _to_bytes(source, x, _arranged(source, arrays[x], layout)), arrays[y]
    if labels.dtype.kind not in "iu" or labels.shape != samples.shape[:1]:
        shapes = f"{y} is {labels.dtype} {list(labels.shape)} for {len(samples)} samples"
        raise DataError(str(source.file), shapes, "give one integer label per sample")
    frames = source.integer("frames", None, 1, 4096)
    if "T" not in layout:
        if frames is not None:
            raise DataError(source.text, "frames are of a T axis, and there is none", "give layout=NTC, for instance")
        samples = samples[:, 0]
    else:
        samples = samples if frames is None else _summed(source, samples, frames)
        samples = np.minimum(samples, np.uint8(source.integer("max", 255, 1, 255) or 255))
    test = hold_out(labels, source.share("holdout", 0.2))
    divisor = source.integer("divisor", 255 if samples.ndim == 4 else 1, 1, 255)
    return assemble(
        source.file,
        split(samples, labels, test),
        _class_names(arrays, [labels]),
        divisor=float(divisor or 1),
        max_value=255 if samples.ndim == 4 else max(1, int(samples.max(initial=0))),
    )


def _arranged(source: Source, samples: npt.NDArray[Any], layout: str) -> npt.NDArray[Any]:
    """[N, T, C, H, W], axes that ``layout`` does not name being 1."""
    if sorted(layout) != sorted(set(layout) & set(AXES)) or "N" not in layout or len(layout) != samples.ndim:
        raise DataError(
            source.text,
            f"an array of {samples.ndim} axes has no layout {layout!r}",
            "name each axis once by a letter of NTCHW: layout=NHWC, for instance",
        )
    present = [axis for axis in AXES if axis in layout]
    ordered = samples.transpose([layout.index(axis) for axis in present])
    sizes = dict(zip(present, ordered.shape, strict=True))
    return ordered.reshape([sizes.get(axis, 1) for axis in AXES])


def _to_bytes(source: Source, name: str, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Whole numbers of any type as uint8; raises :class:`DataError`."""
    if samples.dtype.kind in "biu" and samples.size and samples.min() >= 0 and samples.max() <= 255:
        return samples.astype(np.uint8)
    raise DataError(str(source.file), f"{name} is {samples.dtype} and not all bytes", "store whole numbers, 0 to 255")


def _summed(source: Source, samples: npt.NDArray[np.uint8], frames: int) -> npt.NDArray[np.uint8]:
    """[N, T, ...] to [N, frames, ...]: runs of neighbouring timesteps added up, 255 at most."""
    steps = samples.shape[1]
    if frames > steps:
        raise DataError(source.text, f"{steps} timesteps make no {frames} frames", f"give 1 to {steps}")
    starts = np.arange(frames) * steps // frames
    return np.minimum(np.add.reduceat(samples, starts, axis=1, dtype=np.uint32), 255).astype(np.uint8)
