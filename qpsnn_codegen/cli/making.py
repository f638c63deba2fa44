"""What the commands that make models share: options, checks before work begins, and the training itself.

torch takes seconds to import, so it is imported inside functions: ``--help`` stays quick.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qpsnn_codegen.cli.progress import progress_bar
from qpsnn_codegen.errors import OutputError, UsageError

if TYPE_CHECKING:
    from qpsnn_codegen.nn.datasets import Dataset

_Command = TypeVar("_Command", bound=Callable[..., Any])

DATA_HELP = "digits (built in), or KIND:PATH with KIND mnist, fashion-mnist, cifar10, cifar100, events, npz or folder."

_OUTPUT_HELP = "Model file to write."


def command_options(*decorators: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Several decorators as one, in the order they are written."""

    def apply(command: _Command) -> _Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


output_options = command_options(
    click.option("--output", "--out", "-o", "out", type=click.Path(path_type=Path), required=True, help=_OUTPUT_HELP),
    click.option("--force", is_flag=True, help="Overwrite --output if it exists."),
    click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="CPU threads."),
)


def check_output(out: Path, force: bool, option: str = "-o") -> None:
    """Refuse what could not be written, before the work and not after it; raises :class:`OutputError`."""
    if out.is_dir():
        raise OutputError(str(out), "it is a folder", "give a file name")
    if out.exists() and not force:
        raise OutputError(str(out), "the file exists", f"give --force to overwrite it, or another {option}")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir():
        raise OutputError(str(out), f"cannot be written ({there} is no folder)", f"give another {option}")


def check_distinct(outputs: Mapping[str, Path | None]) -> None:
    """Refuse two outputs, by option, that are one file; raises :class:`UsageError`."""
    seen: dict[str, str] = {}
    for option, path in outputs.items():
        if path is not None:
            other = seen.setdefault(os.path.realpath(path), option)
            if other != option:
                raise UsageError(f"{other}, {option}", f"both write {path}", "give two names")


def numbers(text: str, option: str) -> list[float]:
    """The numbers of a list with commas; raises :class:`UsageError`."""
    try:
        return [float(entry) for entry in text.split(",")]
    except ValueError:
        raise UsageError(option, f"{text!r} is no number", "give 0.5, or one per conv: 0.3,0.6,0") from None


def open_data(data: str, threads: int) -> Dataset:
    """The data set of ``--data``, with a bar if it is many files; sets torch's threads."""
    import torch  # noqa: PLC0415

    from qpsnn_codegen.nn.datasets import open_dataset  # noqa: PLC0415

    torch.set_num_threads(threads)
    # A bar that appears late, and only if there are files to count.
    with progress_bar(0, "reading", "file") as advance:
        return open_dataset(data, advance)


def command_line() -> str:
    """What was typed, for the model file's record."""
    return shlex.join(["qpsnn-codegen", *sys.argv[1:]])
