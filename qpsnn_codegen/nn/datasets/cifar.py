"""CIFAR-10 and CIFAR-100 in the forms they are published in: python batches, binary files; and as npz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.arrays import four_arrays, need, read_npz
from qpsnn_codegen.nn.datasets.dataset import Dataset, assemble, numbered
from qpsnn_codegen.nn.datasets.pickles import read_pickle
from qpsnn_codegen.nn.datasets.source import Source

PIXELS = 3 * 32 * 32
MAX_BINARY_BYTES = 2**28
_Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """What differs between the two: file names, where the label is, names of the classes."""

    name: str
    train: tuple[str, ...]
    test: str
    label_key: bytes
    label_bytes: int
    class_names: tuple[str, ...]


_TEN = _Edition(
    name="cifar10",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    label_key=b"labels",
    label_bytes=1,
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
# A binary record starts with the coarse label, then the fine one; only the fine one is used.
_HUNDRED = _Edition(
    name="cifar100",
    train=("train",),
    test="test",
    label_key=b"fine_labels",
    label_bytes=2,
    class_names=numbered([np.array([99])]),
)


def open_cifar10(source: Source) -> Dataset:
    """``cifar10:PATH``."""
    return _open(source, _TEN)


def open_cifar100(source: Source) -> Dataset:
    """``cifar100:PATH``; classes are called by their numbers, which are those of the published files."""
    return _open(source, _HUNDRED)


def _open(source: Source, edition: _Edition) -> Dataset:
    path = source.file
    if path.is_file():
        return assemble(path, four_arrays(path), edition.class_names, name=edition.name)
    forms: tuple[tuple[str, Callable[[Path, _Edition], _Part]], ...] = (
        ("{}", _python_batch),
        ("{}.bin", _binary_batch),
    )
    for form, read in forms:
        if (path / form.format(edition.test)).is_file():
            files = [path / form.format(name) for name in edition.train]
            train = [_counted(source, read(file, edition)) for file in files]
            test = _counted(source, read(path / form.format(edition.test), edition))
            return _joined(path, edition, train, test)
    parts = {part: path / f"{edition.name}_{part}.npz" for part in ("train", "test")}
    if parts["test"].is_file():
        arrays: dict[str, NDArray[Any]] = {}
        for part, file in parts.items():
            names = (f"x_{part}", f"y_{part}")
            found = read_npz(file, "give an npz with " + ", ".join(names))
            need(file, found, names)
            arrays |= {name: found[name] for name in names}
        return assemble(path, arrays, edition.class_names, name=edition.name)
    raise DataError(
        str(path),
        f"no {edition.test}, {edition.test}.bin or {edition.name}_test.npz is there",
        "give the folder of the published python or binary files, or an npz with x_train, y_train, x_test, y_test",
    )


def _counted(source: Source, part: _Part) -> _Part:
    source.progress(1)
    return part


def _joined(path: Path, edition: _Edition, train: Iterable[_Part], test: _Part) -> Dataset:
    images, labels = zip(*train, strict=True)
    arrays = {
        "x_train": np.concatenate(images),
        "y_train": np.concatenate(labels),
        "x_test": test[0],
        "y_test": test[1],
    }
    return assemble(path, arrays, edition.class_names, name=edition.name)


def _python_batch(path: Path, edition: _Edition) -> _Part:
    entries = read_pickle(path)
    data, labels = entries.get(b"data"), entries.get(edition.label_key)
    numbers = isinstance(labels, list) and all(type(label) is int and 0 <= label < 2**16 for label in labels)
    if not isinstance(data, np.ndarray) or not numbers or data.shape != (len(labels or ()), PIXELS):
        raise DataError(
            str(path),
            f"holds no {PIXELS} bytes and a label in {edition.label_key.decode()} for each image",
            f"give the python version of {edition.name}",
        )
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _binary_batch(path: Path, edition: _Edition) -> _Part:
    record = edition.label_bytes + PIXELS
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BINARY_BYTES + 1)
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "download it again") from error
    if not content or len(content) % record or len(content) > MAX_BINARY_BYTES:
        raise DataError(str(path), f"{len(content)} bytes are no records of {record}", "download it again")
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    images = rows[:, edition.label_bytes :].reshape(-1, 3, 32, 32)
    return images, rows[:, edition.label_bytes - 1].astype(np.int64)
