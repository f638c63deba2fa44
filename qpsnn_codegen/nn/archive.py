"""Reading a torch file that nobody vouches for."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import torch

from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.nn.fields import shorten

MAX_FILE_BYTES = 2**31


def read_torch_file(where: str, path: Path, remedy: str) -> object:
    """Read plain data and tensors from a file that may be anything; code in it is not run.

    Args:
        where, remedy: of the error messages.

    Raises:
        ModelFileError: the file is missing, empty, truncated, damaged, no torch file, or holds other objects.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else None
    except FileNotFoundError:
        raise ModelFileError(where, "no such file", "check the path") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelFileError(where, f"cannot be read ({reason})", "check the path and its permissions") from error
    if content is None:
        raise ModelFileError(where, f"larger than {MAX_FILE_BYTES} bytes", remedy)
    if not content:
        raise ModelFileError(where, "the file is empty", remedy)
    if not content.startswith(b"PK\x03\x04"):
        raise ModelFileError(where, "this is not a torch file", remedy)
    _check_archive(where, content, remedy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # a hostile pickle can make torch raise almost anything; all of it means this
        if "weights_only" in str(error) or "Unsupported" in str(error):
            what = "it holds objects other than plain data and tensors; nothing was executed"
        else:
            what = f"damaged: torch cannot read it ({type(error).__name__})"
        raise ModelFileError(where, what, remedy) from error


def _check_archive(where: str, content: bytes, remedy: str) -> None:
    """Check the zip container: torch itself does not look at the checksums."""
    damaged = "fetch or save the file again"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ModelFileError(where, "this is not a torch file (a compressed archive)", remedy)
            if not any(member.filename.endswith("/data.pkl") for member in members):
                raise ModelFileError(where, "this is not a torch file (a zip of something else)", remedy)
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise ModelFileError(where, "truncated or damaged", damaged) from error
    if broken is not None:
        raise ModelFileError(where, f"damaged: checksum of {shorten(broken)} is wrong", damaged)
