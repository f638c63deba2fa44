"""What an image takes of a board, as the linker placed it, beside what the compiler said before there was an image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qpsnn_codegen.toolchain.arm import Firmware

_PLACES = "Linker script and memory map"
"""What a map has before it is left out of the image."""
_PLACED = re.compile(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)
"""A section, its size and its object, in one line or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one image.

    Attributes:
        flash: weights, wherever the board keeps them, constants and code, the serial application's included.
        predicted_flash: the same by ``footprint.py``.
        kernels: code of the runtime and of the network's own functions, with tables that the kernels read.
        arena: as planned, which is what the image has, or else it would have been refused.
        stack: as deep as it was while the network ran.
        stack_bound: what no path of calls exceeds.
    """

    flash: int
    predicted_flash: int
    kernels: int
    arena: int
    stack: int
    stack_bound: int

    @property
    def ram(self) -> int:
        """Arena and stack, as counted."""
        return self.arena + self.stack

    @property
    def ram_bound(self) -> int:
        """Arena and stack, at most."""
        return self.arena + self.stack_bound


def memory_of(firmware: Firmware, stack: int) -> Memory:
    """Of a built image; ``stack``: bytes of it that were used."""
    sizes, predicted = firmware.report["sizes"], firmware.report["predicted"]
    flash = ("weights", "constants", "code")
    return Memory(
        flash=sum(sizes[part] for part in flash),
        predicted_flash=sum(predicted[part] for part in flash),
        kernels=kernel_bytes(firmware.map.read_text(encoding="utf-8"), firmware.report["name"]),
        arena=sizes["arena"],
        stack=stack,
        stack_bound=firmware.stack_bound,
    )


def kernel_bytes(linker_map: str, name: str) -> int:
    """Of the runtime what goes to flash, of the network ``name`` its functions."""
    return sum(
        int(size, 16)
        for section, size, file in _PLACED.findall(linker_map.partition(_PLACES)[2])
        if (section.startswith((".text", ".rodata")) and "objects/runtime/" in file)
        or (section.startswith(".text") and file.endswith(f"objects/{name}.o"))
    )
