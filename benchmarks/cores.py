"""Instructions, flash and RAM of the benchmark networks on emulated cores, beside CMSIS-NN's of the same shapes.

python benchmarks/cores.py [A ... E] [mnist.npz]        all networks by default, and digits of scikit-learn's.
Prints tables that docs/performance.md holds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import qpsnn_codegen
from benchmarks.cmsis_nn import CMSIS_NN
from benchmarks.networks import BENCHMARKS, IMAGES, image_source
from benchmarks.on_cores import BOARDS, core_board, core_port, emulator, toolchain
from qpsnn_codegen import Compilation
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.errors import BoardError
from qpsnn_codegen.footprint import external_weights, needs_of
from qpsnn_codegen.planning.cost import predicted_instructions
from qpsnn_codegen.planning.work import worst_work
from qpsnn_codegen.toolchain.arm import build_firmware

_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network on one core.

    Attributes:
        instructions, predicted: per image, on average over the same images.
        worst: predicted, if every neuron spiked at every timestep and every pixel were non-zero.
        operations: synaptic operations per image.
        flash, ram: bytes.
    """

    network: str
    bits: int
    core: str
    instructions: float
    predicted: float
    worst: float
    operations: float
    flash: int
    ram: int

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
    data = benchmark.images(IMAGES, mnist)
    made = qpsnn_codegen.compile(benchmark.network(bits), name="net", calibration=data, weights_in="binary")
    expected, worst = (
        predicted_instructions(made.plan, work)
        for work in (measure_work(made.integers, data), worst_work(made.integers))
    )
    for core in cores:
        try:
            instructions, flash, stack = run_on(core, made, data)
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
            flash=flash,
            ram=made.plan.arena_bytes + stack,
        )


def run_on(core: str, made: Compilation, data: NDArray[Any]) -> tuple[float, int, int]:
    """Instructions per image, bytes of flash, wherever a board keeps the weights, and bytes of stack."""
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
    sizes = firmware.report["sizes"]
    flash = sizes["weights"] + sizes["constants"] + sizes["code"]
    return float(np.mean(counts)), flash, max(run.stack_used for run in runs)


def table(rows: Iterable[Row]) -> list[str]:
    """Markdown: instructions; of CMSIS-NN with int8 and int4, and how many times ours its int8 takes."""
    lines = [
        "| network | bits | core | instructions | predicted | off | worst case | per operation | int8 | int4 | times |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        int8, int4 = (CMSIS_NN[row.network, bits].instructions[row.core] for bits in (8, 4))
        lines.append(
            f"| {row.network} | {row.bits} | {row.core} | {row.instructions:,.0f} | {row.predicted:,.0f} | "
            f"{row.error:+.1%} | {row.worst:,.0f} | {row.instructions / row.operations:.2f} | "
            f"{int8:,} | {int4:,} | {int8 / row.instructions:.1f} |"
        )
    return lines


def memory_table(rows: Iterable[Row]) -> list[str]:
    """Markdown: bytes on the Cortex-M4."""
    lines = [
        "| network | bits | flash | RAM | CMSIS-NN int8: flash | RAM | int4: flash | RAM |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        if row.core == "M4":
            others = [CMSIS_NN[row.network, bits] for bits in (8, 4)]
            figures = (row.flash, row.ram, *(size for other in others for size in (other.flash, other.ram)))
            lines.append(f"| {row.network} | {row.bits} | {' | '.join(f'{figure:,}' for figure in figures)} |")
    return lines


def main() -> None:
    """Measure and print."""
    rows: list[Row] = []
    mnist = next((argument for argument in sys.argv[1:] if argument not in BENCHMARKS), None)
    for name in [argument for argument in sys.argv[1:] if argument in BENCHMARKS] or BENCHMARKS:
        for bits in BENCHMARKS[name].bits:
            for row in measure(name, bits, mnist):
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
    made_with = f"{emulator()}, {toolchain()}; images of A and B: {image_source(mnist)}"
    print("\n".join([*table(rows), "", *memory_table(rows), "", made_with]))


if __name__ == "__main__":
    main()
