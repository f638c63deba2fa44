"""Broken protocol code: every one must be found by the scripted sessions, or by a sanitizer on their way."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from host_tests.mutants.protocol_mutants import PROTOCOL_MUTANTS, ProtocolMutant
from host_tests.protocol.programs import DEFINES, Program, fake_files, session_folder, write
from host_tests.protocol.sessions import NET, Script, check, scripts

pytestmark = pytest.mark.slow

TIMEOUT_S = 20.0
SCRIPTS = scripts()

# Warnings are off: a mutant should be found by what it does.
OPTIONS = ("-std=c11", "-O1", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I.", "-Iport")
BROKEN = ("app/qps_frame.c", "app/qps_listeners.c", "app/qps_protocol.c")
SHARED = ("runtime/qps_trace.c", "test/fake_model.c", "test/host_port.c", "test/driver.c")


def gcc(folder: Path, script: Script, *arguments: str | Path) -> None:
    """Compile or link, as one script wants the device."""
    macros = [f"-DQPS_TRACE={int(script.trace)}", f"-DQPS_FAULT_TESTS={int(script.faults)}"]
    command = ["gcc", *OPTIONS, *macros, *(f"-D{define}" for define in DEFINES), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@cache
def shipped_objects(trace: bool, faults: bool) -> dict[str, Path]:
    """Every source, compiled as it is, once."""
    folder = session_folder() / f"shipped-{int(trace)}{int(faults)}"
    write(folder, fake_files())
    gcc(folder, Script(stream=b"", trace=trace, faults=faults), "-c", *BROKEN, *SHARED)
    return {path: folder / f"{Path(path).stem}.o" for path in (*BROKEN, *SHARED)}


def build(name: str, files: Mapping[str, str], changed: Sequence[str], script: Script) -> Program:
    """A device some of whose sources are not the shipped ones."""
    folder = session_folder() / f"{name}-{int(script.trace)}{int(script.faults)}"
    write(folder, files)
    objects = dict(shipped_objects(script.trace, script.faults))
    for path in changed:
        objects[path] = folder / "changed.o"
        gcc(folder, script, "-c", path, "-o", objects[path])
    gcc(folder, script, *objects.values(), "-o", "device")
    return Program(path=folder / "device", trace=script.trace, faults=script.faults, timeout=TIMEOUT_S)


def killer(name: str, files: Mapping[str, str], changed: Sequence[str]) -> str:
    """The first session that notices, and how; empty if none does."""
    programs: dict[tuple[bool, bool], Program] = {}
    for title, script in SCRIPTS.items():
        kind = (script.trace, script.faults)
        if kind not in programs:
            programs[kind] = build(name, files, changed, script)
        try:
            check(programs[kind], NET, script.stream)
        except AssertionError as error:
            return f"{title}: {error}"
    return ""


def test_the_shipped_code_passes() -> None:
    assert killer("unbroken", fake_files(), []) == ""


@pytest.mark.parametrize("mutant", PROTOCOL_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_broken_code_is_found(mutant: ProtocolMutant) -> None:
    files = mutant.apply(fake_files())
    name = f"mutant-{PROTOCOL_MUTANTS.index(mutant)}"
    assert killer(name, files, [f"app/{mutant.file}"]), f"no session notices: {mutant.name}"


def test_mutants_are_named_once() -> None:
    assert len({mutant.name for mutant in PROTOCOL_MUTANTS}) == len(PROTOCOL_MUTANTS)


def test_every_source_has_a_mutant() -> None:
    assert {f"app/{mutant.file}" for mutant in PROTOCOL_MUTANTS} == set(BROKEN)
    assert set(BROKEN) == {path for path in fake_files() if path.startswith("app/") and path.endswith(".c")}
