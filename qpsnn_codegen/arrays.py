"""Input arrays from the user's files: ``.npy``, or ``.npz`` with well-known names. Never pickles."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.network import Shape

DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy raises when it meets a damaged or hostile file, besides OSError; found by fuzzing. (MemoryError: a
header that announces petabytes.)
"""

INPUT_NAMES = ("inputs", "x", "images", "images_u8", "x_test", "x_train")
LABEL_NAMES = ("labels", "y", "y_test", "y_train")


def read_inputs(path: Path, shape: Shape) -> NDArray[Any]:
    """Raw inputs of a network whose input is ``shape`` (C, H, W).

    Grey images may lack their channel axis: ``[N, H, W]`` becomes ``[N, 1, H, W]``.

    Raises:
        DataError: the file is missing, damaged, or has no array of a known name.
    """
    values = _read(path, INPUT_NAMES, "inputs")
    if values.ndim == 0:
        raise DataError(str(path), "holds a single value", "give an array of inputs, the samples first")
    if values.ndim == 3 and shape[0] == 1 and values.shape[1:] == shape[1:]:
        values = values[:, None]
    return values


def check_raw(where: str, values: NDArray[Any], expected: tuple[int, ...], most: int) -> None:
    """Refuse what a network that reads ``[N, *expected]`` in 0 ... ``most`` cannot take.

    Raises:
        DataError: no integers, another shape, or values out of range.
    """
    if not (np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_):
        raise DataError(
            where, f"the values are {values.dtype}", "give raw integers; normalization is part of the network"
        )
    if values.ndim != len(expected) + 1 or values.shape[1:] != expected:
        wanted = ", ".join(map(str, expected))
        raise DataError(where, f"the shape is {list(values.shape)}", f"this network reads [N, {wanted}]")
    # Before any conversion: the largest unsigned integers would come out negative.
    if values.size and (values.min() < 0 or values.max() > most):
        found = int(values.max()) if values.max() > most else int(values.min())
        raise DataError(where, f"the values contain {found}", f"values of this network lie in 0 ... {most}")


def read_labels(path: Path, count: int, classes: int) -> NDArray[np.int64]:
    """Labels of ``count`` inputs: integers [N] below ``classes``, in an .npy or .npz file.

    Raises:
        DataError: the file is missing, damaged, has no array of a known name, or other values.
    """
    values = _read(path, LABEL_NAMES, "labels")
    return check_labels(str(path), values, count, classes)


def labels_beside(path: Path, count: int, classes: int) -> NDArray[np.int64] | None:
    """The labels that an .npz of inputs has with them, or ``None``; raises as :func:`read_labels`."""
    names = _names(path)
    chosen = next((name for name in INPUT_NAMES if name in names), "")
    wanted = {"x_test": "y_test", "x_train": "y_train"}.get(chosen)
    found = next((name for name in ([wanted] if wanted else LABEL_NAMES[:2]) if name in names), None)
    if found is None:
        return None
    return check_labels(str(path), _read(path, (found,), "labels"), count, classes)


def check_labels(where: str, values: NDArray[Any], count: int, classes: int) -> NDArray[np.int64]:
    """The labels as int64; raises :class:`DataError` unless they are ``count`` integers below ``classes``."""
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            where, f"labels are {values.dtype} {list(values.shape)}", f"give {count} integers, one per input"
        )
    if count and (values.min() < 0 or values.max() >= classes):
        raise DataError(
            where, f"labels run from {values.min()} to {values.max()}", f"number the {classes} classes from 0"
        )
    return values.astype(np.int64)


def _names(path: Path) -> list[str]:
    """Names of the arrays in an .npz that could be opened before; none for an .npy."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, *DAMAGE):
        return []
    if isinstance(loaded, np.ndarray):
        return []
    with loaded as archive:
        return list(archive.files)


def _read(path: Path, names: Sequence[str], what: str) -> NDArray[Any]:
    """The array of an .npy, or the first of these in an .npz; raises :class:`DataError`."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            name = next((name for name in names if name in archive.files), None)
            if name is None:
                raise DataError(
                    str(path),
                    f"has no array of {what} among {', '.join(archive.files) or 'none'}",
                    f"name it {names[0]}",
                )
            values: NDArray[Any] = archive[name]
            return values
    except OSError as error:
        wanted = "give an .npy or .npz file" + (", digits, or KIND:PATH as for train" if what == "inputs" else "")
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", wanted) from None
    except DAMAGE:
        raise DataError(str(path), "is no readable .npy or .npz file", "write it with numpy.save") from None
