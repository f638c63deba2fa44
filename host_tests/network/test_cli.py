"""The command line on good input: what it writes, prints and answers."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import qpsnn_codegen
from host_tests.errors.command import COMMAND, call, call_ok, contents, run
from host_tests.network.conftest import Firmware
from qpsnn_codegen import nn
from qpsnn_codegen.cli.commands import cli
from qpsnn_codegen.reference import run_reference


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def digits(count: int) -> NDArray[np.uint8]:
    return nn.digits().test_images[:count].copy()


# --- help


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [None, *sorted(cli.commands)])
def test_help_teaches_by_example(command: str | None, option: str) -> None:
    text = call_ok(*([] if command is None else [command]), option)
    example = f"qpsnn-codegen {command} " if command and command != "compile" else "qpsnn-codegen "
    assert text.startswith("Usage: qpsnn-codegen")
    assert re.search(rf"^  Examples?:\n    {example}", text, re.MULTILINE)
    assert text.replace("\n", "").isprintable()
    assert all(len(line) <= 120 for line in text.splitlines())


def test_commands_are_those_promised() -> None:
    promised = {"compile", "inspect", "simulate", "verify", "train", "prune", "finetune", "evaluate"}
    assert promised <= set(cli.commands)
    text = call_ok("--help")
    for command in cli.commands:
        assert re.search(rf"^  {command} ", text, re.MULTILINE)


def test_version_in_every_way_of_calling() -> None:
    assert call_ok("--version") == f"qpsnn-codegen, version {qpsnn_codegen.__version__}\n"
    for command in ([COMMAND], [sys.executable, "-m", "qpsnn_codegen"]):
        out = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        assert out == f"qpsnn-codegen, version {qpsnn_codegen.__version__}\n"


# --- compile


def test_compile_is_the_default_and_the_python_api_does_the_same(small: Firmware) -> None:
    call_ok(small.model, "-o", "default")
    call_ok("compile", small.model, "-o", "explicit")
    call_ok("-o", "options_first", small.model)
    assert run(small.model, "-o", "process").code == 0
    qpsnn_codegen.compile(small.model).write("api")
    qpsnn_codegen.compile(str(small.model)).write(Path("deep/er/api"))
    written = contents(small.folder)
    for folder in ("default", "explicit", "options_first", "process", "api", "deep/er/api"):
        assert contents(Path(folder)) == written, folder
    assert "report.json" in written


def test_table_and_totals(small: Firmware) -> None:
    text = call_ok(small.model, "-o", "out")
    report = small.compilation.report
    for row in report["layers"]:
        assert re.search(rf"^{re.escape(row['name'])} .*{row['shape']} .*{row['certificate']}$", text, re.MULTILINE)
    flash = report["weight_bytes"] + report["constant_bytes"]
    assert re.search(rf"^flash +{flash:,} bytes", text, re.MULTILINE)
    assert re.search(rf"^RAM +{report['arena_bytes']:,} bytes .*{report['arena_bound']:,}", text, re.MULTILINE)
    assert re.search(rf"^SOPs +{report['dense_slots']:,} ", text, re.MULTILINE)
    assert "every layer certified" in text
    assert text.startswith("wrote  out\n")
    assert text.endswith("\nnext: qpsnn-codegen verify out\n")
    assert call_ok(small.model, "-o", "an out").endswith("verify 'an out'\n")


def test_report_and_readme_say_what_the_compilation_knows(small: Firmware) -> None:
    plan = small.compilation.plan
    report = json.loads((small.folder / "report.json").read_text())
    assert report.pop("files") == [name for name, content in contents(small.folder).items() if content is not None]
    assert report == small.compilation.report
    assert report["generator"] == "qpsnn-codegen"
    assert (report["name"], report["timesteps"]) == ("small", 3)
    assert (report["weight_bytes"], report["arena_bytes"]) == (plan.weight_bytes, plan.arena_bytes)
    readme = (small.folder / "README.md").read_text()
    for text in (
        "3 timesteps",
        f"{plan.weight_bytes} bytes of weights",
        f"{plan.constant_bytes} bytes of constants",
        f"{plan.arena_bytes} bytes of RAM",
        small.compilation.network.digest,
        "small_run(&net, image, logits)",
    ):
        assert text in readme
    for row in report["layers"]:
        assert f"| {row['name']} | {row['shape']} |" in readme


def test_what_a_budget_costs_is_said_and_the_folder_still_verifies(examples: Path) -> None:
    """The generic kernel would take 84 % more instructions there."""
    model = examples / "digits_4bit.pt"
    assert "budget: " not in call_ok(model, "-o", "fast", "--flash-limit", 18618)
    lines = [line for line in call_ok(model, "-o", "small", "--flash-limit", 18500).splitlines() if "budget: " in line]
    assert len(lines) == 1
    assert re.fullmatch(
        r"budget: conv1 runs on image_bytes: 216 bytes of flash less, \d+ % more instructions", lines[0]
    )
    report = json.loads(Path("small/report.json").read_text())
    assert report["planning"]["kernels"] == {"conv1": "image_bytes"}
    assert "--kernel conv1=image_bytes" in report["options"]
    call_ok("verify", "small", "--limit", 4)


def test_force_replaces_an_earlier_output_whole(small: Firmware) -> None:
    call_ok(small.model, "-o", "out", "--name", "first")
    Path("out/build").mkdir()
    Path("out/build/host").write_text("a program")
    refusal = call(small.model, "-o", "out")
    assert (refusal.code, "--force" in refusal.err) == (2, True)
    assert Path("out/first.h").exists()
    call_ok(small.model, "-o", "out", "--force")
    assert contents(Path("out")) == contents(small.folder)
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_an_empty_folder_is_filled(small: Firmware) -> None:
    Path("out").mkdir()
    call_ok(small.model, "-o", "out/")
    assert contents(Path("out")) == contents(small.folder)


def test_name_prefixes_files_and_symbols(small: Firmware) -> None:
    for name in ("net", "logits", "x_", "a" * 48):
        call_ok(small.model, "-o", name, "--name", name)
        header = Path(name, f"{name}.h").read_text()
        assert f"qps_status_t {name}_run({name}_t *net" in header
        assert "equal: " in call_ok("verify", name)


def test_name_from_the_file(small: Firmware) -> None:
    for file, name in (
        ("My Digits-4.v2.pt", "my_digits_4_v2"),
        ("4bit.pt", "net_4bit"),
        ("int.pt", "net_int"),
        ("qps.pt", "net_qps"),
        ("Größe.pt", "gr__e"),
    ):
        shutil.copyfile(small.model, file)
        call_ok(file, "-o", name)
        assert Path(name, f"{name}.h").exists()


@pytest.mark.parametrize("timesteps", [1, 7])
def test_timesteps(timesteps: int, small: Firmware) -> None:
    call_ok(small.model, "-o", "out", "--timesteps", timesteps)
    assert f"#define SMALL_TIMESTEPS {timesteps}\n" in Path("out/small.h").read_text()
    np.save("inputs.npy", digits(20))
    call_ok("simulate", "out", "inputs.npy", "-o", "out.npz", "--trace")
    model = nn.load(small.model).double()
    model.timesteps = timesteps
    with nn.record_spikes(model) as real:
        model(torch.from_numpy(digits(20)))
    with np.load("out.npz") as archive:
        assert archive["spikes/neuron1"].shape[1] == timesteps
        for layer, spikes in real.items():
            assert np.array_equal(archive[f"spikes/{layer}"], spikes.detach().numpy()), layer


def test_weights_in_a_binary_file(small: Firmware) -> None:
    call_ok(small.model, "-o", "out", "--weights-in", "binary")
    assert Path("out/small_weights.bin").stat().st_size == small.compilation.plan.weight_bytes
    assert not Path("out/small_weights.c").exists()
    for cc in ("gcc", "clang"):
        assert "equal: " in call_ok("verify", "out", "--cc", cc)
    np.save("inputs.npy", digits(30))
    for folder, output in ((small.folder, "c.npz"), ("out", "binary.npz")):
        call_ok("simulate", folder, "inputs.npy", "-o", output)
    with np.load("c.npz") as one, np.load("binary.npz") as other:
        assert np.array_equal(one["logits"], other["logits"])


def expected_operations(small: Firmware, images: NDArray[np.uint8]) -> float:
    """Per image: for every spike a conv or linear layer reads, the weights it meets; counted one by one."""
    traced = run_reference(small.compilation.integers, images, trace=True).spikes
    first, second = (traced[name].astype(np.int64) for name in ("neuron1", "neuron2"))
    n, t, c, h, w = first.shape
    pooled = first.reshape(n, t, c, h // 2, 2, w // 2, 2).max(axis=(4, 6))
    # A 3×3 kernel with padding 1 reads a corner pixel 4 times, an edge pixel 6 times, others 9 times.
    reads = np.full((4, 4), 9)
    reads[[0, -1], :] = 6
    reads[:, [0, -1]] = 6
    reads[np.ix_([0, -1], [0, -1])] = 4
    n, t, c, h, w = second.shape
    into_head = second.reshape(n, t, c, h // 2, 2, w // 2, 2).max(axis=(4, 6)).sum()
    return float((pooled * reads).sum() * 6 + into_head * 10) / len(images)


@pytest.mark.parametrize("source", ["images.npy", "images.npz", "digits", "npz:data.npz"])
def test_calibration_counts_operations(source: str, small: Firmware) -> None:
    data = nn.digits()
    images = data.train_images[:50]
    np.save("images.npy", images[:, 0])  # without its channel axis
    np.savez("images.npz", inputs=images, other=np.zeros(3))
    arrays = {"x_train": images, "y_train": data.train_labels[:50], "x_test": images, "y_test": data.train_labels[:50]}
    np.savez("data.npz", **arrays)  # type: ignore[arg-type]
    text = call_ok(small.model, "-o", "out", "--calibrate", source, "--samples", 40)
    expected = expected_operations(small, images[:40])
    report = json.loads(Path("out/report.json").read_text())
    assert report["operations"] == pytest.approx(expected)
    assert report["calibration_samples"] == 40
    assert f"{expected:,.0f} expected, from 40 calibration samples" in text
    assert re.search(r"^layer .* SOPs +certificate$", text, re.MULTILINE)
    assert 0 < report["operations"] < report["dense_slots"]
    with np.load("out/golden/vectors.npz") as vectors:
        assert np.array_equal(vectors["inputs"], images[:8])


def test_texts_from_the_model_cannot_break_the_c(tmp_path: Path) -> None:
    """Class and layer names are the user's; whatever is in them, the C compiles and computes the same."""
    names = ['*/ #error "x"', "/* a", 'quo"te\\', "new\nline", "tri??/graph", "ünï", "", "%s%n", "a" * 200, "\x00"]
    body = torch.nn.Sequential()
    body.add_module("int", nn.QuantConv2d(1, 3, 3, padding=1, quantizer=nn.symmetric(8)))
    body.add_module("main", nn.LIF())
    body.add_module("net", torch.nn.Flatten(1))
    body.add_module("logits", nn.QuantLinear(192, 10, quantizer=nn.symmetric(8)))
    nn.save(nn.SpikingNetwork(body, timesteps=2, input_shape=(1, 8, 8), class_names=names).freeze(), "model.pt")
    call_ok("model.pt", "-o", "out")
    for cc in ("gcc", "clang"):
        assert "equal: " in call_ok("verify", "out", "--cc", cc)
    call_ok("inspect", "model.pt")
    assert json.loads(Path("out/report.json").read_text())["class_names"] == names


