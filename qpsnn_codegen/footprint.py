"""What an image will take of a board's flash and RAM, before there is an image.

Weights, constants and arena follow from the plan, exactly. Code comes from a table of what one compiler made of every
function, core by core (``code_sizes.json``, written by ``make code-sizes``), and is right within 5 %.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from qpsnn_codegen.boards import Board, all_boards
from qpsnn_codegen.emit.c_model import describe
from qpsnn_codegen.errors import BudgetError
from qpsnn_codegen.planning.plan import Plan

TABLE = Path(__file__).with_name("code_sizes.json")
MODES = ("plain", "trace")
"""Without and with the trace hooks."""
DEFAULT_STACK = 2048
"""Bytes that the linker script reserves unless told otherwise."""

Functions = dict[str, tuple[int, list[str]]]
"""By name: bytes, and what it refers to."""

_C_BYTES = {"int32_t": 4, "uint32_t": 4, "int16_t": 2, "uint16_t": 2, "int8_t": 1, "uint8_t": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a model takes of any board: bytes, what of the runtime it uses, and what its C declares.

    Attributes:
        name: of the model.
        weights, arena: bytes.
        stages: how many kernel calls it is.
        functions: kernels and sources by name.
        nesting: how often a function calls itself through a source, at most, where it does at all.
        structs: types of its constant structs, one for each.
        constants: bytes of its constant arrays by symbol, weights excluded.
        application: bytes that the serial application keeps of it: input and logits.
    """

    name: str
    weights: int
    arena: int
    stages: int
    functions: frozenset[str]
    nesting: Mapping[str, int]
    structs: tuple[str, ...]
    constants: Mapping[str, int]
    application: int


