"""Input arrays from the user's files: ``.npy``, or ``.npz`` with well-known names. Never pickles."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.network import Shape

DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy raises when it meets a damaged or hostile file, besides OSError; found by fuzzing. (MemoryError: a
header that announces petabytes.)
"""

INPUT_NAMES = ("inputs", "x", "images", "images_u8", "x_test", "x_train")


def read_inputs(path: Path, shape: Shape) -> NDArray[Any]:
    """Raw inputs of a network whose input is ``shape`` (C, H, W).

    Grey images may lack their channel axis: ``[N, H, W]`` becomes ``[N, 1, H, W]``.

    Raises:
        DataError: the file is missing, damaged, or has no array of a known name.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            values = loaded
        else:
            with loaded as archive:
                name = next((name for name in INPUT_NAMES if name in archive.files), None)
                if name is None:
                    raise DataError(
                        str(path),
                        f"has no array of inputs among {', '.join(archive.files) or 'none'}",
                        f"name it {INPUT_NAMES[0]}",
                    )
                values = archive[name]
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "give an .npy or .npz file") from None
    except DAMAGE:
        raise DataError(str(path), "is no readable .npy or .npz file", "write it with numpy.save") from None
    if values.ndim == 0:
        raise DataError(str(path), "holds a single value", "give an array of inputs, the samples first")
    if values.ndim == 3 and shape[0] == 1 and values.shape[1:] == shape[1:]:
        values = values[:, None]
    return values
