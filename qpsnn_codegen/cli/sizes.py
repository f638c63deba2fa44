"""Numbers of bytes on the command line."""

from __future__ import annotations

import re
from typing import Any

import click


class Bytes(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """A positive number of bytes: 8192, or 8K, 8KB, 8KiB, all of which are 1024 each, as data sheets count."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+) ?([km]?)(?:i?b)?", str(value), re.ASCII | re.IGNORECASE)
        size = int(match[1]) * {"": 1, "k": 1024, "m": 1024**2}[match[2].lower()] if match else 0
        if not size:
            self.fail(f"{value!r} is no number of bytes: give 8192 or 8K")
        return size
