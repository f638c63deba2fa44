"""Which loader reads a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from qpsnn_codegen.loaders import checkpoint, reference
from qpsnn_codegen.loaders.base import Loaded, Loader, LoadOptions, Source
from qpsnn_codegen.network import check_network
from qpsnn_codegen.nn.archive import read_torch_file

LOADERS: tuple[Loader, ...] = (reference.LOADER, checkpoint.LOADER)
"""Asked in order; the last takes every file, and says what is wrong with one that nobody knows."""

_REMEDY = "give a model.pt written by qpsnn_codegen.nn.save, or a *.pth.tar of the QP-SNN authors' code"


def load_file(path: Path, options: LoadOptions) -> Loaded:
    """Read a model file of any kind that is known.

    Raises:
        ModelFileError: the file is no model, damaged, or contradicts itself.
        UnsupportedError: the network has no form here.
        UsageError: an option for what the file does not leave open.
    """
    content = read_torch_file(str(path), path, _REMEDY)
    source = Source(path=path, content=content, digest=hashlib.sha256(path.read_bytes()).hexdigest(), options=options)
    loader = next(loader for loader in LOADERS if loader.recognizes(content))
    loaded = loader.load(source)
    check_network(loaded.network)
    return loaded
