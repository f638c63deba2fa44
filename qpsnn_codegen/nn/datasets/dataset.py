"""What a data set is, and how one is made of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qpsnn_codegen.errors import DataError

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

PARTS = ("train", "test")
MAX_BYTES = 2**33
"""Of all arrays of one data set together: files that announce more are refused before they are unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Raw inputs and labels, split into a training and a held-out part.

    ``train_images`` and ``test_images`` are uint8 (read-only), [N, C, H, W] for images and [N, T, C, H, W] for event
    streams; labels are int64 [N] with values below ``len(class_names)``. A network divides the bytes by ``divisor``;
    none is above ``max_value``.

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
    max_value: int = 255

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype != np.uint8 or images.ndim not in (4, 5) or 0 in images.shape:
                raise DataError(
                    self.name,
                    f"{part} images are {images.dtype} {list(images.shape)}",
                    "give uint8 [N, C, H, W], or [N, T, C, H, W] for event streams",
                )
            if images.max() > self.max_value:
                raise DataError(
                    self.name,
                    f"{part} images hold {images.max()}, more than {self.max_value}",
                    "give max_value as it is",
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
        channels, height, width = self.train_images.shape[-3:]
        return channels, height, width

    @property
    def frames(self) -> int | None:
        """T of an event stream, None for images."""
        return self.train_images.shape[1] if self.train_images.ndim == 5 else None

    @property
    def input_kind(self) -> Literal["image", "spikes"]:
        """What a network has to take: the same image at every timestep, or a frame per timestep."""
        return "image" if self.frames is None else "spikes"


def assemble(
    path: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    names: tuple[str, ...],
    *,
    name: str | None = None,
    divisor: float = 255.0,
    max_value: int = 255,
) -> Dataset:
    """A data set from ``x_train``, ``y_train``, ``x_test`` and ``y_test`` as a file holds them.

    Grey images may lack their channel axis. Training samples that are grouped by class are put in a fixed random
    order, so that the first few are a fair sample of all.

    Args:
        path: of the file or folder.
        arrays: uint8 [N, H, W], [N, C, H, W] or [N, T, C, H, W], and integers [N].
        names: of the classes.
        name: of the data set; the file's by default.

    Raises:
        DataError: arrays of another kind.
    """
    images, labels = {}, {}
    for part in PARTS:
        pixels, answers = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if answers.dtype.kind not in "iu":
            raise DataError(str(path), f"y_{part} is {answers.dtype}", "give integer labels")
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4, 5):
            raise DataError(
                str(path),
                f"x_{part} is {pixels.dtype} {list(pixels.shape)}",
                "give uint8 [N, H, W], [N, C, H, W] or [N, T, C, H, W]",
            )
        images[part] = (pixels[:, None] if pixels.ndim == 3 else pixels).astype(np.uint8)
        column = answers.ndim == 2 and answers.shape[1] == 1
        labels[part] = (answers[:, 0] if column else answers).astype(np.int64)
    order = _fair_order(labels["train"])
    if order is not None and len(order) == len(images["train"]):
        images["train"], labels["train"] = images["train"][order], labels["train"][order]
    return Dataset(
        name=name or path.name,
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        class_names=names,
        divisor=divisor,
        max_value=max_value,
    )


def _fair_order(labels: Labels) -> npt.NDArray[np.int64] | None:
    if labels.ndim != 1 or not len(labels):
        return None
    changes = np.count_nonzero(np.diff(labels)) + 1
    if changes > len(np.unique(labels)) or changes == len(labels):
        return None
    # Random keys from raw bits, which no numpy version changes.
    return np.argsort(np.random.PCG64(1).random_raw(len(labels)), kind="stable")


def hold_out(labels: npt.NDArray[np.integer[Any]], share: float) -> npt.NDArray[np.bool_]:
    """Which samples are for testing where nobody has split them: the last ``share`` of each class, at least one.

    Args:
        labels: integers [N].
        share: 0 to 1.

    Returns:
        bool [N].
    """
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held[members[-max(1, round(share * len(members))) :]] = True
    return held


def split(x: npt.NDArray[Any], labels: npt.NDArray[Any], test: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """The four arrays :func:`assemble` wants, ``test`` being true for what is held out."""
    return {"x_train": x[~test], "y_train": labels[~test], "x_test": x[test], "y_test": labels[test]}


def numbered(labels: Sequence[npt.NDArray[Any]]) -> tuple[str, ...]:
    """Class names for labels nobody has named: "0" up to the highest."""
    highest = max((int(part.max()) for part in labels if part.size and part.dtype.kind in "iu"), default=0)
    return tuple(str(label) for label in range(min(highest, 65535) + 1))
