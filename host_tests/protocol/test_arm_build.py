"""The serial application for Cortex-M: no warnings, nothing linked that is not promised, and little RAM."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from host_tests.protocol.programs import DEFINES, fake_files, write
from qpsnn_codegen import resources
from qpsnn_codegen.toolchain.host import WARNINGS

SOURCES = ("app/qps_frame.c", "app/qps_listeners.c", "app/qps_protocol.c", "app/serial_main.c")
NETWORK_BYTES = 4 + 300 + 4 * 70
"""State, input and logits of the fake network."""

PROVIDED = {
    *("memcpy", "memset"),
    *("qps_model_init", "qps_model_run", "qps_trace_sink"),
    *("qps_port_read", "qps_port_write", "qps_port_counter", "qps_port_counter_start"),
    *("qps_port_stack_size", "qps_port_stack_used", "qps_fault_raise"),
}
"""What the serial application may take from elsewhere, besides the compiler's own helpers."""


def arm(folder: Path, tool: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [f"arm-none-eabi-{tool}", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.fail(
            "arm-none-eabi-gcc is missing: install the Debian packages gcc-arm-none-eabi libnewlib-arm-none-eabi"
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    main = (resources.firmware_dir() / "app" / "serial_main.c").read_text(encoding="utf-8")
    write(tmp_path, {**fake_files(), "app/serial_main.c": main})
    return tmp_path


def build(folder: Path, core: str, trace: int, faults: int, optimize: str = "-O2") -> None:
    macros = [*(f"-D{define}" for define in DEFINES), f"-DQPS_TRACE={trace}", f"-DQPS_FAULT_TESTS={faults}"]
    target = [f"-mcpu={core}", "-mthumb", *(["-mfloat-abi=hard"] if core == "cortex-m55" else [])]
    arm(folder, "gcc", *target, "-std=c11", *WARNINGS, optimize, *macros, "-I.", "-Iport", "-c", *SOURCES)
    arm(folder, "ld", "-r", *(f"{Path(source).stem}.o" for source in SOURCES), "-o", "all.o")


@pytest.mark.parametrize("core", ["m0", "m0plus", "m3", "m4", "m7", "m33", "m55"])
def test_every_core_and_configuration(core: str, folder: Path) -> None:
    for trace, faults in ((0, 0), (1, 0), (1, 1)):
        for optimize in ("-O0", "-O2"):
            build(folder, f"cortex-{core}", trace, faults, optimize)
            symbols = arm(folder, "nm", "--undefined-only", "--format=just-symbols", "all.o").split()
            foreign = {name for name in symbols if not name.startswith(("__aeabi_", "__gnu_thumb1_"))} - PROVIDED
            assert foreign == set()
            assert arm(folder, "nm", "--defined-only", "--format=just-symbols", "all.o").split().count("main") == 1


@pytest.mark.parametrize(("trace", "most"), [(0, 344), (1, 344 + 4 * 36)])
def test_ram_beside_the_network(trace: int, most: int, folder: Path) -> None:
    build(folder, "cortex-m0", trace, 0)
    _, data, bss, *_ = arm(folder, "size", "all.o").splitlines()[1].split()
    assert int(data) == 0
    assert NETWORK_BYTES < int(bss) <= NETWORK_BYTES + most
