"""The host's own C compiler: find it, build with it, run what it built.

A firmware folder is first of all C for any machine, so its bits are checked here before a board is involved.
Sources are compiled as strictly as they are promised to be: a warning is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from qpsnn_codegen.errors import OutputError, ToolchainError
from qpsnn_codegen.toolchain.process import ProcessFailure, run_streaming

Family = Literal["gcc", "clang"]
T = TypeVar("T")

DEFAULT_OPTIMIZE = "-O2"

WARNINGS = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wdouble-promotion",
    "-Werror",
)
_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_SANITIZE = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
)
_JOBS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCompiler:
    """A C compiler that was found and has answered.

    Attributes:
        name: as the user named it (``gcc``, ``clang-15``, a path).
        path: the executable.
        family: whose messages and options it has.
        version: as it reports it (``12.2.0``).
    """

    name: str
    path: Path
    family: Family
    version: str

    @property
    def major(self) -> str:
        """The first number of the version, by which Debian names packages."""
        return self.version.split(".", maxsplit=1)[0]


def find_host_compiler(cc: str = "gcc") -> HostCompiler:
    """Find a compiler by its name on PATH or by its path.

    Raises:
        ToolchainError: there is none of that name, it does not start, or it is neither gcc nor clang.
    """
    found = shutil.which(cc) if cc else None
    if found is None:
        raise ToolchainError(
            cc or "--cc",
            "no such C compiler on PATH",
            f"{_install(_package_of(cc))} or name another compiler",
        )
    banner = _ask(cc, found, "--version")
    family: Family
    if "clang" in banner:
        family = "clang"
    elif "Free Software Foundation" in banner:
        family = "gcc"
    else:
        raise ToolchainError(cc, "is neither gcc nor clang", f"{_install('gcc')} or name another compiler")
    version = _ask(cc, found, "-dumpfullversion" if family == "gcc" else "-dumpversion").strip()
    return HostCompiler(name=cc, path=Path(found), family=family, version=version)


def build_host(
    source_dir: Path,
    build_dir: Path,
    *,
    sources: Sequence[Path],
    include_dirs: Sequence[Path] = (),
    cc: str = "gcc",
    sanitize: bool = False,
    optimize: str = DEFAULT_OPTIMIZE,
    defines: Sequence[str] = (),
    executable: str = "host",
) -> Path:
    """Compile C and assembler sources, two at a time, and link them to one executable.

    The compiler runs in ``source_dir``: its messages, ``#include`` and ``.incbin`` see names relative to it.

    Args:
        source_dir: the folder the sources belong to.
        build_dir: where objects and the executable go; made when missing, must not be shared by two builds.
        sources: ``.c`` and ``.S`` files, relative to ``source_dir`` and inside it.
        include_dirs: searched for headers, in this order; relative ones are relative to ``source_dir``.
        cc: name or path of the compiler.
        sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer, every finding fatal.
        optimize: the optimization option.
        defines: macros, ``NAME`` or ``NAME=VALUE``.
        executable: file name of the result.

    Returns:
        The executable's path inside ``build_dir``.

    Raises:
        ToolchainError: the compiler is missing, or refuses a source or the link; has its first diagnostic.
        OutputError: ``build_dir`` cannot be made.
        ValueError: no sources, or one that is not inside ``source_dir``.
    """
    if not sources:
        raise ValueError("no sources to build")
    for source in sources:
        if source.is_absolute() or ".." in source.parts:
            raise ValueError(f"{source} must be relative to the source folder and inside it")
    compiler = find_host_compiler(cc)
    source_dir, build_dir = source_dir.resolve(), build_dir.resolve()
    objects = [build_dir / "objects" / f"{source}.o" for source in sources]
    try:
        for folder in sorted({item.parent for item in objects}):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            str(build_dir), f"cannot be made ({error.strerror})", "choose a build folder you may write to"
        ) from error

    mode = [*_SANITIZE, optimize] if sanitize else [optimize]
    flags = [
        "-std=c11",
        *WARNINGS,
        *_SECTIONS,
        *mode,
        *(f"-D{define}" for define in defines),
        *(f"-I{folder}" for folder in include_dirs),
    ]

    assembler_flags = ["-Wa,--noexecstack", *(item for item in flags if item.startswith(("-D", "-I")))]

    def compile_one(source: Path, target: Path) -> str | None:
        # Assembly is preprocessed, not C: the dialect and warnings would only be reported as unused.
        options = flags if source.suffix == ".c" else assembler_flags
        return _invoke(compiler, [*options, "-c", str(source), "-o", str(target)], source_dir)

    with ThreadPoolExecutor(max_workers=_JOBS) as pool:
        pending = [pool.submit(compile_one, *pair) for pair in zip(sources, objects, strict=True)]
        try:
            # In order of the sources, so that the same one of several failures is reported every time.
            for source, future in zip(sources, pending, strict=True):
                messages = future.result()
                if messages is not None:
                    raise _compile_error(compiler, source, messages)
        finally:
            for future in pending:
                future.cancel()

    target = build_dir / executable
    messages = _invoke(compiler, [*mode, *map(str, objects), "-Wl,--gc-sections", "-o", str(target)], source_dir)
    if messages is not None:
        raise _link_error(compiler, messages, sanitize=sanitize)
    return target


def run_host(
    executable: Path,
    arguments: Sequence[str] = (),
    *,
    reader: Callable[[BinaryIO], T],
    stdin: bytes | memoryview | BinaryIO = b"",
    progress: Callable[[int], None] | None = None,
    timeout: float | None = None,
) -> T:
    """Run a built program, feeding its input and reading its output at the same time.

    Args:
        executable: what :func:`build_host` returned.
        arguments: its command line.
        reader: takes the program's output stream, reads it to its end, and returns the result. It should
            raise when output is missing; if the program failed, that is reported instead.
        stdin: the program's whole input; a file is copied from its current position.
        progress: called with the bytes of output so far, from the calling thread.
        timeout: seconds after which the program is killed.

    Returns:
        What ``reader`` returned.

    Raises:
        ToolchainError: the program cannot be started, exits with another status than 0 (has the sanitizer's
            finding or its first line on stderr), takes too long, or writes more than ``reader`` reads.
    """
    # Leak detection needs ptrace, which containers often refuse; there is no malloc in the firmware to leak.
    environment = {"ASAN_OPTIONS": "detect_leaks=0", **os.environ}
    try:
        return run_streaming(
            [str(executable), *arguments],
            reader=reader,
            stdin=stdin,
            progress=progress,
            timeout=timeout,
            environment=environment,
        )
    except ProcessFailure as failure:
        remedy = "build the firmware folder anew; if it happens again, report it with the model"
        raise ToolchainError(executable.name, str(failure), remedy) from failure


def _ask(cc: str, path: str, option: str) -> str:
    try:
        answer = subprocess.run(
            [path, option], capture_output=True, text=True, errors="replace", check=False, env=_environment()
        )
    except OSError as error:
        raise ToolchainError(cc, f"cannot be started ({error.strerror})", _install(_package_of(cc))) from error
    if answer.returncode != 0:
        raise ToolchainError(cc, f"answers {option} with an error", f"{_install('gcc')} or name another compiler")
    return answer.stdout


def _invoke(compiler: HostCompiler, arguments: Sequence[str], folder: Path) -> str | None:
    """Run the compiler in ``folder``; its messages if it failed, else None."""
    try:
        result = subprocess.run(
            [str(compiler.path), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=_environment(),
        )
    except OSError as error:
        raise ToolchainError(
            compiler.name, f"cannot be started ({error.strerror})", _install(_package_of(compiler.name))
        ) from error
    if result.returncode == 0:
        return None
    return result.stderr or f"exit status {result.returncode}, without a message"


def _environment() -> dict[str, str]:
    # Messages are searched for English words.
    return {**os.environ, "LC_ALL": "C"}


def _first_diagnostic(messages: str) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "undefined reference" in line]
    return (errors or lines)[0]


def _compile_error(compiler: HostCompiler, source: Path, messages: str) -> ToolchainError:
    line = _first_diagnostic(messages)
    if "No space left on device" in messages:
        remedy = "free some disk space"
    elif "file not found" in line or "No such file or directory" in line:
        remedy = f"write the firmware folder anew, and if a system header is missing, {_install('libc6-dev')}"
    else:
        remedy = "write the firmware folder anew or try another compiler; if it happens again, report it"
    return ToolchainError(f"{compiler.name} {source}", f"compilation failed: {line}", remedy)


def _link_error(compiler: HostCompiler, messages: str, *, sanitize: bool) -> ToolchainError:
    line = _first_diagnostic(messages)
    if "No space left on device" in messages:
        remedy = "free some disk space"
    elif sanitize and any(word in messages for word in ("libclang_rt", "-lasan", "-lubsan", "libasan", "libubsan")):
        runtime = f"libclang-rt-{compiler.major}-dev" if compiler.family == "clang" else f"libgcc-{compiler.major}-dev"
        remedy = f"its sanitizers are missing: {_install(runtime)}"
    elif "crt1.o" in messages or "-lc" in line:
        remedy = _install("libc6-dev")
    else:
        remedy = "write the firmware folder anew or try another compiler; if it happens again, report it"
    return ToolchainError(compiler.name, f"linking failed: {line}", remedy)


def _install(package: str) -> str:
    return f"install it with 'apt-get install {package}'"


def _package_of(cc: str) -> str:
    name = Path(cc).name
    for family in ("gcc", "clang"):
        rest = name.removeprefix(family)
        if rest != name and (not rest or rest.removeprefix("-").isdecimal()):
            return name
    return "gcc"