# --- inspect


def test_inspect(examples: Path) -> None:
    path = examples / "digits_4bit_pruned.pt"
    text = call_ok("inspect", path)
    checkpoint = nn.read_checkpoint(path)
    for node in checkpoint.nodes:
        shape = "x".join(map(str, checkpoint.shapes[node.name]))
        assert re.search(rf"^{node.name} .*{node.kind} .*{shape}", text, re.MULTILINE), node.name
    weights = sum(tensor.numel() for name, tensor in checkpoint.tensors.items() if name.endswith(".codes"))
    assert f"{weights:,} weights, 4 timesteps" in text
    assert text.count("certified") == 3
    assert f"accuracy: {checkpoint.training['accuracy']}" in text


# --- verify


def test_verify(small: Firmware) -> None:
    inputs = digits(10)
    np.save("inputs.npy", inputs)
    text = call_ok("verify", small.folder)
    more = call_ok("verify", small.folder, "--inputs", "inputs.npy", "--cc", "clang", "--sanitize")

    def count(line: str) -> int:
        match = re.fullmatch(r"equal: ([\d,]+) spikes and [\d,]+ logits of (\d+) inputs \(.*\)\n", line)
        assert match is not None, line
        assert int(match[1].replace(",", "")) == int(match[2]) * 3 * (4 * 8 * 8 + 6 * 4 * 4)
        return int(match[2])

    assert count(more) == count(text) + 10
    assert "clang, with sanitizers" in more
    assert contents(small.folder) == contents(small.folder)


