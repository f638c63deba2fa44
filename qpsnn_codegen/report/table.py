"""Reports as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest entry; the first and last to the left, numbers between to the right."""
    texts = [list(map(_text, row)) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    lines = []
    for row in texts:
        last = len(row) - 1
        cells = [
            cell.ljust(width) if column in {0, last} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(lines)


def compilation_text(report: dict[str, Any]) -> str:
    """What ``qpsnn-codegen MODEL -o DIR`` shows: a table per layer, then totals."""
    columns = {
        "layer": "name",
        "shape": "shape",
        "bits": "bits",
        "kernel": "kernel",
        "weights B": "weight_bytes",
        "consts B": "constant_bytes",
        "arena B": "arena_bytes",
        "dense SOPs": "dense_slots",
        "SOPs": "operations",
        "certificate": "certificate",
    }
    if report["operations"] is None:
        del columns["SOPs"]
    rows = [[row[key] or "-" for key in columns.values()] for row in report["layers"]]
    flash = report["weight_bytes"] + report["constant_bytes"]
    lines = [
        table(list(columns), rows),
        "",
        f"flash  {flash:,} bytes of weights and constants, code not counted",
        f"RAM    {report['arena_bytes']:,} bytes of arena (lower bound {report['arena_bound']:,}), stack not counted"
        + _turns(report),
        f"SOPs   {report['dense_slots']:,} if every input were active" + _expected(report),
        f"MACs   {report['image_macs']:,} where weights read the image itself, once per inference",
        f"proof  {_proof(report)}",
    ]
    return "\n".join(lines)


def _turns(report: dict[str, Any]) -> str:
    groups = [row["turns"] for row in report["layers"]]
    sharing = sum(groups.count(first) > 1 for first in groups)
    return f"; {sharing} of {len(groups)} layers take turns, row by row" if sharing else ""


def _expected(report: dict[str, Any]) -> str:
    if report["operations"] is None:
        return "; give --calibrate DATA for the expected number"
    return f"; {report['operations']:,.0f} expected, from {report['calibration_samples']:,} calibration samples"


def _proof(report: dict[str, Any]) -> str:
    if report["certified"]:
        return "every layer certified: for every input, every spike equals the real-number network's"
    return "not every layer is certified; the table says what is proven of each"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
