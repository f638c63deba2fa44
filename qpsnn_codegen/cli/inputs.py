"""Inputs that a command line names: a file, or the held-out part of a data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpsnn_codegen.arrays import check_labels, labels_beside, read_inputs, read_labels
from qpsnn_codegen.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qpsnn_codegen.integer_network import IntegerNetwork


def names_dataset(source: str) -> bool:
    """Whether a text is ``digits`` or KIND:PATH rather than a file; a drive's letter is no kind."""
    return source == "digits" or (re.match(r"[a-z][a-z0-9-]+:.", source) is not None and not Path(source).exists())


def named_inputs(
    source: str, network: IntegerNetwork, *, labels: Path | None = None, limit: int | None = None
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
    if names_dataset(source):
        from qpsnn_codegen.nn.datasets import open_dataset  # noqa: PLC0415 - imports torch

        dataset = open_dataset(source)
        inputs: NDArray[Any] = dataset.test_images
        # The network may have other classes than the data set.
        beside = None if labels else check_labels(source, dataset.test_labels, len(inputs), classes)
    else:
        inputs = read_inputs(Path(source), network.nodes[0].output_type().shape)
        beside = None if labels else labels_beside(Path(source), len(inputs), classes)
    if labels is not None:
        beside = read_labels(labels, len(inputs), classes)
    check_inputs(network, inputs)
    if not len(inputs):
        raise DataError(source, "holds no inputs", "give at least one")
    return inputs[:limit], None if beside is None else beside[:limit]
