"""Many small networks built quickly: the runtime is compiled once, each network only its own three files.

The C is what a user gets, file by file as rendered, with every warning an error and every sanitizer finding fatal.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from qpsnn_codegen.emit.golden import make_golden
from qpsnn_codegen.emit.render import render
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.plan import Plan, check_plan, make_plan
from qpsnn_codegen.reference import Outcome
from qpsnn_codegen.report.summary import summarize
from qpsnn_codegen.toolchain.host import WARNINGS
from qpsnn_codegen.toolchain.host_model import run_program

COMPILERS = ("gcc", "clang")

HOST_MAIN = "app/host_main.c"

_OPTIONS = (
    "-std=c11",
    *WARNINGS,
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-I.",
)
_TRACE = "-DQPS_TRACE=1"


class BuildError(AssertionError):
    """A compiler refused generated or shipped C; the text is what it said."""


def emit(plan: Plan) -> dict[str, str | bytes]:
    """The files of a plan, as the pipeline makes them."""
    check_plan(plan)
    golden = make_golden(plan.network, None)
    report = summarize(plan, None, "")
    return render(plan, golden=golden, report=report, options="contract test", weights_in="c")


def run_c(integers: IntegerNetwork, inputs: NDArray[Any], cc: str) -> Outcome:
    """Emit, build and run an integer network."""
    return run_files(emit(make_plan(integers, "net")), integers, inputs, cc)


def run_files(
    files: Mapping[str, str | bytes],
    integers: IntegerNetwork,
    inputs: NDArray[Any],
    cc: str,
    *,
    main: str = HOST_MAIN,
    trace: bool = True,
) -> Outcome:
    """Build a rendered folder with sanitizers and run it: logits and, with ``trace``, every spike.

    Args:
        main: the file with the program, when it is not the shipped host application.

    Raises:
        BuildError: a warning or an error.
        ToolchainError: the program failed; a sanitizer's finding is the message.
    """
    with _built(files, cc, main, (_TRACE,) if trace else ()) as program:
        return run_program(program, integers, inputs, trace=trace, timeout=120)


def output_of(source: str, files: Mapping[str, str | bytes], cc: str, *, trace: bool) -> str:
    """What a C program that uses a folder's runtime prints."""
    main = "printing_main.c"
    with _built({**files, main: source}, cc, main, (_TRACE,) if trace else ()) as program:
        return subprocess.run([program], capture_output=True, text=True, check=True, timeout=120).stdout


@contextmanager
def _built(files: Mapping[str, str | bytes], cc: str, main: str, hooks: tuple[str, ...]) -> Iterator[Path]:
    """The program of a folder, as long as the context lasts."""
    code = {path: text for path, text in files.items() if isinstance(text, str) and path.endswith((".c", ".h"))}
    runtime = tuple((path, text) for path, text in sorted(code.items()) if path.startswith("runtime/"))
    objects = _runtime_objects(cc, runtime, hooks)
    own = [path for path in code if path.endswith(".c") and "/" not in path and path != main]
    with tempfile.TemporaryDirectory(prefix="qpsnn-contract-") as folder:
        root = Path(folder)
        _write(root, code)
        _compile(cc, root, [*hooks, *own, main, *objects, "-o", "program"])
        yield root / "program"


@cache
def _session_folder() -> Path:
    """A folder for as long as this test process lives."""
    folder = Path(tempfile.mkdtemp(prefix="qpsnn-runtime-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _runtime_objects(cc: str, sources: tuple[tuple[str, str], ...], hooks: tuple[str, ...]) -> tuple[str, ...]:
    """Objects of a runtime, compiled once per compiler and text: another text is another runtime."""
    digest = hashlib.sha256(repr((sources, hooks)).encode()).hexdigest()[:16]
    root = _session_folder() / f"{cc}-{digest}"
    _write(root, dict(sources))
    names = [path for path, _ in sources if path.endswith(".c")]
    for name in names:  # ccache takes one at a time
        _compile(cc, root, [*hooks, "-c", name])
    return tuple(str(root / f"{Path(path).stem}.o") for path in names)


def _write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _compile(cc: str, folder: Path, arguments: Sequence[str]) -> None:
    result = subprocess.run([cc, *_OPTIONS, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{cc}: {result.stderr}")
