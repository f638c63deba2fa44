"""Outputs that may not be written, or cannot: the disk is full, somebody else's folder is there."""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from host_tests.errors.command import COMMAND, Result, Workplace, call, call_ok, check_message, contents, run

FULL = "No space left on device"


def test_folder_that_is_not_empty(workplace: Workplace) -> None:
    model = workplace.model()
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("years of work")
    workplace.refuses(model, "-o", "out", says=("out: ", "not empty", "-o", "--force"))
    workplace.refuses(model, "-o", "out", says=("out: ", "not empty"), runner=run)
    workplace.refuses(model, "-o", "out", "--force", says=("out: ", "no output of qpsnn-codegen", "empty it"))
    workplace.refuses(model, "-o", "out", "--force", says=("out: ", "no output"), runner=run)
    workplace.refuses(model, "-o", ".", says=("current folder",))
    workplace.refuses(model, "-o", ".", "--force", says=("current folder",))
    workplace.refuses(model, "-o", "..", "--force", says=("current folder",))


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


def small_files(limit: int) -> functools.partial[None]:
    """Child processes may write no file larger than this."""
    return functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))


def limited(*arguments: object) -> Result:
    return run(*arguments, before=small_files(4096))


def test_files_cannot_grow_while_compiling(workplace: Workplace) -> None:
    model = workplace.model()
    workplace.refuses(model, "-o", "out", says=("out: ", "cannot be written", "ulimit"), runner=limited)
    workplace.refuses(model, "-o", "a/b/c", says=("a/b/c: ", "cannot be written"), runner=limited)
    workplace.firmware("old")
    workplace.refuses(model, "-o", "old", "--force", says=("old: ", "cannot be written"), runner=limited)


def test_files_cannot_grow_while_saving_a_model(workplace: Workplace) -> None:
    options = ("--data", "digits", "--ratio", "0.5", "-o", "new.pt")
    workplace.refuses("prune", workplace.model(), *options, says=("new.pt: ", "cannot be written"), runner=limited)
    train = ("train", "--data", "digits", "--layout", "4,M", "--epochs", "1", "-o", "new.pt")
    workplace.refuses(*train, says=("new.pt: ", "cannot be written"), runner=limited)
    workplace.refuses(*train, "--state", "state", says=("state: ", "cannot be written"), runner=limited)


def test_files_cannot_grow_while_running_c(workplace: Workplace) -> None:
    folder = workplace.firmware()
    workplace.refuses("verify", folder, runner=limited)
    np.save("inputs.npy", np.zeros((1, 1, 8, 8), dtype=np.uint8))
    workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", runner=limited)


def test_results_do_not_fit(workplace: Workplace) -> None:
    """The C runs; its answers are more than a file may hold."""
    folder = workplace.firmware()
    inputs = np.random.default_rng(1).integers(0, 256, (12_000, 1, 8, 8)).astype(np.uint8)
    np.save("inputs.npy", inputs)
    arguments = ("simulate", folder, "inputs.npy", "-o", "out.npz", "--trace")
    # Above the host program and its packed inputs (768 KB), below the trace.
    workplace.refuses(
        *arguments,
        says=("out.npz: ", "cannot be written"),
        runner=lambda *a: run(*a, before=small_files(1_000_000)),
    )


def test_inputs_for_the_program_do_not_fit(workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((3000, 1, 8, 8), dtype=np.uint8))
    arguments = ("simulate", folder, "inputs.npy", "-o", "out.npz")
    workplace.refuses(*arguments, runner=lambda *a: run(*a, before=small_files(100_000)))


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


def test_no_folder_for_temporary_files(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks in many places; here is none it may write to."""
    folder = workplace.firmware()
    workplace.refuses("verify", folder, says=("TMPDIR",), runner=lambda *a: run(*a, before=small_files(0)))


def full_disk() -> tuple[str, ...]:
    """A command that runs another with a file system of 64 KB at ``small``, or none if that is not permitted."""
    script = 'mount -t tmpfs -o size=64k,nr_inodes=200 tmpfs small && "$@"; code=$?; ls -A small >&3; exit $code'
    for options in (("-m",), ("-r", "-m")):
        wrapper = ("unshare", *options, "sh", "-c", script, "sh")
        probe = "exec 3>/dev/null; mkdir -p small; " + shutil.which("true", path="/bin:/usr/bin").__str__()
        if not shutil.which("unshare"):
            return ()
        ready = ["unshare", *options, "sh", "-c", f"{probe} && mount -t tmpfs -o size=64k tmpfs small"]
        if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
            return wrapper
    return ()


def test_disk_full(workplace: Workplace) -> None:
    """A real full disk, where the system lets us mount one; the limits above stand in for it elsewhere."""
    Path("small").mkdir()
    wrapper = full_disk()
    if not wrapper:
        pytest.skip("no permission to mount a file system here; test_files_cannot_grow_* ran instead")
    model = workplace.model()
    np.save("inputs.npy", np.random.default_rng(1).integers(0, 256, (3000, 1, 8, 8)).astype(np.uint8))
    folder = workplace.firmware()
    before = contents(workplace.folder)
    prune = ("prune", model, "--data", "digits", "--ratio", "0", "-o", "small/new.pt")
    simulate = ("simulate", folder, "inputs.npy", "--trace", "-o", "small/out.npz")
    fill = ("sh", "-c", 'head -c 60000 /dev/zero > small/other; "$@"; code=$?; rm small/other; exit $code', "sh")
    for arguments, filled in (
        ((model, "-o", "small/out"), ()),
        ((model, "-o", "small/a/b/c"), ()),
        (prune, fill),
        (simulate, ()),
    ):
        left = Path("left")
        left.touch()
        with_list = ("sh", "-c", 'exec 3>left; exec "$@"', "sh")
        result = run(*arguments, wrapper=(*with_list, *wrapper, *filled))
        assert left.read_text() == "", "something was left on the full disk"
        left.unlink()
        check_message(result, f"{arguments[-1]}: ", FULL)
        assert contents(workplace.folder) == before
        assert workplace.leftovers() == []


def test_temporary_folder_full(workplace: Workplace) -> None:
    Path("small").mkdir()
    wrapper = full_disk()
    if not wrapper:
        pytest.skip("no permission to mount a file system here")
    folder = workplace.firmware()
    arguments = ("sh", "-c", 'exec 3>/dev/null; exec "$@"', "sh", *wrapper)
    result = run("verify", folder, wrapper=arguments, environment={"TMPDIR": "small"})
    check_message(result, "space")
    data = call_ok("inspect", workplace.model())
    assert json.dumps(data)


def test_simulate_does_not_overwrite(workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", np.zeros((1, 1, 8, 8), dtype=np.uint8))
    Path("out.npz").write_text("precious")
    Path("folder").mkdir()
    Path("file").touch()
    arguments = ("simulate", folder, "inputs.npy", "-o")
    workplace.refuses(*arguments, "out.npz", says=("out.npz: ", "exists", "--force"))
    workplace.refuses(*arguments, "folder", says=("folder: ", "exists"))
    workplace.refuses(*arguments, "folder", "--force", says=("folder: ",))
    workplace.refuses(*arguments, "none/out.npz", says=("none/out.npz: ", "cannot be written"))
    workplace.refuses(*arguments, "file/out.npz", says=("file/out.npz: ",))
    assert call(*arguments, "out.npz", "--force").code == 0
    with np.load("out.npz") as archive:
        assert archive["logits"].shape == (1, 10)
