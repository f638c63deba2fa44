"""Arrays of bytes out of the pickles CIFAR is published in, without running anything a pickle says.

An ordinary unpickler calls whatever the file names. This one knows four names, and none of them stands for the real
thing: arrays arrive as their raw state and are made here, from bytes whose number is checked.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError

MAX_PICKLE_BYTES = 2**28


class _Dtype:
    """Stands for numpy.dtype: keeps the type's name."""

    def __init__(self, name: object = "", *rest: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order and the like, which bytes do not have."""


class _Array:
    """Stands for numpy.ndarray: keeps the state (version, shape, dtype, column-major, raw bytes)."""

    def __init__(self, *arguments: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def bytes_2d(self) -> NDArray[np.uint8]:
        """uint8 [rows, columns]; raises ValueError for anything else."""
        match self.state:
            case (int(), (int(rows), int(columns)), _Dtype(name="u1" | b"u1"), False | 0, bytes(raw)):
                if min(rows, columns) >= 0 and rows * columns == len(raw):
                    return np.frombuffer(raw, np.uint8).reshape(rows, columns)
        raise ValueError("an array that is no uint8 table")


def _reconstruct(*arguments: object) -> _Array:
    return _Array()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    # How Python 3 writes bytes into an old protocol.
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes in another encoding")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}"[:80])
        return _KNOWN[module, name]

    def persistent_load(self, pid: object) -> Any:
        raise pickle.UnpicklingError("it names another file")


def read_pickle(path: Path) -> dict[bytes, Any]:
    """A pickled dictionary of bytes to lists, numbers, bytes and arrays; arrays as uint8 [rows, columns].

    Raises:
        DataError: a file that is missing, too large, damaged, or asks for anything else.
    """
    remedy = "download it again from where CIFAR is published"
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_PICKLE_BYTES + 1)
        if len(content) > MAX_PICKLE_BYTES:
            raise DataError(str(path), f"it is larger than {MAX_PICKLE_BYTES:,} bytes", remedy)
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if type(found) is not dict:
            raise DataError(str(path), "it holds no dictionary", remedy)
        entries = {}
        for key, value in found.items():
            name = key.encode("latin1") if isinstance(key, str) else key
            entries[name] = value.bytes_2d() if isinstance(value, _Array) else value
        return entries
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", remedy) from error
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(str(path), f"is no pickle of plain arrays ({type(error).__name__})", remedy) from error
