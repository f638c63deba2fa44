"""Boards and builds that cannot be: one line, exit code 2, and nothing changed."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from host_tests.errors.command import Workplace, call_limited, call_ok
from qpsnn_codegen.boards import all_boards

pytestmark = pytest.mark.slow


def test_a_board_that_nobody_knows(workplace: Workplace) -> None:
    names = tuple(board.name for board in all_boards())
    model, folder = workplace.model(), workplace.firmware()
    workplace.refuses(model, "-o", "out", "--board", "arduino", says=("--board: there is no board 'arduino'", *names))
    workplace.refuses("build", folder, "--board", "arduino", says=("--board: there is no board 'arduino'", *names))


def test_a_board_is_refused_before_any_work(workplace: Workplace) -> None:
    workplace.refuses("missing.pt", "-o", "out", "--board", "arduino", says=("there is no board 'arduino'",))


@pytest.mark.parametrize("name", ["../microbit", "..", "", "common", "."])
def test_a_board_that_is_a_path(name: str, workplace: Workplace) -> None:
    folder = workplace.firmware()
    workplace.refuses("build", folder, "--board", name, says=("there is no board",))


def test_what_is_not_a_folder_of_ours(workplace: Workplace) -> None:
    (workplace.folder / "empty").mkdir()
    for name in ("empty", "missing", workplace.model()):
        workplace.refuses("build", name, "--board", "microbit", says=("is no folder of generated firmware",))
    workplace.refuses("build", workplace.firmware(), says=("--board: is missing; add --board BOARD",))


def test_a_damaged_folder(workplace: Workplace) -> None:
    folder = workplace.firmware()
    (workplace.folder / folder / "report.json").write_text('{"generator": "qpsnn-codegen"}')
    workplace.refuses("build", folder, "--board", "microbit", says=("report.json: has no name",))
    (workplace.folder / folder / "golden" / "network.npz").unlink()
    workplace.refuses("build", folder, "--board", "microbit", says=("network.npz",))


def test_a_source_that_is_missing(workplace: Workplace) -> None:
    folder = workplace.firmware()
    (workplace.folder / folder / "runtime" / "qps_conv.c").unlink()
    workplace.refuses(
        "build",
        folder,
        "--board",
        "microbit",
        says=("firmware/runtime/qps_conv.c: is missing; generate the folder again",),
    )


def test_a_port_that_is_damaged(workplace: Workplace) -> None:
    folder = workplace.firmware()
    port = workplace.folder / folder / "ports" / "microbit"
    port.mkdir(parents=True)
    (port / "board.toml").write_text("title = 3\n")
    workplace.refuses("build", folder, "--board", "microbit", says=("microbit/board.toml: title is no text",))


@pytest.mark.parametrize(
    ("hidden", "package"),
    [("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("make", "make"), ("arm-none-eabi-objdump", "binutils-arm-none-eabi")],
)
def test_tools_that_are_missing(
    hidden: str, package: str, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workplace.firmware()
    tools = tmp_path / "tools"
    tools.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for tool in Path(place).iterdir() if Path(place).is_dir() else ():
            if tool.name != hidden and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(tools))
    says = (f"{hidden}: is not installed", f"apt-get install {package}'")
    workplace.refuses("build", folder, "--board", "microbit", says=says)


def test_a_disk_that_is_full(workplace: Workplace) -> None:
    folder = workplace.firmware()
    workplace.refuses("build", folder, "--board", "microbit", runner=call_limited)


def test_a_place_that_cannot_be_written(workplace: Workplace) -> None:
    folder = workplace.firmware()
    (workplace.folder / "file").write_text("")
    taken = workplace.folder / "taken"
    taken.mkdir()
    (taken / "mine").write_text("")
    workplace.refuses("build", folder, "--board", "microbit", "-o", "file", says=("exists and is not a folder",))
    build = ("build", folder, "--board", "microbit", "-o")
    assert "--force" not in workplace.refuses(*build, "taken", says=("is no output of qpsnn-codegen",))


def test_the_image_of_another_is_kept(workplace: Workplace) -> None:
    folder = workplace.firmware()
    build = ("build", folder, "-o", "image", "--board")
    call_ok(*build, "microbit")
    call_ok(*build, "microbit", "--no-trace")
    says = ("image: holds the image of small for microbit; choose another folder with -o",)
    assert "--force" not in workplace.refuses(*build, "mps2-an386", says=says)
    call_ok(workplace.model(), "-o", "other", "--name", "other")
    workplace.refuses("build", "other", "-o", "image", "--board", "microbit", says=says)
    (workplace.folder / "image" / "notes.txt").write_text("flashed on Monday")
    workplace.refuses(*build, "microbit", says=("image: holds notes.txt, not written by qpsnn-codegen",))


@pytest.mark.parametrize("size", ["0", "255", "-1", "many"])
def test_a_stack_that_is_too_small(size: str, workplace: Workplace) -> None:
    folder = workplace.firmware()
    workplace.refuses("build", folder, "--board", "microbit", "--stack-size", size, says=("--stack-size",))


def test_a_stack_below_its_bound(workplace: Workplace) -> None:
    build = ("build", workplace.firmware(), "--board", "microbit", "--stack-size")
    line = workplace.refuses(*build, 300, says=("--stack-size 300: ", "bytes by the call graph"), code=1)
    match = re.search(r"may need ([\d,]+) bytes .* 304 are reserved; give at least (\d+)$", line)
    assert match is not None, line
    assert int(match[1].replace(",", "")) == int(match[2])
    workplace.refuses(*build, int(match[2]) - 8, says=("give at least",), code=1)
    call_ok(*build, match[2])


def test_a_stack_beyond_the_ram(workplace: Workplace) -> None:
    folder = workplace.firmware()
    says = ("--board stm32vldiscovery: the image needs", "bytes of RAM more than the board has")
    workplace.refuses("build", folder, "--board", "stm32vldiscovery", "--stack-size", "8192", says=says)


def test_a_temporary_folder_that_make_cannot_take(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workplace.firmware()
    place = workplace.folder / "a b"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    workplace.refuses("build", folder, "--board", "microbit", says=("white space", "set TMPDIR"))


def test_other_folders_may_have_spaces(workplace: Workplace) -> None:
    folder = workplace.firmware("my firmware")
    call_ok("build", folder, "--board", "microbit", "-o", "an image")
    assert (workplace.folder / "an image" / "small.hex").is_file()
    assert workplace.leftovers() == []
