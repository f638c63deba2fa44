"""Are fewer bits ever slower? Instructions of one layer at 2, 4 and 8 bits, by the number of its output channels.

python benchmarks/widths.py [--channels 4 12 24 ...] [--rate 0.15] [--cores M4 ...]
3x3, 16 to n channels, 6x6 map, T = 4; random inputs and codes, neurons of which 15 % spike. All widths meet the same
inputs.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kernels import AROUND, SPIKING, random_inputs
from benchmarks.on_cores import BOARDS, Job, stage_instructions
from host_tests.support.layers import Layers, membranes, with_neuron

SOURCE = (16, 6, 6)
WIDTHS = (8, 4, 2)
CHANNELS = (2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 33, 34, 36, 40, 44, 48, 52, 56, 60, 64, 65, 102, 130)


def job(channels: int, bits: int, inputs: NDArray[np.uint8]) -> Job:
    """The layer, with thresholds that let the neurons spike as often as in the paper."""
    rng, top = np.random.default_rng(channels), 2**bits - 1
    shape = (channels, SOURCE[0], 3, 3)
    codes = np.clip(np.round(top / 2 + rng.normal(size=shape) * top / 4), 0, top).astype(np.uint8)
    network = Layers(seed=bits).events(*SOURCE).layer(channels, bits, AROUND, codes=codes).network()
    seen = membranes(network, inputs, "neuron0", spiking=False)
    border = np.quantile(seen, 1 - SPIKING, axis=(0, 1, 3, 4)).astype(np.int64)
    return Job(network=with_neuron(network, "neuron0", threshold=border), inputs=inputs)


def measure(core: str, channels: Sequence[int], rate: float) -> list[list[float]]:
    """Instructions of the layer, mean over inputs: a row per number of channels, a column per width."""
    inputs = random_inputs(SOURCE, (rate, rate), 1)
    jobs = [job(count, bits, inputs) for count in channels for bits in WIDTHS]
    counted = [float(counts[:, 0].mean()) for counts in stage_instructions(core, jobs)]
    return [counted[first : first + len(WIDTHS)] for first in range(0, len(counted), len(WIDTHS))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--cores", nargs="+", default=["M0", "M3", "M4", "M55"], choices=BOARDS)
    arguments = parser.parse_args()
    for core in arguments.cores:
        print(core)
        for count, row in zip(arguments.channels, measure(core, arguments.channels, arguments.rate), strict=True):
            worse = [now > before for before, now in itertools.pairwise(row)]
            print(
                f"{count:4d} " + " ".join(f"{value:10,.0f}" for value in row),
                "<--" if any(worse) else "",
                worse if any(worse) else "",
            )


if __name__ == "__main__":
    main()
