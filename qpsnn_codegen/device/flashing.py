"""Getting an image onto a real board: with pyOCD through a debug probe, or by copying it to a bootloader's drive."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qpsnn_codegen.boards import Board
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import Session, open_port
from qpsnn_codegen.errors import BoardError, DeviceError, ToolchainError, UsageError

Method = Literal["pyocd", "volume"]

_PYOCD_S = 300.0
_HELLO_S = 20.0
_RETRY_S = 0.5
_BOOTLOADER_FILES = {".uf2": "INFO_UF2.TXT", ".hex": "DETAILS.TXT"}
"""What the drive of a bootloader always holds, and an ordinary drive of the same name does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashPlan:
    """What flashing a board means.

    Attributes:
        image: the file that is written to the board.
        command: what is run, with pyOCD; empty for a drive.
        volume: label of the drive that the image is copied to; None with pyOCD.
        alternative: an OpenOCD command that does the same, or empty.
        once: a command that may be needed once before, or empty.
    """

    board: Board
    method: Method
    image: Path
    command: tuple[str, ...]
    volume: str | None
    alternative: str
    once: str

    def steps(self, mount: Path | None) -> list[str]:
        """For people, in order; ``mount``: where the drive is, if it was found."""
        if self.method == "pyocd":
            lines = [f"run    {shlex.join(self.command)}"]
            if self.once:
                lines.insert(0, f"once   {self.once}")
        else:
            place = str(mount) if mount else f"the drive {self.volume}, which is not there now"
            lines = [f"copy   {self.image} to {place}"]
        if self.alternative:
            lines.append(f"or     {self.alternative}")
        return lines


def plan_flash(board: Board, folder: Path, name: str, method: Method | None = None) -> FlashPlan:
    """How the image that ``build`` makes of a folder gets onto a board; the drive is preferred to a probe.

    Raises:
        BoardError: a board of the emulator.
        UsageError: the board cannot be flashed by this method.
    """
    programming = board.programming
    if programming is None:
        raise BoardError(
            board.name, "exists in the emulator only", f"use 'qpsnn-codegen run ... --target {board.name}'"
        )
    by: dict[Method, str | None] = {"volume": programming.volume, "pyocd": programming.pyocd}
    offered = [way for way, name_there in by.items() if name_there]
    chosen = method or offered[0]
    if chosen not in offered:
        raise UsageError("--method", f"{board.name} cannot be flashed by {chosen}", f"choose {' or '.join(offered)}")
    build = folder / "build" / board.name
    image = build / f"{name}.{programming.format if chosen == 'volume' else 'hex'}"
    command: tuple[str, ...] = ()
    once = ""
    if chosen == "pyocd":
        command = (sys.executable, "-m", "pyocd", "flash", "-W", "-t", str(programming.pyocd), str(image))
        if programming.pack:
            once = shlex.join([sys.executable, "-m", "pyocd", "pack", "install", str(programming.pyocd)])
    alternative = ""
    if programming.openocd:
        program = f"program {shlex.quote(str(build / f'{name}.elf'))} verify reset exit"
        alternative = shlex.join(["openocd", "-f", programming.openocd, "-c", program])
    return FlashPlan(
        board=board,
        method=chosen,
        image=image,
        command=command,
        volume=programming.volume if chosen == "volume" else None,
        alternative=alternative,
        once=once,
    )


def mount_roots() -> list[Path]:
    """Where desktops mount drives."""
    roots = [Path("/media"), Path("/run/media"), Path("/Volumes"), Path("/mnt")]
    with contextlib.suppress(KeyError):
        roots[:0] = [Path("/media") / os.environ["USER"], Path("/run/media") / os.environ["USER"]]
    return roots


def find_volume(label: str, roots: Iterable[Path]) -> Path | None:
    """The drive of a bootloader.

    Raises:
        DeviceError: there are several.
    """
    found = [root / label for root in roots if (root / label).is_dir()]
    if len(found) > 1:
        places = ", ".join(map(str, found))
        raise DeviceError(label, f"there are {len(found)} drives of this name ({places})", "name one with --volume")
    return found[0] if found else None


def check_ready(plan: FlashPlan, mount: Path | None) -> None:
    """Whether the board's way in is there, before anything is built.

    Raises:
        ToolchainError: pyOCD is not installed.
        DeviceError: no such drive is mounted, or it is not a bootloader's.
    """
    if plan.method == "pyocd":
        if importlib.util.find_spec("pyocd") is None:
            other = f", or run {plan.alternative}" if plan.alternative else ""
            raise ToolchainError("pyocd", "is not installed", f"run pip install 'qpsnn-codegen[flash]'{other}")
        return
    if mount is None or not mount.is_dir():
        remedy = "bring the board into its bootloader and mount its drive; name it with --volume if it is elsewhere"
        raise DeviceError(str(mount or plan.volume), "no such drive is mounted", remedy)
    proof = _BOOTLOADER_FILES[plan.image.suffix]
    try:
        names = {entry.name.upper() for entry in mount.iterdir()}
    except OSError as error:
        raise DeviceError(str(mount), f"cannot be read ({error.strerror})", "mount it so that you may write") from error
    if proof not in names:
        raise DeviceError(str(mount), f"is no bootloader's drive: it has no {proof}", "name another one with --volume")


def run_pyocd(plan: FlashPlan) -> None:
    """Program and reset the board through a debug probe; raises :class:`DeviceError` with pyOCD's last message."""
    try:
        result = subprocess.run(
            plan.command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PYOCD_S,
        )
    except subprocess.TimeoutExpired:
        what = f"did not finish in {_PYOCD_S:g} seconds"
        raise DeviceError("pyocd", what, "reconnect the probe and the board") from None
    if result.returncode != 0:
        said = [line.strip() for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        hint = f"; if it does not know the target, run '{plan.once}'" if plan.once else ""
        raise DeviceError(
            "pyocd",
            f"failed: {'; '.join(said[-2:]) or 'no message'}",
            f"check that the probe is connected and the board has power{hint}",
        )


def copy_to_volume(plan: FlashPlan, mount: Path) -> Path:
    """Copy the image to the bootloader's drive, which programs the board with it; the file there.

    Raises:
        DeviceError: the copy was refused.
    """
    target = mount / plan.image.name
    try:
        with target.open("wb") as stream:
            stream.write(plan.image.read_bytes())
            stream.flush()
            # The board may restart, and its drive vanish, as soon as it has the last block.
            with contextlib.suppress(OSError):
                os.fsync(stream.fileno())
    except OSError as error:
        raise DeviceError(str(target), f"cannot be written ({error.strerror})", "reconnect the board") from error
    return target


def wait_for_hello(folder: FirmwareFolder, port: str, baud: int) -> Session:
    """Wait until the board on ``port`` answers with the folder's model; its session, ended.

    Raises:
        DeviceError: it does not within some seconds; the reason of the last try.
    """
    deadline = time.monotonic() + _HELLO_S
    while True:
        try:
            with open_port(folder, port, baud=baud) as session:
                return session
        except DeviceError:
            # The board restarts, its port may vanish for a moment, and the old firmware may answer until then.
            if time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_S)
