"""Instructions, flash and RAM of the benchmark networks on emulated cores, beside CMSIS-NN's of the same shapes.

python benchmarks/cores.py [A ... E] [mnist.npz]        all networks by default, and digits of scikit-learn's.
Prints tables that docs/performance.md holds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import qpsnn_codegen
from benchmarks.cmsis_nn import cmsis_nn
from benchmarks.linked import Memory, memory_of
from benchmarks.networks import BENCHMARKS, IMAGES, chosen, image_source
from benchmarks.on_cores import BOARDS, core_board, core_port, emulator, toolchain
from qpsnn_codegen import Compilation
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.errors import BoardError
from qpsnn_codegen.footprint import external_weights, needs_of
from qpsnn_codegen.planning.cost import predicted_instructions, worst_instructions
from qpsnn_codegen.planning.options import Packing, PlanOptions
from qpsnn_codegen.planning.packing import packing_for
from qpsnn_codegen.toolchain.arm import build_firmware

KERNELS_GOAL = 10 * 1024
"""Bytes that the kernels of one network are to stay below."""
_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network on one core.

    Attributes:
        instructions, predicted: per image, on average over the same images.
        worst: predicted, if every neuron spiked at every timestep and every pixel were non-zero.
        operations: synaptic operations per image.
    """

    network: str
    bits: int
    core: str
    instructions: float
    predicted: float
    worst: float
    operations: float
    memory: Memory

    @property
    def error(self) -> float:
        """Of the prediction, in proportion."""
        return self.predicted / self.instructions - 1


def measure(network: str, bits: int, mnist: str | None, cores: Iterable[str] = BOARDS) -> Iterator[Row]:
    """Run a network on emulated cores, without trace hooks. What does not fit a core's board is left out, and said.

    Args:
        mnist: the npz file that A and B take images from, or ``None`` for others.
    """
    benchmark = BENCHMARKS[network]
    real, data = benchmark.network(bits), benchmark.images(IMAGES, mnist)

    @cache
    def compiled(packing: Packing) -> Compilation:
        options = PlanOptions(packing=packing)
        return qpsnn_codegen.compile(real, name="net", calibration=data, weights_in="binary", planning=options)

    for core in cores:
        # As for a board with this core; all others get what is planned for any core.
        made = compiled(packing_for("auto", [core_board(core).core]))
        expected = predicted_instructions(made.plan, measure_work(made.integers, data))
        worst = worst_instructions(made.plan)
        try:
            instructions, memory = run_on(core, made, data)
        except BoardError as error:
            print(f"{network}, {bits} bits, {core}: {error}", file=sys.stderr)
            continue
        yield Row(
            network=network,
            bits=bits,
            core=core,
            instructions=instructions,
            predicted=sum(stage[core_board(core).core] for stage in expected),
            worst=sum(stage[core_board(core).core] for stage in worst),
            operations=float(made.report["operations"]),
            memory=memory,
        )


def run_on(core: str, made: Compilation, data: NDArray[Any]) -> tuple[float, Memory]:
    """Instructions per image, and what the image takes."""
    board = core_board(core)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "firmware"
        port = core_port(core, external_weights(needs_of(made.plan), [board]))
        write_folder({**made.files, **port}, path, force=False)
        folder = FirmwareFolder.load(path)
        firmware = build_firmware(path, board.name, trace=False)
        with run_firmware(folder, firmware, compute=_SECONDS) as session:
            runs = [session.device.run(sample) for sample in folder.pack(data)]
            counts = [run.ticks * session.scale.per_tick for run in runs]
        return float(np.mean(counts)), memory_of(firmware, max(run.stack_used for run in runs))


def table(rows: Iterable[Row]) -> list[str]:
    """Markdown: instructions; of CMSIS-NN with int8 and int4, and how many times ours its int8 takes."""
    lines = [
        "| network | bits | core | instructions | predicted | off | worst case | per operation | int8 | int4 | times |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        int8, int4 = (cmsis_nn(row.network, bits).instructions[row.core] for bits in (8, 4))
        lines.append(
            f"| {row.network} | {row.bits} | {row.core} | {row.instructions:,.0f} | {row.predicted:,.0f} | "
            f"{row.error:+.1%} | {row.worst:,.0f} | {row.instructions / row.operations:.2f} | "
            f"{int8:,} | {int4:,} | {int8 / row.instructions:.1f} |"
        )
    return lines


def slower_with_fewer_bits(rows: Iterable[Row]) -> list[str]:
    """Markdown: where a network takes more instructions than at the next larger number of bits."""
    counts = {(row.network, row.core, row.bits): row.instructions for row in rows}
    found = []
    for network, core in dict.fromkeys((network, core) for network, core, _ in counts):
        widths = sorted((bits for *place, bits in counts if place == [network, core]), reverse=True)
        for more, fewer in pairwise(widths):
            rise = counts[network, core, fewer] / counts[network, core, more] - 1
            if rise > 0:
                found.append(f"| {network} | {core} | {fewer} against {more} | {rise:+.1%} |")
    return ["| network | core | bits | instructions |", "|---|---|---|--:|", *found] if found else ["None is."]


def flash_table(rows: Iterable[Row]) -> list[str]:
    """Markdown: bytes by core, how far the prediction is off, and CMSIS-NN's on the Cortex-M4."""
    return _by_core(
        rows,
        lambda row: f"{row.memory.flash:,} ({row.memory.predicted_flash / row.memory.flash - 1:+.1%})",
        ("int8, M4", "int4, M4"),
        lambda name: [f"{cmsis_nn(name, bits).flash:,}" for bits in (8, 4)],
    )


def ram_table(rows: Iterable[Row]) -> list[str]:
    """Markdown: bytes of arena and stack by core, as counted and at most, and CMSIS-NN's on the Cortex-M4."""
    return _by_core(
        rows,
        lambda row: f"{row.memory.ram:,} / {row.memory.ram_bound:,}",
        ("int8, M4", "int4, M4"),
        lambda name: [f"{cmsis_nn(name, bits).ram:,}" for bits in (8, 4)],
    )


def kernels_table(rows: Iterable[Row]) -> list[str]:
    """Markdown: bytes of kernels by core; what exceeds the goal says so."""

    def cell(row: Row) -> str:
        over = row.memory.kernels - KERNELS_GOAL
        return f"{row.memory.kernels:,}" + (f", {over:,} too many" if over > 0 else "")

    return _by_core(rows, cell, (), lambda name: [])


def _by_core(
    rows: Iterable[Row], cell: Callable[[Row], str], others: Sequence[str], of_others: Callable[[str], list[str]]
) -> list[str]:
    """A line for each network and number of bits, a column for each core and for each of ``others``."""
    lines: dict[tuple[str, int], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row.network, row.bits), {})[row.core] = cell(row)
    return [
        f"| network | bits | {' | '.join([*BOARDS, *others])} |",
        f"|---|--:|{'--:|' * (len(BOARDS) + len(others))}",
        *(
            f"| {name} | {bits} | {' | '.join([*(cells.get(core, '') for core in BOARDS), *of_others(name)])} |"
            for (name, bits), cells in lines.items()
        ),
    ]


def main() -> None:
    """Measure and print."""
    rows: list[Row] = []
    cases, mnist = chosen(sys.argv[1:])
    for name, bits in cases:
        for row in measure(name, bits, mnist):
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    for lines in (table(rows), slower_with_fewer_bits(rows), flash_table(rows), ram_table(rows), kernels_table(rows)):
        print("\n".join([*lines, ""]))
    print(f"{emulator()}, {toolchain()}; images of A and B: {image_source(mnist)}")


if __name__ == "__main__":
    main()
