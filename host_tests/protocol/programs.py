"""Device programs for the host: the shipped sources on the board of ``host_port.c``, under sanitizers."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from host_tests.protocol import oracle
from qpsnn_codegen import resources
from qpsnn_codegen.toolchain.host import build_host

HERE = Path(__file__).resolve().parent

DEFINES = (
    f'QPS_BOARD_NAME="{oracle.BOARD}"',
    f'QPS_CORE_NAME="{oracle.CORE}"',
    f"QPS_COUNTER_HZ={oracle.COUNTER_HZ}",
)


class DeviceError(AssertionError):
    """The program crashed, hung, or a sanitizer found something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A built device; ``trace`` and ``faults`` are how. ``timeout`` is in seconds."""

    path: Path
    trace: bool
    faults: bool
    timeout: float = 60.0

    def talk(self, stream: bytes) -> bytes:
        """What a freshly started device sends for a stream; raises :class:`DeviceError`."""
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        try:
            done = subprocess.run(
                [self.path], input=stream, capture_output=True, timeout=self.timeout, check=False, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"no end within {self.timeout:.0f} s") from error
        if done.returncode != 0:
            raise DeviceError(f"exit {done.returncode}: {done.stderr.decode(errors='replace')[:2000]}")
        return done.stdout


@cache
def session_folder() -> Path:
    """A folder for as long as this test process lives."""
    folder = Path(tempfile.mkdtemp(prefix="qpsnn-protocol-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def device_files() -> dict[str, str]:
    """The shipped sources of the protocol, by their places in a folder."""
    root = resources.firmware_dir()
    return {
        **{f"app/{path.name}": path.read_text(encoding="utf-8") for path in sorted(root.glob("app/qps_*.[ch]"))},
        "port/qps_port.h": (root / "ports" / "common" / "qps_port.h").read_text(encoding="utf-8"),
        "test/host_port.c": (HERE / "host_port.c").read_text(encoding="utf-8"),
        "test/driver.c": (HERE / "driver.c").read_text(encoding="utf-8"),
        "test/fuzz_target.c": (HERE / "fuzz_target.c").read_text(encoding="utf-8"),
    }


def fake_files() -> dict[str, str]:
    """What a device with the fake network is built from."""
    root = resources.firmware_dir() / "runtime"
    return {
        **device_files(),
        **{f"runtime/{path.name}": path.read_text(encoding="utf-8") for path in sorted(root.glob("qps_t*.[ch]"))},
        "app/model.h": (HERE / "fake" / "model.h").read_text(encoding="utf-8"),
        "test/fake_model.c": (HERE / "fake" / "fake_model.c").read_text(encoding="utf-8"),
    }


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)


def build(name: str, files: Mapping[str, str | bytes], *, cc: str, trace: bool, faults: bool) -> Program:
    """Build a device from files; warnings are errors."""
    folder = session_folder() / name
    write(folder, files)
    absent = ("test/fuzz_target.c", "app/host_main.c", "app/serial_main.c")
    sources = [Path(path) for path in files if path.endswith(".c") and path not in absent and "ports/" not in path]
    path = build_host(
        folder,
        folder / "build",
        sources=sources,
        include_dirs=[Path(), Path("port")],
        cc=cc,
        sanitize=True,
        optimize="-O1",
        defines=[*DEFINES, f"QPS_TRACE={int(trace)}", f"QPS_FAULT_TESTS={int(faults)}"],
        executable="device",
    )
    return Program(path=path, trace=trace, faults=faults)


@cache
def fake_device(cc: str = "gcc", *, trace: bool = True, faults: bool = False) -> Program:
    """A device with the fake network, built once per test process."""
    return build(f"fake-{cc}-{int(trace)}{int(faults)}", fake_files(), cc=cc, trace=trace, faults=faults)
