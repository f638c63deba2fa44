"""Data sets as raw bytes, named by one line: ``digits``, ``mnist:PATH``, ``events:PATH?frames=10&size=48``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets import arrays, cifar, digits8, events, folders, idx
from qpsnn_codegen.nn.datasets.arrays import from_npz
from qpsnn_codegen.nn.datasets.dataset import Bytes, Dataset, Labels
from qpsnn_codegen.nn.datasets.digits8 import digits
from qpsnn_codegen.nn.datasets.idx import mnist
from qpsnn_codegen.nn.datasets.source import Source, parse_source

__all__ = ["KINDS", "Bytes", "Dataset", "Labels", "digits", "from_npz", "mnist", "open_dataset"]

KINDS: Mapping[str, Callable[[Source], Dataset]] = {
    "digits": digits8.open_digits,
    "mnist": idx.open_mnist,
    "fashion-mnist": idx.open_fashion_mnist,
    "cifar10": cifar.open_cifar10,
    "cifar100": cifar.open_cifar100,
    "npz": arrays.open_npz,
    "events": events.open_events,
    "folder": folders.open_folder,
}
"""What stands before the colon, and who opens it; docs/training.md lists them for users."""

_WANTED = "give digits, " + ", ".join(f"{kind}:PATH" for kind in KINDS if kind != "digits")


def open_dataset(source: str, progress: Callable[[int], None] = lambda done: None) -> Dataset:
    """The data set a command line names: ``KIND:PATH?option=value&option=value``.

    Args:
        source: its name; KIND is a key of :data:`KINDS`.
        progress: called with the number of files just read, where there are many.

    Raises:
        DataError: another name or option, or files that are missing or damaged.
    """
    parsed = parse_source(source, progress)
    if parsed.kind not in KINDS or (parsed.kind == "digits") == bool(parsed.path):
        raise DataError(source, "no such data set", _WANTED)
    data = KINDS[parsed.kind](parsed)
    parsed.refuse_unread()
    return data
