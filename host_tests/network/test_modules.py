"""A user's own ``nn.Module`` from our layers, through every step: saved, compiled, and run as C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import qpsnn_codegen
from host_tests.errors.command import call_ok
from qpsnn_codegen import nn
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import compare

SAMPLES = 24
EIGHT, FOUR, TWO = nn.symmetric(8), nn.rescaw(4), nn.rescaw(2)


def normed_conv(inputs: int, outputs: int, quantizer: nn.Quantizer = FOUR, **options: Any) -> torch.nn.Sequential:
    convolution = nn.QuantConv2d(inputs, outputs, 3, padding=1, quantizer=quantizer, **options)
    return torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(outputs))


class Residual(torch.nn.Module):
    """An identity shortcut, then one that halves the map and pads channels; global average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = normed_conv(1, 6, EIGHT)
        self.fire = nn.LIF()
        self.a1, self.fire_a1 = normed_conv(6, 6), nn.LIF()
        self.a2, self.fire_a2 = normed_conv(6, 6, TWO), nn.LIF(compare=">=")
        self.b1, self.fire_b1 = normed_conv(6, 10, stride=2), nn.LIF()
        self.b2, self.fire_b2 = normed_conv(10, 10), nn.LIF()
        self.shortcut = nn.Shortcut.between(6, 10, stride=2)
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.head = nn.QuantLinear(10, 5, quantizer=nn.symmetric(8, per="layer"))

    def forward(self, x: Tensor) -> Tensor:
        x = self.fire(self.stem(x))
        x = self.fire_a2(self.a2(self.fire_a1(self.a1(x))) + x)
        y = self.b2(self.fire_b1(self.b1(x)))
        x = self.fire_b2(torch.add(y, self.shortcut(x)))
        logits: Tensor = self.head(torch.flatten(self.pool(x), 1))
        return logits


class Grouped(torch.nn.Module):
    """Depthwise and grouped convolutions, dilation, uneven strides; soft reset, other decays and thresholds."""

    def __init__(self, decay: float = 0.5) -> None:
        super().__init__()
        self.first = nn.QuantConv2d(3, 8, (3, 2), stride=(1, 2), padding=(1, 1), quantizer=EIGHT, bias=True)
        self.fire1 = nn.LIF(decay, 1.5, reset="soft")
        self.depthwise = normed_conv(8, 8, FOUR, groups=8)
        self.fire2 = nn.LIF(0.25, 0.5, reset="soft", compare=">=")
        self.dropout = torch.nn.Dropout(0.5)
        self.grouped = nn.QuantConv2d(8, 12, 3, padding=2, dilation=2, groups=4, quantizer=TWO)
        self.norm = torch.nn.BatchNorm2d(12)
        self.fire3 = nn.LIF(reset="hard", reset_potential=-0.25)
        self.pool = torch.nn.MaxPool2d(3, stride=2, padding=1)
        self.head = nn.QuantLinear(12 * 4 * 3, 7, quantizer=FOUR, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.fire2(self.depthwise(self.fire1(self.first(x)))))
        x = self.pool(self.fire3(self.norm(self.grouped(x))))
        logits: Tensor = self.head(x.flatten(1))
        return logits


class Averaging(torch.nn.Module):
    """Integrate-and-fire neurons, average pools inside, a spike count as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            normed_conv(1, 6, EIGHT),
            nn.IF(),
            torch.nn.AvgPool2d(2),
            normed_conv(6, 8),
            nn.IF(0.75, compare=">=", reset="soft"),
            torch.nn.AvgPool2d(2, stride=1),
            torch.nn.Flatten(1),
            nn.QuantLinear(72, 5, quantizer=EIGHT),
            nn.LIF(),
            nn.Readout("count"),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class LastPotential(torch.nn.Module):
    """The potential of a leaky integrator after the last step as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(1),
            nn.QuantLinear(64, 20, quantizer=EIGHT, bias=False),
            torch.nn.BatchNorm1d(20),
            nn.LIF(),
            nn.QuantLinear(20, 5, quantizer=FOUR),
            nn.LeakyIntegrator(0.5),
            nn.Readout("last"),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class Events(torch.nn.Module):
    """Two polarities of events, max pool between layers, an odd number of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.fire1 = normed_conv(2, 7), nn.LIF()
        self.pool = torch.nn.MaxPool2d(2)
        self.conv2, self.fire2 = normed_conv(7, 33, TWO), nn.LIF(reset="soft")
        self.head = nn.QuantLinear(33 * 9, 4, quantizer=EIGHT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fire2(self.conv2(self.pool(self.fire1(self.conv1(x)))))
        logits: Tensor = self.head(torch.flatten(x, start_dim=1))
        return logits


@dataclass(frozen=True)
class Case:
    """A body with what surrounds it; ``certified``: what is proven of every spiking layer."""

    body: Callable[[], torch.nn.Module]
    shape: tuple[int, int, int]
    timesteps: int
    certified: bool = True
    options: dict[str, Any] = field(default_factory=dict)


CASES = {
    "residual": Case(Residual, (1, 8, 8), 4, options={"divisor": 16.0, "max_value": 16}),
    "grouped_soft_reset": Case(Grouped, (3, 8, 10), 5),
    # A decay that is no power of two has no exact integers.
    "decay_of_three_quarters": Case(lambda: Grouped(0.75), (3, 8, 10), 5, certified=False),
    "average_pools_and_spike_count": Case(Averaging, (1, 8, 8), 6),
    "last_potential": Case(LastPotential, (1, 8, 8), 4, options={"divisor": 16.0, "max_value": 16}),
    "mean_and_deviation": Case(
        Grouped, (3, 8, 10), 3, certified=False, options={"mean": (0.49, 0.48, 0.45), "std": (0.25, 0.24, 0.26)}
    ),
    "events": Case(Events, (2, 6, 6), 8, options={"input_kind": "spikes"}),
    "event_counts": Case(Events, (2, 6, 6), 3, options={"input_kind": "spikes", "max_value": 7}),
    "one_timestep": Case(Residual, (1, 9, 7), 1),
}


def lively(model: nn.SpikingNetwork) -> None:
    """Batch-norms as after training: statistics that are not 0 and 1, gains of both signs where they may be."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.3, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
            torch.nn.init.normal_(module.bias, 0.3, 0.3)


