"""Folders of pictures, a folder per class; Pillow reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.classes import Member, class_folders
from qpsnn_codegen.nn.datasets.dataset import MAX_BYTES, Dataset, assemble
from qpsnn_codegen.nn.datasets.source import Source

_PATTERNS = "*.png *.PNG *.jpg *.JPG *.jpeg *.JPEG *.bmp *.BMP *.ppm *.pgm"
MAX_PIXELS = 2**26


def open_folder(source: Source) -> Dataset:
    """``folder:PATH?size=N``: pictures in ``train/CLASS/`` and ``test/CLASS/``, or in ``CLASS/`` alone.

    Options: ``size`` (N or HxW; the first picture's without it), ``channels`` (3, or 1 for grey), ``holdout``.
    """
    channels = source.choice("channels", ("3", "1"))
    size = _size(source)
    members, names = class_folders(source, _PATTERNS, held_out=0.2)
    width, height = size or _open(members["train"][0], channels, None).shape[-2:][::-1]
    total = sum(map(len, members.values())) * int(channels) * width * height
    if total > MAX_BYTES:
        raise DataError(source.path, f"its pictures are {total:,} bytes at {width}x{height}", "give a smaller ?size=")
    arrays: dict[str, NDArray[Any]] = {}
    for part, listed in members.items():
        pictures = np.empty((len(listed), int(channels), height, width), np.uint8)
        for number, member in enumerate(listed):
            picture = _open(member, channels, size)
            if picture.shape != pictures.shape[1:]:
                raise DataError(
                    str(member.path),
                    f"it is {picture.shape[2]}x{picture.shape[1]}, others are {width}x{height}",
                    "give ?size=N to scale all of them",
                )
            pictures[number] = picture
            source.progress(1)
        arrays |= {f"x_{part}": pictures, f"y_{part}": np.array([member.label for member in listed])}
    return assemble(source.file, arrays, names)


def _size(source: Source) -> tuple[int, int] | None:
    """(width, height)."""
    text = source.word("size", "")
    if not text:
        return None
    height, cross, width = text.partition("x")
    given = (width if cross else height, height)
    sides = [int(side) if side.isascii() and side.isdigit() and len(side) < 6 else 0 for side in given]
    if not all(1 <= side <= 4096 for side in sides):
        raise DataError(source.text, f"size is {text!r}", "give N or HxW, 1 to 4096 each")
    return sides[0], sides[1]


def _open(member: Member, channels: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """uint8 [C, H, W]."""
    try:
        # Only this data set needs Pillow.
        from PIL import Image  # noqa: PLC0415
    except ImportError as error:
        raise DataError("folder", "Pillow is not installed", "run pip install pillow") from error
    try:
        with Image.open(member.path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(str(member.path), f"it has {picture.width}x{picture.height} pixels", "scale it down")
            plain = picture.convert("RGB" if channels == "3" else "L")
            values = np.asarray(plain if size is None else plain.resize(size, Image.Resampling.BILINEAR))
    except DataError:
        raise
    except Exception as error:  # each of Pillow's decoders has its own
        raise DataError(str(member.path), f"is no readable picture ({type(error).__name__})", "remove it") from error
    return np.atleast_3d(values).transpose(2, 0, 1).astype(np.uint8)
