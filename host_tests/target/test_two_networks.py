"""Two networks linked into one image, and one of them twice: none disturbs another."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import serial
from numpy.typing import NDArray

import qpsnn_codegen
from qpsnn_codegen.boards import find_board
from qpsnn_codegen.device.verification import packed_trace
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.nn.datasets import open_dataset
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.emulator import emulate

BOARD = "mps2-an386"
INPUTS = 12
HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"


def expected_runs(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> list[list[int]]:
    """Per input the logits, then the digest that two_networks.c makes of all spikes."""
    outcome = run_reference(network, inputs, trace=True)
    digests = [0] * len(inputs)
    for layer, words in enumerate(packed_trace(network, outcome)):
        for sample, t, y, x in np.ndindex(words.shape[:4]):
            place = np.array([layer, t, y, x, *words[sample, t, y, x]], dtype="<u4")
            digests[sample] = (digests[sample] + zlib.crc32(place.tobytes())) % 2**32
    return [[*row.tolist(), digest] for row, digest in zip(outcome.logits, digests, strict=True)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[int]]]:
    """The ELF file, and what its runs must give in the order in which it sends them."""
    inputs = open_dataset("digits").test_images[:INPUTS]
    folder = tmp_path_factory.mktemp("two") / "firmware"
    first = qpsnn_codegen.compile(EXAMPLES / "digits_4bit_pruned.pt", name="first")
    second = qpsnn_codegen.compile(EXAMPLES / "digits_2bit.pt", name="second")
    files = {**second.files, **first.files, **port_files([find_board(BOARD)])}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    shutil.copy(HERE / "two_networks.c", folder / "app")
    rows = ",\n".join("{" + ", ".join(map(str, sample.ravel().tolist())) + "}" for sample in inputs)
    (folder / "app" / "two_inputs.h").write_text(
        f"#define INPUTS {INPUTS}U\nstatic const uint8_t inputs[INPUTS][FIRST_INPUT_SIZE] = {{{rows}}};\n"
    )
    own = [f"{name}{part}.c" for name in ("first", "second") for part in ("", "_weights")]
    runtime = sorted(name for name in files if name.startswith("runtime/") and name.endswith(".c"))
    sources = [f"MODEL_SOURCES={' '.join(own + runtime)}", "APP_SOURCES=app/two_networks.c app/qps_frame.c"]
    subprocess.run(["make", "-s", f"BOARD={BOARD}", "TRACE=1", *sources], cwd=folder, check=True, capture_output=True)
    a, b = expected_runs(first.integers, inputs), expected_runs(second.integers, inputs)
    runs = [run for i in range(INPUTS) for run in (a[i], b[i], a[INPUTS - 1 - i])]
    return folder / "build" / BOARD / "first.elf", runs


def test_both_are_bit_exact_in_turn(image: tuple[Path, list[list[int]]]) -> None:
    elf, expected = image
    words = [word for run in expected for word in run]
    with emulate(find_board(BOARD), elf) as url, serial.serial_for_url(url, timeout=20) as port:
        port.write(b"!")
        data = port.read(4 * len(words))
    got = np.frombuffer(data, dtype="<u4").astype(np.int64)
    assert len(got) == len(words)
    np.testing.assert_array_equal(got, np.array(words) % 2**32)


def test_the_expected_values_differ(image: tuple[Path, list[list[int]]]) -> None:
    """Of two networks on the same input, and of one network on two inputs: else the comparison would show little."""
    _, expected = image
    assert len({tuple(run) for run in expected}) == 2 * INPUTS