def change_code(folder: Path, layer: str) -> None:
    """Turn every bit of the first weight byte of a layer."""
    path = folder / "small_weights.c"
    changed, count = re.subn(
        rf"(\w*{layer}\w*\[\d+\] = \{{\s*0x)([0-9a-f]{{2}})",
        lambda found: f"{found[1]}{int(found[2], 16) ^ 0xFF:02x}",
        path.read_text(),
    )
    assert count == 1
    path.write_text(changed)


@pytest.mark.parametrize(
    ("layer", "first"),
    [
        ("conv1", r"layer neuron1, timestep \d, channel 0, row \d, column \d: expected [01], got [01]"),
        ("conv2", r"layer neuron2, timestep \d, channel [02], row \d, column \d: expected [01], got [01]"),
        ("head", r"logit \d: expected -?\d+, got -?\d+"),
    ],
    ids=["conv1", "conv2", "head"],
)
def test_verify_names_the_first_difference(layer: str, first: str, small: Firmware) -> None:
    shutil.copytree(small.folder, "edited")
    change_code(Path("edited"), layer)
    np.save("inputs.npy", digits(50))
    result = call("verify", "edited", "--inputs", "inputs.npy")
    assert (result.code, result.err) == (1, "")
    pattern = rf"DIFFERENT: [\d,]+ of [\d,]+ values differ\nfirst: sample \d+, {first}\n"
    assert re.fullmatch(pattern, result.out), result.out
    assert run("verify", "edited", "--inputs", "inputs.npy").code == 1


