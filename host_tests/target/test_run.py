"""The commands ``run``, ``profile`` and ``verify --port`` against a device in Python on a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.errors.command import Result, call, call_ok, check_message
from host_tests.protocol import wire
from host_tests.target.conftest import Material
from host_tests.target.networks import CLASSES, DEPTH
from host_tests.target.responder import STACK, TICKS_PER_STAGE, Mischief, Request, Responder, on_terminal
from qpsnn_codegen.emit.golden import Golden
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import verification_inputs


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def device(material: Material) -> Iterator[tuple[Responder, str]]:
    golden = Golden.load(material.folder.path / "golden" / "vectors.npz")
    everything = verification_inputs(material.folder.path, material.folder.network, material.inputs, random=16)
    assert len(everything) == 3 + len(golden.inputs) + 9 + 16
    responder = Responder(material.folder, everything)
    with on_terminal(responder) as path:
        yield responder, path


def truth(material: Material) -> NDArray[np.int64]:
    logits = run_reference(material.folder.network, material.inputs).logits
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def test_run(material: Material, device: tuple[Responder, str]) -> None:
    labels = truth(material)
    labels[1] = (labels[1] + 1) % CLASSES
    np.savez("in.npz", inputs=material.inputs, labels=labels)
    out = call_ok("run", material.folder.path, "in.npz", "--port", device[1], "-o", "out.npz")
    first, second, third, fourth, fifth = out.splitlines()
    assert re.fullmatch(r"3 inputs on mps2-an386 \(cortex-m4, emulated\) in [\d.]+ s, [\d,.]+ per second", first)
    instructions = 40 * TICKS_PER_STAGE * (DEPTH + 2)
    assert second == f"{instructions:,} instructions per inference, {instructions:,} to {instructions:,}"
    assert third == f"{STACK[1]} of {STACK[0]:,} bytes of stack used"
    assert fourth == "accuracy 66.67%: 2 of 3"
    assert fifth == "wrote out.npz: logits, logits_real, prediction, ticks, instructions"
    network = material.folder.network
    expected = run_reference(network, material.inputs).logits
    with np.load("out.npz") as archive:
        assert archive["logits"].dtype == np.int32
        assert np.array_equal(archive["logits"], expected)
        assert np.array_equal(archive["logits_real"], expected * network.logit_scale)
        assert np.array_equal(archive["prediction"], expected.argmax(axis=1))
        assert archive["ticks"].tolist() == [TICKS_PER_STAGE * (DEPTH + 2)] * 3
        assert archive["instructions"].tolist() == [instructions] * 3


def test_run_says_that_the_line_is_bad(material: Material, device: tuple[Responder, str]) -> None:
    device[0].mischief = lambda request, answer: answer[:-3] if request.index in {4, 9} else answer
    np.save("in.npy", material.inputs)
    out = call_ok("run", material.folder.path, "in.npy", "--port", device[1])
    requests = 1 + 3 * (2 + 1 + 2)
    assert out.splitlines()[3:] == [f"2 requests had to be repeated, of {requests}"]


def test_run_with_labels_from_a_file_and_a_limit(material: Material, device: tuple[Responder, str]) -> None:
    np.save("in.npy", material.inputs)
    np.save("labels.npy", truth(material).astype(np.uint8))
    arguments = ("run", material.folder.path, "in.npy", "--port", device[1])
    assert "accuracy" not in call_ok(*arguments)
    out = call_ok(*arguments, "--labels", "labels.npy", "--limit", "2")
    assert out.startswith("2 inputs on ")
    assert out.endswith("accuracy 100.00%: 2 of 2\n")
    assert {path.name for path in Path().iterdir()} == {"in.npy", "labels.npy"}


def test_run_on_hardware_counts_cycles_or_ticks(material: Material, device: tuple[Responder, str]) -> None:
    """The same board's name, but another number of instructions in a tick: it is not the emulator."""
    device[0].mischief = calibrated(524_288, 1_048_576)
    np.save("in.npy", material.inputs)
    ticks = TICKS_PER_STAGE * (DEPTH + 2)
    out = call_ok("run", material.folder.path, "in.npy", "--port", device[1])
    assert "on mps2-an386 (cortex-m4) in" in out
    assert f"{ticks:,} ticks per inference" in out
    for board in ("nucleo_f446re", "rpi_pico", "stm32vldiscovery"):
        device[0].claim(board=board)
        out = call_ok("run", material.folder.path, "in.npy", "--port", device[1])
        assert f"on {board} (cortex-m4) in" in out
        assert f"{ticks:,} cycles per inference" in out


