"""What click refuses, in the form of all errors: where, what, and what to do."""

from __future__ import annotations

import click

from qpsnn_codegen.errors import UsageError


def in_our_words(error: click.ClickException, program: str) -> UsageError:
    """The error as one of ours."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else program
    help_ = f"see '{command} --help'"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        where = _name(error.param)
        if isinstance(error.param, click.Option):
            shortest = min(error.param.opts, key=len)
            return UsageError(where, "is missing", f"add {shortest} {_value(error.param)}, {help_}")
        pieces = " ".join(context.command.collect_usage_pieces(context)) if context else where
        return UsageError(where, "is missing", f"type '{command} {pieces}', {help_}")
    if isinstance(error, click.NoSuchOption):
        near = f"did you mean {error.possibilities[0]}? " if error.possibilities else ""
        return UsageError(error.option_name, "there is no such option", near + help_)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return UsageError(_name(error.param), _refusal(error, error.param.type), help_)
    return UsageError(command, _clause(error.format_message()), help_)


def _name(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len) if isinstance(parameter, click.Option) else str(parameter.name).upper()


def _refusal(error: click.BadParameter, wanted: object) -> str:
    """What is wrong with a value; click speaks of ranges as programmers do."""
    value, is_not, _ = error.message.partition(" is not ")
    if not is_not or not isinstance(wanted, click.IntRange | click.FloatRange):
        return _clause(error.message)
    kind = "whole number" if isinstance(wanted, click.IntRange) else "number"
    limits = [f"of at least {wanted.min}"] if wanted.min is not None else []
    limits += [f"at most {wanted.max}"] if wanted.max is not None else []
    return f"{value} is no {kind} {' and '.join(limits)}"


def _value(option: click.Option) -> str:
    return option.metavar or {"path": "PATH", "integer": "N"}.get(option.type.name, str(option.name).upper())


def _clause(sentence: str) -> str:
    text = " ".join(sentence.split()).removesuffix(".")
    return text[:1].lower() + text[1:]
