"""Removing channels equals silencing them, for every kind of network; widths, steps, costs and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn as tnn

from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import nn
from qpsnn_codegen.cli import main
from qpsnn_codegen.cli.pruning import COST_NAMES
from qpsnn_codegen.errors import BudgetError, UsageError
from qpsnn_codegen.nn.economy import measure_operations
from qpsnn_codegen.nn.pruning import count_parameters, in_steps, layer_widths, prunable_layers, prune_to, scaled
from qpsnn_codegen.nn.pruning_spaces import find_spaces
from qpsnn_codegen.pruning_costs import COSTS
from qpsnn_codegen.report.score_chart import score_chart

Q4, Q8 = nn.rescaw(4), nn.symmetric(8)


def conv(inputs: int, outputs: int, stride: int = 1) -> tnn.Sequential:
    return tnn.Sequential(
        nn.QuantConv2d(inputs, outputs, 3, quantizer=Q4, padding=1, stride=stride), tnn.BatchNorm2d(outputs)
    )


class SpikeSums(tnn.Module):
    """Blocks whose spikes are added after the neurons, as SEW networks do; a convolution as the second shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fire = conv(2, 6), nn.LIF()
        self.one, self.fire1 = conv(6, 6), nn.LIF()
        self.two, self.fire2 = conv(6, 8, 2), nn.LIF()
        self.down, self.fire3 = conv(6, 8, 2), nn.LIF()
        self.three, self.fire4 = conv(8, 5), nn.LIF()
        self.pool = tnn.AvgPool2d(2)
        self.hidden, self.fire5 = nn.QuantLinear(5 * 2 * 2, 7, quantizer=Q4), nn.LIF()
        self.head = nn.QuantLinear(7, 3, quantizer=nn.symmetric(8, per="layer"))

    def forward(self, x: Any) -> Any:
        x = self.fire(self.stem(x))
        x = self.fire1(self.one(x)) + x
        x = self.fire2(self.two(x)) + self.fire3(self.down(x))
        x = self.pool(self.fire4(self.three(x)))
        return self.head(self.fire5(self.hidden(torch.flatten(x, 1))))


