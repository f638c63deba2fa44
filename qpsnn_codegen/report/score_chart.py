"""Pruning scores as a picture: a panel of bars for each layer, in SVG, which needs no library."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

_WIDTH = 720
_BARS = 96
"""Height of the tallest bar."""
_PANEL = 150
_MARGIN = 16
_KEPT, _REMOVED = "#2f6db3", "#d9a441"


def score_chart(title: str, scores: Mapping[str, Sequence[float]], kept: Mapping[str, Collection[int]]) -> str:
    """SVG text; channels by falling score, removed ones in another colour.

    Args:
        scores: layer to the score of each channel, finite and not negative.
        kept: layer to the channels that stay; all of a layer that is not named.
    """
    height = _MARGIN * 3 + _PANEL * len(scores)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="{_MARGIN * 1.5:g}" font-size="12" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (layer, values) in enumerate(scores.items()):
        stays = set(kept.get(layer, range(len(values))))
        top = _MARGIN * 3 + _PANEL * number
        lines.append(
            f'<text x="{_MARGIN}" y="{top}" font-size="12">{escape(layer)}: {len(stays)} of {len(values)} '
            f"channels kept, scores {min(values):.4g} to {max(values):.4g}</text>"
        )
        lines += _bars(values, stays, top + 8)
    return "\n".join([*lines, "</svg>\n"])


def _bars(values: Sequence[float], stays: Collection[int], top: int) -> list[str]:
    step = (_WIDTH - 2 * _MARGIN) / len(values)
    highest = max(values) or 1.0
    lines = []
    for place, channel in enumerate(sorted(range(len(values)), key=lambda channel: -values[channel])):
        # A sliver for a score of zero, so that its colour can be seen.
        tall = max(1.0, _BARS * values[channel] / highest)
        colour = _KEPT if channel in stays else _REMOVED
        lines.append(
            f'<rect x="{_MARGIN + place * step:.2f}" y="{top + _BARS - tall:.2f}" width="{0.9 * step:.2f}" '
            f'height="{tall:.2f}" fill="{colour}"><title>channel {channel}: {values[channel]:.6g}</title></rect>'
        )
    return lines
