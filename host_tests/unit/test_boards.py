"""Boards: what is read from board.toml, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qpsnn_codegen.boards import CORES, Memory, all_boards, find_board, ports_dir, read_board
from qpsnn_codegen.errors import BoardError

EMULATED = """
title = "A board"
core = "cortex-m4"
float_abi = "soft"
emulator = "machine"
[flash]
origin = 0x08000000
size = 0x1000
[ram]
origin = 0x20000000
size = 0x800
[serial]
baud = 9600
description = "UART"
[counter]
description = "timer"
hz = 16000000
instructions_per_tick = 62.5
"""
REAL = (
    EMULATED.replace('emulator = "machine"\n', "").replace("instructions_per_tick = 62.5\n", "")
    + """
[programming]
volume = "DRIVE"
format = "uf2"
uf2_family = 0xe48bff56
"""
)


def write(folder: Path, text: str) -> Path:
    board = folder / "board"
    board.mkdir()
    (board / "board.toml").write_text(text)
    return board


def test_everything_is_read(tmp_path: Path) -> None:
    board = read_board(write(tmp_path, EMULATED))
    assert (board.name, board.title, board.core, board.float_abi) == ("board", "A board", "cortex-m4", "soft")
    assert board.emulator == "machine"
    assert board.flash == Memory(origin=0x08000000, size=0x1000)
    assert board.ram == Memory(origin=0x20000000, size=0x800)
    assert (board.external, board.programming) == (None, None)
    assert (board.serial.baud, board.serial.description) == (9600, "UART")
    assert (board.counter.hz, board.counter.instructions_per_tick) == (16_000_000, 62.5)


def test_a_real_board(tmp_path: Path) -> None:
    board = read_board(write(tmp_path, REAL + "[external]\norigin = 0x60000000\nsize = 0x400000\n"))
    assert board.emulator is None
    assert board.counter.instructions_per_tick is None
    assert board.external == Memory(origin=0x60000000, size=0x400000)
    assert board.programming is not None
    assert (board.programming.volume, board.programming.uf2_family) == ("DRIVE", 0xE48BFF56)
    assert (board.programming.pyocd, board.programming.openocd) == (None, None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A board"', "", "title is missing"),
        ('title = "A board"', "title = 1", "title is no text"),
        ('title = "A board"', 'title = ""', "title is empty or has characters"),
        ('title = "A board"', "title = 'say \"board\"'", "title is empty or has characters"),
        ("cortex-m4", "cortex-a9", "core is 'cortex-a9', not one of cortex-m0"),
        ('"soft"', '"softest"', "float_abi is 'softest', not one of soft, softfp, hard"),
        ("size = 0x1000", "size = 0", "flash.size is 0, not 1 to"),
        ("size = 0x1000", "size = 1023", "flash does not lie on whole words"),
        ("size = 0x1000", "size = true", "flash.size is no integer"),
        ("size = 0x1000", "size = 0x18000001", "flash does not lie on whole words"),
        ("size = 0x1000", "size = 0x18000004", "describes memories that overlap"),
        ("[ram]", "[rom]", "ram is missing"),
        ("[ram]", "colour = 1\n[ram]", "flash.colour is not known"),
        ("baud = 9600", "baud = 0", "serial.baud is 0"),
        ("hz = 16000000", "hz = 1.5", "counter.hz is no integer"),
        ("instructions_per_tick = 62.5", "", "counter.instructions_per_tick is missing"),
        ("instructions_per_tick = 62.5", "instructions_per_tick = 0.5", "instructions_per_tick is 0.5"),
        ('emulator = "machine"', "", "counter.instructions_per_tick is not known"),
        ("[counter]", "[counter", "is no TOML"),
        ("[counter]", "[colour]\n[counter]", "colour is not known"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in EMULATED
    with pytest.raises(BoardError) as caught:
        read_board(write(tmp_path, EMULATED.replace(old, new, 1)))
    assert message in str(caught.value)
    assert str(caught.value).startswith("board/board.toml: ")
    assert "docs/adding_a_board.md" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('volume = "DRIVE"\n', "", "programming has one of volume and format"),
        ('format = "uf2"\n', "", "programming.uf2_family is not known"),
        ('"uf2"', '"zip"', "programming.format is 'zip'"),
        ("uf2_family = 0xe48bff56\n", "", "programming.uf2_family is missing"),
        ("[programming]", "[other]", "other is not known"),
    ],
)
def test_how_it_is_programmed(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in REAL
    with pytest.raises(BoardError) as caught:
        read_board(write(tmp_path, REAL.replace(old, new, 1)))
    assert message in str(caught.value)


def test_neither_emulated_nor_programmed(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="programming is missing, and the board is not emulated"):
        read_board(write(tmp_path, REAL[: REAL.index("[programming]")]))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    board = write(tmp_path, "")
    (board / "board.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BoardError, match="is no TOML"):
        read_board(board)
    with pytest.raises(BoardError, match="cannot be read"):
        read_board(tmp_path)


def test_the_shipped_boards() -> None:
    boards = {board.name: board for board in all_boards()}
    folders = {path.name for path in ports_dir().iterdir() if path.is_dir()}
    assert set(boards) == folders - {"common"}
    assert list(boards) == sorted(boards)
    emulated = {name for name, board in boards.items() if board.emulator is not None}
    assert emulated >= {"mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"}
    assert emulated >= {"microbit", "netduinoplus2", "stm32vldiscovery"}
    assert set(boards) - emulated >= {"nucleo_f446re", "nucleo_h743zi2", "nrf52840dk", "rpi_pico", "nucleo_l476rg"}
    assert {board.core for board in boards.values()} == set(CORES)
    assert (boards["microbit"].flash.size, boards["microbit"].ram.size) == (256 * 1024, 16 * 1024)
    assert (boards["stm32vldiscovery"].flash.size, boards["stm32vldiscovery"].ram.size) == (128 * 1024, 8 * 1024)


def test_a_board_by_name() -> None:
    assert find_board("microbit").core == "cortex-m0"
    with pytest.raises(BoardError) as caught:
        find_board("micro:bit")
    for board in all_boards():
        assert board.name in str(caught.value)
