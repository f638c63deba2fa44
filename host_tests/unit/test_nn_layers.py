"""Quantizers, neurons, readouts, and what a network does in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn as tnn

from qpsnn_codegen import nn
from qpsnn_codegen.errors import UsageError

GAMMAS: tuple[Any, ...] = ("mean", "max", "percentile")
QUANTIZERS = [nn.Quantizer(grid="rescaw", bits=bits, gamma=gamma) for bits in (8, 4, 2) for gamma in GAMMAS] + [
    nn.vanilla(4),
    nn.symmetric(8),
    nn.symmetric(8, per="layer"),
    nn.symmetric(2),
]


def layer(network: nn.SpikingNetwork, name: str) -> Any:
    return network.body.get_submodule(name)


def random_weight(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rescaw_codes_by_hand() -> None:
    # One kernel, mean|W| = 1, s = 3: (clip(W) + 1)*1.5 = 0, 0.75, 1.5 (half to even: 2), 3.
    weight = torch.tensor([[-2.0, -0.5, 0.0, 1.5]])
    codes, scale = nn.rescaw(2).codes(weight)
    assert scale.tolist() == [1.0]
    assert codes.tolist() == [[0, 1, 2, 3]]
    assert nn.rescaw(2).dequantize(codes, scale, torch.float64).tolist() == [[-1.0, -1 / 3, 1 / 3, 1.0]]


def test_symmetric_codes_by_hand() -> None:
    codes, scale = nn.symmetric(8).codes(torch.tensor([[127.0, -127.0, 0.4, -63.5], [0.0, 0.0, 0.0, 0.0]]))
    assert codes.tolist() == [[255, 1, 128, 64], [128] * 4]
    assert scale.tolist() == [1.0, 1.0]


def test_mean_gamma_is_nested_not_flat() -> None:
    weight = random_weight(256, 67, 3, 3)
    _, scale = nn.rescaw(4).codes(weight)
    nested = weight.abs().mean(3).mean(2).mean(1)
    assert torch.equal(scale, nested)
    assert not torch.equal(scale, weight.abs().mean((1, 2, 3))), "the test is blind"


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
@pytest.mark.parametrize("weight", [random_weight(5, 3, 3, 3), random_weight(4, 7), torch.zeros(2, 3, 3, 3)])
def test_forward_weight_is_the_codes_and_the_gradient_passes(quantizer: nn.Quantizer, weight: Tensor) -> None:
    weight = weight.clone().requires_grad_()
    codes, scale = quantizer.codes(weight)
    lowest = 0 if quantizer.grid == "rescaw" else 1
    assert codes.dtype == torch.uint8
    assert lowest <= int(codes.min()) <= int(codes.max()) <= 2**quantizer.bits - 1
    assert bool((scale > 0).all())
    assert len(scale) == (1 if quantizer.per == "layer" else len(weight))
    used = quantizer.forward_weight(weight)
    assert torch.equal(used, quantizer.dequantize(codes, scale, torch.float32))
    (used * torch.arange(used.numel()).reshape(used.shape)).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad.reshape(-1), torch.arange(used.numel(), dtype=torch.float32))


def test_quantization_error_is_half_a_step_inside_the_clip() -> None:
    weight = random_weight(8, 16, 3, 3)
    for quantizer in (nn.rescaw(8, "max"), nn.symmetric(8)):
        codes, scale = quantizer.codes(weight)
        step = scale * (2 / 255 if quantizer.grid == "rescaw" else 1)
        error = (quantizer.dequantize(codes, scale, torch.float32) - weight).abs().amax((1, 2, 3))
        assert bool((error <= step * 0.5001).all())


@pytest.mark.parametrize(
    "arguments", [{"bits": 3}, {"grid": "log"}, {"gamma": "median"}, {"percentile": 0.0}, {"per": "pixel"}]
)
def test_quantizer_refuses(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        nn.Quantizer(**arguments)


def membrane_by_hand(neuron: nn.LIF, currents: list[float]) -> tuple[list[float], float]:
    potential, spikes = neuron.reset_potential, []
    for current in currents:
        potential = neuron.decay * potential + current
        fires = potential >= neuron.threshold if neuron.compare == ">=" else potential > neuron.threshold
        spikes.append(float(fires))
        if fires and neuron.reset == "hard":
            potential = neuron.reset_potential
        elif fires and neuron.reset == "soft":
            potential -= neuron.threshold
    return spikes, potential


@pytest.mark.parametrize("compare", [">", ">="])
@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("decay", [0.5, 1.0])
@pytest.mark.parametrize("reset_potential", [0.0, -0.25])
def test_lif_equals_a_loop_in_python(compare: Any, reset: Any, decay: float, reset_potential: float) -> None:
    neuron = nn.LIF(decay, 1.0, compare=compare, reset=reset, reset_potential=reset_potential)
    neuron.timesteps = 8
    # Multiples of 1/8 hit the threshold exactly, and float64 keeps them exact.
    currents = torch.randint(-4, 13, (8, 50), generator=torch.Generator().manual_seed(3)).double() / 8
    spikes = neuron(currents.reshape(8, 50))
    for column in range(50):
        expected, potential = membrane_by_hand(neuron, currents[:, column].tolist())
        assert spikes[:, column].tolist() == expected
        assert float(spikes.last_potential[0, column]) == potential


def test_threshold_is_hit_exactly() -> None:
    at_threshold = torch.tensor([[1.0]])
    assert float(nn.LIF(compare=">")(at_threshold)) == 0.0
    assert float(nn.LIF(compare=">=")(at_threshold)) == 1.0


def test_surrogate_is_a_triangle() -> None:
    potentials = torch.tensor([[-0.5, 0.0, 0.5, 1.0, 1.75, 2.5]], requires_grad=True)
    nn.LIF(surrogate_width=2.0, reset="none")(potentials).sum().backward()
    assert potentials.grad is not None
    assert potentials.grad.tolist() == [[0.125, 0.25, 0.375, 0.5, 0.3125, 0.125]]


def test_time_is_outermost_and_readouts_read_it() -> None:
    # Batch of 2, T = 3; the neuron of item 1 gets a current, that of item 0 none.
    currents = torch.tensor([[0.0], [0.75], [0.0], [0.75], [0.0], [0.75]])
    neuron, count, last, mean = nn.LIF(), nn.Readout("count"), nn.Readout("last"), nn.Readout("mean")
    for module in (neuron, count, last, mean):
        module.timesteps = 3
    spikes = neuron(currents)
    assert spikes.reshape(3, 2).tolist() == [[0, 0], [0, 1], [0, 0]]
    assert count(spikes).tolist() == [[0.0], [1.0]]
    assert last(spikes).tolist() == [[0.0], [0.75]]
    assert mean(currents).tolist() == [[0.0], [0.75]]
    with pytest.raises(UsageError):
        last(currents)
    with pytest.raises(UsageError):
        mean(currents[:5])


def test_integrators() -> None:
    silent = nn.LeakyIntegrator(0.5)
    silent.timesteps = 2
    out = silent(torch.tensor([[4.0], [1.0]]))
    assert out.tolist() == [[0.0], [0.0]]
    assert out.last_potential.tolist() == [[3.0]]
    assert nn.IF().decay == 1.0
    with pytest.raises(UsageError):
        nn.LIF(threshold=math.inf)


def test_shortcut_is_option_a() -> None:
    x = random_weight(2, 3, 5, 4)
    y = nn.Shortcut.between(3, 8, 2)(x)
    assert y.shape == (2, 8, 3, 2)
    assert torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert float(y[:, :2].abs().sum() + y[:, 5:].abs().sum()) == 0.0


def test_frozen_double_network_uses_the_float32_codes_exactly() -> None:
    model = nn.build("cnn", layout=(4, "M", 6), input_shape=(1, 6, 6), divisor=16.0)
    model.freeze()
    convolution = layer(model, "conv2")
    codes, scale = convolution.current_codes()
    model.double()
    weight = convolution.effective_weight()
    assert weight.dtype == torch.float64
    exact = scale.double()[:, None, None, None] / 15 * (2 * codes.double() - 15)
    assert torch.equal(weight, exact)
    # Stored codes win over the weights, until training goes on.
    with torch.no_grad():
        convolution.weight.zero_()
    assert torch.equal(convolution.effective_weight(), exact)
    model.train()
    assert not torch.equal(convolution.effective_weight(), exact)


def test_unfrozen_double_network_keeps_float32_codes() -> None:
    layer = nn.QuantConv2d(3, 16, 3, quantizer=nn.rescaw(8))
    codes, scale = layer.current_codes()
    layer.double()
    again, scale_again = layer.current_codes()
    assert torch.equal(codes, again)
    assert torch.equal(scale, scale_again)


def test_normalization_and_input_kinds() -> None:
    body = tnn.Sequential(tnn.Flatten(1), nn.QuantLinear(8, 3, quantizer=nn.symmetric(8)))
    options: dict[str, Any] = {"timesteps": 2, "input_shape": (2, 2, 2)}
    image = nn.SpikingNetwork(body, divisor=4.0, mean=(0.1, 0.2), std=(0.5, 2.0), **options).double()
    raw = torch.arange(8, dtype=torch.uint8).reshape(1, 2, 2, 2)
    x = image.normalize(raw)
    assert float(x[0, 1, 0, 0]) == (4 / 4.0 - 0.2) / 2.0, "statistics must reach float64 unrounded"
    spikes = nn.SpikingNetwork(body, input_kind="spikes", **options).float()
    frames = torch.randint(0, 2, (3, 2, 2, 2, 2), dtype=torch.uint8)
    per_step = [body(frames[:, t].float()) for t in range(2)]
    assert torch.allclose(spikes(frames), (per_step[0] + per_step[1]) / 2)
    with pytest.raises(UsageError):
        spikes(raw)


def test_recorded_spikes_have_node_names_and_canonical_axes() -> None:
    model = nn.build("mlp", hidden=(5,), input_shape=(1, 2, 3), timesteps=3, divisor=1.0)
    model.eval()
    raw = torch.randint(0, 9, (4, 1, 2, 3), dtype=torch.uint8)
    with nn.record_spikes(model) as spikes, nn.record_potentials(model) as potentials:
        model(raw)
    assert list(spikes) == ["neuron1"]
    assert spikes["neuron1"].shape == (4, 3, 5, 1, 1)
    assert torch.equal(spikes["neuron1"], (potentials["neuron1"] > 1.0).float())
    first = layer(model, "norm1")(layer(model, "linear1")(raw.flatten(1).float()))
    assert torch.equal(potentials["neuron1"][:, 0, :, 0, 0], first)
    model(raw[:1])
    assert len(spikes["neuron1"]) == 4, "recording ends with the context"
