"""MNIST and what comes in its idx files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.arrays import divisor_of, four_arrays
from qpsnn_codegen.nn.datasets.dataset import Dataset, assemble
from qpsnn_codegen.nn.datasets.source import Source

MAX_IDX_BYTES = 2**31
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def open_mnist(source: Source) -> Dataset:
    """``mnist:PATH``."""
    return mnist(source.file)


def open_fashion_mnist(source: Source) -> Dataset:
    """``fashion-mnist:PATH``: files of the same kinds, other classes."""
    return mnist(source.file, class_names=FASHION)


def mnist(path: str | Path, *, class_names: tuple[str, ...] = tuple("0123456789")) -> Dataset:
    """MNIST from an npz with x_train, y_train, x_test, y_test, or from a folder of idx files (plain or .gz).

    Raises:
        DataError: a file that is missing, damaged or not of this kind.
    """
    source = Path(path)
    if source.is_dir():
        return assemble(source, _idx_folder(source), class_names)
    arrays = four_arrays(source)
    return assemble(source, arrays, class_names, divisor=divisor_of(source, arrays, 255.0))


_IDX_FILES = {
    "x_train": "train-images",
    "y_train": "train-labels",
    "x_test": "t10k-images",
    "y_test": "t10k-labels",
}


def _idx_folder(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for key, stem in _IDX_FILES.items():
        axes = 3 if key.startswith("x") else 1
        # Both spellings are in circulation: train-images-idx3-ubyte and train-images.idx3-ubyte.
        names = [f"{stem}{mark}idx{axes}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
        found = [folder / name for name in names if (folder / name).is_file()]
        if not found:
            raise DataError(str(folder), f"no file {names[0]}[.gz]", "put the four idx files there, or give an npz")
        arrays[key] = _idx(found[0], axes)
    return arrays


def _idx(path: Path, axes: int) -> npt.NDArray[np.generic]:
    remedy = "download it again"
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                content = stream.read(MAX_IDX_BYTES + 1)
        else:
            content = path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(str(path), f"cannot be read ({type(error).__name__})", remedy) from error
    header = 4 + 4 * axes
    # 0, 0, then type 8 (unsigned byte) and the number of axes.
    if len(content) < header or content[:4] != bytes((0, 0, 8, axes)):
        raise DataError(str(path), f"this is no idx file of {axes} axes of bytes", remedy)
    sizes = [int(size) for size in np.frombuffer(content, ">u4", axes, 4)]
    expected = header + int(np.prod([float(size) for size in sizes]))
    if len(content) != expected:
        raise DataError(str(path), f"{len(content)} bytes, its header announces {expected}", remedy)
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
