"""A network trained with the authors' code, and random ones in its format: spike for spike what that code computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

import qpsnn_codegen
from host_tests.errors.command import call
from host_tests.support.authors import Authors, resnet_file, vgg_file
from host_tests.support.shared import shared_file
from qpsnn_codegen.kinds import Input
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.loaders.base import Ends, LoadOptions
from qpsnn_codegen.loaders.files import load_file
from qpsnn_codegen.lowering import LoweringOptions, lower
from qpsnn_codegen.network import Network
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import compare

TRAINED = "models/reference/vgg16_4bit.pth.tar"
SHOWN = "models/reference/vgg16_4bit_io.npz"


@dataclass(frozen=True)
class Trained:
    network: Network
    images: NDArray[np.uint8]
    logits: NDArray[np.float32]
    authors: Authors


@pytest.fixture(scope="module")
def trained() -> Trained:
    path = shared_file(TRAINED)
    with np.load(shared_file(SHOWN)) as shown:
        images, logits = shown["images_u8"], shown["logits"]
    authors = Authors(torch.load(path, weights_only=True)["state_dict"], bits=4, timesteps=4)
    authors.vgg(torch.from_numpy(images))
    return Trained(load_file(path, LoadOptions()).network, images, logits, authors)


def after(network: Network, neurons: str) -> Network:
    """The network behind a layer of neurons, whose spikes become the input."""
    index = next(i for i, node in enumerate(network.nodes) if node.name == neurons)
    shape = network.shapes()[neurons]
    ones = np.ones(shape[0])
    spikes = Input(name=neurons, shape=shape, spikes=True, max_value=1, divisor=1.0, mean=0 * ones, std=ones)
    return replace(network, nodes=(spikes, *network.nodes[index + 1 :]))


@pytest.mark.slow
def test_given_the_first_layers_spikes_all_later_ones_are_those_of_the_authors_code(
    trained: Trained, tmp_path: Path
) -> None:
    first, *later = trained.authors.spikes
    network = after(trained.network, "lif0")
    compilation = qpsnn_codegen.compile(network)
    assert compilation.report["certified"]
    compilation.write(tmp_path / "out")
    spikes = first.numpy().astype(np.uint8)
    expected = run_reference(compilation.integers, spikes, trace=True)
    with HostModel(tmp_path / "out", trace=True) as host:
        assert compare(expected, host.run(spikes)).mismatches == 0
    names = [certificate.layer for certificate in compilation.integers.certificates]
    assert len(names) == len(later) == 12
    for name, wanted in zip(names, later, strict=True):
        assert np.array_equal(expected.spikes[name], wanted.numpy()), name
    # The readout in float, as in that code, from our spikes: its logits, as it stored them.
    state = trained.authors.state
    maps = torch.from_numpy(expected.spikes["lif16"]).float().transpose(0, 1).flatten(0, 1)
    features = functional.avg_pool2d(maps, 2).flatten(1)
    values = functional.linear(
        features, state["classifier.linear1.module.weight"], state["classifier.linear1.module.bias"]
    )
    logits = values.reshape(4, len(spikes), 10).transpose(0, 1).numpy()
    assert np.abs(logits - trained.logits).max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "least", "most"), [(8, 5e-3, 3e-2), (16, 0.0, 1e-4)])
def test_end_to_end_every_prediction_agrees(trained: Trained, bits: int, least: float, most: float) -> None:
    options = LoweringOptions(input_bits=bits, weight_bits=bits, readout_bits=8)
    integers = lower(trained.network, options)
    outcome = run_reference(integers, trained.images, trace=True)
    wanted = trained.logits.mean(axis=1)
    assert np.array_equal(outcome.logits.argmax(axis=1), wanted.argmax(axis=1))
    changed = float((outcome.spikes["lif0"] != trained.authors.spikes[0].numpy()).mean())
    assert least <= changed <= most
    statuses = [certificate.status for certificate in integers.certificates]
    assert statuses == ["bounded"] + ["certified"] * 12


@pytest.mark.slow
def test_the_command_line_reads_it_and_reports_the_cost(trained: Trained, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", trained.images[:8])
    for width, flash, most in (("8", 432, 30_000), ("16", 864, 50)):
        arguments = ("--input-bits", width, "--weight-bits", width, "--calibrate", tmp_path / "images.npy")
        result = call(shared_file(TRAINED), "-o", tmp_path / width, *arguments)
        assert (result.code, result.err) == (0, "")
        first = next(line for line in result.out.splitlines() if line.startswith("convbn0"))
        assert f" {width} " in first
        assert f" {flash} " in first
        assert 0 <= int(first.split("; ")[1].split()[0]) < most
        head = next(line for line in result.out.splitlines() if line.startswith("head"))
        assert "weights and biases rounded; logits within " in head
        assert "0 of 8 predictions differ" in head


@pytest.mark.parametrize("bits", ["2", "8"])
def test_a_bit_width_the_file_speaks_against_is_pointed_out(bits: str) -> None:
    path = shared_file(TRAINED)
    result = call("inspect", path, "--bits", bits)
    assert result.code == 0
    assert result.err.startswith(f"note: the weights are taken as {bits}-bit codes, but 4-bit ones explain ")
    assert call("inspect", path, "--bits", "4").err == ""


@dataclass(frozen=True)
class Case:
    make: Callable[[], dict[str, Any]]
    run: Callable[[Authors, torch.Tensor], torch.Tensor]
    bits: int
    timesteps: int
    side: int = 32
    channels: int = 3
    ends: Ends = "float"


def passing_minus_127() -> dict[str, Any]:
    """The largest magnitude of both ends is negative."""
    content = vgg_file((6, 7, "M", 8), side=8)
    for key in ("features.convbn0.layer.module.weight", "classifier.linear1.module.weight"):
        weight = content["state_dict"][key]
        weight.view(-1)[3] = -1.7 * weight.max()
    return content


def even_ends() -> dict[str, Any]:
    """The largest magnitude of both ends is positive: codes of 8 bits."""
    content = vgg_file((6, 7, "M", 8), side=8)
    for key in ("features.convbn0.layer.module.weight", "classifier.linear1.module.weight"):
        weight = content["state_dict"][key]
        weight.view(-1)[3] = weight.abs().max()
    return content


def parallel() -> dict[str, Any]:
    content = vgg_file((5, "M", 9, "M", 6, 6), side=16)
    content["state_dict"] = {f"module.{key}": value for key, value in content["state_dict"].items()}
    return content


CASES = {
    "vgg of 4 bits": Case(lambda: vgg_file((6, 33, "M", 8, 8), side=8), Authors.vgg, 4, 4, 8),
    "vgg of 2 bits, from several processes": Case(parallel, Authors.vgg, 2, 4, 16),
    "vgg of 8 bits on events": Case(
        lambda: vgg_file((6, 9, "M", 5), channels=2, side=12, classes=4), Authors.vgg, 8, 10, 12, 2
    ),
    "ends whose codes pass -127": Case(passing_minus_127, Authors.vgg, 4, 4, 8, ends="8bit"),
    "ends of 8 bits": Case(even_ends, Authors.vgg, 4, 4, 8, ends="8bit"),
    "resnet": Case(lambda: resnet_file(5, (((4, 7), (3, 7)), ((6, 9),), ((8, 12), (5, 12)))), Authors.resnet, 4, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_random_networks(name: str, tmp_path: Path) -> None:
    """Real numbers: the authors' in float64, spike for spike. Integers and C: equal, and certified but at the ends."""
    case = CASES[name]
    content = case.make()
    path = tmp_path / "model.pth.tar"
    torch.save(content, path)
    state = {key.removeprefix("module."): value for key, value in content["state_dict"].items()}
    loaded = load_file(path, LoadOptions(bits=case.bits, ends=case.ends))
    assert loaded.network.timesteps == case.timesteps

    generator = np.random.default_rng(5)
    frames = (case.timesteps,) if case.channels == 2 else ()
    inputs = generator.integers(0, 3 if frames else 256, (3, *frames, case.channels, case.side, case.side))
    authors = Authors(
        state, bits=case.bits, timesteps=case.timesteps, eight_bit_ends=case.ends == "8bit", dtype=torch.float64
    )
    logits = case.run(authors, torch.from_numpy(inputs)).mean(1).numpy()

    compilation = qpsnn_codegen.compile(loaded.network)
    names = [certificate.layer for certificate in compilation.integers.certificates]
    real, spikes = loaded.network.run(inputs, record=names)
    assert len(names) == len(authors.spikes)
    for layer, wanted in zip(names, authors.spikes, strict=True):
        assert np.array_equal(spikes[layer], wanted.numpy()), layer
        assert 0.01 < wanted.mean() < 0.9, layer
    assert np.allclose(real, logits, atol=1e-6)
    assert np.array_equal(loaded.predict(inputs), logits.argmax(1))

    first, *later = compilation.integers.certificates
    assert {certificate.status for certificate in later} == {"certified"}
    assert first.status == "bounded"
    compilation.write(tmp_path / "out")
    raw = inputs.astype(np.uint8)
    with HostModel(tmp_path / "out", trace=True) as host:
        assert compare(run_reference(compilation.integers, raw, trace=True), host.run(raw)).mismatches == 0


def test_eight_bit_ends_take_16_bits_only_where_they_must(tmp_path: Path) -> None:
    kinds = {}
    for name, make in (("passing", passing_minus_127), ("even", even_ends)):
        torch.save(make(), tmp_path / name)
        network = load_file(tmp_path / name, LoadOptions(ends="8bit")).network
        convs = [node for node in lower(network).nodes if isinstance(node, IntegerConv | WideConv)]
        kinds[name] = [type(convs[0]), type(convs[-1])]
        assert [getattr(conv, "shift", 0) for conv in convs] == [0] * len(convs)
    assert kinds == {"passing": [WideConv, WideConv], "even": [IntegerConv, IntegerConv]}