def make(case: Case) -> nn.SpikingNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = nn.SpikingNetwork(case.body(), timesteps=case.timesteps, input_shape=case.shape, **case.options)
        with torch.no_grad():
            lively(model)
        return model.freeze()


def make_inputs(model: nn.SpikingNetwork) -> NDArray[np.uint8]:
    frames = () if model.input_kind == "image" else (model.timesteps,)
    generator = np.random.default_rng(5)
    values = generator.integers(0, model.max_value + 1, (SAMPLES, *frames, *model.input_shape))
    return values.astype(np.uint8)


@pytest.mark.parametrize("name", CASES)
def test_module(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = make(case)
    path = tmp_path / "model.pt"
    nn.save(model, path)
    inputs = make_inputs(model)

    compilation = qpsnn_codegen.compile(path, calibration=inputs)
    compilation.write(tmp_path / "firmware")
    reference = run_reference(compilation.integers, inputs, trace=True)
    with HostModel(tmp_path / "firmware", trace=True) as host:
        actual = host.run(inputs)
    verdict = compare(reference, actual)
    assert verdict.mismatches == 0, str(verdict.first)

    statuses = {c.layer: c.status for c in compilation.integers.certificates}
    assert compilation.report["certified"] is case.certified
    assert (set(statuses.values()) == {"certified"}) is case.certified

    # The module the user holds, and the one that is read back, both in real numbers.
    for real in (model.double(), nn.load(path).double()):
        with torch.no_grad(), nn.record_spikes(real) as spikes:
            logits = real(torch.from_numpy(inputs)).numpy()
        proven = [layer for layer, status in statuses.items() if status == "certified" and layer in spikes]
        assert proven or not case.certified
        for layer in proven if case.certified else ():
            assert np.array_equal(spikes[layer].numpy(), actual.spikes[layer]), layer
        # Where a neuron's potential is the logit, no spikes of it are traced.
        assert set(actual.spikes) <= set(spikes)
        if case.certified:
            found = actual.logits * compilation.integers.logit_scale
            assert np.abs(found - logits).max() <= 1e-3 * max(1.0, np.abs(logits).max())
        else:
            same = sum(int((spikes[layer].numpy() == actual.spikes[layer]).sum()) for layer in actual.spikes)
            assert same / verdict.spikes > 0.99
    assert 0.01 < np.mean([train.mean() for train in actual.spikes.values()]) < 0.9


@pytest.mark.parametrize("name", ["residual", "average_pools_and_spike_count", "mean_and_deviation", "event_counts"])
def test_module_through_the_command_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = make(CASES[name])
    nn.save(model, "my.module.pt")
    np.save("inputs.npy", make_inputs(model))
    call_ok("inspect", "my.module.pt")
    text = call_ok("my.module.pt", "-o", "out", "--calibrate", "inputs.npy")
    assert ("every layer certified" in text) is CASES[name].certified
    assert "equal: " in call_ok("verify", "out", "--inputs", "inputs.npy", "--cc", "clang", "--sanitize")


@pytest.mark.parametrize("bits", ["8", "16"])
def test_width_of_normalized_images(bits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wider images are nearer to the real ones: fewer spikes differ."""
    monkeypatch.chdir(tmp_path)
    nn.save(make(CASES["mean_and_deviation"]), "model.pt")
    call_ok("model.pt", "-o", "out", "--input-bits", bits)
    assert "equal: " in call_ok("verify", "out")


def test_a_layer_called_like_another_of_its_kind_is_refused_by_name(tmp_path: Path) -> None:
    """One layer used twice would share weights, which the checkpoint has no words for."""

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.QuantLinear(16, 16, quantizer=EIGHT)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(self.head(torch.flatten(x, 1)))
            return logits

    with pytest.raises(qpsnn_codegen.QpsnnError, match=r"layer head: it is used twice"):
        nn.save(nn.SpikingNetwork(Twice(), timesteps=1, input_shape=(1, 4, 4)), tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []
