"""Are fewer bits ever slower? Instructions of one layer at 8, 4 and 2 bits, by the number of its output channels.

python benchmarks/widths.py [--channels 8 12 24 ...] [--rate 0.15] [--cores M4 ...]
3x3, 16 to n channels, 6x6 map, T = 4; random inputs and codes, neurons of which 15 % spike. All widths meet the same
inputs; everything the stage does is counted, neurons and the listing of inputs included.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kernels import AROUND, random_inputs, spiking_at
from benchmarks.on_cores import BOARDS, Job, stage_instructions
from host_tests.support.layers import Layers

SOURCE = (16, 6, 6)
WIDTHS = (8, 4, 2)
CORES = ("M0", "M3", "M4", "M55")
"""The M7 and the M33 run the code of the M4."""
CHANNELS = (4, 8, 12, 16, 20, 24, 28, 32, 33, 36, 40, 48, 56, 64, 96, 102, 130)
RATE = 0.15
RATES = (0.02, 0.05, 0.15)
"""Lists of three, seven and twenty events in the mean."""


def job(channels: int, bits: int, inputs: NDArray[np.uint8]) -> Job:
    """The layer, with thresholds that let as many neurons spike as in :mod:`benchmarks.kernels`."""
    rng, top = np.random.default_rng(channels), 2**bits - 1
    shape = (channels, SOURCE[0], 3, 3)
    codes = np.clip(np.round(top / 2 + rng.normal(size=shape) * top / 4), 0, top).astype(np.uint8)
    network = Layers(seed=bits).events(*SOURCE).layer(channels, bits, AROUND, codes=codes).network()
    return Job(network=spiking_at(network, inputs), inputs=inputs)


def measure(core: str, channels: Sequence[int], rate: float = RATE) -> dict[int, list[float]]:
    """Instructions of the layer by its channels, at each of ``WIDTHS``: mean over two inputs."""
    inputs = random_inputs(SOURCE, (rate, rate), 1)
    jobs = [job(count, bits, inputs) for count in channels for bits in WIDTHS]
    counted = iter(stage_instructions(core, jobs))
    return {count: [float(next(counted)[:, 0].mean()) for _ in WIDTHS] for count in channels}


def table(channels: Sequence[int] = CHANNELS, rate: float = RATE, cores: Iterable[str] = CORES) -> list[str]:
    """Markdown."""
    lines = [
        "| core | channels | 8 bits | 4 bits | 2 bits | 4 against 8 | 2 against 4 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for core in cores:
        for count, (eight, four, two) in measure(core, channels, rate).items():
            lines.append(
                f"| {core} | {count} | {eight:,.0f} | {four:,.0f} | {two:,.0f} "
                f"| {four / eight - 1:+.1%} | {two / four - 1:+.1%} |"
            )
    return lines


def extremes(rates: Sequence[float] = RATES, cores: Iterable[str] = CORES) -> list[str]:
    """Markdown: of all numbers of channels the one where fewer bits do worst, by core and rate."""
    lines = ["| core | rate | 4 against 8 | 2 against 4 |", "|---|--:|--:|--:|"]
    for core in cores:
        for rate in rates:
            counted = measure(core, CHANNELS, rate).items()
            cells = []
            for more in range(len(WIDTHS) - 1):
                worst, channels = max((counts[more + 1] / counts[more] - 1, channels) for channels, counts in counted)
                cells.append(f"{worst:+.1%} ({channels} channels)")
            lines.append(f"| {core} | {rate:.0%} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--cores", nargs="+", default=CORES, choices=BOARDS)
    arguments = parser.parse_args()
    print("\n".join(table(arguments.channels, arguments.rate, arguments.cores)))


if __name__ == "__main__":
    main()
