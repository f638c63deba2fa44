"""Outputs that may not be written, or cannot: the disk is full, somebody else's folder is there."""

from __future__ import annotations

import functools
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from host_tests.errors.command import (
    COMMAND,
    Result,
    Workplace,
    call,
    call_limited,
    check_message,
    contents,
    run,
)

FULL = "No space left on device"


def test_folder_that_is_not_empty(workplace: Workplace) -> None:
    model = workplace.model()
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("years of work")
    line = workplace.refuses(model, "-o", "out", says=("out: ", "not empty; choose another folder with -o"))
    assert "--force" not in line
    workplace.refuses(model, "-o", "out", says=("out: ", "not empty"), runner=run)
    workplace.refuses(model, "-o", "out", "--force", says=("out: ", "no output of qpsnn-codegen", "empty it"))
    workplace.refuses(model, "-o", "out", "--force", says=("out: ", "no output"), runner=run)
    workplace.refuses(model, "-o", ".", says=("current folder",))
    workplace.refuses(model, "-o", ".", "--force", says=("current folder",))
    workplace.refuses(model, "-o", "..", "--force", says=("current folder",))


def test_force_keeps_what_is_not_ours(workplace: Workplace) -> None:
    model, folder = workplace.model(), workplace.firmware("out")
    workplace.refuses(model, "-o", "out", says=("exists and is not empty", "replace this one with --force"))
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").touch()
    says = ("out: holds .git/ and 1 more, not written by qpsnn-codegen; move that elsewhere",)
    workplace.refuses(model, "-o", "out", "--force", says=says)
    assert "--force" not in workplace.refuses(model, "-o", "out", says=says)


@pytest.mark.parametrize(
    "report", ["", "{", "[]", "null", '{"generator": "npm"}', "[" * 100_000, "\ud800", '{"generator": 1}']
)
def test_force_wants_a_report_of_ours(report: str, workplace: Workplace) -> None:
    folder = workplace.firmware("out")
    (folder / "report.json").write_bytes(report.encode(errors="surrogatepass"))
    workplace.refuses(workplace.model(), "-o", "out", "--force", says=("out: ", "no output of qpsnn-codegen"))


def test_report_that_is_a_link_is_not_ours(workplace: Workplace) -> None:
    folder = workplace.firmware("out")
    (folder / "report.json").rename("report.json")
    (folder / "report.json").symlink_to("../report.json")
    workplace.refuses(workplace.model(), "-o", "out", "--force", says=("out: ", "no output of qpsnn-codegen"))


def test_output_is_a_file_or_a_link(workplace: Workplace) -> None:
    model = workplace.model()
    Path("file").touch()
    workplace.firmware("real")
    Path("link").symlink_to("real")
    Path("broken").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    for force in ((), ("--force",)):
        workplace.refuses(model, "-o", "file", *force, says=("file: ", "not a folder"))
        workplace.refuses(model, "-o", model, *force, says=("model.pt: ", "not a folder"))
        workplace.refuses(model, "-o", "link", *force, says=("link: ", "symbolic link"))
        workplace.refuses(model, "-o", "broken", *force, says=("broken: ", "symbolic link"))
        workplace.refuses(model, "-o", "loop/out", *force, says=("loop/out: ",))
    workplace.refuses(model, "-o", "file/out", says=("file/out: ", "cannot be written"))
    workplace.refuses(model, "-o", "file/out/deeper", says=("file/out/deeper: ",))
    workplace.refuses(model, "-o", "x" * 300, says=("cannot be written", "shorter name"))


def test_wrong_model_does_not_cost_the_earlier_output(workplace: Workplace) -> None:
    workplace.firmware("out")
    Path("model.pt").write_bytes(b"rubbish")
    workplace.refuses("model.pt", "-o", "out", "--force", says=("model.pt: ",))


def test_failure_makes_no_parents(workplace: Workplace) -> None:
    Path("model.pt").write_bytes(b"rubbish")
    workplace.refuses("model.pt", "-o", "a/b/c", says=("model.pt: ",))


# --- disk full


def run_limited(*arguments: object) -> Result:
    """In a process of its own that may write no file of more than 4 KB."""
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, 4096))
    return run(*arguments, before=limit)


def test_files_cannot_grow_while_compiling(workplace: Workplace) -> None:
    model = workplace.model()
    says = ("out: ", "cannot be written", "ulimit")
    workplace.refuses(model, "-o", "out", says=says, runner=run_limited)
    workplace.refuses(model, "-o", "out", says=says, runner=call_limited)
    workplace.refuses(model, "-o", "a/b/c", says=("a/b/c: ", "cannot be written"), runner=call_limited)
    workplace.firmware("old")
    workplace.refuses(model, "-o", "old", "--force", says=("old: ", "cannot be written"), runner=call_limited)


