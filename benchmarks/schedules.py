"""RAM and instructions of C, D and E on a Cortex-M4 by what a planner can be told: the schedule, how spikes are packed.

python benchmarks/schedules.py [C D E]        all of them by default, with 4 bits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import qpsnn_codegen
from benchmarks.cores import run_on
from benchmarks.linked import Memory
from benchmarks.networks import BENCHMARKS, IMAGES
from qpsnn_codegen.planning.options import Packing, PlanOptions, Schedule

NETWORKS = ("C", "D", "E")
BITS = 4
CORE = "M4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network planned in one way; ``together``: stages that take turns with others, row by row."""

    network: str
    options: PlanOptions
    together: int
    instructions: float
    memory: Memory


def measure(network: str) -> Iterator[Row]:
    """Every schedule with every packing; what gives the same C is run once."""
    benchmark = BENCHMARKS[network]
    real, data = benchmark.network(BITS), benchmark.images(IMAGES)
    known: dict[tuple[str, str | bytes], tuple[float, Memory]] = {}
    for schedule in get_args(Schedule):
        for packing in get_args(Packing):
            options = PlanOptions(schedule=schedule, packing=packing)
            made = qpsnn_codegen.compile(real, name="net", calibration=data, weights_in="binary", planning=options)
            # Its first lines say the options.
            code = (str(made.files["net.c"]).partition("#include")[2], made.files["net_weights.bin"])
            if code not in known:
                known[code] = run_on(CORE, made, data)
            instructions, memory = known[code]
            yield Row(
                network=network,
                options=options,
                together=sum(len(group.stages) for group in made.plan.groups if group.order),
                instructions=instructions,
                memory=memory,
            )


def table(networks: Iterable[str] = NETWORKS) -> list[str]:
    """Markdown."""
    lines = [
        "| network | schedule | spikes in | stages in turns | arena | arena and stack | instructions |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for row in (row for network in networks for row in measure(network)):
        memory, options = row.memory, row.options
        lines.append(
            f"| {row.network} | {options.schedule} | {options.packing} | {row.together} "
            f"| {memory.arena:,} | {memory.ram:,} | {row.instructions:,.0f} |"
        )
    return lines


def main() -> None:
    """Measure and print."""
    print("\n".join(table(sys.argv[1:] or NETWORKS)))


if __name__ == "__main__":
    main()
