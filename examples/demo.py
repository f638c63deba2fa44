"""The main job on a model that ships here: compile, build, verify, and accuracy three ways. Run by `make demo`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = Path("out") / "digits"
MODEL = (HERE / "digits_4bit_pruned.pt").relative_to(HERE.parent)

COMMANDS = (
    f"{MODEL} -o {OUT} --name digits --calibrate digits --force",
    f"verify {OUT}",
    f"evaluate {MODEL} --data digits",
)


def main() -> int:
    """Run the commands a user would type; the exit code of the first that says no."""
    for command in COMMANDS:
        print(f"\n$ qpsnn-codegen {command}", flush=True)
        arguments = [sys.executable, "-m", "qpsnn_codegen", *shlex.split(command)]
        code = subprocess.run(arguments, cwd=HERE.parent, check=False).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
