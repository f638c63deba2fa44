"""Instructions per synaptic operation of one layer: 3x3, 64 to 64 channels, 8x8 map, T = 4, on every core.

python benchmarks/kernels.py
A synaptic operation is one spike times one weight, padding excluded; everything the stage does is counted, neurons and
the listing of spikes included.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.on_cores import BOARDS, Job, stage_instructions, toolchain
from host_tests.support.layers import Layers, membranes, with_neuron
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.plan import make_plan

BITS = (2, 4, 8)
RATES = (0.02, 0.05, 0.15, 0.30, 0.50)
CHANNELS = 64
SIZE = 8


def jobs() -> list[Job]:
    """A network for each width of codes, an input for each rate; its neurons spike at the rate of its third input."""
    rng = np.random.default_rng(0)
    shape = (4, CHANNELS, SIZE, SIZE)
    inputs = np.stack([rng.random(shape) < rate for rate in RATES]).astype(np.uint8)
    result = []
    for bits in BITS:
        top = 2**bits - 1
        levels = rng.normal(top / 2, top / 4, (CHANNELS, CHANNELS, 3, 3))
        codes = np.clip(np.round(levels), 0, top).astype(np.uint8)
        layers = Layers(seed=bits).events(CHANNELS, SIZE, SIZE)
        network = layers.layer(CHANNELS, bits, Window(kernel=(3, 3), padding=(1, 1)), codes=codes).network()
        seen = membranes(network, inputs[2:3], "neuron0", spiking=False)
        border = np.quantile(seen, 1 - RATES[2], axis=(0, 1, 3, 4)).astype(np.int64)
        result.append(Job(network=with_neuron(network, "neuron0", threshold=border), inputs=inputs))
    return result


def measure(cores: tuple[str, ...] = tuple(BOARDS)) -> dict[tuple[str, int], list[float]]:
    """By core and bits: instructions per synaptic operation at each rate."""
    everything = jobs()
    result = {}
    for core in cores:
        for bits, job, counts in zip(BITS, everything, stage_instructions(core, everything), strict=True):
            events = [measure_work(job.network, sample[None]).loads["conv0"].events for sample in job.inputs]
            per_operation = counts[:, 0] / (CHANNELS * np.array(events))
            result[core, bits] = [float(value) for value in per_operation]
    return result


def table(measured: dict[tuple[str, int], list[float]]) -> list[str]:
    """Markdown."""
    kernels = {
        bits: make_plan(job.network, "net").stages[0].kernel.name for bits, job in zip(BITS, jobs(), strict=True)
    }
    lines = [
        f"| core | bits | kernel | {' | '.join(f'{rate:.0%}' for rate in RATES)} |",
        f"|---|--:|---|{'--:|' * len(RATES)}",
    ]
    for (core, bits), figures in measured.items():
        cells = " | ".join(f"{figure:.2f}" for figure in figures)
        lines.append(f"| {core} | {bits} | {kernels[bits]} | {cells} |")
    return lines


def main() -> None:
    """Measure and print."""
    print("\n".join([*table(measure()), "", toolchain()]))


if __name__ == "__main__":
    main()
