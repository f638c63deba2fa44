"""Data sets as raw bytes: scikit-learn's digits, MNIST from the user's files, and any npz of images."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from qpsnn_codegen.arrays import DAMAGE
from qpsnn_codegen.errors import DataError

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

DIGITS_HELD_OUT = 360
MAX_IDX_BYTES = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Raw images and labels, split into a training and a held-out part.

    ``train_images`` and ``test_images`` are uint8 [N, C, H, W] (read-only), labels int64 [N] with values
    below ``len(class_names)``; a network divides the bytes by ``divisor``.

    Raises:
        DataError: arrays that contradict this.
    """

    name: str
    train_images: Bytes
    train_labels: Labels
    test_images: Bytes
    test_labels: Labels
    class_names: tuple[str, ...]
    divisor: float

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
                raise DataError(
                    self.name,
                    f"{part} images are {images.dtype} {list(images.shape)}",
                    "give uint8 [N, C, H, W]",
                )
            if labels.shape != images.shape[:1]:
                raise DataError(
                    self.name,
                    f"{len(images)} {part} images but labels of shape {list(labels.shape)}",
                    "give one label per image",
                )
            if labels.min() < 0 or labels.max() >= len(self.class_names):
                raise DataError(
                    self.name,
                    f"{part} labels run from {labels.min()} to {labels.max()}",
                    f"number the {len(self.class_names)} classes from 0",
                )
            images.setflags(write=False)
            labels.setflags(write=False)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                self.name,
                f"training images are {list(self.train_images.shape[1:])}, test images "
                f"{list(self.test_images.shape[1:])}",
                "give both the same shape",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width


def open_dataset(source: str) -> Dataset:
    """The data set a command line names: ``digits``, ``mnist:PATH`` (npz file or idx folder) or ``npz:PATH``.

    Raises:
        DataError: another name, or files that are missing or damaged.
    """
    kind, _, path = source.partition(":")
    if kind == "digits" and not path:
        return digits()
    if kind in ("mnist", "npz") and path:
        return mnist(path) if kind == "mnist" else from_npz(path)
    raise DataError(source, "no such data set", "give digits, mnist:PATH or npz:PATH")


def digits() -> Dataset:
    """scikit-learn's 8×8 handwritten digits: bytes 0 to 16, 1437 for training and 360 held out.

    The held-out images are the last 360 of a fixed permutation (torch.randperm, seed 1).

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        # Only this data set needs scikit-learn.
        from sklearn.datasets import load_digits  # noqa: PLC0415
    except ImportError as error:
        raise DataError("digits", "scikit-learn is not installed", "run pip install scikit-learn") from error
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1)).numpy()
    train, test = order[:-DIGITS_HELD_OUT], order[-DIGITS_HELD_OUT:]
    return Dataset(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple("0123456789"),
        divisor=16.0,
    )


def mnist(path: str | Path) -> Dataset:
    """MNIST from an npz with x_train, y_train, x_test, y_test, or from a folder of idx files (plain or .gz).

    Raises:
        DataError: a file that is missing, damaged or not of this kind.
    """
    source = Path(path)
    arrays = _idx_folder(source) if source.is_dir() else _npz(source)
    return _assemble(source, arrays, tuple("0123456789"))


def from_npz(path: str | Path) -> Dataset:
    """Any images: an npz like MNIST's, uint8 [N, H, W] or [N, C, H, W]; optional ``class_names`` and
    ``divisor``.

    Raises:
        DataError: a file that is missing, damaged or not of this kind.
    """
    source = Path(path)
    arrays = _npz(source)
    if "class_names" in arrays:
        names = tuple(str(name) for name in arrays["class_names"].reshape(-1))
    else:
        labels = arrays["y_train"]
        highest = int(labels.max()) if labels.size and labels.dtype.kind in "iu" else 0
        names = tuple(str(label) for label in range(min(highest, 65535) + 1))
    return _assemble(source, arrays, names)


_REQUIRED = ("x_train", "y_train", "x_test", "y_test")


def _npz(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    wanted = "give an npz with " + ", ".join(_REQUIRED)
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(str(path), "it is a single array", wanted)
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(str(path), "no such file", wanted) from error
    except (OSError, *DAMAGE) as error:
        raise DataError(str(path), f"cannot be read ({type(error).__name__})", wanted) from error
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise DataError(str(path), f"it has no {missing[0]}", wanted)
    return arrays


def _assemble(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]], names: tuple[str, ...]) -> Dataset:
    images = {}
    labels = {}
    for part in ("train", "test"):
        pixels = arrays[f"x_{part}"]
        answers = arrays[f"y_{part}"]
        if answers.dtype.kind not in "iu":
            raise DataError(str(path), f"y_{part} is {answers.dtype}", "give integer labels")
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise DataError(
                str(path),
                f"x_{part} is {pixels.dtype} {list(pixels.shape)}",
                "give uint8 [N, H, W] or [N, C, H, W]",
            )
        images[part] = (pixels[:, None] if pixels.ndim == 3 else pixels).astype(np.uint8)
        labels[part] = answers.astype(np.int64)
    divisor = arrays.get("divisor", np.array(255.0))
    if divisor.size != 1 or divisor.dtype.kind not in "iuf" or not 0.0 < float(divisor.reshape(-1)[0]) < np.inf:
        raise DataError(str(path), "divisor is no positive number", "store one positive number")
    return Dataset(
        name=path.name,
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        class_names=names,
        divisor=float(divisor.reshape(-1)[0]),
    )


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
    except (OSError, EOFError, zipfile.BadZipFile) as error:
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
