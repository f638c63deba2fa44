"""How long `simulate` takes for a 3-conv network of 28x28 images (16-32-64 channels, T = 4, 4 bits), one core.

    python benchmarks/simulate_mnist.py [mnist.npz]

With MNIST the network is trained first, for two epochs on 4,000 images, so that it spikes as trained networks do;
without, weights and images are random.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from qpsnn_codegen import nn

IMAGES = 10_000
LAYOUT = "16,M,32,M,64,M"


def main() -> None:
    """Train or build, compile, simulate, and print the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if len(sys.argv) > 1:
            data = nn.mnist(sys.argv[1])
            images = data.test_images[:IMAGES]
            few = {"x_train": data.train_images[:4000], "y_train": data.train_labels[:4000]}
            np.savez(folder / "few.npz", **few, x_test=images[:1000], y_test=data.test_labels[:1000])  # type: ignore[arg-type]
            _run(
                "train",
                "--data",
                f"mnist:{folder / 'few.npz'}",
                "--layout",
                LAYOUT,
                "--epochs",
                "2",
                "-o",
                folder / "m.pt",
            )
        else:
            layout = [entry if entry == "M" else int(entry) for entry in LAYOUT.split(",")]
            nn.save(nn.build("cnn", layout=layout, input_shape=(1, 28, 28)), folder / "m.pt")
            images = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 28, 28)).astype(np.uint8)
        np.save(folder / "x.npy", images)
        _run(folder / "m.pt", "-o", folder / "firmware", "--calibrate", folder / "x.npy", show=True)
        start = time.monotonic()
        _run("simulate", folder / "firmware", folder / "x.npy", "-o", folder / "out.npz")
        seconds = time.monotonic() - start
        print(f"\nsimulate: {seconds:.1f} s for {len(images):,} images, building included   (goal: a minute)")


def _run(*arguments: str | Path, show: bool = False) -> None:
    output = None if show else subprocess.DEVNULL
    subprocess.run([sys.executable, "-m", "qpsnn_codegen", *map(str, arguments)], check=True, stdout=output)


if __name__ == "__main__":
    main()
