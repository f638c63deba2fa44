"""The command line as a user meets it: run it, and see what it refuses and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qpsnn_codegen.cli import main

COMMAND = str(Path(sys.executable).parent / "qpsnn-codegen")
_ERROR = re.compile(r"qpsnn-codegen: (\S.*?): (\S.*?); (\S.*)")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def call(*arguments: object) -> Result:
    """Run the command line in this process; an exception it does not turn into an exit is the test's failure."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code or 0
    assert isinstance(code, int)
    return Result(code, out.getvalue(), err.getvalue())


def run(
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    wrapper: tuple[str, ...] = (),
) -> Result:
    """Run the installed command in a process of its own, in the current folder.

    Args:
        environment: on top of this process's.
        before: runs in the child, to limit it.
        wrapper: a command that runs the command.
    """
    result = subprocess.run(
        [*wrapper, COMMAND, *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=before,
    )
    return Result(result.returncode, result.stdout, result.stderr)


def call_limited(*arguments: object, limit: int = 4096) -> Result:
    """Run in this process, where no file may grow beyond ``limit`` bytes: neither ours nor a compiler's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        return call(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def call_ok(*arguments: object) -> str:
    """Run in this process; the output, if it succeeds and says nothing on standard error."""
    result = call(*arguments)
    assert (result.code, result.err) == (0, ""), result
    return result.out


def check_message(result: Result, *says: str, code: int = 2) -> None:
    """One line on standard error: where, what, and what to do."""
    assert "Traceback" not in result.err, result.err
    assert result.code == code, result
    assert result.out == ""
    assert result.err.endswith("\n")
    assert len(result.err.splitlines()) == 1, result.err
    line = result.err.rstrip("\n")
    assert _ERROR.fullmatch(line), line
    assert len(line) < 1000, line
    for text in says:
        assert text in line, f"{text!r} is not in: {line}"


def contents(folder: Path) -> dict[str, object]:
    """Everything below a folder: bytes of files, targets of links, None for folders."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


@dataclass(frozen=True)
class Workplace:
    """An empty current folder and an empty folder for temporary files: what a command leaves is seen."""

    folder: Path
    temporary: Path
    small_model: Path
    small_firmware: Path

    def model(self, name: str = "model.pt") -> Path:
        """A small valid model file, relative to the current folder."""
        shutil.copyfile(self.small_model, self.folder / name)
        return Path(name)

    def firmware(self, name: str = "firmware") -> Path:
        """A small valid firmware folder, relative to the current folder."""
        shutil.copytree(self.small_firmware, self.folder / name)
        return Path(name)

    def refuses(
        self, *arguments: object, says: tuple[str, ...] = (), runner: Callable[..., Result] = call, code: int = 2
    ) -> str:
        """The command is refused in one line with an exit code, and leaves everything as it was; that line."""
        before = contents(self.folder)
        result = runner(*arguments)
        check_message(result, *says, code=code)
        assert contents(self.folder) == before
        assert self.leftovers() == []
        return result.err

    def leftovers(self) -> list[str]:
        """Temporary files that are still there."""
        # torch makes an empty folder for its compiler whenever an optimizer is made.
        found = [path for path in self.temporary.rglob("*") if not path.name.startswith("torchinductor_")]
        return [str(path.relative_to(self.temporary)) for path in found]
