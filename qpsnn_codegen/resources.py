"""Where the files live that are not Python: the templates and the C sources.

A wheel carries them inside the package (``_data/``); in a checkout they lie beside it.
"""

from __future__ import annotations

from pathlib import Path

from qpsnn_codegen.errors import ToolchainError

_PACKAGE = Path(__file__).resolve().parent


def templates_dir() -> Path:
    """The folder of Jinja templates.

    Raises:
        ToolchainError: the installation has lost it.
    """
    return _data_dir("templates")


def firmware_dir() -> Path:
    """The folder of hand-written C: ``runtime/``, ``app/``, ``ports/``.

    Raises:
        ToolchainError: the installation has lost it.
    """
    return _data_dir("firmware")


def _data_dir(name: str) -> Path:
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ToolchainError("qpsnn-codegen", f"the installation has no folder {name}", "install it anew with pip")
