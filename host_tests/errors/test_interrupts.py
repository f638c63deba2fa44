"""Ctrl-C: exit code 130, one line, nothing left behind, whatever was going on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from host_tests.errors.command import COMMAND, Result, Workplace, contents

PATIENCE_S = 60.0

pytestmark = pytest.mark.slow


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal's foreground job has."""
    child = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def interrupt(child: subprocess.Popen[str]) -> Result:
    """What Ctrl-C does: a signal to the command and to the compilers it runs."""
    assert child.poll() is None, f"it ended too early: {child.communicate()}"
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    return Result(child.returncode, out, err)


def wait_for(condition: Callable[[], object], child: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition() and child.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)


def check_interrupted(result: Result) -> None:
    # A line break first, so that the terminal's ^C stands alone.
    assert result == Result(130, "", "\nqpsnn-codegen: interrupted\n")


def feed(path: Path, content: bytes) -> None:
    """Write to a named pipe; returns when all of it has been taken."""
    path.write_bytes(content)


@pytest.mark.parametrize("command", [[COMMAND], [sys.executable, "-m", "qpsnn_codegen"]], ids=["command", "module"])
@pytest.mark.parametrize("module", ["click", "numpy"])
def test_while_importing(module: str, command: list[str], tmp_path: Path) -> None:
    """A module that raises what a signal during its import would raise."""
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    check_interrupted(Result(result.returncode, result.stdout, result.stderr))


def test_while_calibrating(workplace: Workplace) -> None:
    content = workplace.model().read_bytes()
    np.save("many.npy", np.zeros((200_000, 1, 8, 8), dtype=np.uint8))
    os.mkfifo("pipe.pt")
    before = {name for name in contents(workplace.folder) if name != "pipe.pt"}
    arguments = ("pipe.pt", "-o", "a/b/out", "--calibrate", "many.npy", "--samples", 200_000)
    with started(*arguments) as child:
        # The model is read twice: its content and its digest. Then there is a second until it is lowered.
        feed(Path("pipe.pt"), content)
        feed(Path("pipe.pt"), content)
        time.sleep(1.0)
        check_interrupted(interrupt(child))
    Path("pipe.pt").unlink()
    assert set(contents(workplace.folder)) == before
    assert workplace.leftovers() == []


def test_while_reading_the_model(workplace: Workplace) -> None:
    content = workplace.model().read_bytes()
    os.mkfifo("pipe.pt")
    with started("pipe.pt", "-o", "out") as child, Path("pipe.pt").open("wb") as pipe:
        # Open at both ends now: the command waits for the rest.
        pipe.write(content[:100])
        pipe.flush()
        # A signal between two reads is only noticed when the second returns, so wait until the command is inside it.
        time.sleep(1.0)
        check_interrupted(interrupt(child))
    Path("pipe.pt").unlink()
    assert set(contents(workplace.folder)) == {"model.pt"}


@pytest.mark.parametrize("command", ["verify", "simulate"])
def test_while_building_or_running_c(command: str, workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((200_000, 1, 8, 8), dtype=np.uint8))
    before = contents(workplace.folder)
    options = ("--inputs", "inputs.npy") if command == "verify" else ("inputs.npy", "-o", "out.npz")
    with started(command, folder, *options) as child:
        wait_for(lambda: at_work(workplace), child)
        check_interrupted(interrupt(child))
    assert contents(workplace.folder) == before
    assert workplace.leftovers() == []


def at_work(workplace: Workplace) -> bool:
    """Whether the command has a temporary folder, and something in it: it knows by now that it has to remove it."""
    return len(workplace.leftovers()) > 1


@pytest.mark.parametrize("when", ["building", "running"])
def test_while_a_board_is_emulated(when: str, workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((200_000, 1, 8, 8), dtype=np.uint8))
    before = contents(workplace.folder)
    with started("run", folder, "inputs.npy", "--target", "mps2-an386") as child:
        wait_for(lambda: at_work(workplace) if when == "building" else emulators(child), child)
        machines = emulators(child)
        check_interrupted(interrupt(child))
    assert not any(Path(f"/proc/{machine}").exists() for machine in machines)
    assert contents(workplace.folder) == before
    assert workplace.leftovers() == []


def emulators(parent: subprocess.Popen[str]) -> list[int]:
    """Processes of QEMU that a command has started."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    return [int(child) for child in children if Path(f"/proc/{child}/comm").read_text().startswith("qemu")]


def test_while_training(workplace: Workplace) -> None:
    state = Path("run.state")
    arguments = ("train", "--data", "digits", "--layout", "4,M", "-T", "1", "--state", state, "-o", "new.pt")
    with started(*arguments) as child:
        wait_for(state.exists, child)
        result = interrupt(child)
    # On a slow machine it has said how long it will take.
    assert re.fullmatch(r"(about [0-9.]+ s per epoch, .+ for 120 epochs\n)?", result.out)
    check_interrupted(Result(result.code, "", result.err))
    # The state is what --resume continues from; it is whole, and there is no half-written one beside it.
    assert set(contents(workplace.folder)) == {"run.state"}
    assert workplace.leftovers() == []
