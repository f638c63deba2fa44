"""From modules to nodes and back, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn as tnn

from qpsnn_codegen import nn
from qpsnn_codegen.errors import UnsupportedError, UsageError

Q4 = nn.rescaw(4)


class Everything(tnn.Module):
    """Every supported layer at once, in a forward of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.QuantConv2d(2, 4, (3, 2), quantizer=nn.symmetric(8), padding=1, bias=True)
        self.norm = tnn.BatchNorm2d(4, affine=False)
        self.fire = tnn.ModuleList([nn.LIF(), nn.IF(0.5, compare=">=", reset="soft"), nn.LIF(0.25, reset="none")])
        self.drop = tnn.Dropout(0.5)
        self.block = tnn.Sequential(
            nn.QuantConv2d(4, 6, 3, quantizer=Q4, stride=2, padding=2, dilation=2, groups=2),
            tnn.BatchNorm2d(6),
        )
        self.skip = nn.Shortcut.between(4, 6, 2)
        self.maxpool = tnn.MaxPool2d(3, 1, padding=1)
        self.avgpool = tnn.AvgPool2d(2, 1, padding=1)
        self.head = nn.QuantLinear(6 * 5 * 5, 5, quantizer=nn.symmetric(8, per="layer"), bias=False)
        self.norm_head = tnn.BatchNorm1d(5)
        self.integrate = nn.LeakyIntegrator(0.5)
        self.readout = nn.Readout("last")

    def forward(self, x: Any) -> Any:
        x = self.fire[0](self.norm(self.stem(x)))
        y = self.block(self.drop(x)) + self.skip(x)
        y = self.avgpool(self.maxpool(self.fire[1](y)))
        return self.readout(self.integrate(self.norm_head(self.head(torch.flatten(y, 1)))))


def everything() -> nn.SpikingNetwork:
    torch.manual_seed(5)
    model = nn.SpikingNetwork(Everything(), timesteps=3, input_shape=(2, 8, 7), class_names=list("abcde"))
    model.train()
    for _ in range(3):  # running statistics worth having
        model(torch.randint(0, 256, (8, 2, 8, 7)))
    return model.freeze()


def test_nodes_of_a_forward_of_ones_own() -> None:
    nodes = {node.name: node for node in everything().nodes()}
    assert list(nodes) == [
        "input", "stem", "norm", "fire.0", "block.0", "block.1", "skip", "add", "fire.1",
        "maxpool", "avgpool", "flatten", "head", "norm_head", "integrate", "readout",
    ]  # fmt: skip
    assert nodes["block.0"].inputs == ("fire.0",), "dropout is left out"
    assert nodes["add"].inputs == ("block.1", "skip")
    assert nodes["stem"].attributes["kernel"] == (3, 2)
    assert nodes["fire.1"].attributes == {
        "decay": 1.0, "threshold": 0.5, "compare": ">=", "reset": "soft", "reset_potential": 0.0,
    }  # fmt: skip
    assert nodes["readout"].attributes == {"mode": "last"}


@pytest.mark.parametrize("arch", ["everything", "resnet", "cnn", "mlp"])
def test_a_saved_network_computes_the_same(tmp_path: Path, arch: str) -> None:
    if arch == "everything":
        model = everything()
    else:
        options: dict[str, dict[str, Any]] = {
            "resnet": {"widths": (3, 4, 6), "blocks": 1},
            "cnn": {},
            "mlp": {"hidden": (9, 7)},
        }
        model = nn.build(arch, input_shape=(2, 8, 7), divisor=9.0, **options[arch])
        model.train()(torch.randint(0, 256, (8, 2, 8, 7)))
        model.freeze()
    raw = torch.randint(0, 256, (6, 2, 8, 7), dtype=torch.uint8)
    nn.save(model, tmp_path / "a.pt", training={"seed": 1})
    again = nn.load(tmp_path / "a.pt")
    assert torch.equal(model(raw), again(raw))
    with nn.record_spikes(model) as expected, nn.record_spikes(again) as actual:
        assert torch.equal(model.double()(raw), again.double()(raw))
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    assert sum(float(spikes.sum()) for spikes in actual.values()) > 0, "a silent network proves nothing"


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    nn.save(everything(), tmp_path / "a.pt", training={"note": "last"})
    nn.save(nn.load(tmp_path / "a.pt"), tmp_path / "other name.pt", training={"note": "last"})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "other name.pt").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "other name.pt"]


