"""How long `simulate` takes for a 3-conv network of 28x28 images (16-32-64 channels, T = 4, 4 bits), on one core.

python benchmarks/simulate_mnist.py [mnist.npz]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from qpsnn_codegen import nn

IMAGES = 10_000
LAYOUT = "16,M,32,M,64,M"


def measure(mnist: str | None) -> dict[str, str]:
    """Figures by what was measured.

    With MNIST the network is trained first, for two epochs on 4,000 images, so that it spikes as trained networks do;
    without, weights and images are random.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if mnist is not None:
            data = nn.mnist(mnist)
            images = data.test_images[:IMAGES]
            np.savez(
                folder / "few.npz",
                x_train=data.train_images[:4000],
                y_train=data.train_labels[:4000],
                x_test=images[:1000],
                y_test=data.test_labels[:1000],
            )
            few = f"mnist:{folder / 'few.npz'}"
            _run("train", "--data", few, "--layout", LAYOUT, "--epochs", "2", "-o", folder / "m.pt")
        else:
            layout = [entry if entry == "M" else int(entry) for entry in LAYOUT.split(",")]
            nn.save(nn.build("cnn", layout=layout, input_shape=(1, 28, 28)), folder / "m.pt")
            images = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 28, 28)).astype(np.uint8)
        np.save(folder / "x.npy", images)
        _run(folder / "m.pt", "-o", folder / "firmware", "--calibrate", folder / "x.npy")
        start = time.monotonic()
        _run("simulate", folder / "firmware", folder / "x.npy", "-o", folder / "out.npz")
        seconds = time.monotonic() - start
        report = json.loads((folder / "firmware" / "report.json").read_text())
    data_name = "MNIST images, one core" if mnist is not None else "random images, one core"
    return {
        f"28x28, 16-32-64 channels, T = 4, 4 bits: simulate {len(images):,} {data_name}": f"{seconds:.1f} s",
        "the same: synaptic operations per image": f"{report['operations']:,.0f} of {report['dense_slots']:,}",
    }


def _run(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "qpsnn_codegen", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    for name, figure in measure(sys.argv[1] if len(sys.argv) > 1 else None).items():
        print(f"{name}: {figure}")
