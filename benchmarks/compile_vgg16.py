"""How long the compiler takes for the paper's VGG-16 at full width, and the host's compiler after it.

python benchmarks/compile_vgg16.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qpsnn_codegen import nn
from qpsnn_codegen.toolchain.host_model import HostModel


def measure() -> dict[str, str]:
    """Random weights, 4 bits, T = 4, 32x32x3: seconds and peak memory of each step, by what was measured."""
    with tempfile.TemporaryDirectory() as scratch:
        model, folder = Path(scratch) / "vgg16.pt", Path(scratch) / "firmware"
        nn.save(nn.build("vgg16"), model)
        command = [sys.executable, "-m", "qpsnn_codegen", str(model), "-o", str(folder)]
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        compiled = time.monotonic()
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        with HostModel(folder):
            built = time.monotonic()
    return {
        "VGG-16, full width (14.7 M weights): compile": f"{compiled - start:.1f} s, {peak:.2f} GiB at most",
        "VGG-16, full width: host build (gcc -O2)": f"{built - compiled:.1f} s",
    }


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name}: {figure}")