# --- simulate


def test_simulate_writes_what_the_reference_gives(small: Firmware) -> None:
    images = digits(37)
    np.save("inputs.npy", images)
    text = call_ok("simulate", small.folder, "inputs.npy", "-o", "plain.npz")
    assert text.startswith("wrote plain.npz: 37 inputs")
    call_ok("simulate", small.folder, "digits", "-o", "named/digits.npz")
    with np.load("named/digits.npz") as named, np.load("plain.npz") as plain:
        assert np.array_equal(named["logits"][:37], plain["logits"])
        assert len(named["logits"]) == 360
    shutil.rmtree("named")
    call_ok("simulate", small.folder, "inputs.npy", "-o", "traced.npz", "--trace", "--cc", "clang")
    outcome = run_reference(small.compilation.integers, images, trace=True)
    expected: dict[str, NDArray[Any]] = {
        "logits": outcome.logits,
        "logits_real": outcome.logits * small.compilation.integers.logit_scale,
        "prediction": outcome.logits.argmax(axis=1),
    }
    spikes = {f"spikes/{layer}": train for layer, train in outcome.spikes.items()}
    types = {"logits": np.int32, "logits_real": np.float64, "prediction": np.int64}
    for file, arrays in (("plain.npz", expected), ("traced.npz", {**expected, **spikes})):
        with np.load(file, allow_pickle=False) as archive:
            assert set(archive.files) == set(arrays)
            for name, array in arrays.items():
                assert archive[name].dtype == types.get(name, np.uint8)
                assert np.array_equal(archive[name], array), name
    assert spikes["spikes/neuron1"].shape == (37, 3, 4, 8, 8)
    assert stat.S_IMODE(Path("plain.npz").stat().st_mode) == stat.S_IMODE(Path("inputs.npy").stat().st_mode)
    assert sorted(path.name for path in Path().iterdir()) == ["inputs.npy", "plain.npz", "traced.npz"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64, np.bool_, ">i4"])