def calibrated(instructions: int, ticks: int) -> Mischief:
    def act(request: Request, answer: bytes) -> bytes:
        if request.type != wire.HELLO:
            return answer
        (said,) = wire.answers(answer)
        body = said.body[:32] + wire.words(instructions, ticks) + said.body[40:]
        return Responder.frame(request.type | 0x80, wire.OK, request.sequence, body)

    return act


def test_profile(material: Material, device: tuple[Responder, str]) -> None:
    out = call_ok("profile", material.folder.path, "--port", device[1])
    lines = out.splitlines()
    assert lines[0] == "mps2-an386 (cortex-m4, emulated), 8 inputs on average"
    assert lines[1].split() == ["layer", "instructions", "operations", "instructions", "/", "operation", "share"]
    stages = DEPTH + 2
    total = sum(40 * (TICKS_PER_STAGE + stage) for stage in range(stages))
    for stage, line in enumerate(lines[3 : 3 + stages]):
        cost, work = 40 * (TICKS_PER_STAGE + stage), 10 * stage
        values = [f"{cost:,}", f"{work:,}" if work else "-", f"{cost / work:,.1f}" if work else "-"]
        assert line.startswith(material.folder.stages[stage] + " ")
        assert line[len(material.folder.stages[stage]) :].split() == [*values, f"{cost / total:.1%}"]
    work = sum(10 * stage for stage in range(stages))
    assert lines[3 + stages].split() == ["total", f"{total:,}", f"{work:,}", f"{total / work:,.1f}", "100.0%"]
    assert lines[5 + stages] == (
        "counter  CMSDK timer 0, a tick is 40 instructions (calibration: 524,288 instructions in 13,107 ticks)"
    )
    assert lines[6 + stages] == f"stack    {STACK[1]} bytes used at most (painted), {STACK[0]:,} reserved"
    assert len(lines) == 7 + stages
    np.save("in.npy", material.inputs)
    one = call_ok("profile", material.folder.path, "in.npy", "--limit", "1", "--port", device[1])
    assert one.splitlines()[0].endswith(", 1 input")


def test_verify(material: Material, device: tuple[Responder, str]) -> None:
    np.save("in.npy", material.inputs)
    out = call_ok("verify", material.folder.path, "--inputs", "in.npy", "--port", device[1])
    spikes, digests = 2 * 64 * (40 + 2 * DEPTH), 2 * (DEPTH + 1)
    assert out == (
        f"equal: {36 * spikes:,} spikes in {36 * digests:,} digests and {36 * CLASSES:,} logits of 36 inputs "
        "on mps2-an386 (cortex-m4, emulated)\n"
    )
    few = call_ok("verify", material.folder.path, "--inputs", "in.npy", "--limit", "2", "--port", device[1])
    assert f"{2 * CLASSES:,} logits of 2 inputs" in few


def test_verify_finds_a_wrong_spike(material: Material, device: tuple[Responder, str]) -> None:
    device[0].flipped = (31, 1, 9, 1)
    result = call("verify", material.folder.path, "--limit", "4", "--port", device[1])
    place = "sample 0, layer deep30, timestep 1, channel 1, row 1, column 1"
    assert (result.code, result.err) == (1, "")
    values = 4 * (CLASSES + 2 * (DEPTH + 1))
    pattern = (
        rf"DIFFERENT: 4 of {values} logits and digests of spikes differ\nfirst: {place}: expected [01], got [01]\n"
    )
    assert re.fullmatch(pattern, result.out)


@pytest.mark.parametrize("command", ["run", "profile", "verify"])
def test_another_model(command: str, material: Material, device: tuple[Responder, str]) -> None:
    device[0].claim(digest="12" * 32, name="mnist")
    np.save("in.npy", material.inputs)
    inputs = ["in.npy"] if command == "run" else []
    result = call(command, material.folder.path, *inputs, "--port", device[1])
    check_message(result, device[1], "runs another model (mnist)", "SHA-256 121212121212... instead of 0000")


