"""The commands with ``--target``, and the life of the emulator around them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qpsnn_codegen
from host_tests.errors.command import call, call_ok, check_message
from host_tests.golden.models import MODELS
from host_tests.target.conftest import Material
from host_tests.target.networks import CLASSES, DEPTH, long_answers
from qpsnn_codegen.boards import find_board
from qpsnn_codegen.calibration import measure
from qpsnn_codegen.device.client import Device
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.link import Link
from qpsnn_codegen.device.session import Session, open_target, run_firmware
from qpsnn_codegen.errors import BoardError, DeviceError, ToolchainError
from qpsnn_codegen.toolchain.arm import Firmware, build_firmware
from qpsnn_codegen.toolchain.emulator import emulate

EVERYTHING = 3 + 8 + 9 + 16
"""Inputs of a verification: our own, golden, adversarial, random."""


@pytest.fixture(scope="session")
def firmware(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return build_firmware(material.folder.path, "mps2-an386", build_dir=tmp_path_factory.mktemp("an386") / "build")


def running(elf: Path) -> list[int]:
    """Processes that emulate an image."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(elf).encode() in words:
                found.append(int(entry.name))
    return found


# --- commands


@pytest.mark.parametrize("board", ["mps2-an386", "microbit"])
def test_verify(board: str, material: Material, tmp_path: Path) -> None:
    """Answers in several parts, channels left out, and two words per pixel, on a real core."""
    np.save(tmp_path / "in.npy", material.inputs)
    out = call_ok("verify", material.folder.path, "--inputs", tmp_path / "in.npy", "--target", board)
    digests = EVERYTHING * 2 * (DEPTH + 1)
    assert f" in {digests:,} digests and {EVERYTHING * CLASSES:,} logits of {EVERYTHING} inputs on {board} " in out


def test_verify_finds_a_wrong_constant(material: Material, tmp_path: Path) -> None:
    """One threshold of the generated C made unreachable: the first spike that is missing is named."""
    folder = tmp_path / "firmware"
    shutil.copytree(material.folder.path, folder)
    source = folder / "answers.c"
    text, count = re.subn(r"(deep5_threshold\[2\] = \{\s*)\d+", r"\g<1>2147483647", source.read_text())
    assert count == 1
    source.write_text(text)
    result = call("verify", folder, "--target", "mps2-an386", "--limit", "6")
    assert (result.code, result.err) == (1, "")
    place = r"sample \d+, layer deep5, timestep \d, channel 0, row \d, column \d: expected 1, got 0"
    pattern = rf"DIFFERENT: [\d,]+ of [\d,]+ logits and digests of spikes differ\nfirst: {place}\n"
    assert re.fullmatch(pattern, result.out), result.out


def test_profile_repeats_itself(material: Material) -> None:
    first, second = (call_ok("profile", material.folder.path, "--target", "mps2-an386") for _ in range(2))
    assert first == second
    lines = first.splitlines()
    assert lines[0] == "mps2-an386 (cortex-m4, emulated), 8 inputs on average"
    bound = re.search(
        r"^stack    ([\d,]+) bytes by the call graph, ([\d,]+) bytes used at most \(painted\), ([\d,]+) reserved$",
        first,
        re.MULTILINE,
    )
    assert bound is not None
    static, painted, reserved = (int(text.replace(",", "")) for text in bound.groups())
    assert painted <= static <= reserved


def test_profile_counts_the_operations_of_the_reference(material: Material) -> None:
    """What the kernels say they did is what the spikes of the reference ask for."""
    network = material.folder.network
    activity = measure(long_answers(), network, material.inputs[:1])
    with open_target(material.folder, "mps2-an386") as session:
        costs = session.device.profile(material.packed[0])
    for index in range(1, DEPTH + 1):
        assert costs[index, 1] == activity.operations[f"deep_conv{index - 1}"]
    assert costs[DEPTH + 1, 1] == activity.operations["head"]
    assert (costs[:, 0] > 0).all()


def test_a_port_that_somebody_else_opened(material: Material, firmware: Firmware, tmp_path: Path) -> None:
    """The way to a real board: the same numbers, and the folder's own build says how much stack there may be."""
    folder = tmp_path / "firmware"
    shutil.copytree(material.folder.path, folder)
    target = call_ok("profile", folder, "--target", "mps2-an386", "--limit", "2")
    with emulate(firmware.board, firmware.elf) as url:
        before = call_ok("profile", folder, "--port", url, "--limit", "2")
        shutil.copytree(firmware.folder, folder / "build" / "mps2-an386")
        after = call_ok("profile", folder, "--port", url, "--limit", "2")
    assert after == target
    assert before == re.sub("[0-9,]+ bytes by the call graph, ", "", target)


