"""The arena: where each buffer of an inference lies, so that buffers that live together never overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qpsnn_codegen.errors import InternalError

ALIGNMENT = 4
_TRIES = 300
"""Orders that are tried, so that a network of many layers is placed in under a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A piece of the arena: ``size`` bytes (a multiple of 4), alive from moment ``first`` to moment ``last``
    inclusive.

    Attributes:
        over: the buffer whose place it takes over in the moment ``first``, which is that one's last: it begins where
            that one does and is no larger.
    """

    name: str
    size: int
    first: int
    last: int
    offset: int = -1
    over: str = ""

    @property
    def needs_room(self) -> range:
        """The moments at which it needs room of its own."""
        return range(self.first + 1 if self.over else self.first, self.last + 1)

    def meets(self, other: Buffer) -> bool:
        """Whether both need room at some moment."""
        left, right = self.needs_room, other.needs_room
        return left.start < right.stop and right.start < left.stop


def aligned(size: int) -> int:
    """Bytes, filled up to whole words."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes that are alive at once at the fullest moment: no arena can be smaller."""
    moments = range(max((buffer.last for buffer in buffers), default=-1) + 1)
    return max((sum(b.size for b in buffers if moment in b.needs_room) for moment in moments), default=0)


def place(buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
    """Give every buffer an offset: first fit in several orders, and in orders near the best. Deterministic."""
    keys: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (b.first, -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
    )
    best = _first_fit(min((sorted(buffers, key=key) for key in keys), key=_fitted_size))
    by_name = {buffer.name: buffer for buffer in _improved(best, lower_bound(buffers))}
    return tuple(by_name[buffer.name] for buffer in buffers)


def arena_size(buffers: Sequence[Buffer]) -> int:
    """Bytes from the start of the arena to the end of the last buffer."""
    return max((buffer.offset + buffer.size for buffer in buffers), default=0)


def check_placement(buffers: Sequence[Buffer]) -> None:
    """Raise :class:`InternalError` if two buffers overlap in life and address, or one is misplaced."""
    for index, left in enumerate(buffers):
        if left.offset < 0 or left.offset % ALIGNMENT or left.size % ALIGNMENT:
            raise InternalError(f"buffer {left.name}", f"lies at {left.offset}, {left.size} bytes long")
        base = next((buffer for buffer in buffers if buffer.name == left.over), left)
        if (base.offset, base.last) != (left.offset, left.first if left.over else left.last) or base.size < left.size:
            raise InternalError(f"buffer {left.name}", f"cannot take the place of {left.over}")
        for right in buffers[index + 1 :]:
            apart = left.offset + left.size <= right.offset or right.offset + right.size <= left.offset
            if left.meets(right) and not apart:
                raise InternalError(f"buffer {left.name}", f"overlaps {right.name} while both are alive")


def _improved(placed: tuple[Buffer, ...], bound: int) -> tuple[Buffer, ...]:
    """Let single buffers go first, or earlier, as long as that makes the arena smaller."""
    tries = _TRIES
    moves = [(at, to) for at in range(1, len(placed)) for to in range(at)]
    while arena_size(placed) > bound:
        for at, to in moves:
            tries -= 1
            order = [*placed[:to], placed[at], *placed[to:at], *placed[at + 1 :]]
            if tries < 0:
                return placed
            if _fitted_size(order) < arena_size(placed):
                placed = _first_fit(order)
                break
        else:
            return placed
    return placed


def _fitted_size(ordered: Sequence[Buffer]) -> int:
    return arena_size(_first_fit(ordered))


def _first_fit(ordered: Sequence[Buffer]) -> tuple[Buffer, ...]:
    placed: list[Buffer] = []
    for buffer in ordered:
        if buffer.over:
            continue  # placed with the one whose place it takes
        chain = _successors(buffer, ordered)
        offset = _lowest(chain, placed)
        placed += [replace(member, offset=offset) for member in chain]
    return tuple(placed)


def _lowest(chain: Sequence[Buffer], placed: Sequence[Buffer]) -> int:
    """The lowest place where no member of the chain meets another buffer."""
    offset = 0
    while True:
        ends = [
            other.offset + other.size
            for other in placed
            for member in chain
            if member.meets(other) and offset < other.offset + other.size and other.offset < offset + member.size
        ]
        if not ends:
            return offset
        offset = min(ends)


def _successors(buffer: Buffer, buffers: Sequence[Buffer]) -> list[Buffer]:
    """A buffer, and one after the other those that take its place."""
    chain = [buffer]
    while (after := next((b for b in buffers if b.over == chain[-1].name), None)) is not None:
        chain.append(after)
    return chain
