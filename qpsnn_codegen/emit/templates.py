"""The templates, filled in: they place finished text and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

from qpsnn_codegen import resources


def fill(template: str, context: Mapping[str, Any]) -> str:
    """The text of a template; a name that the context lacks is an error."""
    return environment().get_template(template).render(context)


def environment() -> jinja2.Environment:
    """Where templates are found and how they are read."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.templates_dir()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - C, not HTML; names reach templates through c_literals only
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
