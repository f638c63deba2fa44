"""Builds for mutants: everything that stays the same is compiled once, and what compiles is what ships."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from host_tests.mutants.c_mutants import runtime_of
from host_tests.mutants.cases import Case, case, files_of
from qpsnn_codegen.errors import QpsnnError
from qpsnn_codegen.reference import Outcome
from qpsnn_codegen.toolchain.host_model import run_program
from qpsnn_codegen.verification import compare

TIMEOUT_S = 10.0
_OPTIONS = ("-std=c11", "-O1", "-w", "-DQPS_TRACE=1", "-I.")


@cache
def session_folder() -> Path:
    """A folder for as long as this test process lives."""
    folder = Path(tempfile.mkdtemp(prefix="qpsnn-mutants-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def gcc(folder: Path, *arguments: str | Path) -> None:
    """Compile or link; a mutant that is no C would be killed by the compiler rather than by the tests."""
    result = subprocess.run(
        ["gcc", *_OPTIONS, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@cache
def runtime_objects() -> dict[str, Path]:
    """Objects of the shipped runtime, by source path."""
    return compile_runtime("runtime", runtime_of(files_of("image")), changed="")


def compile_runtime(name: str, sources: Mapping[str, str], changed: str) -> dict[str, Path]:
    """Objects of a runtime. Only ``changed`` is compiled anew if it is a C file; a header changes them all."""
    folder = session_folder() / name
    _write(folder, sources)
    units = [path for path in sources if path.endswith(".c")]
    anew = [changed] if changed.endswith(".c") else units
    _compile(folder, anew)
    objects = {} if anew == units else dict(runtime_objects())
    return {**objects, **{unit: folder / f"{Path(unit).stem}.o" for unit in anew}}


@cache
def model_objects(name: str) -> tuple[Path, ...]:
    """Objects of a case's own C and of the host application."""
    return compile_model(f"model-{name}", files_of(name))


def compile_model(name: str, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Objects of a folder's own C and of the host application."""
    folder = session_folder() / name
    _write(folder, {path: text for path, text in files.items() if isinstance(text, str)})
    units = [path for path in files if path.endswith(".c") and "/" not in path] + ["app/host_main.c"]
    _compile(folder, units)
    return tuple(folder / f"{Path(unit).stem}.o" for unit in units)


def run(name: str, tested: Case, objects: Sequence[Path]) -> Outcome:
    """Link and run; raises :class:`QpsnnError` if the program crashes, hangs or writes nonsense."""
    program = session_folder() / f"{name}.elf"
    gcc(session_folder(), *objects, "-o", program)
    try:
        return run_program(program, tested.network, tested.inputs, trace=True, timeout=TIMEOUT_S)
    finally:
        program.unlink()


@cache
def c_outcome(name: str) -> Outcome:
    """What the shipped C makes of a case."""
    return run(f"program-{name}", case(name), [*model_objects(name), *runtime_objects().values()])


_keen: list[str] = []
"""Cases that have told a mutant, the latest first: the next one, often of the same code, is likely told by it, too."""


def killer(name: str, objects: Mapping[str, Path], expected: Mapping[str, Outcome]) -> str:
    """A case that tells a runtime from the reference, and how; empty if none does.

    Args:
        expected: what the reference makes of each case, in the order in which they are tried after the keen ones.
    """
    for tested in dict.fromkeys((*(tested for tested in _keen if tested in expected), *expected)):
        notice = _notice(name, objects, tested, expected[tested])
        if notice:
            _keen[:] = dict.fromkeys((tested, *_keen))
            return f"{tested}: {notice}"
    return ""


def _notice(name: str, objects: Mapping[str, Path], tested: str, expected: Outcome) -> str:
    """How a case tells a runtime from the reference; empty if it does not."""
    try:
        outcome = run(f"mutant-{name}", case(tested), [*model_objects(tested), *objects.values()])
    except QpsnnError as error:
        return str(error)
    verdict = compare(expected, outcome)
    return str(verdict.first) if verdict.mismatches else ""


def _compile(folder: Path, units: Sequence[str]) -> None:
    """One at a time, as ccache takes them: a header's mutant leaves those that do not include it as they were."""
    for unit in units:
        gcc(folder, "-c", unit)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
