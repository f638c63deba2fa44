"""Model files on the command line: the options that some of them leave open, and what is said of how they were read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qpsnn_codegen.loaders.base import BITS, ENDS, LoadOptions

if TYPE_CHECKING:
    from qpsnn_codegen.loaders.base import Loaded

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--timesteps", "-T", type=int, help="T. [default: as trained]"),
    click.option(
        "--bits",
        type=click.Choice([str(bits) for bits in BITS]),
        help="Of a *.pth.tar, which does not say it: width of the inner weights. [default: 4]",
    ),
    click.option(
        "--ends",
        type=click.Choice(ENDS),
        help="Likewise: how its first and last layer were trained. [default: float]",
    ),
)


def load_options(command: _Command) -> _Command:
    """``--timesteps``, ``--bits`` and ``--ends``, as arguments of :func:`load_model`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def load_model(model: Path, timesteps: int | None, bits: str | None, ends: Any) -> Loaded:
    """Read a model file; what there is to know of how it was read goes to standard error."""
    from qpsnn_codegen.loaders.files import load_file  # noqa: PLC0415 - imports torch; --help should not wait for it

    loaded = load_file(model, LoadOptions(timesteps=timesteps, bits=None if bits is None else int(bits), ends=ends))
    for note in loaded.notes:
        click.echo(f"note: {note}", err=True)
    return loaded
