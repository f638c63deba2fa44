"""How long the compiler takes for the paper's VGG-16 at full width (random weights), and the host's compiler after it.

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


def main() -> None:
    """Print seconds and peak memory of each step."""
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
    print(f"compile: {compiled - start:.1f} s, {peak:.2f} GiB at most   (goal: 15 s, 4 GB)")
    print(f"host build: {built - compiled:.1f} s   (goal: 30 s)")


if __name__ == "__main__":
    main()
