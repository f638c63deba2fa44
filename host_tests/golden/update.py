"""Write the checked-in C of the tiny models anew and show what changed: ``make goldens``."""

from __future__ import annotations

import sys
from pathlib import Path

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from host_tests.golden.compare import GOLDEN, difference, stored, strangers
from host_tests.golden.models import MODELS, texts


def main() -> int:
    changes = 0
    for model in MODELS:
        folder = GOLDEN / model
        folder.mkdir(exist_ok=True)
        for name, text in texts(model).items():
            diff = difference(model, name, text)
            if diff:
                changes += 1
                print("\n".join(diff))
            if stored(model, name) != text.encode():
                (folder / name).write_bytes(text.encode())
        for path in strangers(model):
            changes += 1
            print(f"removed {path.relative_to(GOLDEN)}")
            path.unlink()
    print(f"{changes} files changed" if changes else "nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
