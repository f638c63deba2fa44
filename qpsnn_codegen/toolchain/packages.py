"""Tools of other people, and the Debian packages they are in."""

from __future__ import annotations

import shutil
from pathlib import Path

from qpsnn_codegen.errors import ToolchainError

_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
}
"""Where the package has another name than the tool."""


def find_tool(tool: str) -> Path:
    """The path of a command.

    Raises:
        ToolchainError: there is none of that name; has its package.
    """
    found = shutil.which(tool)
    if found is None:
        raise ToolchainError(tool, "is not installed", install(_PACKAGES.get(tool, tool)))
    return Path(found)


def install(package: str) -> str:
    """What to do about a missing package."""
    return f"install it with 'apt-get install {package}'"
