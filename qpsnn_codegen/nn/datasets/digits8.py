"""scikit-learn's 8×8 digits."""

from __future__ import annotations

import numpy as np
import torch

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.dataset import Dataset
from qpsnn_codegen.nn.datasets.source import Source

DIGITS_HELD_OUT = 360


def open_digits(source: Source) -> Dataset:
    """``digits``."""
    return digits()


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
