"""Operations are counted as the compiler counts them, and a penalty on them lowers them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn as tnn

from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import nn
from qpsnn_codegen.nn.economy import count_operations, fan_out, measure_operations


class Strided(tnn.Module):
    """Strides, dilation, groups and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.QuantConv2d(2, 4, 3, quantizer=nn.symmetric(8), padding=1)
        self.norm, self.fire = tnn.BatchNorm2d(4), nn.LIF()
        self.wide = nn.QuantConv2d(4, 8, 3, quantizer=nn.rescaw(4), stride=(2, 1), padding=2, dilation=2, groups=2)
        self.norm2, self.fire2 = tnn.BatchNorm2d(8), nn.LIF()
        self.pool = tnn.AvgPool2d(2)
        self.head = nn.QuantLinear(8 * 2 * 4, 3, quantizer=nn.symmetric(8, per="layer"))

    def forward(self, x: Any) -> Any:
        x = self.fire(self.norm(self.stem(x)))
        return self.head(torch.flatten(self.pool(self.fire2(self.norm2(self.wide(x)))), 1))


def raw(*shape: int, high: int = 256) -> torch.Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(3)).to(torch.uint8)


def settled(model: nn.SpikingNetwork, inputs: torch.Tensor) -> nn.SpikingNetwork:
    model.train()
    for _ in range(20):
        model(inputs)
    return model.freeze()


def networks() -> dict[str, tuple[nn.SpikingNetwork, torch.Tensor]]:
    torch.manual_seed(1)
    spikes = nn.SpikingNetwork(
        tnn.Sequential(nn.QuantConv2d(2, 5, 3, quantizer=nn.rescaw(4), padding=1), tnn.BatchNorm2d(5), nn.LIF(),
                       tnn.MaxPool2d(2), tnn.Flatten(1), nn.QuantLinear(45, 4, quantizer=nn.symmetric(8))),
        timesteps=3, input_shape=(2, 6, 7), input_kind="spikes",
    )  # fmt: skip
    return {
        "strided": (nn.SpikingNetwork(Strided(), timesteps=3, input_shape=(2, 8, 8)), raw(9, 2, 8, 8)),
        "resnet": (nn.build("resnet", widths=(3, 4, 6), blocks=1, input_shape=(2, 8, 7)), raw(9, 2, 8, 7)),
        "mlp": (nn.build("mlp", hidden=(9, 7), input_shape=(1, 4, 4)), raw(9, 1, 4, 4)),
        "spikes": (spikes, raw(9, 3, 2, 6, 7, high=2)),
    }


@pytest.mark.parametrize("name", ["strided", "resnet", "mlp", "spikes"])
def test_counts_are_the_compilers(name: str, tmp_path: Path) -> None:
    model, inputs = networks()[name]
    settled(model, inputs)
    nn.save(model, tmp_path / "a.pt")
    operations = measure_operations(nn.load(tmp_path / "a.pt").double(), inputs, batch=4)
    report = compile_model(tmp_path / "a.pt", calibration=inputs.numpy()).report
    assert float(sum(operations.counts.values())) == pytest.approx(report["operations"], rel=1e-12)
    assert operations.share().item() > 0.0
    silent = any("silent" in row["certificate"] for row in report["layers"])
    assert silent or sum(operations.dense.values()) == report["dense_slots"]
    expected = {"strided": {"wide", "head"}, "mlp": {"linear2", "head"}, "spikes": {"0", "5"}}
    assert name not in expected or set(operations.counts) == expected[name]


def test_fan_out_is_what_a_convolution_of_ones_spreads() -> None:
    conv = nn.QuantConv2d(1, 1, (3, 2), quantizer=nn.rescaw(4), stride=(2, 3), padding=(1, 2), dilation=(2, 1))
    x = torch.zeros(1, 1, 7, 8, requires_grad=True)
    output = torch.nn.functional.conv2d(x, torch.ones(1, 1, 3, 2), None, conv.stride, conv.padding, conv.dilation)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert torch.equal(fan_out(conv, (7, 8)).float(), gradient[0, 0])


def test_the_gradient_lowers_spikes_by_their_fan_out() -> None:
    model, inputs = networks()["strided"]
    model.train()
    with count_operations(model) as counted:
        model(inputs)
        share = counted.share()
        share.backward()
        biases = [model.body.get_submodule(name).bias.grad for name in ("norm", "norm2")]
    assert all(isinstance(bias, torch.Tensor) and (bias >= 0).all() and bias.max() > 0 for bias in biases)
    before = dict(counted.counts)
    model(inputs)
    assert counted.counts == before, "nothing is counted outside the context"


def test_a_penalty_saves_operations_and_zero_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(80, dtype=np.int64) % 2
    images = generator.integers(0, 8, (80, 1, 4, 4), dtype=np.uint8)
    images[labels == 0, :, :2] += 8
    data = nn.Dataset(
        name="halves", train_images=images[:60], train_labels=labels[:60], test_images=images[60:],
        test_labels=labels[60:], class_names=("top", "bottom"), divisor=16.0,
    )  # fmt: skip
    options = nn.TrainingOptions(epochs=6, batch=16, learning_rate=1e-2, seed=3)
    shares = []
    for penalty in (0.0, 3.0):
        model = nn.build("cnn", layout=(6, 8), input_shape=(1, 4, 4), classes=2, divisor=16.0)
        history = nn.train(model, data, replace(options, spike_penalty=penalty))
        assert nn.evaluate(model, data) >= 0.9
        assert 0.0 < history[-1].operations < 1.0
        shares.append(measure_operations(model, torch.from_numpy(images)).share().item())
    assert shares[1] < 0.7 * shares[0]
