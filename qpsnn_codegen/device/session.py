"""A folder's device, wherever it is: an emulated board that is built and started, or a port."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qpsnn_codegen.boards import Board
from qpsnn_codegen.device.client import COMPUTE_S, Device
from qpsnn_codegen.device.counting import Scale, scale_of
from qpsnn_codegen.device.faults import describe, symbols
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.link import Link
from qpsnn_codegen.device.protocol import Fault
from qpsnn_codegen.errors import BoardError
from qpsnn_codegen.toolchain.arm import Firmware, build_firmware
from qpsnn_codegen.toolchain.emulator import QEMU, emulate, emulated_machine
from qpsnn_codegen.toolchain.packages import find_tool

BAUD = 115200
_START_S = 20.0
_PATIENCE_S = 10.0
"""An emulated board has to start first, and this machine may be busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A device that runs the folder's model.

    Attributes:
        board: what the device says it is; ``None`` if nobody here knows that board.
        stack_bound: bytes of stack that the image needs at most by its call graph; ``None`` if the image is not known.
    """

    device: Device
    board: Board | None
    stack_bound: int | None

    @property
    def scale(self) -> Scale:
        """How to read its ticks."""
        return scale_of(self.device.hello, self.board)

    @property
    def where(self) -> str:
        """For people: board and core, and whether it is emulated."""
        hello = self.device.hello
        emulated = ", emulated" if self.scale.unit == "instructions" else ""
        return f"{hello.board} ({hello.core}{emulated})"


@contextmanager
def open_target(
    folder: FirmwareFolder,
    target: str,
    *,
    trace: bool = True,
    checks: bool = False,
    compute: float = COMPUTE_S,
    say: Callable[[str], None] = lambda step: None,
) -> Iterator[Session]:
    """Build the folder for a board, in a temporary folder, and run it in the emulator until the block ends.

    Args:
        compute: seconds that one run of the network may take.
        say: called with each step as it begins.

    Raises:
        BoardError, ToolchainError: no such board, no emulator for it, or a tool that is missing or fails.
        DeviceError: as for :class:`Device`.
    """
    # Before a build in vain.
    emulated_machine(folder.board(target, "--target"))
    find_tool(QEMU)
    with tempfile.TemporaryDirectory(prefix="qpsnn-target-") as scratch:
        say(f"building for {target}")
        firmware = build_firmware(folder.path, target, trace=trace, checks=checks, build_dir=Path(scratch) / "build")
        say(f"starting {target}")
        with run_firmware(folder, firmware, compute=compute) as session:
            yield session


@contextmanager
def run_firmware(folder: FirmwareFolder, firmware: Firmware, *, compute: float = COMPUTE_S) -> Iterator[Session]:
    """The second half of :func:`open_target`: an image that was built before."""
    place = symbols(firmware.elf)
    with (
        emulate(firmware.board, firmware.elf) as url,
        Link.open(url, baud=firmware.board.serial.baud) as link,
    ):
        device = Device(
            link,
            compute=compute,
            patience=_PATIENCE_S,
            start=_START_S,
            explain=lambda fault: describe(fault, place),
        )
        folder.check_device(device.hello, url)
        yield Session(device=device, board=firmware.board, stack_bound=firmware.stack_bound)


@contextmanager
def open_port(folder: FirmwareFolder, port: str, *, baud: int = BAUD, compute: float = COMPUTE_S) -> Iterator[Session]:
    """Talk to a device on a port: a path, or ``socket://host:port``.

    Raises:
        DeviceError: it cannot be opened, does not answer, or runs another model than the folder's.
    """
    with Link.open(port, baud=baud) as link:
        device = Device(link, compute=compute)
        folder.check_device(device.hello, port)
        try:
            board = folder.board(device.hello.board)
        except BoardError:
            board = None
        build = folder.build_of(device.hello)
        if build is not None:
            device.explain = _explainer(build.elf)
        yield Session(device=device, board=board, stack_bound=build.stack_bound if build else None)


def _explainer(elf: Path) -> Callable[[Fault], str]:
    """By the symbols of the folder's own build, which is probably what was flashed."""
    place = symbols(elf)
    return lambda fault: f"{describe(fault, place)}, by the symbols of {elf}"
