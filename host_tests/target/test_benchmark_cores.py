"""The board that the benchmarks run code for the Cortex-M0 on is as strict as one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import serial

from benchmarks.on_cores import core_board, core_port
from host_tests.support.builds import emit
from host_tests.support.layers import Layers
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.toolchain.emulator import emulate

PROGRAM = Path(__file__).with_name("unaligned.c")


@pytest.mark.parametrize(("core", "answer"), [("M0", b"F"), ("M3", b"A")])
def test_unaligned_loads_are_faults_where_the_core_has_none(core: str, answer: bytes, tmp_path: Path) -> None:
    board = core_board(core)
    files = emit(make_plan(Layers(seed=1).events(3, 1, 1).layer(4, 4).network(), "net"))
    write_folder({**files, **core_port(core), "app/unaligned.c": PROGRAM.read_text()}, tmp_path / "net", force=False)
    options = ["TRACE=0", "MODEL_SOURCES=", "APP_SOURCES=app/unaligned.c", "PORT_IMAGES="]
    subprocess.run(["make", "-s", f"BOARD={board.name}", *options], cwd=tmp_path / "net", check=True)
    elf = tmp_path / "net" / "build" / board.name / "net.elf"
    with emulate(board, elf) as url, serial.serial_for_url(url, timeout=10) as port:
        port.write(b"!")
        assert port.read(1) == answer
