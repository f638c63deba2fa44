"""What machine code does to the stack and whom it calls, for functions that no compiler's notes describe.

The C library's and the compiler's own functions come without notes, and naked functions have none worth reading.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from qpsnn_codegen.errors import ToolchainError
from qpsnn_codegen.toolchain.packages import find_tool

_LABEL = re.compile(r"^([0-9a-f]+) <.*>:$")
_INSTRUCTION = re.compile(r"^ *[0-9a-f]+:\t(\S+)(?:\t(.*))?$")
_TARGET = re.compile(r"^(?:r\d+, )?([0-9a-f]+) <")
_REGISTER_BYTES = {"r": 4, "s": 4, "d": 8, "q": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A function as disassembled.

    Attributes:
        frame: bytes it pushes or subtracts from the stack pointer, added up: its real frame is not larger. None if
            it moves the stack pointer by what is in a register.
        calls: addresses of functions it branches to.
        indirect: it calls through a register.
        new_stack: it sets the stack pointer to another stack.
    """

    frame: int | None
    calls: frozenset[int]
    indirect: bool
    new_stack: bool


def disassemble(elf: Path, functions: AbstractSet[int]) -> dict[int, Code]:
    """The functions that begin at these addresses, as the disassembler shows them.

    Raises:
        ToolchainError: the disassembler is missing or fails.
    """
    objdump = find_tool("arm-none-eabi-objdump")
    result = subprocess.run(
        [objdump, "--disassemble", "--no-show-raw-insn", "--wide", elf], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise ToolchainError(objdump.name, f"cannot read {elf.name}", "build it anew")
    return parse(result.stdout, functions)


def parse(text: str, functions: AbstractSet[int]) -> dict[int, Code]:
    """The functions of a disassembly by address. What follows other labels belongs to the function before."""
    found: dict[int, list[tuple[str, str]]] = {}
    lines: list[tuple[str, str]] = []
    for line in text.splitlines():
        label = _LABEL.match(line)
        if label and (address := int(label[1], 16)) in functions:
            lines = found.setdefault(address, [])
        elif instruction := _INSTRUCTION.match(line):
            lines.append((instruction[1], instruction[2] or ""))
    return {address: _code(address, lines, functions) for address, lines in found.items()}


def _code(address: int, lines: list[tuple[str, str]], functions: AbstractSet[int]) -> Code:
    frame = 0
    calls: set[int] = set()
    indirect = new_stack = computed = False
    popped = "lr"
    for mnemonic, operands in lines:
        word = mnemonic.partition(".")[0]
        if word in {"push", "vpush"} or (word in {"stmdb", "vstmdb"} and operands.startswith("sp!")):
            frame += _registers(operands)
        elif word in {"sub", "subw"} and operands.startswith("sp"):
            amount = re.search(r"#(\d+)", operands)
            computed |= amount is None
            frame += int(amount[1]) if amount else 0
        elif word == "add" and re.match(r"sp, (sp, )?r", operands):
            computed = True
        elif (word == "msr" and operands.upper().startswith("MSP,")) or (word == "mov" and operands.startswith("sp,")):
            new_stack = True
        elif word.startswith("st") and (writeback := re.search(r"\[sp, #-(\d+)\]!", operands)):
            frame += int(writeback[1])
        elif word in {"blx", "bx"}:
            # `pop {r3}; bx r3` is how Cortex-M0 returns.
            indirect |= word == "blx" or operands.split()[0] not in {"lr", popped}
        elif word.startswith(("b", "c")) and (target := _TARGET.match(operands)):
            calls.add(int(target[1], 16))
        popped = operands.strip("{}") if word == "pop" else "lr"
    calls &= functions - {address}
    return Code(frame=None if computed else frame, calls=frozenset(calls), indirect=indirect, new_stack=new_stack)


def _registers(operands: str) -> int:
    """Bytes of a register list such as ``{r4, r5-r7, lr}``."""
    total = 0
    for item in operands[operands.index("{") + 1 : operands.index("}")].split(", "):
        first, _, last = item.partition("-")
        size = _REGISTER_BYTES.get(first[0], 4)
        total += size * (int(last[1:]) - int(first[1:]) + 1 if last else 1)
    return total
