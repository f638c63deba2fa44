"""Boards in QEMU: one instruction per virtual nanosecond, the UART on a local TCP socket."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from qpsnn_codegen.boards import Board, all_boards
from qpsnn_codegen.errors import BoardError, DeviceError, ToolchainError
from qpsnn_codegen.toolchain.packages import find_tool, install

QEMU = "qemu-system-arm"
_EXIT_S = 2.0
_MESSAGE_MAX = 4096


@contextmanager
def emulate(board: Board, elf: Path) -> Iterator[str]:
    """Run an image until the block ends; yields the URL of its UART (``socket://127.0.0.1:PORT``).

    The machine starts with the first connection, so that one sees all of its life. QEMU is dead when the block has
    ended, whatever the reason.

    Raises:
        BoardError: QEMU does not have this board.
        ToolchainError: QEMU is missing, refuses to start, or ended while it was used; has its own message.
    """
    machine = emulated_machine(board)
    program = find_tool(QEMU)
    # QEMU inherits the listening socket: no other program can take the port in between.
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryFile() as messages:
        # Its connections inherit this: the guest writes byte by byte, and none should wait for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        try:
            process = subprocess.Popen(
                [*_leash(), str(program), *_arguments(machine, elf, listener.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for this program, which then ends QEMU
            )
        except OSError as error:
            raise ToolchainError(QEMU, f"cannot be started ({error.strerror})", install(QEMU)) from error
        listener.close()
        try:
            yield f"socket://127.0.0.1:{port}"
        except DeviceError as error:
            # A lost connection is the symptom; that QEMU ended is the cause.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_EXIT_S)
            if process.returncode is not None:
                raise _ended(process.returncode, messages) from error
            raise
        finally:
            process.kill()
            process.wait()


def emulated_machine(board: Board) -> str:
    """QEMU's name of a board; raises :class:`BoardError` if it has none."""
    if board.emulator is None:
        names = ", ".join(other.name for other in all_boards() if other.emulator is not None)
        raise BoardError(
            board.name, "cannot be emulated", f"use --port with the board itself, or choose one of {names}"
        )
    return board.emulator


def _leash() -> list[str]:
    """A prefix that has QEMU killed when this program is: it would run on at full speed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _arguments(machine: str, elf: Path, listener: int) -> list[str]:
    return [
        *("-machine", machine, "-kernel", str(elf), "-icount", "shift=0"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
        *("-chardev", f"socket,id=uart,fd={listener},server=on,wait=on", "-serial", "chardev:uart"),
    ]


def _ended(status: int, messages: IO[bytes]) -> ToolchainError:
    messages.seek(0)
    text = messages.read(_MESSAGE_MAX).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if "terminating on signal" not in line]
    said = next((line for line in reversed(lines) if line), "without a message")
    return ToolchainError(
        QEMU,
        f"ended with status {status}: {said.removeprefix(QEMU + ':').strip()}",
        "check that this version of QEMU has the machine, and that the firmware was built for it",
    )
