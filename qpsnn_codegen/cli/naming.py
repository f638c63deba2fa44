"""Errors of library code name its arguments; on the command line they name the options that were typed."""

from __future__ import annotations

import click

from qpsnn_codegen.errors import UsageError

_OTHER_NAMES = {"learning_rate": "lr", "input_shape": "shape", "layout": "shape"}
"""Arguments whose options are called otherwise in some command."""


def as_typed(error: UsageError, command: click.Command) -> UsageError:
    """The error, with the option of ``command`` where it named an argument."""
    options = {str(parameter.name): max(parameter.opts, key=len) for parameter in command.params}
    option = options.get(error.where) or options.get(_OTHER_NAMES.get(error.where, ""))
    return error if option is None else type(error)(option, error.what, error.remedy)
