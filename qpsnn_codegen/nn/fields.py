"""Checks of plain values, built from a small vocabulary and put together in tables.

A check takes a value and returns the accepted one (lists become tuples), or raises ValueError saying what is
wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Check = Callable[[object], object]


def integer(least: int, most: int) -> Check:
    """An int (no bool) in a range, bounds included."""

    def check(value: object) -> object:
        # bool is an int to isinstance, not to us.
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"wants an integer from {least} to {most}")
        return value

    return check


def number(least: float, most: float, *, open_below: bool = False) -> Check:
    """A float (no int) in a range, bounds included unless ``open_below``; never NaN."""

    def check(value: object) -> object:
        if type(value) is not float or not least <= value <= most or (open_below and value == least):
            wanted = "above" if open_below else "from"
            raise ValueError(f"wants a float {wanted} {least:g} to {most:g}")
        return value

    return check


def one_of(choices: Sequence[object]) -> Check:
    """One of these values, of the same type."""

    def check(value: object) -> object:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ValueError("wants one of " + ", ".join(repr(choice) for choice in choices))
        return value

    return check


def pair(least: int, most: int) -> Check:
    """Two ints in a range; accepted as a tuple."""

    item = integer(least, most)

    def check(value: object) -> object:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError("wants a pair [height, width]")
        return tuple(item(entry) for entry in value)

    return check


def optional(inner: Check) -> Check:
    """None, or what ``inner`` accepts."""
    return lambda value: None if value is None else inner(value)


def record(fields: Mapping[str, Check]) -> Check:
    """A dictionary with exactly these keys."""

    def check(value: object) -> object:
        if type(value) is not dict:
            raise ValueError("wants a dictionary with " + ", ".join(fields))
        return check_fields(value, fields)

    return check


def check_fields(values: Mapping[Any, object], fields: Mapping[str, Check]) -> dict[str, object]:
    """Check a dictionary against a table of exactly these keys.

    Raises:
        ValueError: a missing, unknown or wrong entry, named.
    """
    unknown = [key for key in values if key not in fields]
    if unknown:
        wanted = ", ".join(fields) or "none"
        raise ValueError(f"unknown key {shorten(unknown[0])} (known: {wanted})")
    checked: dict[str, object] = {}
    for key, check in fields.items():
        if key not in values:
            raise ValueError(f"key {key!r} is missing")
        try:
            checked[key] = check(values[key])
        except ValueError as error:
            raise ValueError(f"{key} is {shorten(values[key])}, {error}") from None
    return checked


def shorten(value: object) -> str:
    """``repr`` for a message: one line, bounded."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
