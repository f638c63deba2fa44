"""A device's fault in words: what happened and, by the image's symbols, where."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from qpsnn_codegen.device.protocol import Fault, FaultKind

_KINDS = {
    FaultKind.UNKNOWN: "hard fault",
    FaultKind.STACK: "stack overflow",
    FaultKind.BUS: "bus fault",
    FaultKind.USAGE: "usage fault",
    FaultKind.ASSERT: "assertion failed",
    FaultKind.INTERRUPT: "unexpected interrupt",
}
_ADDR2LINE = "arm-none-eabi-addr2line"
_PATIENCE_S = 20.0
_NO_CODE = 0xF000_0000
"""From here on a link register holds how to return from an exception, not where to."""


def describe(fault: Fault, place: Callable[[int], str] = lambda address: "") -> str:
    """One clause.

    Args:
        place: a code address as function, file and line; empty if it is not known.
    """
    kind = _KINDS[FaultKind(fault.kind)] if fault.kind in {*FaultKind} else f"fault of unknown kind {fault.kind}"
    parts = [kind]
    if fault.kind == FaultKind.ASSERT:
        parts.append(f"in line {fault.address}")
    if fault.pc:
        parts.append(f"at {fault.pc:#010x}" + _named(place(fault.pc & ~1)))
    if 0 < fault.lr < _NO_CODE:
        # The address after the call, with the bit that says Thumb.
        parts.append(f"called from {fault.lr:#010x}" + _named(place((fault.lr & ~1) - 2)))
    if fault.kind != FaultKind.ASSERT and fault.address:
        parts.append(f"accessing {fault.address:#010x}")
    if fault.status:
        parts.append(f"CFSR {fault.status:#010x}")
    return ", ".join(parts)


def symbols(elf: Path) -> Callable[[int], str]:
    """Places in an image by addr2line; none if the tool or the file is missing, or the address is not code of it."""

    def place(address: int) -> str:
        try:
            result = subprocess.run(
                [_ADDR2LINE, "-f", "-s", "-e", str(elf), f"{address:#x}"],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_PATIENCE_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        function, _, line = result.stdout.strip().partition("\n")
        if result.returncode != 0 or not function or function == "??":
            return ""
        line = line.partition(" (discriminator")[0]
        return function if line.startswith("??") or line.endswith(":?") else f"{function}, {line}"

    return place


def _named(text: str) -> str:
    return f" ({text})" if text else ""
