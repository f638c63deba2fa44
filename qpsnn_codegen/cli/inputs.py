"""Inputs that a command line names: a file, or a part of a data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qpsnn_codegen.arrays import check_labels, check_raw, labels_beside, read_inputs, read_labels
from qpsnn_codegen.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qpsnn_codegen.integer_network import IntegerNetwork
    from qpsnn_codegen.kinds.input import Input
    from qpsnn_codegen.network import Network
    from qpsnn_codegen.nn.datasets import Dataset


def names_dataset(source: str) -> bool:
    """Whether a text is ``digits`` or KIND:PATH rather than a file; a drive's letter is no kind."""
    return source == "digits" or (re.match(r"[a-z][a-z0-9-]+:.", source) is not None and not Path(source).exists())


def named_inputs(
    source: str,
    network: IntegerNetwork,
    *,
    labels: Path | None = None,
    limit: int | None = None,
    may_be_empty: bool = False,
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Raw inputs and, if there are any, their labels; at most ``limit`` of them.

    Args:
        source: an .npy or .npz file, ``digits`` or KIND:PATH for a data set's held-out images.
        labels: a file with labels, instead of those beside the inputs.

    Raises:
        DataError: a file that is missing, damaged, empty, or does not fit the network.
    """
    from qpsnn_codegen.reference import check_inputs  # noqa: PLC0415 - --help should not wait for numpy

    classes = len(network.class_names)
    dataset = _dataset(source)
    if dataset is not None:
        inputs: NDArray[Any] = dataset.test_images
        # The network may have other classes than the data set.
        beside = None if labels else check_labels(source, dataset.test_labels, len(inputs), classes)
    else:
        inputs = read_inputs(Path(source), network.nodes[0].output_type().shape)
        beside = None if labels else labels_beside(Path(source), len(inputs), classes)
    if labels is not None:
        beside = read_labels(labels, len(inputs), classes)
    check_inputs(network, inputs, source)
    if not len(inputs) and not may_be_empty:
        raise DataError(source, "holds no inputs", "give at least one")
    return inputs[:limit], None if beside is None else beside[:limit]


def calibration_inputs(source: str, network: Network) -> NDArray[Any]:
    """Raw inputs from a file, or the training images of a named data set; raises as :func:`named_inputs` does."""
    node = cast("Input", network.nodes[0])
    dataset = _dataset(source)
    inputs = read_inputs(Path(source), node.shape) if dataset is None else dataset.train_images
    expected = (network.timesteps, *node.shape) if node.spikes else node.shape
    check_raw(source, inputs, expected, node.max_value)
    if not len(inputs):
        raise DataError(source, "holds no inputs", "give at least one")
    return inputs


def _dataset(source: str) -> Dataset | None:
    """The data set of that name; None for a file."""
    if not names_dataset(source):
        return None
    from qpsnn_codegen.nn.datasets import open_dataset  # noqa: PLC0415 - imports torch

    return open_dataset(source)
