"""Run the benchmarks and write docs/performance.md.

python benchmarks/performance.py [mnist.npz]
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import compile_vgg16
import cores
import simulate_mnist

from qpsnn_codegen.toolchain.host import find_host_compiler

TARGET = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> None:
    """Measure everything, then write the table."""
    figures = compile_vgg16.measure() | simulate_mnist.measure(sys.argv[1] if len(sys.argv) > 1 else None)
    compiler = find_host_compiler()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# Performance",
        "",
        "Written by `python benchmarks/performance.py [mnist.npz]`. Seconds of one run: they tell the order of",
        "magnitude, and no test asserts them.",
        "",
        f"Machine: {machine}; {compiler.family} {compiler.version}.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {figure} |" for name, figure in figures.items()),
        "",
        "## On emulated cores",
        "",
        "Instructions per image (QEMU, one per virtual nanosecond; no trace hooks; arm-none-eabi-gcc -O2) and",
        "RAM (arena and stack) of the shapes A and E of `benchmarks/networks.py`, 4-bit weights, T = 4, on",
        "the images their biases were calibrated on; `benchmarks/cores.py` measures the others too. Weights",
        "are random: A spikes at 15 %, E does 11.6 million synaptic operations per image, as the paper's",
        "pruned VGG-16. Beside them, CMSIS-NN (commit 99f736a6, -Ofast) with an int8 network of the same",
        "shape, counted the same way.",
        "",
        *cores.table([row for name in ("A", "E") for row in cores.measure(name, 4, ("M3", "M4", "M55"))]),
    ]
    TARGET.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
