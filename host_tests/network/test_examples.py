"""The shipped models, on every digit: torch in float64, the integer reference and C give the same spikes."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import qpsnn_codegen
from qpsnn_codegen import nn
from qpsnn_codegen.pipeline import Compilation
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import compare

pytestmark = pytest.mark.slow

BITS = (8, 4, 2)
NAMES = tuple(f"digits_{bits}bit{pruned}" for bits in BITS for pruned in ("", "_pruned"))
HELD_OUT = 360
# Of the held-out digits; where the project promises nothing, what the shipped model has been seen to do.
ACCURACY = {
    "digits_8bit": 0.985,
    "digits_4bit": 0.985,
    "digits_2bit": 0.98,
    "digits_8bit_pruned": 0.975,
    "digits_4bit_pruned": 0.975,
    "digits_2bit_pruned": 0.95,
}
SMALL_CHIP_BYTES = 8192
STACK_BYTES = 1024


@dataclass(frozen=True)
class Evaluated:
    """One model three times, on all digits: the training ones, then the held-out ones."""

    name: str
    folder: Path
    compilation: Compilation
    reference: Outcome
    c: Outcome
    real_spikes: dict[str, NDArray[np.float64]]
    real_logits: NDArray[np.float64]
    float_predictions: NDArray[np.int64]


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    data = nn.digits()
    return np.concatenate([data.train_images, data.test_images])


# Parameters of a module's fixture are its outer loop: one model is in memory at a time.
@pytest.fixture(scope="module", params=NAMES)
def evaluated(
    request: pytest.FixtureRequest,
    examples: Path,
    images: NDArray[np.uint8],
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluated:
    name = str(request.param)
    path = examples / f"{name}.pt"
    compilation = qpsnn_codegen.compile(path)
    folder = tmp_path_factory.mktemp(name) / "firmware"
    compilation.write(folder)
    with HostModel(folder, trace=True) as host:
        c = host.run(images)
    reference = run_reference(compilation.integers, images, trace=True)
    raw = torch.from_numpy(images)
    real = nn.load(path).double()
    with torch.no_grad(), nn.record_spikes(real) as spikes:
        logits = real(raw)
        predictions = nn.predict(nn.load(path), images)
    return Evaluated(
        name=name,
        folder=folder,
        compilation=compilation,
        reference=reference,
        c=c,
        real_spikes={layer: tensor.numpy() for layer, tensor in spikes.items()},
        real_logits=logits.numpy(),
        float_predictions=np.asarray(predictions),
    )


def test_these_are_all_of_digits(examples: Path) -> None:
    assert sorted(path.stem for path in examples.glob("digits_*.pt")) == sorted(NAMES)


def test_every_spike_and_logit_of_c_is_the_references(evaluated: Evaluated) -> None:
    assert set(evaluated.c.spikes) == {"neuron1", "neuron2", "neuron3"}
    verdict = compare(evaluated.reference, evaluated.c)
    assert verdict.first is None, str(verdict.first)
    assert verdict.inputs == 1797
    assert verdict.spikes == sum(spikes.size for spikes in evaluated.c.spikes.values())
    assert np.array_equal(evaluated.c.logits, evaluated.reference.logits)


def test_every_layer_is_certified(evaluated: Evaluated) -> None:
    statuses = {c.layer: c.status for c in evaluated.compilation.integers.certificates}
    assert statuses == dict.fromkeys(("neuron1", "neuron2", "neuron3"), "certified")
    assert evaluated.compilation.report["certified"] is True


def test_every_spike_is_that_of_torch_in_float64(evaluated: Evaluated) -> None:
    assert set(evaluated.real_spikes) == set(evaluated.c.spikes)
    for layer, real in evaluated.real_spikes.items():
        assert np.array_equal(real, evaluated.c.spikes[layer]), layer
    scale = evaluated.compilation.integers.logit_scale
    # With every spike equal, what is left is one rounding of the weights' common scale.
    assert np.abs(evaluated.real_logits - evaluated.c.logits * scale).max() <= scale


def test_spikes_are_worth_comparing(evaluated: Evaluated) -> None:
    """Layers that are silent, or always on, would be equal without meaning."""
    for layer, spikes in evaluated.c.spikes.items():
        assert 0.01 < spikes.mean() < 0.9, layer


def test_accuracy_on_the_held_out_digits(evaluated: Evaluated) -> None:
    labels = nn.digits().test_labels
    assert len(labels) == HELD_OUT
    predictions = {
        "float": evaluated.float_predictions,
        "float64": evaluated.real_logits.argmax(axis=1),
        "reference": evaluated.reference.logits.argmax(axis=1),
        "c": evaluated.c.logits.argmax(axis=1),
    }
    correct = {which: int((found[-HELD_OUT:] == labels).sum()) for which, found in predictions.items()}
    assert len(set(correct.values())) == 1, correct
    assert correct["c"] / HELD_OUT >= ACCURACY[evaluated.name], correct


def test_ram_is_the_arena(evaluated: Evaluated) -> None:
    """All of them fit a chip with 8 KB of RAM; the header says the same number as the report."""
    arena = evaluated.compilation.plan.arena_bytes
    assert arena + STACK_BYTES < SMALL_CHIP_BYTES
    header = (evaluated.folder / f"{evaluated.name}.h").read_text()
    assert f"#define {evaluated.name.upper()}_ARENA_BYTES {arena}U\n" in header


def test_stack_is_small(evaluated: Evaluated, tmp_path: Path) -> None:
    """gcc's own figures: every function of the runtime and the model has a small frame, whose size is known.

    Words are twice as long here as on the cores, whose figures the tests of images look at.
    """
    gcc = shutil.which("gcc")
    assert gcc is not None
    sources = [*evaluated.folder.glob("*.c"), *(evaluated.folder / "runtime").glob("*.c")]
    for source in sources:
        subprocess.run(
            [gcc, "-std=c11", "-O2", "-fstack-usage", f"-I{evaluated.folder}", "-c", source, "-o", tmp_path / "x.o"],
            check=True,
        )
        for line in (tmp_path / "x.su").read_text().splitlines():
            _, size, kind = line.split("\t")
            # Bounded: a frame that is only aligned, for vectors.
            assert kind in {"static", "dynamic,bounded"}, line
            assert int(size) <= STACK_BYTES // 2, line


def widths(path: Path) -> list[tuple[int, ...]]:
    """Shapes of the stored weights, conv by conv."""
    checkpoint = nn.read_checkpoint(path)
    return [tuple(checkpoint.tensors[f"conv{number}.codes"].shape) for number in (1, 2, 3)]


@pytest.mark.parametrize("bits", BITS)
def test_pruned_models_have_half_the_channels(bits: int, examples: Path) -> None:
    """The last conv stays whole, as in the paper; each conv's inputs follow."""
    whole, pruned = (widths(examples / f"digits_{bits}bit{end}.pt") for end in ("", "_pruned"))
    assert [shape[0] for shape in pruned[:2]] == [shape[0] // 2 for shape in whole[:2]]
    assert pruned[2][0] == whole[2][0]
    assert [shape[1] for shape in pruned] == [1, pruned[0][0], pruned[1][0]]
    assert sum(map(np.prod, pruned)) < 0.6 * sum(map(np.prod, whole))


@pytest.mark.parametrize("name", NAMES)
def test_bits_are_what_the_name_says(name: str, examples: Path) -> None:
    checkpoint = nn.read_checkpoint(examples / f"{name}.pt")
    found = {
        node.name: node.attributes["quantizer"]["bits"] for node in checkpoint.nodes if "quantizer" in node.attributes
    }
    match = re.match(r"digits_(\d)bit", name)
    assert match is not None
    inner = int(match[1])
    assert found == {"conv1": 8, "conv2": inner, "conv3": inner, "head": 8}
    for layer, bits in found.items():
        assert int(checkpoint.tensors[f"{layer}.codes"].max()) < 2**bits
    assert checkpoint.timesteps == 4


@pytest.mark.parametrize("name", NAMES)
def test_metadata_tells_the_truth(name: str, examples: Path) -> None:
    """The stored accuracy is the one the model has."""
    path = examples / f"{name}.pt"
    stored = nn.read_checkpoint(path).training["accuracy"]
    assert nn.evaluate(nn.load(path), nn.digits()) == pytest.approx(stored, abs=1e-9)
