"""Boards in reports: which a model fits, what it takes of those that were chosen, and what a build took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qpsnn_codegen.boards import Board, all_boards
from qpsnn_codegen.footprint import Needs, board_names, fitting_boards, predict
from qpsnn_codegen.report.instructions import Cost, board_cost
from qpsnn_codegen.report.table import table

if TYPE_CHECKING:
    from qpsnn_codegen.toolchain.arm import Firmware


def boards_report(needs: Needs, targets: Sequence[Board], instructions: Cost) -> dict[str, Any]:
    """Two entries of ``report.json``: ``boards`` that the model fits, and ``targets``, those that were chosen.

    Args:
        instructions: of an inference, by core.
    """
    return {
        "boards": [board.name for board in fitting_boards(needs)],
        "targets": [_target(needs, board) | board_cost(board, instructions) for board in targets],
    }


def _target(needs: Needs, board: Board) -> dict[str, Any]:
    footprint = predict(needs, board, trace=True)
    return {
        "board": board.name,
        "core": board.core,
        "flash_bytes": footprint.flash,
        "code_bytes": footprint.code,
        "ram_bytes": footprint.ram,
        "external_weights": footprint.external,
        "trace_fits": footprint.fits,
    }


def boards_text(report: dict[str, Any]) -> str:
    """The lines about boards of what a compilation shows."""
    known = {board.name: board for board in all_boards()}
    lines = [f"fits   {_fitting(known, report['boards'])}"]
    for target in report["targets"]:
        board = known[target["board"]]
        lines.append(
            f"board  {board.name}: {target['flash_bytes']:,} of {board.flash.size:,} bytes of flash, "
            f"{target['ram_bytes']:,} of {board.ram.size:,} bytes of RAM (code within 5 %)"
            + ("; weights in external memory" if target["external_weights"] else "")
            + ("" if target["trace_fits"] else "; too small for the trace hooks: build it with --no-trace")
        )
    return "\n".join(lines)


def _fitting(known: Mapping[str, Board], fitting: Sequence[str]) -> str:
    """Whichever is shorter: those that fit, or those that do not."""
    others = [name for name in known if name not in fitting]
    if not fitting:
        return "no board: train a smaller network, or one with fewer bits"
    if len(others) > len(fitting):
        return board_names(known[name] for name in fitting)
    return f"all {len(known)} boards" + (f" but {', '.join(others)}" if others else "")


def build_text(firmware: Firmware) -> str:
    """What ``qpsnn-codegen build`` shows: a table of sizes, then where the files are."""
    board, sizes, predicted = firmware.board, firmware.report["sizes"], firmware.report["predicted"]
    notes = {
        "flash": f"of {board.flash.size:,}",
        "ram": f"of {board.ram.size:,}",
        "stack": f"reserved; at most {firmware.stack_bound:,} used, by the call graph",
        "application": "input, logits, frames",
    }
    if firmware.bin is None:
        notes["weights"] = "in external memory, not counted in flash"
    if firmware.checks:
        notes["stack"] = "reserved; this image can overflow it on purpose"
    names = {"weights": "  weights", "constants": "  constants", "code": "  code", "flash": "flash"}
    names |= {"arena": "  arena", "application": "  application", "stack": "  stack", "ram": "RAM"}
    rows = [[name, predicted[key], sizes[key], notes.get(key, "")] for key, name in names.items()]
    files = (firmware.elf, firmware.bin, firmware.hex, firmware.uf2, firmware.map)
    hooks = "with trace hooks" if firmware.trace else "without trace hooks"
    return "\n".join(
        [
            table(["bytes", "predicted", "built", ""], rows),
            "",
            f"{board.name} ({board.core}), {firmware.report['compiler']}, {hooks}",
            *(f"wrote  {path}" for path in files if path is not None),
        ]
    )
