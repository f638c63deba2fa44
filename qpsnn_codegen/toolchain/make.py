"""Run the Makefile of a firmware folder for a board, and say in one line why it failed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from qpsnn_codegen.errors import BoardError, ToolchainError
from qpsnn_codegen.toolchain.packages import find_tool, install

CROSS = "arm-none-eabi-"
_JOBS = 2
_NEWLIB = "libnewlib-arm-none-eabi"
_MEMORIES = {"FLASH": "flash", "WEIGHTS": "flash", "RAM": "RAM", "EXTERNAL": "external memory"}


def compiler_version() -> str:
    """The version of arm-none-eabi-gcc.

    Raises:
        ToolchainError: it is missing or does not answer.
    """
    gcc = find_tool(f"{CROSS}gcc")
    result = subprocess.run([gcc, "-dumpfullversion"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ToolchainError(gcc.name, "does not say its version", install("gcc-arm-none-eabi"))
    return result.stdout.strip()


def run_make(folder: Path, board: str, *, ports: Path, build: Path, trace: bool, checks: bool, stack_size: str) -> None:
    """Build ``folder`` for ``board`` into ``build/board``.

    Args:
        ports: the folder of ports, absolute or relative to ``folder``.
        stack_size: bytes reserved for the stack; empty for the linker script's choice.

    Raises:
        BoardError: the image does not fit; says by how much.
        ToolchainError: a tool or the C library is missing, or a source is refused; has the first diagnostic.
    """
    if re.search(r"\s", f"{ports}{build}"):
        raise ToolchainError(
            str(build), "has white space in its name, which make cannot handle", "set TMPDIR to another"
        )
    make = find_tool("make")
    find_tool(f"{CROSS}gcc")
    variables = {
        "BOARD": board,
        "PORTS": ports,
        "BUILD": build,
        "CROSS": CROSS,
        "OPTIMIZE": "-O2",
        "OPTIMIZE_APP": "-Os",
        "TRACE": int(trace),
        "CHECKS": int(checks),
        "STACK_SIZE": stack_size,
        "LDFLAGS": "",
    }
    # Inside another make, its options would be ours; messages are searched for English words.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    result = subprocess.run(
        [make, f"--jobs={_JOBS}", "--silent", *(f"{name}={value}" for name, value in variables.items())],
        cwd=folder,
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        raise _failure(board, result.stderr)


def _failure(board: str, messages: str) -> BoardError | ToolchainError:
    overflows = {
        _MEMORIES.get(region, region): int(amount)
        for region, amount in re.findall(r"region `(\w+)' overflowed by (\d+) bytes", messages)
    }
    if overflows:
        missing = " and ".join(f"{amount:,} bytes of {memory}" for memory, amount in overflows.items())
        remedy = "build it with --no-trace, or choose a larger board (qpsnn-codegen MODEL -o DIR says which it fits)"
        return BoardError(f"--board {board}", f"the image needs {missing} more than the board has", remedy)
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    causes = [line for line in lines if "error:" in line or "undefined reference" in line or "cannot find" in line]
    line = next(iter(causes or lines), "without a message")
    if "No space left on device" in messages:
        remedy = "free some disk space"
    elif re.search(r"error: (string|stdint|stddef|stdbool)\.h: No such file|cannot find -l|cannot find crt", messages):
        remedy = install(_NEWLIB)
    else:
        remedy = "write the firmware folder anew; if it happens again, report it"
    return ToolchainError(f"{CROSS}gcc for {board}", f"failed: {line}", remedy)
