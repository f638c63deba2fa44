"""The port files of a firmware folder: what all boards share, each board's own, and what follows from board.toml."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qpsnn_codegen.boards import Board, ports_dir
from qpsnn_codegen.emit.templates import fill

COMMON = "common"
_SOURCES = (".c", ".S")


def port_files(boards: Sequence[Board], external: Collection[str] = ()) -> dict[str, str | bytes]:
    """``ports/common`` and ``ports/<board>`` by relative path; nothing without a board.

    Args:
        external: names of boards whose weights go to external memory.
    """
    if not boards:
        return {}
    common = _shipped(COMMON)
    files: dict[str, str | bytes] = {f"ports/{path}": text for path, text in common.items()}
    for board in boards:
        own = _shipped(board.name)
        outside = board.name in external
        context = {
            "board": board,
            "external": outside,
            "defines": _defines(board),
            "sources": [path for path in (*common, *own) if path.endswith(_SOURCES)],
            # From flash to external memory, a plain binary would be mostly gap.
            "images": ["hex"] if outside else ["bin", "hex"],
        }
        files.update((f"ports/{path}", text) for path, text in own.items())
        for name in ("port.mk", "port.cmake", "memory.ld"):
            files[f"ports/{board.name}/{name}"] = fill(f"{name}.j2", context)
    return files


def _shipped(folder: str) -> dict[str, str]:
    root = ports_dir() / folder
    paths = sorted(path for path in root.iterdir() if path.is_file() and not path.name.startswith("."))
    return {f"{folder}/{path.name}": path.read_text(encoding="utf-8") for path in paths}


def _defines(board: Board) -> list[tuple[str, str]]:
    """Macros that the port's and the application's C see."""
    return [
        ("QPS_BOARD_NAME", f'"{board.name}"'),
        ("QPS_CORE_NAME", f'"{board.core}"'),
        ("QPS_SERIAL_BAUD", str(board.serial.baud)),
        ("QPS_COUNTER_HZ", str(board.counter.hz)),
        ("QPS_WEIGHTS_SECTION", '__attribute__((section(".weights")))'),
        ("QPS_WEIGHTS_SECTION_NAME", ".weights"),
    ]
