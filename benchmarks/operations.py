"""What the benchmark networks have to do: synaptic operations per image, beside what they are to be.

python benchmarks/operations.py [A ... E] [mnist.npz]        all networks by default, and digits of scikit-learn's.
A synaptic operation is one spike times one weight; padding and what reads the image are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.networks import BENCHMARKS, IMAGES, Benchmark, chosen
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.planning.work import Work, worst_work


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of one network per image, over all timesteps.

    Attributes:
        operations: synaptic operations.
        wanted: as many were to be there, if that is known.
        possible: as many if every neuron spiked at every timestep.
        image: pixels that are not zero times the weights they meet, which ``operations`` leaves out; once per image.
        rate: spikes per neuron and timestep, channels that never spike included.
        kept, channels: those that spike at all, and all; the compiler takes the others out.
    """

    network: str
    bits: int
    operations: float
    wanted: float | None
    possible: float
    image: float
    rate: float
    kept: int
    channels: int


def count(name: str, bits: int, mnist: str | None) -> Counts:
    """Count in the reference, on the images that everything else is measured on."""
    benchmark = BENCHMARKS[name]
    real = benchmark.network(bits)
    network = lower(real)
    work = measure_work(network, benchmark.images(IMAGES, mnist))
    shapes = [shape for layer, shape in real.shapes().items() if layer in work.spikes]
    types = network.types()
    return Counts(
        network=name,
        bits=bits,
        operations=_done(network, work, image=False),
        wanted=benchmark.operations if isinstance(benchmark, Benchmark) else None,
        possible=_done(network, worst_work(network), image=False),
        image=_done(network, work, image=True),
        rate=sum(work.spikes.values()) / (real.timesteps * sum(int(np.prod(shape)) for shape in shapes)),
        kept=sum(types[layer].shape[0] for layer in work.spikes),
        channels=sum(shape[0] for shape in shapes),
    )


def _done(network: IntegerNetwork, work: Work, *, image: bool) -> float:
    """Inputs that are not zero times the weights they meet, in layers that read the image or in the others."""
    types = network.types()
    layers = {node.name: len(node.codes) for node in network.nodes if isinstance(node, IntegerConv)}
    return sum(work.loads[name].events * outputs for name, outputs in layers.items() if types[name].static is image)


def table(counts: Iterable[Counts]) -> list[str]:
    """Markdown."""
    lines = [
        "| network | bits | operations | wanted | off | of all possible | rate | channels | first layer | its share |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in counts:
        wanted = (f"{row.wanted:,.0f}", f"{row.operations / row.wanted - 1:+.1%}") if row.wanted else ("", "")
        cells = (
            *(f"{row.operations:,.0f}", *wanted, f"{row.operations / row.possible:.1%}", f"{row.rate:.1%}"),
            *(f"{row.kept:,} of {row.channels:,}", f"{row.image:,.0f}"),
            f"{row.image / (row.image + row.operations):.1%}",
        )
        lines.append(f"| {row.network} | {row.bits} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Count and print."""
    cases, mnist = chosen(sys.argv[1:])
    print("\n".join(table(count(name, bits, mnist) for name, bits in cases)))


if __name__ == "__main__":
    main()
