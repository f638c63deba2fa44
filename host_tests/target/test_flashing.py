"""Flashing: what would be done and what is, target names that exist, and every way it can go wrong."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyocd.target import TARGET as PYOCD_TARGETS

from host_tests.errors.command import call, call_ok, check_message
from host_tests.target.conftest import Material
from host_tests.target.responder import Responder, on_terminal
from qpsnn_codegen.boards import Board, all_boards
from qpsnn_codegen.device import flashing
from qpsnn_codegen.device.flashing import check_ready, copy_to_volume, find_volume, plan_flash
from qpsnn_codegen.errors import BoardError, DeviceError, UsageError

REAL = [board for board in all_boards() if board.programming is not None]
DRIVES = [board for board in REAL if board.programming is not None and board.programming.volume]
PROOFS = {"uf2": "INFO_UF2.TXT", "hex": "DETAILS.TXT"}


def by_name(board: Board) -> str:
    return board.name


@pytest.fixture
def folder(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(material.folder.path, "firmware")
    return Path("firmware")


@pytest.fixture
def responder(material: Material) -> Iterator[tuple[Responder, str]]:
    device = Responder(material.folder, material.inputs)
    with on_terminal(device) as path:
        yield device, path


# --- what the boards say of themselves


def test_all_real_boards_can_be_flashed() -> None:
    names = {"microbit", "netduinoplus2", "stm32vldiscovery", "nucleo_f446re", "nucleo_h743zi2"}
    assert {*names, "nrf52840dk", "rpi_pico", "nucleo_l476rg"} <= {board.name for board in REAL}
    assert {board.name for board in DRIVES} >= {"microbit", "rpi_pico"}


@pytest.mark.parametrize("board", REAL, ids=by_name)
def test_pyocd_knows_the_target(board: Board) -> None:
    """pyOCD has it built in, or a CMSIS pack is named that brings it."""
    assert board.programming is not None
    target, pack = board.programming.pyocd, board.programming.pack
    assert target is not None
    if pack is None:
        assert target in PYOCD_TARGETS
    else:
        assert target not in PYOCD_TARGETS, "a pack that is not needed"
        assert re.fullmatch(r"[A-Za-z]+\.[A-Za-z0-9]+_DFP", pack)
        family = pack.split(".")[1].removesuffix("_DFP").lower().rstrip("x")
        assert target.startswith(family)


# --- plans


@pytest.mark.parametrize("board", REAL, ids=by_name)
def test_pyocd_command(board: Board) -> None:
    assert board.programming is not None
    plan = plan_flash(board, Path("my folder"), "digits", "pyocd")
    image = f"my folder/build/{board.name}/digits.hex"
    assert plan.command == (sys.executable, "-m", "pyocd", "flash", "-W", "-t", board.programming.pyocd, image)
    steps = plan.steps(None)
    run = next(step for step in steps if step.startswith("run"))
    assert shlex.split(run.removeprefix("run ")) == list(plan.command)
    assert any(step.startswith("once ") for step in steps) == (board.programming.pack is not None)
    if board.programming.openocd:
        words = shlex.split(steps[-1].removeprefix("or "))
        elf = f"'my folder/build/{board.name}/digits.elf'"
        assert words == ["openocd", "-f", board.programming.openocd, "-c", f"program {elf} verify reset exit"]


@pytest.mark.parametrize("board", DRIVES, ids=by_name)
def test_a_drive_is_preferred(board: Board) -> None:
    assert board.programming is not None
    plan = plan_flash(board, Path("out"), "digits")
    assert (plan.method, plan.volume) == ("volume", board.programming.volume)
    assert plan.image == Path(f"out/build/{board.name}/digits.{board.programming.format}")
    assert plan.steps(None)[0] == f"copy   {plan.image} to the drive {plan.volume}, which is not there now"
    assert plan.steps(Path("/media/x"))[0] == f"copy   {plan.image} to /media/x"


def test_method_that_the_board_has_not() -> None:
    board = next(board for board in REAL if board not in DRIVES)
    with pytest.raises(UsageError, match=f"{board.name} cannot be flashed by volume; choose pyocd"):
        plan_flash(board, Path(), "digits", "volume")


@pytest.mark.parametrize("name", ["mps2-an386", "mps3-an547"])
def test_board_of_the_emulator(name: str, folder: Path) -> None:
    result = call("flash", folder, "--board", name, "--dry-run")
    check_message(result, f"{name}: exists in the emulator only", f"--target {name}")


def test_no_such_board(folder: Path) -> None:
    check_message(call("flash", folder, "--board", "vax"), "'vax'", "rpi_pico")


# --- dry runs: nothing is built or written


def test_dry_run_with_a_probe(folder: Path) -> None:
    out = call_ok("flash", folder, "--board", "nucleo_f446re", "--dry-run", "--port", "/dev/ttyACM0")
    lines = out.splitlines()
    assert lines[0] == "build  firmware/build/nucleo_f446re/answers.hex"
    assert lines[-1] == f"hello  on /dev/ttyACM0, expecting SHA-256 {'0' * 64}"
    assert any(" -m pyocd flash -W -t " in line for line in lines)
    assert any(line.startswith("or     openocd -f ") for line in lines)
    assert not Path("firmware/build").exists()


def test_dry_run_with_a_drive(folder: Path, tmp_path: Path) -> None:
    Path("drive").mkdir()
    out = call_ok("flash", folder, "--board", "rpi_pico", "--volume", "drive", "--dry-run")
    assert out.splitlines()[:2] == [
        "build  firmware/build/rpi_pico/answers.uf2",
        "copy   firmware/build/rpi_pico/answers.uf2 to drive",
    ]
    assert list(Path("drive").iterdir()) == []
    assert not Path("firmware/build").exists()


def test_volume_with_a_probe_is_a_mistake(folder: Path) -> None:
    result = call("flash", folder, "--board", "rpi_pico", "--method", "pyocd", "--volume", "drive", "--dry-run")
    check_message(result, "--volume: rpi_pico is flashed by pyocd")


# --- drives


def test_drive_by_its_label(tmp_path: Path) -> None:
    roots = [tmp_path / "media", tmp_path / "run", tmp_path / "none"]
    assert find_volume("RPI-RP2", roots) is None
    (tmp_path / "run" / "RPI-RP2").mkdir(parents=True)
    assert find_volume("RPI-RP2", roots) == tmp_path / "run" / "RPI-RP2"
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "RPI-RP2").write_text("no folder")
    assert find_volume("RPI-RP2", roots) == tmp_path / "run" / "RPI-RP2"
    (tmp_path / "none" / "RPI-RP2").mkdir(parents=True)
    with pytest.raises(DeviceError, match="there are 2 drives of this name"):
        find_volume("RPI-RP2", roots)


def test_drives_are_looked_for_where_desktops_mount_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    roots = {str(root) for root in flashing.mount_roots()}
    assert {"/media/ada", "/run/media/ada", "/media", "/Volumes"} <= roots
    monkeypatch.delenv("USER")
    assert Path("/media") in flashing.mount_roots()


@pytest.mark.parametrize("board", DRIVES, ids=by_name)
def test_copy(board: Board, tmp_path: Path) -> None:
    plan = plan_flash(board, tmp_path, "digits")
    plan.image.parent.mkdir(parents=True)
    plan.image.write_bytes(b"the image")
    drive = tmp_path / "drive"
    with pytest.raises(DeviceError, match="no such drive is mounted; bring the board into its bootloader"):
        check_ready(plan, drive)
    with pytest.raises(DeviceError, match=f"{plan.volume}: no such drive"):
        check_ready(plan, None)
    drive.mkdir()
    proof = PROOFS[plan.image.suffix[1:]]
    with pytest.raises(DeviceError, match=f"is no bootloader's drive: it has no {proof}"):
        check_ready(plan, drive)
    (drive / proof.lower()).write_text("bootloader")
    check_ready(plan, drive)
    assert copy_to_volume(plan, drive) == drive / plan.image.name
    assert (drive / plan.image.name).read_bytes() == b"the image"


def test_drive_that_refuses(tmp_path: Path) -> None:
    board = next(board for board in DRIVES if board.name == "rpi_pico")
    plan = plan_flash(board, tmp_path, "digits")
    plan.image.parent.mkdir(parents=True)
    plan.image.write_bytes(b"the image")
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "digits.uf2").mkdir()
    with pytest.raises(DeviceError, match=r"digits.uf2: cannot be written \(Is a directory\)"):
        copy_to_volume(plan, drive)


def test_flash_a_drive_and_hear_the_board(folder: Path, responder: tuple[Responder, str]) -> None:
    """The whole command: build, copy, and a hello over serial."""
    Path("drive").mkdir()
    Path("drive/INFO_UF2.TXT").write_text("bootloader")
    responder[0].claim(board="rpi_pico", core="cortex-m0plus", name="answers")
    out = call_ok("flash", folder, "--board", "rpi_pico", "--volume", "drive", "--port", responder[1])
    assert out.splitlines() == [
        "copied firmware/build/rpi_pico/answers.uf2 to drive/answers.uf2",
        f"hello from rpi_pico (cortex-m0plus): answers, SHA-256 {'0' * 64}, as in the folder",
    ]
    image = Path("drive/answers.uf2").read_bytes()
    assert image == (folder / "build/rpi_pico/answers.uf2").read_bytes()
    assert image[:4] == b"UF2\n"


def test_board_that_still_runs_another_model(
    folder: Path, responder: tuple[Responder, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashing, "_HELLO_S", 1.2)
    Path("drive").mkdir()
    Path("drive/INFO_UF2.TXT").write_text("bootloader")
    responder[0].claim(digest="cd" * 32)
    result = call("flash", folder, "--board", "rpi_pico", "--volume", "drive", "--port", responder[1])
    assert result.code == 2
    assert "runs another model" in result.err
    assert len(responder[0].seen) > 1


# --- probes


def test_no_probe(folder: Path) -> None:
    """The real pyOCD, on a machine without one."""
    result = call("flash", folder, "--board", "nrf52840dk", "--method", "pyocd")
    check_message(result, "pyocd: failed: ", "probe", "has power")


def test_no_pyocd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyocd", None)
    result = call("flash", folder, "--board", "nrf52840dk", "--method", "pyocd")
    check_message(result, "pyocd: is not installed", "pip install 'qpsnn-codegen[flash]'", "or run openocd -f ")
    assert not Path("firmware/build").exists()


def test_no_drive(folder: Path) -> None:
    result = call("flash", folder, "--board", "rpi_pico", "--volume", "drive")
    check_message(result, "drive: no such drive is mounted", "bring the board into its bootloader")
    assert not Path("firmware/build").exists()


def test_emulator_board_has_no_plan() -> None:
    board = next(board for board in all_boards() if board.programming is None)
    with pytest.raises(BoardError):
        plan_flash(board, Path(), "digits")
