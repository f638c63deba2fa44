"""The cases random inputs miss.

Membranes exactly at a threshold, constants at the ends of int32, sums beyond what lanes of packed codes hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.builds import COMPILERS, run_c
from host_tests.support.networks import network_of
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNetwork, Integers, check_integer_network
from qpsnn_codegen.kinds import Add, Conv, Flatten, Input, Linear, Neuron, Readout
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.kinds.neuron import IntegerNeuron
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.network import Node
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import adversarial_inputs, compare

Reset = Literal["hard", "soft", "none"]

RESETS: tuple[Reset, ...] = ("hard", "soft", "none")
DECAYS = (0.5, 0.25, 1.0, 0.75, 0.9)
CHANNELS = 35
TIMESTEPS = 5
INT32_MIN = -(2**31)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The hidden neurons of a network, by name, and inputs that drive them."""

    network: IntegerNetwork
    inputs: NDArray[np.uint8]
    name: str = "neuron"

    @property
    def neuron(self) -> IntegerNeuron:
        (node,) = (node for node in self.network.nodes if node.name == self.name)
        assert isinstance(node, IntegerNeuron)
        return node

    def with_constants(self, **arrays: Integers) -> Layer:
        """The same with other constants of the neurons."""
        changed = replace(self.neuron, **arrays)  # type: ignore[arg-type]
        nodes = tuple(changed if node.name == self.name else node for node in self.network.nodes)
        return replace(self, network=replace(self.network, nodes=nodes))

    def charged(self) -> NDArray[np.int64]:
        """Every membrane before its comparison ``[N, T, C, H, W]``, by the equation of docs/numerics.md §4 itself."""
        seen: list[tuple[Integers, ...]] = []

        def observe(name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
            if name == self.name:
                seen.append(arguments)

        run_reference(self.network, self.inputs, observe=observe)
        ((current, *shortcut),) = seen
        neuron = self.neuron
        rest, threshold = _column(neuron.rest), _column(neuron.threshold)
        membrane = np.broadcast_to(rest, current[:, 0].shape)
        steps = []
        for t in range(self.network.timesteps):
            decay = neuron.decay
            product = membrane * (decay.multiplier or 1) + decay.rounding
            charged = product // 2**decay.shift + current[:, min(t, current.shape[1] - 1)] * 2**neuron.fraction_bits
            if neuron.bias is not None:
                charged = charged + _column(neuron.bias)
            if neuron.gain is not None:
                charged = charged + _column(neuron.gain) * shortcut[0][:, t]
            steps.append(charged)
            fired = charged > threshold
            if neuron.reset == "hard":
                membrane = np.where(fired, rest, charged)
            elif neuron.reset == "soft":
                assert neuron.drop is not None
                membrane = charged - fired * _column(neuron.drop)
            else:
                membrane = charged
        return np.stack(steps, axis=1)

    def check(self) -> None:
        """C equals the reference under every compiler, and nothing leaves int32."""
        check_integer_network(self.network)
        charged = self.charged()
        assert charged.min() >= INT32_MIN
        assert charged.max() <= INT32_MAX
        expected = run_reference(self.network, self.inputs, trace=True)
        assert np.array_equal(expected.spikes[self.name], charged > _column(self.neuron.threshold)[None])
        for cc in COMPILERS:
            verdict = compare(expected, run_c(self.network, self.inputs, cc))
            assert verdict.mismatches == 0, f"{cc}: {verdict.first}"


def _column(values: Integers) -> Integers:
    return values[:, None, None]


def hidden_layer(reset: Reset, decay: float, *, shortcut: bool = False) -> Layer:
    """Images through a convolution into the neurons under test; with a shortcut, spikes of earlier ones join."""
    rng = np.random.default_rng(11)
    neuron = {
        "decay": decay, "threshold": 1.0, "strict": True, "reset": reset, "reset_potential": 0.125,
    }  # fmt: skip
    inputs = 1 if not shortcut else CHANNELS

    def conv(name: str, source: str, channels: int) -> Conv:
        return Conv(
            name=name,
            inputs=(source,),
            codes=rng.integers(5, 16, (CHANNELS, channels, 3, 3)).astype(np.uint8),
            grid=Grid.rescaw(4, rng.uniform(0.7, 1.2, CHANNELS)),
            bias=rng.normal(0.05, 0.1, CHANNELS),
            window=Window(kernel=(3, 3), padding=(1, 1)),
        )

    nodes: list[Node] = [
        Input(
            name="input", shape=(1, 4, 4), spikes=False, max_value=255, divisor=255.0, mean=np.zeros(1), std=np.ones(1)
        )
    ]
    source = "input"
    if shortcut:
        nodes += [conv("conv0", "input", 1), Neuron(name="neuron0", inputs=("conv0",), **neuron)]  # type: ignore[arg-type]
        source = "neuron0"
    nodes.append(conv("conv", source, inputs))
    if shortcut:
        nodes.append(Add(name="add", inputs=("conv", "neuron0")))
    nodes += [
        Neuron(name="neuron", inputs=("add" if shortcut else "conv",), **neuron),  # type: ignore[arg-type]
        Flatten(name="flatten", inputs=("neuron",)),
        Linear(
            name="linear",
            inputs=("flatten",),
            codes=rng.integers(0, 16, (3, CHANNELS * 16)).astype(np.uint8),
            grid=Grid.rescaw(4, np.full(3, 0.1)),
            bias=np.zeros(3),
        ),
        Readout(name="readout", inputs=("linear",), mode="count"),
    ]
    network = lower(network_of(nodes, TIMESTEPS))
    layer = Layer(network=network, inputs=np.concatenate([random_inputs(network, 8, 3), adversarial_inputs(network)]))
    assert len(layer.neuron.threshold) == CHANNELS, "channels were removed; choose other constants"
    return layer


@pytest.mark.parametrize("shortcut", [False, True], ids=["plain", "shortcut"])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("reset", RESETS)
def test_membranes_at_their_threshold(reset: Reset, decay: float, shortcut: bool) -> None:
    """Thresholds at a membrane that occurs, -1, 0 and +1, dealt to the channels in turn."""
    layer = hidden_layer(reset, decay, shortcut=shortcut)
    rng = np.random.default_rng(5)
    offsets = np.arange(CHANNELS) % 3 - 1
    charged = layer.charged()
    # Half the channels meet their threshold at the first timestep, half at a later one they have reached unspiking.
    later = np.arange(CHANNELS) % 2 * (TIMESTEPS - 1)
    occurring = np.empty(CHANNELS, dtype=np.int64)
    for c in range(CHANNELS):
        # Above everything before it, the value is reached whatever the reset.
        history = charged[:, : later[c] + 1, c].transpose(0, 2, 3, 1).reshape(-1, later[c] + 1)
        quiet = history[(history[:, :-1] < history[:, -1:] - 1).all(axis=1)]
        occurring[c] = rng.choice((quiet if len(quiet) else history)[:, -1])
    layer = layer.with_constants(threshold=np.clip(occurring + offsets, INT32_MIN, INT32_MAX))
    distance = layer.charged() - _column(layer.neuron.threshold)
    met = {offset: int((distance == offset).any(axis=(0, 1, 3, 4)).sum()) for offset in (-1, 0, 1)}
    assert min(met.values()) >= CHANNELS // 6, f"channels that met their threshold at -1, 0, +1: {met}"
    layer.check()


@pytest.mark.slow
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("reset", RESETS)
def test_thresholds_at_the_ends_of_int32(reset: Reset, decay: float) -> None:
    """Channels that can never and that must always spike."""
    layer = hidden_layer(reset, decay)
    ends = np.array([INT32_MAX, INT32_MIN, INT32_MAX - 1, INT32_MIN + 1, 0, -1])
    if reset == "soft":
        # Spiking at every step subtracts at every step; only what the layer's own bound covers is legal.
        assert layer.neuron.drop is not None
        layer = layer.with_constants(drop=np.minimum(layer.neuron.drop, 2**24))
    layer = layer.with_constants(threshold=np.resize(ends, CHANNELS))
    layer.check()
    spikes = run_reference(layer.network, layer.inputs, trace=True).spikes["neuron"]
    assert not spikes[:, :, 0].any()
    assert spikes[:, :, 1].all()


@pytest.mark.slow
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_rest_at_the_ends_of_int32(reset: Reset, decay: float, sign: int) -> None:
    """Membranes that start, and restart, as far out as their currents leave room for."""
    layer = hidden_layer(reset, decay)
    zero = np.zeros(CHANNELS, dtype=np.int64)
    # Without a rest and a threshold, what the currents add up to at most.
    drift = int(np.abs(layer.with_constants(rest=zero, threshold=zero + INT32_MAX).charged()).max())
    end = INT32_MAX if sign > 0 else INT32_MIN
    # A decay of 1 keeps the rest, every other leaves room by itself after the first step.
    rest = np.resize(np.array([end - sign * (drift + 1), end // 2, sign]), CHANNELS)
    layer = layer.with_constants(rest=rest)
    if reset == "soft":
        layer = layer.with_constants(threshold=zero + INT32_MAX)
    layer.check()
    assert np.abs(layer.charged()).max() > 2**28


@pytest.mark.slow
@pytest.mark.parametrize("events", [True, False], ids=["spikes", "bytes"])
@pytest.mark.parametrize("grid", [Grid.rescaw, Grid.symmetric], ids=["rescaw", "symmetric"])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("fan_in", [17, 18, 85, 86, 257, 258])
def test_full_lanes(fan_in: int, bits: int, grid: type[Grid], events: bool) -> None:
    """Every input active, every code the largest (or smallest): sums beyond what packed lanes of 8 and 16 bits hold.

    Logits are the sums themselves, so they are compared with plain arithmetic too. The output counts leave every
    remainder of codes per byte and word.
    """
    outputs = 9
    lowest = 1 if grid is Grid.symmetric else 0
    top = 2**bits - 1
    codes = np.full((outputs, fan_in), top)
    codes[1::3] = lowest
    codes[2::3] = np.arange(fan_in) % (top + 1 - lowest) + lowest
    most = 1 if events else 255
    nodes = (
        Input(
            name="input",
            shape=(fan_in, 1, 1),
            spikes=events,
            max_value=most,
            divisor=1.0,
            mean=np.zeros(fan_in),
            std=np.ones(fan_in),
        ),
        Linear(
            name="linear",
            inputs=("input",),
            codes=codes.astype(np.uint8),
            grid=grid(bits, np.ones(outputs)),  # type: ignore[call-arg, arg-type]
            bias=np.zeros(outputs),
        ),
        Readout(name="readout", inputs=("linear",), mode="count"),
    )
    timesteps = 2
    network = lower(network_of(nodes, timesteps, classes=outputs))
    inputs = adversarial_inputs(network)
    counts = inputs.astype(np.int64).sum(axis=1) if events else inputs.astype(np.int64) * timesteps
    multiplier, zero_point = (2, top) if lowest == 0 else (1, 2 ** (bits - 1))
    sums = counts.reshape(len(inputs), fan_in) @ (multiplier * codes - zero_point).T
    assert sums.max() >= most * timesteps * fan_in * (top - zero_point)
    for cc in COMPILERS:
        assert np.array_equal(run_c(network, inputs, cc).logits, sums), cc
