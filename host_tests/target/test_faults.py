"""Faults on the core: each is reported over the line, in words, and again to whoever asks afterwards."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from host_tests.target.conftest import Images, Material
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.link import DeviceFault
from qpsnn_codegen.device.protocol import FaultKind, Provocation
from qpsnn_codegen.device.session import open_port, run_firmware
from qpsnn_codegen.errors import DeviceError
from qpsnn_codegen.toolchain.arm import build_firmware
from qpsnn_codegen.toolchain.emulator import emulate

BOARDS = {
    "microbit": "cortex-m0",
    "mps2-an385": "cortex-m3",
    "mps2-an386": "cortex-m4",
    "mps2-an500": "cortex-m7",
    "mps2-an505": "cortex-m33",
    "mps3-an547": "cortex-m55",
    "netduinoplus2": "cortex-m4",
    "stm32vldiscovery": "cortex-m3",
}

PROVOCATIONS = {
    Provocation.STACK_OVERFLOW: (FaultKind.STACK, "stack overflow"),
    Provocation.BUS_FAULT: (FaultKind.BUS, "bus fault"),
    Provocation.ASSERTION: (FaultKind.ASSERT, "assertion failed, in line "),
}
WITHOUT_STATUS = {"microbit"}
"""A Cortex-M0 cannot say what kind of fault it was."""

PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def images(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(material.folder.path, tmp_path_factory.mktemp("checks"), checks=True)


@pytest.mark.parametrize("board", BOARDS)
def test_faults_are_reported(board: str, material: Material, images: Images) -> None:
    firmware = images.of(board)
    for provocation, expected in PROVOCATIONS.items():
        with run_firmware(material.folder, firmware) as session:
            device = session.device
            assert device.hello.fault_tests
            assert device.hello.core == BOARDS[board]
            # It works, and works on nothing else but the fault afterwards.
            device.run(material.packed[0])
            with pytest.raises(DeviceFault) as caught:
                device.provoke(provocation, patience=PATIENCE_S)
            kind, words = expected
            if kind == FaultKind.BUS and board in WITHOUT_STATUS:
                kind, words = FaultKind.UNKNOWN, "hard fault"
            assert caught.value.fault.kind == kind
            assert f"the device stopped: {words}" in str(caught.value)
            # A core that cannot save its registers for want of stack does not know where it was.
            if kind != FaultKind.STACK or caught.value.fault.pc:
                function = "use_stack" if kind == FaultKind.STACK else "qps_provoke"
                assert re.search(rf"at 0x[0-9a-f]{{8}} \({function}, serial_main\.c:\d+\)", str(caught.value))
            for _ in range(2):
                with pytest.raises(DeviceFault) as again:
                    device.echo(b"still there?")
                assert again.value.fault == caught.value.fault


def test_a_loop_of_seconds_is_waited_for(material: Material, images: Images) -> None:
    """The client gives up in time, and the device is as good as before when it comes back."""
    with run_firmware(material.folder, images.of("mps2-an386")) as session:
        started = time.monotonic()
        with pytest.raises(DeviceError, match=r"no answer to PROVOKE in 0.3 s"):
            session.device.provoke(Provocation.ENDLESS_LOOP, patience=0.3)
        assert time.monotonic() - started < 5
        assert session.device.echo(b"back") == b"back"
        session.device.run(material.packed[1])


def test_a_fault_on_a_port_is_explained_by_the_build_in_the_folder(
    material: Material, images: Images, tmp_path: Path
) -> None:
    path = tmp_path / "firmware"
    shutil.copytree(material.folder.path, path)
    firmware = images.of("mps2-an500")
    shutil.copytree(firmware.folder, path / "build" / "mps2-an500")
    folder = FirmwareFolder.load(path)
    with emulate(firmware.board, firmware.elf) as url:
        with open_port(folder, url) as session, pytest.raises(DeviceFault) as caught:
            session.device.provoke(Provocation.BUS_FAULT, patience=PATIENCE_S)
        assert "(qps_provoke, serial_main.c:" in str(caught.value)
        assert f"by the symbols of {path}/build/mps2-an500/answers.elf" in str(caught.value)
        # Whoever comes next hears of the fault before anything else.
        with pytest.raises(DeviceFault, match="bus fault, at 0x"), open_port(folder, url):
            pass


def test_an_image_without_checks_has_no_such_request(material: Material, tmp_path: Path) -> None:
    firmware = build_firmware(material.folder.path, "mps2-an386", build_dir=tmp_path / "build")
    with run_firmware(material.folder, firmware) as session:
        assert not session.device.hello.fault_tests
        with pytest.raises(DeviceError, match="answers PROVOKE with UNKNOWN_TYPE"):
            session.device.provoke(Provocation.BUS_FAULT, patience=PATIENCE_S)
        session.device.run(material.packed[0])