def test_inputs_of_any_integer_type(dtype: Any, small: Firmware) -> None:
    images = digits(5)
    images = (images > 8).astype(np.uint8) if dtype is np.bool_ else images
    np.save("inputs.npy", np.asfortranarray(images.astype(dtype)))
    call_ok("simulate", small.folder, "inputs.npy", "-o", "out.npz")
    with np.load("out.npz") as archive:
        assert np.array_equal(archive["logits"], run_reference(small.compilation.integers, images).logits)


def test_simulate_an_event_network() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        body = torch.nn.Sequential(
            nn.QuantConv2d(2, 5, 3, padding=1, quantizer=nn.rescaw(4)),
            nn.LIF(),
            torch.nn.Flatten(1),
            nn.QuantLinear(5 * 6 * 7, 4, quantizer=nn.symmetric(8)),
        )
    nn.save(nn.SpikingNetwork(body, timesteps=5, input_shape=(2, 6, 7), input_kind="spikes").freeze(), "events.pt")
    call_ok("events.pt", "-o", "out")
    events = (np.random.default_rng(4).random((9, 5, 2, 6, 7)) < 0.3).astype(np.uint8)
    np.save("events.npy", events)
    call_ok("simulate", "out", "events.npy", "-o", "out.npz", "--trace")
    real = nn.load("events.pt").double()
    with torch.no_grad(), nn.record_spikes(real) as spikes:
        logits = real(torch.from_numpy(events)).numpy()
    with np.load("out.npz") as archive:
        assert np.array_equal(archive["spikes/1"], spikes["1"].numpy())
        assert archive["logits_real"] == pytest.approx(logits, abs=1e-4)
    assert "equal: " in call_ok("verify", "out", "--inputs", "events.npy")
    np.save("images.npy", events[:, 0])
    assert "[N, 5, 2, 6, 7]" in call("simulate", "out", "images.npy", "-o", "none.npz").err


# --- evaluate, and the method's way round


def test_evaluate(examples: Path) -> None:
    text = call_ok("evaluate", examples / "digits_4bit_pruned.pt", "--data", "digits", "--limit", 100)
    shares = re.findall(r"^(?:float model|integer reference|C \().* (\d+\.\d+)%", text, re.MULTILINE)
    assert len(shares) == 3
    assert len(set(shares)) == 1
    assert float(shares[0]) >= 95.0
    assert "100 held-out images of digits" in text
    assert "0 mismatches; 3 of 3 spiking layers certified" in text
    assert "predictions agree on 100 of 100" in text


def test_evaluate_on_files(small: Firmware) -> None:
    data = nn.digits()
    arrays = {
        "x_train": data.train_images,
        "y_train": data.train_labels,
        "x_test": digits(9),
        "y_test": data.test_labels[:9],
    }
    np.savez("mnist.npz", **arrays)  # type: ignore[arg-type]
    text = call_ok("evaluate", small.model, "--data", "mnist:mnist.npz")
    assert "9 held-out images of mnist:mnist.npz" in text
    assert "0 mismatches" in text


@pytest.mark.slow
def test_train_prune_finetune_compile() -> None:
    """The whole way, as the README shows it; short trainings."""
    train = ("train", "--data", "digits", "--layout", "8,M,12", "-T", 2, "--epochs", 6, "--threads", 1)
    first = call("train", *train[1:], "-o", "digits.pt", "--state", "run.state")
    assert first.code == 0, first
    assert call("prune", "digits.pt", "--data", "digits", "--ratio", 0.5, "-o", "half.pt").code == 0
    options = ("--data", "digits", "--epochs", 4, "--threads", 1, "-o", "tuned.pt")
    last = call("finetune", "half.pt", *options)
    assert last.code == 0, last
    match = re.search(r"accuracy: (\d+\.\d+) % of 360", last.out)
    assert match is not None
    assert float(match[1]) > 50.0
    call_ok("tuned.pt", "-o", "out", "--calibrate", "digits")
    text = call_ok("evaluate", "tuned.pt", "--data", "digits")
    assert "0 mismatches" in text
    assert f"{match[1]}%" in text
    # The same seed gives the same model, and a finished run resumes to itself.
    assert call("train", *train[1:], "-o", "again.pt").code == 0
    one, other = nn.read_checkpoint("digits.pt"), nn.read_checkpoint("again.pt")
    assert all(np.array_equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
