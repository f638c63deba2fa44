"""The arena: where each buffer of an inference lies, so that buffers that live together never overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qpsnn_codegen.errors import InternalError

ALIGNMENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A piece of the arena: ``size`` bytes (a multiple of 4), alive from moment ``first`` to moment ``last``
    inclusive.
    """

    name: str
    size: int
    first: int
    last: int
    offset: int = -1

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some moment."""
        return self.first <= other.last and other.first <= self.last


def aligned(size: int) -> int:
    """Bytes, filled up to whole words."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes that are alive at once at the fullest moment: no arena can be smaller."""
    moments = range(max((buffer.last for buffer in buffers), default=-1) + 1)
    return max((sum(b.size for b in buffers if b.first <= moment <= b.last) for moment in moments), default=0)


def place(buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
    """Give every buffer an offset: first fit in several orders, the smallest arena kept. Deterministic."""
    orders: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (b.first, -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
    )
    layouts = [_first_fit(sorted(buffers, key=order)) for order in orders]
    best = min(layouts, key=arena_size)
    by_name = {buffer.name: buffer for buffer in best}
    return tuple(by_name[buffer.name] for buffer in buffers)


def arena_size(buffers: Sequence[Buffer]) -> int:
    """Bytes from the start of the arena to the end of the last buffer."""
    return max((buffer.offset + buffer.size for buffer in buffers), default=0)


def check_placement(buffers: Sequence[Buffer]) -> None:
    """Raise :class:`InternalError` if two buffers overlap in life and address, or one is misplaced."""
    for index, left in enumerate(buffers):
        if left.offset < 0 or left.offset % ALIGNMENT or left.size % ALIGNMENT:
            raise InternalError(f"buffer {left.name}", f"lies at {left.offset}, {left.size} bytes long")
        for right in buffers[index + 1 :]:
            apart = left.offset + left.size <= right.offset or right.offset + right.size <= left.offset
            if left.meets(right) and not apart:
                raise InternalError(f"buffer {left.name}", f"overlaps {right.name} while both are alive")


def _first_fit(ordered: Sequence[Buffer]) -> tuple[Buffer, ...]:
    placed: list[Buffer] = []
    for buffer in ordered:
        offset = 0
        for other in sorted((p for p in placed if p.meets(buffer)), key=lambda p: p.offset):
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, other.offset + other.size)
        placed.append(replace(buffer, offset=offset))
    return tuple(placed)
