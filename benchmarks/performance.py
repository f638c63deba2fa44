"""Run the benchmarks and write docs/performance.md.

python benchmarks/performance.py [mnist.npz]
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import compile_vgg16
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
        "Instructions on Cortex-M cores are not measured yet.",
    ]
    TARGET.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