def test_a_loaded_network_can_be_trained_further(tmp_path: Path) -> None:
    nn.save(everything(), tmp_path / "a.pt")
    model = nn.load(tmp_path / "a.pt").train()
    model(torch.randint(0, 256, (4, 2, 8, 7))).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def linear(features: int = 16) -> nn.QuantLinear:
    return nn.QuantLinear(features, 3, quantizer=Q4)


class Twice(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.LIF()
        self.head = linear()

    def forward(self, x: Any) -> Any:
        return self.head(torch.flatten(self.shared(self.shared(x)), 1))


class Branching(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = linear()

    def forward(self, x: Any) -> Any:
        return self.head(x) if x.sum() > 0 else x


class Scaling(Branching):
    def forward(self, x: Any) -> Any:
        return self.head(torch.flatten(x * 2.0, 1))


class AddsNumber(Branching):
    def forward(self, x: Any) -> Any:
        return self.head(torch.flatten(x + 1.0, 1))


class TwoInputs(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = linear()

    def forward(self, x: Any, y: Any) -> Any:
        return self.head(torch.flatten(x + y, 1))


class NegatedLIF(nn.LIF):
    def forward(self, x: Tensor) -> Tensor:
        return 1.0 - super().forward(x)


def before_head(*layers: tnn.Module) -> tnn.Module:
    return tnn.Sequential(*layers, tnn.Flatten(1), tnn.LazyLinear(3))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (before_head(tnn.Conv2d(1, 2, 3)), ["layer 0", "QuantConv2d"]),
        (before_head(tnn.ReLU()), ["layer 0", "ReLU", "supported: QuantConv2d"]),
        (before_head(NegatedLIF()), ["layer 0", "NegatedLIF"]),
        (before_head(tnn.MaxPool2d(2, ceil_mode=True)), ["layer 0", "ceil_mode"]),
        (before_head(tnn.MaxPool2d(2, dilation=2)), ["dilation"]),
        (before_head(tnn.MaxPool2d(2, return_indices=True)), ["return_indices"]),
        (before_head(tnn.AvgPool2d(2, ceil_mode=True)), ["ceil_mode"]),
        (before_head(tnn.AvgPool2d(2, padding=1, count_include_pad=False)), ["count_include_pad"]),
        (before_head(tnn.AvgPool2d(2, divisor_override=3)), ["divisor_override"]),
        (before_head(tnn.AdaptiveAvgPool2d(2)), ["AdaptiveAvgPool2d", "output size"]),
        (before_head(tnn.BatchNorm2d(1, track_running_stats=False)), ["running statistics"]),
        (Twice(), ["layer shared", "twice"]),
        (Branching(), ["network Branching", "trace"]),
        (Scaling(), ["mul", "not supported"]),
        (AddsNumber(), ["add"]),
        (TwoInputs(), ["input y", "more than one"]),
        (tnn.Sequential(tnn.Flatten(0), linear()), ["layer 0", "Flatten"]),
        (tnn.Sequential(nn.LIF()), ["layer 0", "Readout"]),
    ],
    ids=lambda value: "" if isinstance(value, tnn.Module) else "-".join(value),
)
def test_unsupported_is_named(body: tnn.Module, named: list[str]) -> None:
    if isinstance(body, tnn.Sequential) and isinstance(body[-1], tnn.LazyLinear):
        body[-1] = linear()
    with pytest.raises(UnsupportedError) as caught:
        nn.SpikingNetwork(body, timesteps=2, input_shape=(1, 4, 4))
    assert all(part in str(caught.value) for part in named), str(caught.value)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (tnn.Sequential(tnn.Flatten(1), linear(15)), "layer 1"),
        (tnn.Sequential(nn.QuantConv2d(2, 3, 1, quantizer=Q4)), "layer 0"),
        (tnn.Sequential(nn.QuantConv2d(1, 3, 5, quantizer=Q4)), "layer 0"),
        (tnn.Sequential(linear(4)), "layer 0"),
        (tnn.Sequential(tnn.Flatten(1), linear(), nn.Readout("count")), "layer 2"),
    ],
)
def test_sizes_that_disagree_are_named(body: tnn.Module, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        nn.SpikingNetwork(body, timesteps=2, input_shape=(1, 4, 4))


def test_a_module_named_like_an_operation_keeps_its_name() -> None:
    class Clash(tnn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add = nn.LIF()
            self.input = tnn.Flatten(1)
            self.readout = linear()

        def forward(self, x: Any) -> Any:
            return self.readout(self.input(self.add(x) + x))

    names = [node.name for node in nn.SpikingNetwork(Clash(), timesteps=1, input_shape=(1, 4, 4)).nodes()]
    assert {"add", "input", "readout"} <= set(names)
    assert len(set(names)) == len(names) == 6
