"""The command line: the only place that prints or exits.

This module is the first to be imported and imports next to nothing itself: what does is inside ``main``, where Ctrl-C
is one line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130
"""What a shell reports of a command that SIGINT ended."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error a user can cause is one line on standard error."""
    try:
        from qpsnn_codegen.cli.commands import run  # noqa: PLC0415 - takes a third of a second

        run(arguments)
    except KeyboardInterrupt:
        # A line break first, so that the terminal's ^C stands alone.
        sys.stderr.write("\nqpsnn-codegen: interrupted\n")
        sys.exit(INTERRUPTED)
