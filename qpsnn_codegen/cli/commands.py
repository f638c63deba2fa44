"""The commands as one, and what becomes of their errors: one line and an exit code."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from qpsnn_codegen.cli import INTERRUPTED
from qpsnn_codegen.cli.building import build_command
from qpsnn_codegen.cli.compiling import compile_command, inspect_command
from qpsnn_codegen.cli.device import profile_command, run_command
from qpsnn_codegen.cli.flashing import flash_command
from qpsnn_codegen.cli.method import finetune, train
from qpsnn_codegen.cli.naming import as_typed
from qpsnn_codegen.cli.pruning import prune
from qpsnn_codegen.cli.running import evaluate_command, simulate_command, verify_command
from qpsnn_codegen.cli.usage import in_our_words
from qpsnn_codegen.cli.zoo import zoo_command
from qpsnn_codegen.errors import QpsnnError, UsageError
from qpsnn_codegen.version import __version__

_PROGRAM = "qpsnn-codegen"
_BROKEN_PIPE = 141
"""What a shell reports of a command that SIGPIPE ended: the answer, yes or no, was not read to its end."""


class _CompileByDefault(click.Group):
    """``qpsnn-codegen MODEL ...`` means ``qpsnn-codegen compile MODEL ...``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"--help", "-h", "--version"}
        if not args:
            # click versions differ in what they make of this.
            args = ["--help"]
        if args and args[0] not in self.commands and args[0] not in own:
            word = args[0]
            near = difflib.get_close_matches(word, self.commands, n=1)
            if (word.isidentifier() or near) and not Path(word).exists():
                meant = f"did you mean {near[0]}? " if near else ""
                raise UsageError(
                    word, "is neither a command nor a model file", f"{meant}commands: {', '.join(self.commands)}"
                )
            args = ["compile", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise as_typed(error, self.commands[str(ctx.invoked_subcommand)]) from error


@click.group(
    cls=_CompileByDefault,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  qpsnn-codegen train --data digits --bits 4 -o digits.pt
  qpsnn-codegen digits.pt -o fw/ --calibrate digits
  qpsnn-codegen verify fw/
  qpsnn-codegen evaluate digits.pt --data digits

\b
Without a command, MODEL is compiled. Exit codes: 0 fine, 1 the answer is no, 2 bad input or usage,
130 interrupted.
""",
)
@click.version_option(__version__, prog_name="qpsnn-codegen")
def cli() -> None:
    """Compile quantized and pruned spiking networks to bit-exact C for Cortex-M, and train them."""


for _command in (
    compile_command,
    inspect_command,
    simulate_command,
    verify_command,
    build_command,
    run_command,
    profile_command,
    flash_command,
    evaluate_command,
    zoo_command,
    train,
    prune,
    finetune,
):
    cli.add_command(_command)


def run(arguments: Sequence[str] | None) -> None:
    """Run a command, and exit with its code; Ctrl-C outside of one is the caller's."""
    try:
        words = None if arguments is None else list(arguments)
        code = cli.main(args=words, prog_name=_PROGRAM, standalone_mode=False)
    except QpsnnError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        _fail("interrupted", INTERRUPTED)
    except click.ClickException as error:
        _fail(str(in_our_words(error, _PROGRAM)), 2)
    except OSError as error:
        # What no stage could foresee: standard output or the folder for temporary files on a full disk.
        _abandon_output()
        where = error.filename if isinstance(error.filename, str) else "output"
        _fail(
            f"{where}: {error.strerror or error}; make room or choose another place (TMPDIR for temporary files)",
            2,
        )
    except SystemExit:
        # Only click raises it here: the reader of our output is gone (`| head`), and nothing more can be written.
        _abandon_output()
        sys.exit(_BROKEN_PIPE)
    except MemoryError:
        _fail("memory: there is not enough; give fewer inputs at a time, or use a machine with more", 2)
    sys.exit(code if isinstance(code, int) else 0)


def _abandon_output() -> None:
    # Python would try to write what is left when it exits, and complain.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    click.echo(f"qpsnn-codegen: {message}", err=True)
    sys.exit(code)