def needs_of(plan: Plan) -> Needs:
    """Read from the C that a plan becomes."""
    model, groups = describe(plan, weights=False)
    functions = {name for group in groups for name in group.functions}
    nesting: Counter[str] = Counter()
    for stage in plan.stages:
        sources = model.source_functions((*stage.parts, *stage.reads))
        functions.update(sources)
        nesting |= Counter(sources)
    return Needs(
        name=plan.name,
        weights=plan.weight_bytes,
        arena=plan.arena_bytes,
        stages=len(plan.stages),
        functions=frozenset(functions),
        nesting={name: count for name, count in nesting.items() if count > 1},
        structs=tuple(struct.ctype for struct in model.structs),
        constants={
            array.symbol: array.values.size * _C_BYTES[array.ctype] for array in model.arrays if not array.weights
        },
        application=plan.input_layout.size + 4 * len(plan.network.class_names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes of an image for a board.

    Attributes:
        external: the weights are in the board's external memory, not in flash.
        code: everything in flash that is neither weights nor constants.
        application: RAM besides arena and stack: input, logits, the application's own.
        unmeasured: functions that the table lacks; ``code`` does not count them.
    """

    board: Board
    external: bool
    weights: int
    constants: int
    code: int
    arena: int
    application: int
    stack: int
    unmeasured: tuple[str, ...]

    @property
    def flash(self) -> int:
        """Bytes of flash."""
        return self.constants + self.code + (0 if self.external else self.weights)

    @property
    def ram(self) -> int:
        """Bytes of RAM."""
        return self.arena + self.application + self.stack

    @property
    def missing_flash(self) -> int:
        """Bytes of flash that the board lacks, or of external memory."""
        over = self.flash - self.board.flash.size
        if self.external and self.board.external is not None:
            over = max(over, self.weights - self.board.external.size)
        return max(over, 0)

    @property
    def missing_ram(self) -> int:
        """Bytes of RAM that the board lacks."""
        return max(self.ram - self.board.ram.size, 0)

    @property
    def fits(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing_flash and not self.missing_ram


def predict(needs: Needs, board: Board, *, trace: bool, stack: int = DEFAULT_STACK) -> Footprint:
    """The footprint of a model's serial application on a board."""
    table = read_table()
    mode = MODES[trace]
    core = table["cores"].get(f"{board.core} {mode}", {"functions": {}, "run": [0, 0]})
    base = _base(board, mode)
    reached, unmeasured = closure(needs.functions, core["functions"], set(base["has"]))
    code = base["code"] + sum(core["functions"][name][0] for name in reached)
    code += round(core["run"][0] + core["run"][1] * needs.stages)
    code += sum(aligned(table["structs"].get(ctype, 0)) for ctype in needs.structs)
    application = base["ram"] + aligned(needs.application) + trace_bytes(needs, mode)
    constants = sum(needs.constants.values())
    within = code + constants + needs.weights <= board.flash.size
    return Footprint(
        board=board,
        external=board.external is not None and not within,
        weights=needs.weights,
        constants=constants,
        code=code,
        arena=needs.arena,
        application=application,
        stack=stack,
        unmeasured=tuple(sorted(unmeasured)),
    )


def external_weights(needs: Needs, boards: Iterable[Board]) -> list[str]:
    """The boards, by name, whose flash has no room for the weights but which have other memory."""
    return [board.name for board in boards if predict(needs, board, trace=True).external]


def fitting_boards(needs: Needs) -> list[Board]:
    """The boards whose flash and RAM hold the model, at least without the trace hooks."""
    return [board for board in all_boards() if predict(needs, board, trace=False).fits]


def board_error(board: Board, missing: Mapping[str, int], needs: Needs) -> BudgetError:
    """How many bytes a board lacks, of its ``flash`` and ``RAM``, and which boards would hold what a model needs."""
    sizes = {"flash": board.flash.size, "RAM": board.ram.size}
    parts = [f"{missing[kind]:,} bytes more {kind} than its {size:,}" for kind, size in sizes.items() if missing[kind]]
    what = f"the model needs {' and '.join(parts)}"
    return BudgetError(f"--board {board.name}", what, _remedy(fitting_boards(needs)))


def _remedy(boards: Sequence[Board]) -> str:
    if not boards:
        return "it fits no board: train a smaller one, or with fewer bits"
    return f"it fits {board_names(boards)}"


def board_names(boards: Iterable[Board]) -> str:
    """Names in a row; those that can be emulated first, and said to be so."""
    rows = list(boards)
    emulated = [board.name for board in rows if board.emulator is not None]
    real = [board.name for board in rows if board.emulator is None]
    groups = [f"{', '.join(emulated)} (emulated)" if emulated else "", ", ".join(real)]
    return "; ".join(filter(None, groups))


def closure(
    roots: Iterable[str], functions: Functions, present: AbstractSet[str] = frozenset()
) -> tuple[set[str], set[str]]:
    """Everything the roots need besides what is present, the roots included; and what is not among ``functions``."""
    reached: set[str] = set()
    unknown: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in reached or name in present:
            continue
        if name not in functions:
            unknown.add(name)
            continue
        reached.add(name)
        pending.extend(functions[name][1])
    return reached, unknown


def _base(board: Board, mode: str) -> dict[str, Any]:
    """An image without a model; of a board the table lacks, that of the most alike which takes the most."""
    boards = read_table()["boards"]
    known = {other.name: other for other in all_boards() if other.name in boards}
    alike = [name for name, other in known.items() if other.core == board.core] or list(known)
    names = [board.name] if board.name in known else alike
    bases: list[dict[str, Any]] = [boards[name][mode] for name in names]
    return max(bases, key=lambda base: base["code"], default={"code": 0, "ram": 0, "has": []})


def trace_bytes(needs: Needs, mode: str) -> int:
    """RAM that the application needs for the hooks: a time per stage and at the end."""
    return 4 * (needs.stages + 1) if mode == "trace" else 0


def aligned(size: int) -> int:
    """A size, rounded up to whole words."""
    return -(-size // 4) * 4


@cache
def read_table() -> dict[str, Any]:
    """The table: sizes of ``structs``, of functions by ``cores``, and of images without a model by ``boards``."""
    if not TABLE.exists():
        return {"structs": {}, "cores": {}, "boards": {}}
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
