"""Commands that want a device: ports and targets that are none, tools that are missing, folders that are not ours."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from host_tests.errors.command import Workplace, call_ok, contents, run

COMMANDS = {
    "run": ("run", "FOLDER", "in.npy"),
    "profile": ("profile", "FOLDER"),
    "verify": ("verify", "FOLDER"),
}


@pytest.fixture(params=COMMANDS)
def words(request: pytest.FixtureRequest, workplace: Workplace) -> list[object]:
    """A command on a small folder, without a device."""
    np.save("in.npy", np.zeros((2, 1, 8, 8), dtype=np.uint8))
    folder = workplace.firmware()
    return [folder if word == "FOLDER" else word for word in COMMANDS[request.param]]


@pytest.mark.parametrize("options", [[], ["--port", "x", "--target", "mps2-an386"]])
def test_exactly_one_device(options: list[str], words: list[object], workplace: Workplace) -> None:
    if words[0] == "verify" and not options:
        return  # that is the host's own C
    workplace.refuses(*words, *options, says=("--target, --port: exactly one of them is needed",))


@pytest.mark.parametrize("option", [["--cc", "clang"], ["--sanitize"]])
def test_options_of_the_host_do_not_mix_with_a_device(option: list[str], workplace: Workplace) -> None:
    folder = workplace.firmware()
    for device in (["--port", "x"], ["--target", "mps2-an386"]):
        says = ("--cc, --sanitize: are for this machine's C", "leave them out")
        workplace.refuses("verify", folder, *device, *option, says=says)


PORTS = {
    "/dev/none": "/dev/none: cannot be opened (No such file or directory)",
    "in.npy": "in.npy: cannot be opened (Inappropriate ioctl for device)",
    ".": ".: cannot be opened (Is a directory)",
    "": "--port: cannot be opened",
    "socket://127.0.0.1:1": "cannot be reached (Connection refused)",
    "socket://127.0.0.1": "socket://127.0.0.1: cannot be reached",
    "socket://127.0.0.1:99999": "cannot be reached",
    "nothing://here": "nothing://here: cannot be reached",
}


@pytest.mark.parametrize("port", PORTS)
def test_port_that_is_none(port: str, words: list[object], workplace: Workplace) -> None:
    workplace.refuses(*words, "--port", port, says=(PORTS[port],))


@pytest.mark.slow
def test_somebody_else_listens(workplace: Workplace) -> None:
    """A server that takes the connection and never says anything."""
    folder = workplace.firmware()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        says = (f"{url}: no answer to HELLO in 6 s", "check the port, its baud rate, and that the board runs this")
        workplace.refuses("profile", folder, "--port", url, says=says)
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("baud", ["0", "-9600", "fast"])
def test_baud(baud: str, words: list[object], workplace: Workplace) -> None:
    workplace.refuses(
        *words,
        "--port",
        "x",
        "--baud",
        baud,
        says=(
            "--baud: ",
            "is no whole number of at least 300",
        ),
    )


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_timeout(timeout: str, words: list[object], workplace: Workplace) -> None:
    workplace.refuses(
        *words,
        "--port",
        "x",
        "--timeout",
        timeout,
        says=(
            "--timeout: ",
            "is no number of at least 0.1",
        ),
    )


def test_target_that_is_none(words: list[object], workplace: Workplace) -> None:
    workplace.refuses(*words, "--target", "vax", says=("vax", "mps2-an386"))
    workplace.refuses(*words, "--target", "../ports", says=("mps2-an386",))
    says = ("nucleo_f446re: cannot be emulated", "use --port with the board itself", "mps2-an386")
    workplace.refuses(*words, "--target", "nucleo_f446re", says=says)


@pytest.mark.parametrize(
    ("missing", "package"),
    [("qemu-system-arm", "qemu-system-arm"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("make", "make")],
)
def test_tool_that_is_missing(missing: str, package: str, words: list[object], workplace: Workplace) -> None:
    """Everything else is on PATH."""
    tools = workplace.temporary.parent / "bin"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*"):
            if tool.name != missing and not (tools / tool.name).is_symlink():
                (tools / tool.name).symlink_to(tool)
    environment = {"PATH": str(tools)}
    workplace.refuses(
        *words,
        "--target",
        "mps2-an386",
        says=(f"{missing}: ", f"install it with 'apt-get install {package}'"),
        runner=lambda *arguments: run(*arguments, environment=environment),
    )


@pytest.mark.slow
def test_nothing_is_left_behind(words: list[object], workplace: Workplace) -> None:
    """The build is elsewhere, and gone."""
    before = contents(workplace.folder)
    call_ok(*words, "--target", "mps2-an385", "--limit", "1")
    assert contents(workplace.folder) == before
    assert workplace.leftovers() == []


REPORTS = {
    "no_json": "{",
    "no_object": "[]",
    "empty": '{"generator": "qpsnn-codegen"}',
    "layers": '{"generator": "qpsnn-codegen", "layers": 3}',
    "rows": '{"generator": "qpsnn-codegen", "layers": [1]}',
    "deep": '{"generator": ' + "[" * 100_000,
}


@pytest.mark.parametrize("report", REPORTS)
def test_folder_with_a_damaged_report(report: str, words: list[object], workplace: Workplace) -> None:
    Path("firmware/report.json").write_text(REPORTS[report])
    workplace.refuses(*words, "--port", "x", says=("firmware",))
    workplace.refuses("flash", "firmware", "--board", "rpi_pico", says=("firmware",))


def test_folder_that_is_none(words: list[object], workplace: Workplace) -> None:
    shutil.rmtree("firmware")
    workplace.refuses(*words, "--port", "x", says=("firmware: is no folder of generated firmware",))
    workplace.refuses("flash", "firmware", "--board", "rpi_pico", says=("is no folder of generated firmware",))
    Path("firmware").mkdir()
    workplace.refuses(*words, "--target", "mps2-an386", says=("is no folder of generated firmware",))


def test_network_that_is_damaged(words: list[object], workplace: Workplace) -> None:
    Path("firmware/golden/network.npz").write_bytes(b"rubbish")
    workplace.refuses(*words, "--port", "x", says=("golden/network.npz",))
    workplace.refuses("flash", "firmware", "--board", "rpi_pico", says=("golden/network.npz",))


def test_golden_vectors_that_are_missing(workplace: Workplace) -> None:
    folder = workplace.firmware()
    (folder / "golden" / "vectors.npz").unlink()
    for command in ("profile", "verify"):
        workplace.refuses(command, folder, "--port", "x", says=("golden/vectors.npz",))
