"""The main job on models that ship here: compile, build, verify, and accuracy three ways. Run by `make demo`.

    python examples/demo.py [mnist.npz]

Digits come with scikit-learn. MNIST's model is shown as well where its images are: as given, or as
``data/mnist.npz`` in a folder ``shared`` in this checkout or beside it, or below ``$QPSNN_SHARED``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def commands(name: str, model: str, data: str, *options: str) -> Iterator[str]:
    """What a user would type for one model of this folder."""
    path, out = (HERE / model).relative_to(ROOT), Path("out") / name
    yield shlex.join([str(path), "-o", str(out), "--name", name, "--calibrate", data, *options, "--force"])
    yield f"verify {out}"
    yield shlex.join(["evaluate", str(path), "--data", data])


def mnist(arguments: list[str]) -> Path | None:
    """The file with MNIST's images, if there is one."""
    if arguments:
        return Path(arguments[0]).resolve()
    shared = [os.environ.get("QPSNN_SHARED"), ROOT / "shared", ROOT.parent / "shared"]
    files = [Path(folder) / "data" / "mnist.npz" for folder in shared if folder is not None]
    return next((file for file in files if file.exists()), None)


def main() -> int:
    """Run the commands; the exit code of the first that says no."""
    shown = [*commands("digits", "digits_4bit_pruned.pt", "digits")]
    images = mnist(sys.argv[1:])
    if images is not None:
        shown += commands("mnist", "mnist_4bit_pruned.pt", f"mnist:{images}", "--samples", "64")
    for command in shown:
        print(f"\n$ qpsnn-codegen {command}", flush=True)
        arguments = [sys.executable, "-m", "qpsnn_codegen", *shlex.split(command)]
        code = subprocess.run(arguments, cwd=ROOT, check=False).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
