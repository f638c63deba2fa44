"""Progress on terminals: what a bar does where the width is not known."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

PROGRAM = """
import time
from qpsnn_codegen.cli import progress
progress._DELAY = 0
with progress.progress_bar(3, "counting") as advance:
    for _ in range(3):
        time.sleep(0.15)
        advance(1)
with progress.status_line() as say:
    time.sleep(0.15)
    say("thinking")
"""


@pytest.mark.parametrize(("rows", "width"), [(0, 0), (0, 60), (24, 0), (24, 60)])
def test_a_terminal_of_no_size_has_bars_too(rows: int, width: int, checkout: Path) -> None:
    """As under ``script -qc``: 0 rows and 0 columns."""
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, width, 0, 0))
    subprocess.run([sys.executable, "-c", PROGRAM], stderr=terminal, check=True, cwd=checkout)
    # What is read is never nothing.
    os.write(terminal, b"end")
    shown = os.read(reader, 1 << 16).decode()
    os.close(terminal)
    os.close(reader)
    assert "counting: " in shown
    assert "3/3" in shown
    assert "thinking ..." in shown
    assert max(len(line) for line in shown.split("\r")) <= (width if rows and width else 80)
