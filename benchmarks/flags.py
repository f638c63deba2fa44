"""The flags that images are built with, as the generated Makefile gives them to the compiler.

python benchmarks/flags.py
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.on_cores import BOARDS, core_board, core_port
from host_tests.support.builds import emit
from host_tests.support.layers import Layers
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.toolchain.make import CROSS

_NO_CODE = re.compile(r"-[ITDMco]|-W(?!l,)|-Wl,-Map|-f(file-prefix-map|callgraph-info|stack-usage)|[^-]")
"""Folders, definitions, warnings, and notes for tools: no instruction depends on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Of one core: of its kernels, of the serial application around them, and of the linker."""

    kernels: tuple[str, ...]
    application: tuple[str, ...]
    linker: tuple[str, ...]


def flags_of(core: str) -> Flags:
    """What make would run for a core, without trace hooks."""
    board = core_board(core)
    network = Layers(seed=1).events(3, 1, 1).layer(4, 4).network()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "net"
        write_folder({**emit(make_plan(network, "net")), **core_port(core)}, folder, force=False)
        command = ["make", "--dry-run", f"BOARD={board.name}", "TRACE=0"]
        shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    calls = [shlex.split(line) for line in shown.replace("\\\n", " ").splitlines() if line.startswith(f"{CROSS}gcc ")]
    return Flags(
        kernels=_call(calls, "runtime/qps_events.c"),
        application=_call(calls, "app/qps_protocol.c"),
        linker=_call(calls, f"build/{board.name}/net.elf"),
    )


def _call(calls: Iterable[Sequence[str]], word: str) -> tuple[str, ...]:
    """The flags of the one call of the compiler that has a word."""
    (call,) = (call for call in calls if word in call)
    return tuple(flag for flag in call[1:] if not _NO_CODE.match(flag))


def table() -> list[str]:
    """Markdown: the same for all cores, and each core's own."""
    found = {core: flags_of(core) for core in BOARDS}
    lists = {
        "kernels": [flags.kernels for flags in found.values()],
        "serial application": [flags.application for flags in found.values()],
        "linker": [flags.linker for flags in found.values()],
    }
    common = {what: [flag for flag in each[0] if all(flag in other for other in each)] for what, each in lists.items()}
    rows = [f"| {what}, every core | `{' '.join(flags)}` |" for what, flags in common.items()]
    for core, flags in found.items():
        own = {
            flag: None
            for each, shared in zip((flags.kernels, flags.application, flags.linker), common.values(), strict=True)
            for flag in each
            if flag not in shared
        }
        rows.append(f"| {core}, everywhere | `{' '.join(own)}` |")
    return ["| what | flags |", "|---|---|", *rows]


def main() -> None:
    """Print."""
    print("\n".join(table()))


if __name__ == "__main__":
    main()
