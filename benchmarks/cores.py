"""Instructions, flash and RAM of the benchmark networks on emulated cores, beside int8 networks of the same shapes.

python benchmarks/cores.py [network ...]        A to E; all by default. Prints the table that docs/performance.md holds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks import BENCHMARKS, IMAGES, images

import qpsnn_codegen
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.toolchain.arm import build_firmware

BOARDS = {"M3": "mps2-an385", "M4": "mps2-an386", "M7": "mps2-an500", "M33": "mps2-an505", "M55": "mps3-an547"}
BITS = (8, 4, 2)

INT8 = {
    "A": {"M3": 6_733_320, "M4": 5_027_640, "M55": 992_688},
    "B": {"M3": 348_720, "M4": 197_640, "M55": 49_938},
    "C": {"M3": 806_076_560, "M4": 528_848_520, "M55": 58_960_469},
    "D": {"M3": 237_760_760, "M4": 157_727_520, "M55": 18_703_656},
    "E": {"M3": 153_879_160, "M4": 102_704_120, "M55": 12_694_688},
}
"""Instructions of CMSIS-NN (commit 99f736a6, -Ofast) with an int8 network of the same shape, counted the same way: QEMU
7.2, -icount shift=0, arm-none-eabi-gcc 12.2. M7 and M33 are within 0.4 % of M4.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network on one core; instructions and operations per image, bytes."""

    network: str
    bits: int
    core: str
    instructions: float
    operations: float
    flash: int
    ram: int


def measure(network: str, bits: int, cores: tuple[str, ...] = tuple(BOARDS)) -> Iterator[Row]:
    """Run a network on emulated cores, without trace hooks, on the images it was calibrated on."""
    benchmark = BENCHMARKS[network]
    data = images(benchmark.shape, IMAGES)
    compilation = qpsnn_codegen.compile(benchmark.network(bits), name="net", calibration=data)
    operations = float(compilation.report["operations"])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "firmware"
        compilation.write(path)
        folder = FirmwareFolder.load(path)
        packed = folder.pack(data)
        for core in cores:
            firmware = build_firmware(path, BOARDS[core], trace=False, build_dir=Path(scratch) / core)
            with run_firmware(folder, firmware) as session:
                runs = [session.device.run(sample) for sample in packed]
                counts = [run.ticks * session.scale.per_tick for run in runs]
                stack = max(run.stack_used for run in runs)
            yield Row(
                network=network,
                bits=bits,
                core=core,
                instructions=float(np.mean(counts)),
                operations=operations,
                flash=_flash(firmware.report["sizes"]),
                ram=compilation.plan.arena_bytes + stack,
            )


def _flash(sizes: dict[str, int]) -> int:
    """All that is constant, wherever a board keeps the weights."""
    return sizes["weights"] + sizes["constants"] + sizes["code"]


def table(rows: list[Row]) -> list[str]:
    """Markdown."""
    lines = [
        "| network | bits | core | instructions | per operation | int8 CMSIS-NN | times fewer | flash B | RAM B |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        other = INT8[row.network].get(row.core)
        ratio = "" if other is None else f"{other / row.instructions:.1f}"
        lines.append(
            f"| {row.network} | {row.bits} | {row.core} | {row.instructions:,.0f} | "
            f"{row.instructions / row.operations:.2f} | {'' if other is None else f'{other:,}'} | {ratio} | "
            f"{row.flash:,} | {row.ram:,} |"
        )
    return lines


def main() -> None:
    """Measure and print."""
    rows: list[Row] = []
    for name in sys.argv[1:] or BENCHMARKS:
        for bits in BITS:
            for row in measure(name, bits):
                rows.append(row)
                print(row, file=sys.stderr)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
