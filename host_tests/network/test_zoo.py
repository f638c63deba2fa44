"""The zoo: each network the same as torch module, integers and C; presets with the widths and sizes of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import qpsnn_codegen
from host_tests.errors.command import call, call_ok
from host_tests.support.zoo_networks import TINY, inputs_for, tiny
from qpsnn_codegen import nn
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.kinds.add import AddMaps
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.nn.zoo_presets import PRESETS
from qpsnn_codegen.pipeline import load
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import compare


def test_every_architecture_is_tried() -> None:
    assert {name.split(" ")[0] for name in TINY} == set(nn.ARCHITECTURES)


@pytest.mark.parametrize("name", TINY)
def test_module_integers_and_c_are_equal(name: str, tmp_path: Path) -> None:
    model = tiny(name)
    path = tmp_path / "model.pt"
    nn.save(model, path)
    inputs = inputs_for(model, 5)
    compilation = qpsnn_codegen.compile(path)
    assert compilation.report["certified"]
    compilation.write(tmp_path / "out")
    reference = run_reference(compilation.integers, inputs, trace=True)
    with HostModel(tmp_path / "out", trace=True) as host:
        verdict = compare(reference, host.run(inputs))
    assert verdict.mismatches == 0, verdict.first

    real = model.double()
    with torch.no_grad(), nn.record_spikes(real) as spikes:
        logits = real(torch.from_numpy(inputs)).numpy()
    assert set(spikes) == set(reference.spikes)
    for layer, train in spikes.items():
        assert np.array_equal(train.numpy(), reference.spikes[layer]), layer
        assert 0.01 < train.mean() < 0.95, layer
    assert np.allclose(reference.logits * compilation.integers.logit_scale, logits, rtol=1e-3, atol=1e-3)


def test_sew_adds_spikes_to_counts(tmp_path: Path) -> None:
    nn.save(tiny("sew_resnet18 for small images"), tmp_path / "model.pt")
    integers = lower(load(tmp_path / "model.pt"))
    types = integers.types()
    highs = [int(types[node.name].high.max()) for node in integers.nodes if isinstance(node, AddMaps)]
    assert highs == [2, 3, 2, 3, 2, 3, 2, 3]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_papers_size(name: str) -> None:
    """MB = 10^6 bytes, quantized convs at b bits, the rest at 32: the first conv (of VGGs with bias), two values per
    batch-norm channel, the last layer.
    """
    preset = PRESETS[name]
    with torch.device("meta"):
        model = nn.build(preset.arch, prune=preset.ratios, **preset.options)
    first, *inner = (module for module in model.modules() if isinstance(module, nn.QuantConv2d))
    biases = first.out_channels if preset.arch.startswith("vgg") else 0
    quantized = sum(conv.weight.numel() for conv in inner)
    plain = sum(parameter.numel() for parameter in model.parameters()) - quantized + biases
    for bits, size in preset.sizes.items():
        assert abs((quantized * bits / 8 + plain * 4) / 1e6 - size) <= 0.01, bits
    if name[-1] == "M":
        # The name counts ten classes, also where there are a hundred.
        assert abs((quantized + plain) / 1e6 - float(name.rpartition("-")[2][:-1])) < 0.06


@pytest.mark.parametrize(
    ("arch", "options", "says"),
    [
        ("vgg16", {"prune": {"conv14": 0.5}}, "'conv14' is no conv"),
        ("vgg16", {"prune": {"conv1": 1.0}}, "conv1: 1.0; give shares"),
        ("vgg16", {"input_shape": (3, 16, 16)}, "leaves 1x1"),
        ("vgg16", {"width": 0.0}, "width"),
        ("vgg16", {"wings": 2}, "wings"),
        ("resnet20", {"prune": {"stage2.0.conv2": 0.5}}, "stage 2 would give [128, 256] channels"),
        ("resnet20", {"prune": {f"stage1.{i}.conv2": 0.8 for i in range(3)}}, "where 64 come in"),
        ("gpt", {}, "choose one of cnn, "),
    ],
)
def test_refused(arch: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        nn.build(arch, **options)
    assert says in str(caught.value)


def test_pruned_widths_are_rounded_as_the_papers_code_does() -> None:
    with torch.device("meta"):
        pruned = nn.build("resnet20", prune=PRESETS["cifar10-resnet20-6.22M"].ratios)
        narrow = nn.build("vgg16", width=0.5, prune={"conv2": 0.45})
    widths = {
        name: module.out_channels for name, module in pruned.body.named_modules() if isinstance(module, nn.QuantConv2d)
    }
    assert [widths[name] for name in ("conv1", "stage1.0.conv1", "stage1.1.conv1", "stage1.2.conv2")] == [
        57,
        89,
        51,
        89,
    ]
    assert [widths[name] for name in ("stage2.2.conv2", "stage3.1.conv1", "stage3.2.conv2")] == [179, 204, 512]
    convs = [module.out_channels for module in narrow.modules() if isinstance(module, nn.QuantConv2d)]
    assert convs == [32, 17, 64, 64, 128, 128, 128, 256, 256, 256, 256, 256, 256]


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = call_ok("zoo")
    assert all(name in listed for name in (*nn.ARCHITECTURES, *PRESETS))
    options = ("--arch", "resnet20", "--width", 0.1, "--classes", 4, "--input", "3,12,12", "-T", 3, "--bits", 2)
    out = call_ok("zoo", *options, "-o", "small.pt")
    assert "T = 3, random weights" in out
    model = nn.load("small.pt")
    assert (model.input_shape, model.timesteps, len(model.class_names)) == ((3, 12, 12), 3, 4)
    assert "every layer certified" in call_ok("small.pt", "-o", "firmware")
    call_ok("zoo", "--preset", "dvscifar10-vggsnn-0.25M", "--width", 0.25, "-o", "events.pt")
    assert nn.load("events.pt").input_kind == "spikes"
    for arguments, says in (
        (("--arch", "cnn"), "--output: there is no file"),
        (("--arch", "cnn", "-o", "small.pt"), "small.pt: the file exists"),
        (("--arch", "cnn", "--preset", "x", "-o", "a.pt"), "--arch: cnn beside --preset x"),
        (("--preset", "x", "-o", "a.pt"), "--preset: 'x' is unknown"),
        (("--arch", "cnn", "--input", "3,0,1", "-o", "a.pt"), "--input: '3,0,1' is no shape"),
        (("--arch", "cnn", "--bits", "5", "-o", "a.pt"), "--bits: it is 5"),
        (("--arch", "cnn", "-o", "small.pt/a.pt"), "small.pt/a.pt: cannot be written"),
    ):
        result = call("zoo", *arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"qpsnn-codegen: {says}"), result.err
    assert not Path("a.pt").exists()
