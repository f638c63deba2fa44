"""Boards: what their ``board.toml`` says, checked.

A board is one folder of ``firmware/ports/``; this module reads it, and nothing here knows a board by name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from qpsnn_codegen import resources
from qpsnn_codegen.errors import BoardError
from qpsnn_codegen.suggestions import choose

FloatAbi = Literal["soft", "softfp", "hard"]

CORES = (
    "cortex-m0",
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
)
"""What ``core`` of a board may be; also the values of ``-mcpu``."""

_REMEDY = "see docs/adding_a_board.md"
_KINDS = {str: "text", int: "integer", float: "number", dict: "table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A range of addresses, in bytes."""

    origin: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """The UART of the protocol: 8N1 at ``baud``; ``description`` says which pins or USB port that is."""

    baud: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What measures time.

    Attributes:
        description: which counter of the chip it is.
        hz: its ticks per second.
        instructions_per_tick: exact, on emulated boards at one instruction per virtual nanosecond; else None.
    """

    description: str
    hz: int
    instructions_per_tick: float | None = None

    @property
    def counts_cycles(self) -> bool:
        """Whether it runs from the core's own clock: every port has these two do so."""
        return any(word in self.description for word in ("DWT", "SysTick"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Programming:
    """How an image gets onto a real board.

    Attributes:
        pyocd: the target's name in pyOCD.
        pack: the CMSIS pack that knows it, where pyOCD itself does not.
        openocd: OpenOCD's configuration file.
        volume: label of the drive that a mass-storage bootloader shows ...
        format: ... and what is copied there.
        uf2_family: the chip's number in UF2 files.
    """

    pyocd: str | None = None
    pack: str | None = None
    openocd: str | None = None
    volume: str | None = None
    format: Literal["uf2", "hex"] | None = None
    uf2_family: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board.

    Attributes:
        name: of its folder.
        title: for people.
        core: one of :data:`CORES`.
        float_abi: floating-point calling convention; the firmware has no floating point, but Helium needs ``hard``.
        emulator: QEMU's name of the machine, or None where there is none.
        flash: what the image is loaded to and runs from.
        ram: for data and stack.
        external: more memory, for weights that do not fit into flash; or None.
        programming: None for boards that exist in the emulator only.
    """

    name: str
    title: str
    core: str
    float_abi: FloatAbi
    emulator: str | None
    flash: Memory
    ram: Memory
    external: Memory | None
    serial: Serial
    counter: Counter
    programming: Programming | None


def ports_dir() -> Path:
    """The folder of ports: ``common`` and one folder per board."""
    return resources.firmware_dir() / "ports"


@cache
def all_boards() -> tuple[Board, ...]:
    """Every board of this installation, by name.

    Raises:
        BoardError: one of them has a ``board.toml`` that cannot be used.
    """
    return tuple(read_board(path.parent) for path in sorted(ports_dir().glob("*/board.toml")))


def find_board(name: str, where: str = "--board") -> Board:
    """The board of that name.

    Raises:
        BoardError: there is none; the message lists those there are.
    """
    boards = {board.name: board for board in all_boards()}
    if name not in boards:
        raise BoardError(where, f"there is no board {name!r}", choose(name, boards))
    return boards[name]


def read_board(folder: Path) -> Board:
    """The board of a port folder.

    Raises:
        BoardError: its ``board.toml`` is missing, no TOML, or has missing, unknown or impossible entries.
    """
    where = f"{folder.name}/board.toml"
    try:
        entries = tomllib.loads((folder / "board.toml").read_text(encoding="utf-8"))
    except OSError as error:
        raise BoardError(where, f"cannot be read ({error.strerror})", _REMEDY) from error
    except ValueError as error:
        raise BoardError(where, f"is no TOML ({error})", _REMEDY) from error
    table = _Table(where, "", entries)
    emulated = table.has("emulator")
    board = Board(
        name=folder.name,
        title=table.text("title"),
        core=table.choice("core", CORES),
        float_abi=cast("FloatAbi", table.choice("float_abi", ("soft", "softfp", "hard"))),
        emulator=table.text("emulator") if emulated else None,
        flash=_memory(table.table("flash")),
        ram=_memory(table.table("ram")),
        external=_memory(table.table("external")) if table.has("external") else None,
        serial=_serial(table.table("serial")),
        counter=_counter(table.table("counter"), emulated=emulated),
        programming=_programming(table.table("programming")) if table.has("programming") else None,
    )
    table.end()
    memories = sorted(filter(None, (board.flash, board.ram, board.external)), key=lambda memory: memory.origin)
    if any(first.origin + first.size > second.origin for first, second in pairwise(memories)):
        raise table.refuse("", "describes memories that overlap")
    if board.emulator is None and board.programming is None:
        raise table.refuse("programming", "is missing, and the board is not emulated either")
    return board


def _memory(table: _Table) -> Memory:
    memory = Memory(origin=table.integer("origin", 0, 2**32 - 1), size=table.integer("size", 1, 2**32))
    table.end()
    if memory.origin % 4 or memory.size % 4 or memory.origin + memory.size > 2**32:
        raise table.refuse("", "does not lie on whole words of a 32-bit address space")
    return memory


def _serial(table: _Table) -> Serial:
    serial = Serial(baud=table.integer("baud", 300, 10_000_000), description=table.text("description"))
    table.end()
    return serial


def _counter(table: _Table, *, emulated: bool) -> Counter:
    counter = Counter(
        description=table.text("description"),
        hz=table.integer("hz", 1, 10**9),
        instructions_per_tick=table.number("instructions_per_tick") if emulated else None,
    )
    table.end()
    return counter


def _programming(table: _Table) -> Programming:
    texts = {key: table.text(key) if table.has(key) else None for key in ("pyocd", "pack", "openocd", "volume")}
    kind = table.choice("format", ("uf2", "hex")) if table.has("format") else None
    programming = Programming(
        **texts,
        format=cast('Literal["uf2", "hex"] | None', kind),
        uf2_family=table.integer("uf2_family", 0, 2**32 - 1) if kind == "uf2" else None,
    )
    table.end()
    if (programming.volume is None) != (kind is None):
        raise table.refuse("", "has one of volume and format without the other")
    if programming.pyocd is None and programming.volume is None:
        raise table.refuse("", "has neither pyocd nor volume")
    return programming


class _Table:
    """A TOML table that is read key by key; what nobody asked for is refused at the end."""

    def __init__(self, where: str, name: str, entries: Mapping[str, Any]) -> None:
        self.where = where
        self.name = name
        self._entries = dict(entries)

    def refuse(self, key: str, what: str) -> BoardError:
        return BoardError(self.where, f"{'.'.join(filter(None, (self.name, key)))} {what}".strip(), _REMEDY)

    def has(self, key: str) -> bool:
        return key in self._entries

    def _take(self, key: str, kind: type) -> Any:
        if key not in self._entries:
            raise self.refuse(key, "is missing")
        value = self._entries.pop(key)
        if type(value) is not kind:
            raise self.refuse(key, f"is no {_KINDS[kind]}")
        return value

    def text(self, key: str) -> str:
        value: str = self._take(key, str)
        # It may come to stand in C, make and linker scripts.
        if not re.fullmatch(r"[ !#%-\[\]-~]+", value):
            raise self.refuse(key, "is empty or has characters other than plain ASCII without quotes, $ and \\")
        return value

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        value: str = self._take(key, str)
        if value not in options:
            raise self.refuse(key, f"is {value!r}, not one of {', '.join(options)}")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value: int = self._take(key, int)
        if not low <= value <= high:
            raise self.refuse(key, f"is {value}, not {low} to {high}")
        return value

    def number(self, key: str) -> float:
        if type(self._entries.get(key)) is int:
            return self.integer(key, 1, 10**9)
        value: float = self._take(key, float)
        if not 1 <= value <= 1e9:
            raise self.refuse(key, f"is {value}, not 1 to 10^9")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.where, key, self._take(key, dict))

    def end(self) -> None:
        for key in self._entries:
            raise self.refuse(key, "is not known")