def test_files_cannot_grow_while_saving_a_model(workplace: Workplace) -> None:
    says = ("new.pt: ", "cannot be written")
    train = ("train", "--data", "digits", "--layout", "4,M", "-T", "1", "--epochs", "1", "-o", "new.pt")
    prune = ("prune", workplace.model(), "--data", "digits", "--ratio", "0", "-o", "new.pt")
    workplace.refuses(*prune, says=says, runner=call_limited)
    workplace.refuses(*train, says=says, runner=call_limited)
    workplace.refuses(*train, "--state", "run.state", says=("run.state: ", "written"), runner=call_limited)


def test_files_cannot_grow_while_building(workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((1, 1, 8, 8), dtype=np.uint8))
    workplace.refuses("verify", folder, runner=call_limited)
    workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", runner=call_limited)


# With these limits the C can be built, and then ...
@pytest.mark.parametrize(("limit", "count"), [(100_000, 3_000), (1_000_000, 12_000)], ids=["packed_inputs", "results"])
def test_files_cannot_grow_while_simulating(limit: int, count: int, workplace: Workplace) -> None:
    folder = workplace.firmware()
    inputs = np.random.default_rng(1).integers(0, 256, (count, 1, 8, 8)).astype(np.uint8)
    np.save("inputs.npy", inputs)
    arguments = ("simulate", folder, "inputs.npy", "-o", "out.npz", "--trace")
    workplace.refuses(*arguments, runner=functools.partial(call_limited, limit=limit))


def test_no_file_can_be_written_at_all(workplace: Workplace) -> None:
    """Python looks in many places for one that takes temporary files; here is none."""
    folder = workplace.firmware()
    tempfile.tempdir = None
    workplace.refuses("verify", folder, says=("TMPDIR",), runner=functools.partial(call_limited, limit=0))


@pytest.mark.parametrize("arguments", [("inspect", "MODEL"), ("--help",), ("verify", "FOLDER")])
def test_standard_output_is_full(arguments: tuple[str, ...], workplace: Workplace) -> None:
    places = {"MODEL": str(workplace.model()), "FOLDER": str(workplace.firmware())}
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [COMMAND, *(places.get(argument, argument) for argument in arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    check_message(Result(result.returncode, "", result.stderr), FULL)


def test_reader_of_the_output_is_gone(workplace: Workplace) -> None:
    """As with ``| head``: silence, and no answer of yes or no."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [COMMAND, "inspect", str(workplace.model())]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


SMALL_DISK = """
mount -t tmpfs -o size=64k tmpfs small || exit 77
head -c 61440 /dev/zero > small/filler
"$@"
code=$?
ls -A small > left
exit $code
"""


@pytest.fixture
def small_disk(workplace: Workplace) -> tuple[str, ...]:
    """A command that runs another with a file system at ``small`` that has 4 KB left; lists its files in ``left``."""
    Path("small").mkdir()
    for options in (("-m",), ("-r", "-m")):
        wrapper = ("unshare", *options, "sh", "-c", SMALL_DISK, "sh")
        if shutil.which("unshare"):
            done = subprocess.run([*wrapper, "true"], capture_output=True, check=False)
            if done.returncode == 0:
                Path("left").unlink()
                return wrapper
    pytest.skip("no permission to mount a file system; test_files_cannot_grow_* stand in")


@pytest.mark.slow
def test_disk_full(workplace: Workplace, small_disk: tuple[str, ...]) -> None:
    np.save("inputs.npy", np.random.default_rng(1).integers(0, 256, (3000, 1, 8, 8)).astype(np.uint8))
    model, folder = workplace.model(), workplace.firmware()
    before = contents(workplace.folder)
    for arguments, where in (
        ((model, "-o", "small/out"), "small/out: "),
        (("prune", model, "--data", "digits", "--ratio", "0", "-o", "small/new.pt"), "small/new.pt: "),
        (("simulate", folder, "inputs.npy", "--trace", "-o", "small/out.npz"), "small/out.npz: "),
    ):
        result = run(*arguments, wrapper=small_disk)
        check_message(result, where, FULL)
        assert Path("left").read_text() == "filler\n"
        Path("left").unlink()
        assert contents(workplace.folder) == before
        assert workplace.leftovers() == []


def test_disk_of_temporary_files_full(workplace: Workplace, small_disk: tuple[str, ...]) -> None:
    folder = workplace.firmware()
    result = run("verify", folder, wrapper=small_disk, environment={"TMPDIR": "small"})
    check_message(result, "space")
    assert Path("left").read_text() == "filler\n"


def test_simulate_does_not_overwrite(workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((1, 1, 8, 8), dtype=np.uint8))
    Path("out.npz").write_text("precious")
    Path("folder").mkdir()
    Path("file").touch()
    arguments = ("simulate", folder, "inputs.npy", "-o")
    workplace.refuses(*arguments, "out.npz", says=("out.npz: ", "exists", "--force"))
    workplace.refuses(*arguments, "folder", says=("folder: ", "it is a folder"))
    workplace.refuses(*arguments, "folder", "--force", says=("folder: ",))
    workplace.refuses(*arguments, "file/out.npz", says=("file/out.npz: ",))
    assert call(*arguments, "out.npz", "--force").code == 0
    with np.load("out.npz") as archive:
        assert archive["logits"].shape == (1, 10)