def test_no_trace_hooks(material: Material, device: tuple[Responder, str]) -> None:
    device[0].claim(flags=0)
    for command in ("profile", "verify"):
        check_message(call(command, material.folder.path, "--port", device[1]), "without trace hooks", "TRACE=1")
    np.save("in.npy", material.inputs)
    call_ok("run", material.folder.path, "in.npy", "--port", device[1])


def test_board_that_nobody_here_knows(material: Material, device: tuple[Responder, str]) -> None:
    device[0].claim(board="../../etc", core="cortex-m85")
    out = call_ok("profile", material.folder.path, "--limit", "1", "--port", device[1])
    assert out.startswith("../../etc (cortex-m85), 1 input\n")
    assert "counter  25 MHz (calibration: " in out
    assert "ticks / operation" in out


# --- refused before anything is asked


def refused(material: Material, *arguments: object) -> Result:
    return call(*arguments[:1], material.folder.path, *arguments[1:])


def test_output_exists(material: Material, device: tuple[Responder, str]) -> None:
    np.save("in.npy", material.inputs)
    Path("out.npz").write_bytes(b"mine")
    arguments = ("run", "in.npy", "--port", device[1], "-o", "out.npz")
    check_message(refused(material, *arguments), "out.npz: the file exists")
    assert Path("out.npz").read_bytes() == b"mine"
    assert device[0].seen == []
    assert refused(material, *arguments, "--force").code == 0
    assert Path("out.npz").read_bytes() != b"mine"


INPUTS: dict[str, tuple[Any, str]] = {
    "shape": ({"inputs": np.zeros((2, 4, 8, 7), np.uint8)}, "in.npz: the shape is [2, 4, 8, 7]"),
    "type": ({"inputs": np.zeros((2, 4, 8, 8))}, "in.npz: the values are float64"),
    "none": ({"inputs": np.zeros((0, 4, 8, 8), np.uint8)}, "in.npz: holds no inputs"),
    "name": ({"pictures": np.zeros((2, 4, 8, 8), np.uint8)}, "has no array of inputs among pictures"),
    "labels_few": ({"inputs": np.zeros((2, 4, 8, 8), np.uint8), "labels": np.zeros(1, int)}, "labels are int64 [1]"),
    "labels_real": ({"inputs": np.zeros((2, 4, 8, 8), np.uint8), "y": np.zeros(2)}, "labels are float64 [2]"),
    "labels_high": ({"x_test": np.zeros((2, 4, 8, 8), np.uint8), "y_test": np.array([0, 70])}, "run from 0 to 70"),
    "labels_low": ({"x_train": np.zeros((2, 4, 8, 8), np.uint8), "y_train": np.array([-1, 0])}, "run from -1 to 0"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs_that_do_not_fit(case: str, material: Material, device: tuple[Responder, str]) -> None:
    arrays, says = INPUTS[case]
    np.savez("in.npz", **arrays)
    check_message(refused(material, "run", "in.npz", "--port", device[1]), says)
    assert device[0].seen == []


def test_labels_belong_to_the_inputs_beside_them(material: Material, device: tuple[Responder, str]) -> None:
    """Of an archive with both parts the test images are run, so the training labels say nothing of them."""
    np.savez("in.npz", x_test=material.inputs, y_train=np.zeros(99, int))
    assert "accuracy" not in call_ok("run", material.folder.path, "in.npz", "--port", device[1])


def test_labels_file(material: Material, device: tuple[Responder, str]) -> None:
    np.save("in.npy", material.inputs)
    arguments = ("run", "in.npy", "--port", device[1], "--labels")
    check_message(refused(material, *arguments, "none.npy"), "none.npy: cannot be read")
    np.savez("labels.npz", numbers=np.zeros(3, int))
    check_message(refused(material, *arguments, "labels.npz"), "has no array of labels among numbers")
    Path("labels.npy").write_bytes(b"rubbish")
    check_message(refused(material, *arguments, "labels.npy"), "labels.npy: is no readable")


def test_data_set_of_another_shape(material: Material, device: tuple[Responder, str]) -> None:
    check_message(refused(material, "run", "digits", "--port", device[1]), "digits: the shape is [360, 1, 8, 8]")
    check_message(refused(material, "run", "mnist:none", "--port", device[1]), "none")
