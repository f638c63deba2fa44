"""A coverage-guided fuzzer on the device's code, from a seed and for a fixed number of inputs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from host_tests.protocol import wire
from host_tests.protocol.programs import DEFINES, fake_files, write
from host_tests.protocol.sessions import crc, scripts
from host_tests.protocol.wire import packet, words

RUNS = 300_000

OPTIONS = ("-std=c11", "-O2", "-g", "-DQPS_TRACE=1", "-I.", "-Iport", *(f"-D{define}" for define in DEFINES))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
INSTRUMENTED = ("-fsanitize=fuzzer-no-link", *SANITIZERS)
DEVICE = ("app/qps_frame.c", "app/qps_listeners.c", "app/qps_protocol.c")
OTHERS = ("runtime/qps_trace.c", "test/host_port.c", "test/fuzz_target.c")
NETWORK = ("test/fake_model.c",)


def build(folder: Path, files: Mapping[str, str]) -> Path:
    write(folder, files)
    # Only what is tested guides the fuzzer; the rest is several times faster without its instrumentation.
    steps = (
        ("-c", *INSTRUMENTED, *DEVICE),
        ("-c", *SANITIZERS, *OTHERS),
        ("-c", *NETWORK),
        (
            "-fsanitize=fuzzer",
            *SANITIZERS,
            *(f"{Path(path).stem}.o" for path in (*DEVICE, *OTHERS, *NETWORK)),
            "-o",
            "target",
        ),
    )
    for arguments in steps:
        command = ["clang", *OPTIONS, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\nDebian has libFuzzer in libclang-rt-14-dev (for clang 14)"
    return folder / "target"


def seeds(folder: Path) -> Path:
    """Every request once as a packet, and pieces of the scripted sessions as they travel."""
    asked = words(crc(bytes(300)))
    packets = (
        packet(wire.HELLO),
        packet(wire.WRITE, words(64) + bytes(236)),
        packet(wire.RUN, asked),
        packet(wire.RUN, asked) + b"\0" + packet(wire.LOGITS, asked + words(60)),
        packet(wire.PROFILE, asked + words(30)),
        packet(wire.TRACE, asked + words(60)),
        packet(wire.SPIKES, asked + words(0, 24, 60)),
        packet(wire.ECHO, bytes(range(240))),
        packet(wire.STATS),
    )
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, each in enumerate(packets):
        (corpus / f"packet{number}").write_bytes(b"\1" + bytes([len(each)]) + each)
    for name, script in scripts().items():
        for start in range(0, 4000, 500):
            (corpus / f"{name}{start}").write_bytes(b"\0" + script.stream[start : start + 500])
    return corpus


def run(target: Path, corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(target), "-seed=1", "-max_len=600", "-timeout=10", "-print_final_stats=1", *options, str(corpus)]
    return subprocess.run(command, cwd=target.parent, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.slow
def test_nothing_is_found(tmp_path: Path) -> None:
    done = run(build(tmp_path, fake_files()), seeds(tmp_path), f"-runs={RUNS}")
    assert done.returncode == 0, done.stderr[-4000:]
    [executed] = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    assert int(executed) >= RUNS


BROKEN: Sequence[tuple[str, str, str]] = (
    ("app/qps_frame.c", "if (frame->length < QPS_PACKET_MAX) {", "if (frame->length <= QPS_PACKET_MAX) {"),
    ("app/qps_protocol.c", "offset > INPUT_BYTES || count > INPUT_BYTES - offset", "offset > INPUT_BYTES"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "old", "new"), BROKEN, ids=["decoder", "WRITE"])
def test_a_write_out_of_bounds_is_found(path: str, old: str, new: str, tmp_path: Path) -> None:
    files = fake_files()
    assert files[path].count(old) == 1
    files[path] = files[path].replace(old, new)
    done = run(build(tmp_path, files), seeds(tmp_path), f"-runs={RUNS}")
    assert done.returncode != 0
    assert re.search(r"out of bounds|AddressSanitizer|overflow", done.stderr), done.stderr[-4000:]
