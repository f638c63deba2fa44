"""Instructions per operation of single layers, by kernel and core.

python benchmarks/kernels.py
Layers of spikes: 3x3, 64 to 64 channels, 8x8 map, T = 4; an operation is one spike times one weight. First layers on an
image: 3x3, 3 to 32 channels, 16x16 map, T = 4; an operation is one pixel that is not zero times one weight. Padding is
excluded; everything the stage does is counted, neurons and the listing of inputs included. Readouts: linear, 3x3 map of
64 channels to 10 classes, T = 4.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.on_cores import BOARDS, Job, stage_instructions, toolchain
from host_tests.support.layers import Layers, membranes, with_neuron
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window

AROUND = Window(kernel=(3, 3), padding=(1, 1))
RATES = (0.02, 0.05, 0.15, 0.30, 0.50)
SPIKES = (64, 8, 8)
LAST_MAP, CLASSES = (64, 3, 3), 10
DENSITIES = (0.1, 0.2, 0.4, 0.7, 1.0)
IMAGE = (3, 16, 16)
SPIKING = 0.15
"""Of the neurons, at the third rate or density."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer to measure: its weights' name, its neurons' reset, and the kernel that runs it."""

    weights: str
    reset: str
    bits: int
    kernel: str
    job: Job


def layers_of_spikes() -> list[Layer]:
    """Every width of codes; at 4 bits also other neurons, and both on the generic kernel."""
    inputs = random_inputs(SPIKES, RATES, 1)
    plain = {bits: spikes_network(bits) for bits in (2, 4, 8)}
    soft = spikes_network(4, reset="soft")
    rows = [("hard", bits, "events", plain[bits]) for bits in plain]
    rows += [("soft", 4, "events", soft), ("hard", 4, "generic", plain[4]), ("soft", 4, "generic", soft)]
    return [_layer(reset, bits, kernel, network, inputs) for reset, bits, kernel, network in rows]


def first_layers() -> list[Layer]:
    """Each kernel that can run one."""
    inputs = random_inputs(IMAGE, DENSITIES, 255)[:, 0]
    networks = {
        bits: Layers(seed=1).image(*IMAGE).layer(32, bits, AROUND, fraction_bits=2).network() for bits in (2, 4, 8)
    }
    rows = ((8, "image"), (8, "image_bytes"), (4, "image_packed"), (2, "image_packed"), (8, "generic"))
    return [_layer("hard", bits, kernel, networks[bits], inputs) for bits, kernel in rows]


def readouts() -> list[Layer]:
    """Every width of codes on both kernels."""
    inputs = random_inputs(LAST_MAP, RATES, 1)
    networks = {bits: Layers(seed=bits).events(*LAST_MAP).network(CLASSES, bits) for bits in (2, 4, 8)}
    return [
        Layer(
            weights="classes",
            reset="",
            bits=bits,
            kernel=kernel,
            job=Job(network=network, inputs=inputs, kernels=(("classes", kernel),)),
        )
        for kernel in ("counts", "generic")
        for bits, network in networks.items()
    ]


def random_inputs(shape: tuple[int, ...], rates: Sequence[float], most: int) -> NDArray[np.uint8]:
    """Inputs ``[N, 4, ...]``, one for each share of values that are not zero."""
    rng = np.random.default_rng(0)
    values = np.stack([rng.random((4, *shape)) < rate for rate in rates])
    return (values * rng.integers(1, most + 1, values.shape)).astype(np.uint8)


def spikes_network(bits: int, reset: str = "hard") -> IntegerNetwork:
    """Normally distributed codes."""
    channels, *_ = SPIKES
    rng, top = np.random.default_rng(1), 2**bits - 1
    codes = np.clip(np.round(rng.normal(top / 2, top / 4, (channels, channels, 3, 3))), 0, top).astype(np.uint8)
    layers = Layers(seed=bits).events(*SPIKES).layer(channels, bits, AROUND, codes=codes)
    return (layers.neurons("soft") if reset == "soft" else layers).network()


def _layer(reset: str, bits: int, kernel: str, network: IntegerNetwork, inputs: NDArray[np.uint8]) -> Layer:
    tamed = spiking_at(network, inputs[2:3])
    return Layer(
        weights="conv0",
        reset=reset,
        bits=bits,
        kernel=kernel,
        job=Job(network=tamed, inputs=inputs, kernels=(("neuron0", kernel),)),
    )


def spiking_at(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> IntegerNetwork:
    """With thresholds that ``SPIKING`` of the potentials pass on these inputs."""
    seen = membranes(network, inputs, "neuron0", spiking=False)
    border = np.quantile(seen, 1 - SPIKING, axis=(0, 1, 3, 4)).astype(np.int64)
    return with_neuron(network, "neuron0", threshold=border)


def measure(layers: Sequence[Layer], cores: Iterable[str] = BOARDS) -> Iterator[tuple[str, Layer, list[float]]]:
    """Core, layer, and instructions per operation for each input."""
    for core in cores:
        counted = stage_instructions(core, [layer.job for layer in layers])
        for layer, counts in zip(layers, counted, strict=True):
            network, inputs = layer.job.network, layer.job.inputs
            events = [measure_work(network, sample[None]).loads[layer.weights].events for sample in inputs]
            operations = network.types()[layer.weights].shape[0] * np.array(events)
            yield core, layer, [float(value) for value in counts[:, 0] / operations]


def table(layers: Sequence[Layer], rates: Sequence[float]) -> list[str]:
    """Measure on all cores; Markdown."""
    lines = [
        f"| core | bits | kernel | reset | {' | '.join(f'{rate:.0%}' for rate in rates)} |",
        f"|---|--:|---|---|{'--:|' * len(rates)}",
    ]
    for core, layer, figures in measure(layers):
        cells = " | ".join(f"{figure:.2f}" for figure in figures)
        lines.append(f"| {core} | {layer.bits} | {layer.kernel} | {layer.reset} | {cells} |")
    return lines


def main() -> None:
    """Measure and print."""
    tables = (
        table(layers_of_spikes(), RATES),
        table(first_layers(), DENSITIES),
        table(readouts(), RATES),
    )
    print("\n".join([*(line for rows in tables for line in (*rows, "")), toolchain()]))


if __name__ == "__main__":
    main()