def test_run_leaves_nothing_behind(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "in.npy", material.inputs)
    before = sorted(material.folder.path.rglob("*"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = call_ok("run", material.folder.path, tmp_path / "in.npy", "--target", "mps2-an500")
    assert out.startswith("3 inputs on mps2-an500 (cortex-m7, emulated) in ")
    assert sorted(material.folder.path.rglob("*")) == before


# --- the emulator


def test_it_ends_with_the_block(firmware: Firmware) -> None:
    board = firmware.board
    with emulate(board, firmware.elf) as url:
        assert re.fullmatch(r"socket://127\.0\.0\.1:\d+", url)
        wait_for(lambda: len(running(firmware.elf)) == 1)
    assert running(firmware.elf) == []
    with pytest.raises(KeyboardInterrupt), emulate(board, firmware.elf):
        raise KeyboardInterrupt
    assert running(firmware.elf) == []


def test_it_ends_with_the_program(firmware: Firmware) -> None:
    """Killed without a chance to tidy up."""
    code = (
        "import sys, time; from pathlib import Path; from qpsnn_codegen.boards import find_board;"
        "from qpsnn_codegen.toolchain.emulator import emulate\n"
        "with emulate(find_board('mps2-an386'), Path(sys.argv[1])): time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(firmware.elf)])
    wait_for(lambda: any(name(process).startswith("qemu") for process in running(firmware.elf)))
    child.kill()
    child.wait()
    wait_for(lambda: running(firmware.elf) == [])


def name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text()
    except OSError:
        return ""


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)
    assert condition()


def test_several_at_once(material: Material, firmware: Firmware) -> None:
    with run_firmware(material.folder, firmware) as first, run_firmware(material.folder, firmware) as second:
        one, other = (session.device.run(material.packed[0]) for session in (first, second))
        assert one.ticks == other.ticks
        assert first.device.link.name != second.device.link.name


def test_the_image_comes_up_every_time(firmware: Firmware) -> None:
    """QEMU may miss what arrives before the receiver is on; then it must not stay deaf."""
    for _ in range(12):
        with emulate(firmware.board, firmware.elf) as url, Link.open(url, baud=115200) as link:
            Device(link, start=20.0, patience=5.0)


def test_a_board_without_emulator(firmware: Firmware) -> None:
    board = find_board("rpi_pico")
    with pytest.raises(BoardError, match="rpi_pico: cannot be emulated"), emulate(board, firmware.elf):
        pass


def test_no_qemu(material: Material, firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with (
        pytest.raises(ToolchainError, match="install it with 'apt-get install qemu-system-arm'"),
        emulate(firmware.board, firmware.elf),
    ):
        pass


def test_qemu_that_refuses(material: Material, firmware: Firmware, tmp_path: Path) -> None:
    """Its own message is shown: here there is no such image."""
    with (
        pytest.raises(ToolchainError, match="ended with status 1: Could not load kernel"),
        emulate(firmware.board, tmp_path / "none.elf") as url,
        Link.open(url, baud=115200) as link,
    ):
        Device(link)


def test_qemu_that_dies(material: Material, firmware: Firmware) -> None:
    with (
        pytest.raises(ToolchainError, match="qemu-system-arm: ended with status -9"),
        run_firmware(material.folder, firmware) as session,
    ):
        kill_and_run(firmware.elf, session, material.packed[0])


def kill_and_run(elf: Path, session: Session, data: bytes) -> None:
    for process in running(elf):
        os.kill(process, signal.SIGKILL)
    session.device.run(data)


def test_firmware_of_another_model(material: Material, firmware: Firmware, tmp_path: Path) -> None:
    """The image is of this folder, but the folder has become another's."""
    qpsnn_codegen.compile(MODELS["image"](), name="image").write(tmp_path / "image")
    other = FirmwareFolder.load(tmp_path / "image")
    with pytest.raises(DeviceError, match=r"the device runs another model \(answers\)"), run_firmware(other, firmware):
        pass


def test_no_compiler(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("make", "sh", "qemu-system-arm"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = call("profile", material.folder.path, "--target", "mps2-an386")
    check_message(result, "arm-none-eabi-gcc", "apt-get install gcc-arm-none-eabi")
