"""Budgets: what a model may take of RAM and flash, and what is said when no plan keeps to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qpsnn_codegen.boards import Board
from qpsnn_codegen.errors import BudgetError
from qpsnn_codegen.footprint import board_error, needs_of, predict
from qpsnn_codegen.planning.cost import table_core
from qpsnn_codegen.planning.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a plan needs of one memory, and how much there may be.

    Attributes:
        option: of the command line that sets it.
        kind: of the bytes that are counted.
        board: whose memory it is, or ``None`` for a limit in bytes.
    """

    option: str
    memory: Literal["RAM", "flash"]
    kind: str
    needed: int
    most: int
    board: Board | None = None

    @property
    def missing(self) -> int:
        """Bytes needed too many."""
        return max(self.needed - self.most, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that a model may take.

    Attributes:
        ram: of the arena; stack, input and application are not counted.
        flash: of weights and constants; code is not counted.
        boards: whose memories must hold everything, the serial application included.
    """

    ram: int | None = None
    flash: int | None = None
    boards: tuple[Board, ...] = ()

    @property
    def cores(self) -> tuple[str, ...]:
        """Those of the boards, as the table of costs has them."""
        return tuple(dict.fromkeys(table_core(board.core) for board in self.boards))

    def limits(self, plan: Plan) -> tuple[Limit, ...]:
        """All there are, in the same order for every plan."""
        limits = []
        if self.ram is not None:
            option = f"--ram-limit {self.ram}"
            limits.append(Limit(option=option, memory="RAM", kind="arena", needed=plan.arena_bytes, most=self.ram))
        if self.flash is not None:
            option, kind = f"--flash-limit {self.flash}", "weights and constants"
            needed = plan.weight_bytes + plan.constant_bytes
            limits.append(Limit(option=option, memory="flash", kind=kind, needed=needed, most=self.flash))
        return (*limits, *self._of_boards(plan))

    def _of_boards(self, plan: Plan) -> Sequence[Limit]:
        if not self.boards:
            return ()
        limits: list[Limit] = []
        needs = needs_of(plan)
        for board in self.boards:
            footprint = predict(needs, board, trace=False)
            option, flash = f"--board {board.name}", board.flash.size
            # Weights may lie in another memory, and be too many for that one.
            needed = flash + footprint.missing_flash if footprint.missing_flash else footprint.flash
            limits += [
                Limit(option=option, memory="flash", kind="flash", needed=needed, most=flash, board=board),
                Limit(option=option, memory="RAM", kind="RAM", needed=footprint.ram, most=board.ram.size, board=board),
            ]
        return limits


def refusal(smallest: Sequence[Limit], closest: Sequence[Limit], plan: Plan) -> BudgetError:
    """What is missing.

    Args:
        smallest: each limit in the form that needs least of that memory.
        closest: all of them in the form that misses least of all together.
        plan: that form.
    """
    over = [limit for limit in smallest if limit.missing]
    if not over:
        where, missed = _options(smallest), [limit for limit in closest if limit.missing]
        return _refused(where, missed, "in the form that comes closest: each limit can be kept alone, all together not")
    board = over[0].board
    if board is not None:
        missing: dict[str, int] = {limit.memory: limit.missing for limit in smallest if limit.board == board}
        return board_error(board, missing, needs_of(plan))
    over = [limit for limit in over if limit.board is None]
    return _refused(_options(over), over, "in the smallest form that was found")


def _options(limits: Sequence[Limit]) -> str:
    return " ".join(dict.fromkeys(limit.option for limit in limits))


def _refused(where: str, over: Sequence[Limit], form: str) -> BudgetError:
    what = " and ".join(f"{limit.needed:,} bytes of {limit.kind}, {limit.missing:,} more" for limit in over)
    return BudgetError(where, f"the model needs {what}, {form}", "train a smaller one, or with fewer bits or timesteps")