class Bare(tnn.Module):
    """A strided shortcut of equal width whose end only a pool and a convolution see, and one that is added."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fire = conv(2, 6), nn.LIF()
        self.short = nn.Shortcut(1, pad_before=1, pad_after=2)
        self.next, self.fire1 = conv(9, 6), nn.LIF()
        self.skip = nn.Shortcut(2)
        self.last, self.fire2 = conv(6, 6, 2), nn.LIF()
        self.head = nn.QuantLinear(6 * 4 * 4, 3, quantizer=Q8)

    def forward(self, x: Any) -> Any:
        x = self.fire1(self.next(self.short(self.fire(self.stem(x)))))
        return self.head(torch.flatten(self.fire2(self.last(x) + self.skip(x)), 1))


def raw(count: int = 8, shape: tuple[int, ...] = (2, 8, 8)) -> Tensor:
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(4)).to(torch.uint8)


def network(kind: str) -> tuple[nn.SpikingNetwork, Tensor]:
    torch.manual_seed(2)
    shape = {"input_shape": (2, 8, 8)}
    if kind == "events":
        body = nn.build("cnn", layout=(6, "M", 8, 5), **shape).body  # type: ignore[arg-type]
        model = nn.SpikingNetwork(body, timesteps=3, input_shape=(2, 8, 8), input_kind="spikes")
        inputs = (raw(8, (3, 2, 8, 8)) > 128).to(torch.uint8)
    else:
        made: dict[str, Any] = {
            "cnn": lambda: nn.build("cnn", layout=(6, 7, "M", 8, 5, "M"), **shape),  # type: ignore[arg-type]
            "mlp": lambda: nn.build("mlp", hidden=(12, 9, 7), **shape),  # type: ignore[arg-type]
            "vgg": lambda: nn.build("vgg16", width=0.1, input_shape=(2, 32, 32)),
            "resnet": lambda: nn.build("resnet", widths=(6, 8, 13, 16), blocks=2, **shape),  # type: ignore[arg-type]
            "sums": lambda: nn.SpikingNetwork(SpikeSums(), timesteps=3, input_shape=(2, 8, 8)),
            "bare": lambda: nn.SpikingNetwork(Bare(), timesteps=3, input_shape=(2, 8, 8)),
        }
        model = made[kind]()
        inputs = raw(8, model.input_shape)
    model.train()
    for _ in range(20):
        model(inputs)
    return model.freeze(), inputs


def silenced(model: nn.SpikingNetwork, kept: dict[str, tuple[int, ...]]) -> None:
    """Zero the spikes of channels that are not kept, at every neuron that carries them."""
    for space in find_spaces(model.nodes(), model.shapes()):
        if space.layers and space.layers[0] in kept:
            mask = torch.zeros(space.width, dtype=torch.float64)
            mask[list(kept[space.layers[0]])] = 1.0

            def hush(module: tnn.Module, inputs: object, output: Tensor, mask: Tensor = mask) -> Tensor:
                return output * mask.reshape(1, -1, *[1] * (output.dim() - 2))

            for neuron in space.neurons:
                model.body.get_submodule(neuron).register_forward_hook(hush)


RATIOS: dict[str, dict[str, float]] = {
    # Each stage's outputs by another ratio; the last stage whole, so that it has to be put into another order.
    "resnet": {"conv1": 0.5, "stage1.0.conv1": 0.4, "stage1.0.conv2": 0.3, "stage1.1.conv2": 0.3,
               "stage2.0.conv2": 0.45, "stage2.1.conv2": 0.45, "stage3.0.conv1": 0.5},
    "sums": {"stem.0": 0.4, "one.0": 0.4, "two.0": 0.5, "down.0": 0.5, "three.0": 0.4, "hidden": 0.5},
    "bare": {"stem.0": 0.5, "next.0": 0.5, "last.0": 0.3},
}  # fmt: skip


@pytest.mark.parametrize("criterion", ["svs", "sca", "l1"])
@pytest.mark.parametrize("kind", ["cnn", "mlp", "vgg", "resnet", "sums", "bare", "events"])
def test_removing_equals_silencing(kind: str, criterion: Any, tmp_path: Path) -> None:
    model, inputs = network(kind)
    ratio = RATIOS.get(kind, 0.4)
    smaller, report = nn.prune(model, inputs, ratio, criterion=criterion, prune_last=True)
    named = ratio if isinstance(ratio, dict) else prunable_layers(model)
    assert set(named) == set(report.kept)
    assert report.parameters_after < report.parameters_before
    model.double()
    silenced(model, dict(report.kept))
    expected, actual = model(inputs), smaller.double()(inputs)
    assert torch.allclose(expected, actual, rtol=0, atol=1e-12)
    nn.save(smaller.float(), tmp_path / "a.pt")
    assert torch.equal(nn.load(tmp_path / "a.pt").double()(inputs), actual)


@pytest.mark.parametrize("kind", ["cnn", "mlp", "resnet", "sums", "bare", "events"])
def test_every_single_channel_can_go(kind: str) -> None:
    model, inputs = network(kind)
    model.double()
    for space in find_spaces(model.nodes(), model.shapes()):
        if not space.layers or space.fixed:
            continue
        ratio = dict.fromkeys(space.layers, 1.0 / space.width)
        smaller, report = nn.prune(model, inputs, ratio, criterion="l1", prune_last=True)
        kept = dict(report.kept)
        # Of the network with a shortcut between equal widths, the later layers can only lose what the earlier do.
        bound = space.link is not None and space.link.name == "skip"
        assert all(len(channels) == space.width - (not bound) for channels in kept.values())
        other, _ = network(kind)
        silenced(other.double(), kept)
        assert torch.allclose(other(inputs), smaller.double()(inputs), rtol=0, atol=1e-12)


def test_a_pruned_residual_network_compiles_and_agrees(tmp_path: Path) -> None:
    model, inputs = network("resnet")
    smaller, _ = nn.prune(model, inputs, RATIOS["resnet"])
    shortcuts = {node.name: node.attributes for node in smaller.nodes() if node.kind == "shortcut"}
    assert all(entry["pad_before"] + entry["pad_after"] > 0 for entry in shortcuts.values())
    nn.save(smaller, tmp_path / "a.pt")
    compilation = compile_model(tmp_path / "a.pt", calibration=inputs.numpy())
    _, spikes = compilation.network.run(inputs.numpy(), record=["stage3.1.neuron2"])
    with nn.record_spikes(smaller.double()) as recorded:
        smaller(inputs)
    assert (spikes["stage3.1.neuron2"] == recorded["stage3.1.neuron2"].numpy()).all()


def resnet20_ratios(names: list[str], first: float, outputs: float, inner: float, others: float) -> list[float]:
    def ratio(name: str) -> float:
        if name == "conv1":
            return first
        if name.endswith("conv2"):
            return 0.0 if name.startswith("stage3") else outputs
        return inner if name.startswith("stage1.0") else others

    return [ratio(name) for name in names]


def test_parameters_are_the_papers() -> None:
    """QP-SNN, Table 1: 6.226M and 3.879M for ResNet-20, 4.25M and 1.42M for VGG-16, rounded as its code does."""
    none = torch.zeros(0, 3, 32, 32)
    model = nn.build("resnet").freeze()
    names = prunable_layers(model)
    for numbers, expected in (((0.1, 0.3, 0.3, 0.6), 6_226_147), ((0.1, 0.35, 0.35, 0.75), 3_879_231)):
        smaller, report = nn.prune(model, none, resnet20_ratios(names, *numbers), criterion="l1", rounding="code")
        assert report.parameters_after == count_parameters(smaller) == expected
    assert layer_widths(smaller)["conv1"] == 57
    vgg = nn.build("vgg16").freeze()
    for early, late, expected in ((0.45, 0.51, 4_246_034), (0.49, 0.80, 1_419_317)):
        ratio = [early] * 7 + [late] * 5 + [0.0]
        _, report = nn.prune(vgg, none, ratio, criterion="l1", rounding="code")
        assert report.parameters_after == expected
        _, text = nn.prune(vgg, none, ratio, criterion="l1", rounding="text")
        expected_widths = [n - round(r * n) for r, n in zip(ratio, layer_widths(vgg).values(), strict=True) if r]
        assert [len(kept) for kept in text.kept.values()] == expected_widths


def test_layers_that_lose_channels_together_need_one_ratio() -> None:
    model, inputs = network("resnet")
    with pytest.raises(UsageError, match=r"stage1\.1\.conv2 0\.25, stage1\.0\.conv2 0\.5"):
        nn.prune(model, inputs, {"stage1.0.conv2": 0.5, "stage1.1.conv2": 0.25})
    _, report = nn.prune(model, inputs, {"stage1.0.conv2": 0.5})
    assert report.kept["stage1.0.conv2"] == report.kept["stage1.1.conv2"]
    _, report = nn.prune(model, inputs, 0.5)
    assert report.untouched["stage3.1.conv2"] == "it is the last conv"
    assert "stage3.1.conv2" in report.untouched["stage3.0.conv2"]


def test_what_arrives_by_a_shortcut_stays() -> None:
    model, inputs = network("resnet")
    _, report = nn.prune(model, inputs, {"conv1": 0.5, "stage1.0.conv2": 0.5})
    assert len(report.kept["conv1"]) == 3
    # Widths 6 and 8: one channel is put before what arrives.
    assert {channel + 1 for channel in report.kept["conv1"]} <= set(report.kept["stage1.0.conv2"])
    assert len(report.kept["stage1.0.conv2"]) == 4


def test_l1_scores_are_mean_magnitudes() -> None:
    model, _ = network("cnn")
    weight = model.body.get_submodule("conv1").weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.fill_(1.0)
        weight[4] = -3.0
        weight[1] = 0.5
    scores = nn.layer_scores(model, torch.zeros(0), criterion="l1")["conv1"]
    assert torch.allclose(scores * 7.5 / 6, torch.tensor([1.0, 0.5, 1.0, 1.0, 3.0, 1.0], dtype=torch.float64))


# --- costs and steps


COMPILED = ("flash", "instructions")


@pytest.mark.parametrize(
    "unit", ["parameters", "operations", *(pytest.param(unit, marks=pytest.mark.slow) for unit in COMPILED)]
)
def test_pruning_down_to_a_cost(unit: str) -> None:
    # Proving a residual network lasts longer.
    model, inputs = network("cnn" if unit in COMPILED else "resnet")
    cost = COSTS[unit]
    before = cost(model, inputs)
    # Much of what a small network takes does not depend on its channels.
    wanted = (0.85 if unit == "instructions" else 0.7) * before
    smaller, report = prune_to(model, inputs, lambda candidate: cost(candidate, inputs), wanted)
    assert 0.5 * before < cost(smaller, inputs) <= wanted
    assert report.kept
    assert min(layer_widths(smaller).values()) >= 1
    same, nothing = prune_to(model, inputs, lambda candidate: cost(candidate, inputs), before)
    assert not nothing.kept
    assert count_parameters(same) == count_parameters(model)
    with pytest.raises(BudgetError, match="limit: the smallest network has"):
        prune_to(model, inputs, lambda candidate: cost(candidate, inputs), 0.01 * before)


def test_costs_are_the_compilers(tmp_path: Path) -> None:
    model, inputs = network("cnn")
    nn.save(model, tmp_path / "a.pt")
    report = compile_model(tmp_path / "a.pt", calibration=inputs.numpy()).report
    assert COSTS["flash"](model, inputs) == report["weight_bytes"] + report["constant_bytes"]
    assert COSTS["operations"](model, inputs) == pytest.approx(report["operations"], rel=1e-4)
    # Rounded there, stage by stage.
    assert COSTS["instructions"](model, inputs) == pytest.approx(report["instructions"]["cortex-m4"]["expected"], abs=9)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert COSTS["parameters"](model, inputs) == counted
    assert tuple(COSTS) == COST_NAMES


def test_steps_end_where_one_would() -> None:
    model, inputs = network("cnn")
    widths, tuned = layer_widths(model), []

    def step(present: nn.SpikingNetwork, share: float) -> Any:
        return nn.prune(present, inputs, scaled([0.5, 0.3, 0.4, 0.0], share), widths=widths)

    steps = list(in_steps(model, 3, step, lambda present: tuned.append(layer_widths(present))))
    assert layer_widths(steps[-1][0]) == layer_widths(nn.prune(model, inputs, [0.5, 0.3, 0.4, 0.0])[0])
    assert len(tuned) == 2, "nothing is trained after the last step"
    assert [entry["conv1"] for entry in tuned] == [5, 4]


def test_float_weights_are_those_of_the_optimizer() -> None:
    model, inputs = network("cnn")
    quantized = model(inputs)
    with nn.float_weights(model):
        plain = model(inputs)
        layer: Any = model.body.get_submodule("conv2")
        assert layer.effective_weight() is layer.weight
    assert not torch.equal(plain, quantized)
    assert torch.equal(model(inputs), quantized)
    with nn.float_weights(model, wanted=False):
        assert torch.equal(model(inputs), quantized)


# --- the command


def test_the_command_prunes_like_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (10, 3, 8, 8), dtype=np.uint8), np.arange(10)
    np.savez("data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    preset = nn.find_preset("cifar10-resnet20-3.87M")
    options: dict[str, Any] = {"width": 0.125, "input_shape": (3, 8, 8)}
    nn.save(nn.build("resnet20", divisor=255.0, **options).freeze(), "whole.pt")
    arguments = ["--data", "npz:data.npz", "--preset", preset.name, "--threads", "1", "-o"]
    with pytest.raises(SystemExit) as ended:
        main(["prune", "whole.pt", *arguments, "slim.pt"])
    assert ended.value.code == 0
    expected = nn.build("resnet20", prune=preset.ratios, **options)
    assert layer_widths(nn.load("slim.pt")) == layer_widths(expected) != layer_widths(nn.load("whole.pt"))
    with pytest.raises(SystemExit) as ended:
        main(["prune", "whole.pt", *arguments, "text.pt", "--rounding", "text"])
    assert ended.value.code == 0
    assert layer_widths(nn.load("text.pt")) != layer_widths(expected)


@pytest.mark.slow
def test_the_command_prunes_to_a_target_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = nn.digits()
    nn.save(nn.build("cnn", layout=(8, "M", 8, 8), divisor=16.0).freeze(), "a.pt")
    arguments = ["prune", "a.pt", "--data", "digits", "--images", "16", "--threads", "1"]
    goal = ["--target", "operations=50%", "--steps", "2", "--epochs", "1", "--float-weights"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *goal, "--scores", "s.json", "--plot", "s.svg", "-o", "b.pt"])
    assert ended.value.code == 0
    assert "channels kept" in capsys.readouterr().out
    images = torch.from_numpy(data.train_images[:64].copy())
    assert layer_widths(nn.load("b.pt")) != layer_widths(nn.load("a.pt"))
    assert measure_operations(nn.load("b.pt"), images).dense
    written = json.loads(Path("s.json").read_text())
    assert written["criterion"] == "svs"
    assert len(written["steps"]) == 2
    assert len(written["steps"][0]["conv1"]["scores"]) == 8
    assert ET.fromstring(Path("s.svg").read_text()).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize(
    "goal",
    [(), ("--ratio", "0.5", "--target", "flash=1"), ("--target", "flash"), ("--target", "flash=0"),
     ("--target", "speed=50%"), ("--target", "flash=120%"), ("--target", "flash=nan"), ("--target", "flash=-5%")],
)  # fmt: skip
def test_goals_that_are_none(goal: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prune", "a.pt", "--data", "digits", *goal, "-o", str(tmp_path / "b.pt")])
    assert ended.value.code == 2
    assert "--ratio" in (said := capsys.readouterr().err) or "--target" in said


def test_a_picture_shows_each_channel_and_which_go() -> None:
    text = score_chart("a <title>", {"one": [0.0, 3.0, 1.0], "two&": [2.0]}, {"one": (1, 2)})
    root = ET.fromstring(text)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    bars = [bar for bar in root.iter(f"{space}rect") if bar.find(f"{space}title") is not None]
    assert [bar.findtext(f"{space}title") for bar in bars] == [
        "channel 1: 3", "channel 2: 1", "channel 0: 0", "channel 0: 2",
    ]  # fmt: skip
    colours = [bar.attrib["fill"] for bar in bars]
    assert colours[0] == colours[1] == colours[3] != colours[2]
    assert next(entry.text for entry in root.iter(f"{space}text")) == "a <title>"
