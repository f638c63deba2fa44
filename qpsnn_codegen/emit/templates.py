"""The templates, filled in: they place finished text and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from qpsnn_codegen import resources


def fill(template: str, context: Mapping[str, Any]) -> str:
    """The text of a template; a name that the context lacks is an error."""
    return _environment(resources.templates_dir()).get_template(template).render(context)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """How templates are read; it keeps those that it has compiled."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - C, not HTML; names reach templates through c_literals only
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
