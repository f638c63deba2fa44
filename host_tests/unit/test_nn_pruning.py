"""Scores by hand, and: removing a channel equals silencing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn as tnn

from qpsnn_codegen import nn
from qpsnn_codegen.errors import UsageError


def test_svs_counts_singular_values_of_the_mean_map() -> None:
    spikes = torch.zeros(2, 2, 3, 4, 4)
    spikes[:, :, 1] = 1.0  # all ones: rank 1
    spikes[0, :, 2] = torch.eye(4)  # rank 4 for one of two samples, 0 for the other
    assert nn.svs_scores(spikes).tolist() == [0.0, 1.0, 2.0]
    # The average over time comes first: two rank-1 steps make one map of rank 2.
    spikes = torch.zeros(1, 2, 1, 4, 4)
    spikes[0, 0, 0, 0, 0] = spikes[0, 1, 0, 1, 1] = 1.0
    assert nn.svs_scores(spikes).tolist() == [2.0]


def test_sca_is_the_mean_l1_norm() -> None:
    potentials = torch.zeros(2, 2, 2, 1, 3)
    potentials[0, 0, 1] = torch.tensor([1.0, -2.0, 3.0])
    assert nn.sca_scores(potentials).tolist() == [0.0, 1.5]


def silence(model: nn.SpikingNetwork, neuron: str, keep: tuple[int, ...]) -> None:
    def mask(module: tnn.Module, inputs: object, output: Tensor) -> Tensor:
        kept = torch.zeros(output.shape[1], dtype=output.dtype)
        kept[list(keep)] = 1.0
        return output * kept.reshape(1, -1, 1, 1)

    model.body.get_submodule(neuron).register_forward_hook(mask)


def trained(**options: Any) -> nn.SpikingNetwork:
    model = nn.build("cnn", input_shape=(2, 8, 7), divisor=16.0, **options)
    model.train()
    for _ in range(30):  # until the running statistics have settled
        model(torch.randint(0, 30, (16, 2, 8, 7), generator=torch.Generator().manual_seed(2)))
    return model.freeze()


def raw(count: int = 8) -> Tensor:
    return torch.randint(0, 30, (count, 2, 8, 7), generator=torch.Generator().manual_seed(4)).to(torch.uint8)


@pytest.mark.parametrize("criterion", ["svs", "sca"])
@pytest.mark.parametrize("prune_last", [False, True])
def test_removing_channels_equals_silencing_them(criterion: Any, prune_last: bool, tmp_path: Path) -> None:
    # Pooled at the end with 2x1 pixels left: the linear layer loses blocks of features.
    model = trained(layout=(6, "M", 8, 10, "M"), bits=4).double()
    smaller, report = nn.prune(model, raw(), (0.5, 0.3, 0.4), criterion=criterion, prune_last=prune_last)
    assert {name: len(kept) for name, kept in report.kept.items()} == {
        "conv1": 3, "conv2": 6, **({"conv3": 6} if prune_last else {}),
    }  # fmt: skip
    assert set(report.untouched) == (set() if prune_last else {"conv3"})
    assert report.parameters_after < report.parameters_before
    assert smaller.shapes()["neuron1"][0] == 3
    assert sum(parameter.numel() for parameter in smaller.parameters()) == report.parameters_after
    for name, kept in report.kept.items():
        silence(model, name.replace("conv", "neuron"), kept)
    smaller.double()
    with nn.record_spikes(model) as whole, nn.record_spikes(smaller) as part:
        expected, actual = model(raw()), smaller(raw())
    assert torch.allclose(expected, actual, rtol=0, atol=1e-12)
    last = list(report.kept.get("conv3", range(10)))
    assert torch.equal(whole["neuron3"][:, :, last], part["neuron3"])
    assert float(part["neuron3"].sum()) > 0
    nn.save(smaller, tmp_path / "a.pt")
    assert torch.equal(nn.load(tmp_path / "a.pt").double()(raw()), actual)


def test_the_highest_scores_stay_and_the_model_is_left_alone() -> None:
    model = trained(layout=(6, 5))
    before = model(raw())
    scores = nn.layer_scores(model, raw())["conv1"]
    _, report = nn.prune(model, raw(), {"conv1": 0.5})
    kept = set(report.kept["conv1"])
    lost = set(range(6)) - kept
    assert min(scores[list(kept)]) >= max(scores[list(lost)])
    assert torch.equal(model(raw()), before)
    assert report.untouched == {"conv2": "it is the last conv"}


def test_scores_do_not_depend_on_the_batch_size() -> None:
    model = trained(layout=(6, 5))
    criteria: tuple[Any, ...] = ("svs", "sca")
    for criterion in criteria:
        one = nn.layer_scores(model, raw(7), criterion=criterion, batch=7)["conv2"]
        many = nn.layer_scores(model, raw(7), criterion=criterion, batch=3)["conv2"]
        assert torch.allclose(one, many, rtol=1e-6)


@pytest.mark.parametrize(("ratio", "text", "code"), [(0.5, 3, 2), (0.49, 3, 2), (0.99, 1, 1), (0.1, 5, 4)])
def test_both_roundings(ratio: float, text: int, code: int) -> None:
    # 5 channels: 5 - round(2.5) = 3 (half to even), int(5 * 0.5) = 2.
    model = trained(layout=(5, 4))
    expected: tuple[tuple[Any, int], ...] = (("text", text), ("code", code))
    for rounding, left in expected:
        _, report = nn.prune(model, raw(), (ratio, 0.0), rounding=rounding)
        assert len(report.kept["conv1"]) == left


def test_grouped_convs_stay_whole() -> None:
    quantizer = nn.rescaw(4)
    body = tnn.Sequential(
        nn.QuantConv2d(2, 4, 3, quantizer=quantizer),
        nn.LIF(),
        nn.QuantConv2d(4, 4, 3, quantizer=quantizer, groups=4),
        nn.LIF(),
        nn.QuantConv2d(4, 4, 1, quantizer=quantizer),
        nn.LIF(),
        tnn.Flatten(1),
        nn.QuantLinear(48, 3, quantizer=quantizer),
    )
    model = nn.SpikingNetwork(body, timesteps=2, input_shape=(2, 8, 7)).freeze()
    _, report = nn.prune(model, raw(), 0.5, prune_last=True)
    assert set(report.kept) == {"4"}
    assert "grouped" in report.untouched["0"]
    assert "grouped" in report.untouched["2"]


@pytest.mark.parametrize("ratio", [1.0, -0.1, (0.5,), {"conv9": 0.5}])
def test_ratios_that_are_none(ratio: Any) -> None:
    with pytest.raises(UsageError):
        nn.prune(trained(layout=(4, 4)), raw(), ratio)
