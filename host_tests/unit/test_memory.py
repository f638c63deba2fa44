"""The arena: nothing overlaps, nothing is below the bound, and the same buffers always lie in the same places."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.planning.memory import Buffer, arena_size, check_placement, lower_bound, place


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    result = []
    for index in range(draw(st.integers(0, 14))):
        first = draw(st.integers(0, 9))
        last = first + draw(st.integers(0, 4))
        result.append(Buffer(name=f"b{index}", size=4 * draw(st.integers(1, 40)), first=first, last=last))
    return result


def naive_overlap(placed: tuple[Buffer, ...]) -> bool:
    """Byte by byte and stage by stage."""
    taken: set[tuple[int, int]] = set()
    for buffer in placed:
        own = {
            (stage, byte)
            for stage in range(buffer.first, buffer.last + 1)
            for byte in range(buffer.offset, buffer.offset + buffer.size)
        }
        if own & taken:
            return True
        taken |= own
    return False


def naive_bound(given: list[Buffer]) -> int:
    return max((sum(b.size for b in given if b.first <= s <= b.last) for s in range(20)), default=0)


@given(buffers())
def test_no_overlap_and_within_bounds(given: list[Buffer]) -> None:
    placed = place(given)
    check_placement(placed)
    assert not naive_overlap(placed)
    assert [(b.name, b.size, b.first, b.last) for b in placed] == [(b.name, b.size, b.first, b.last) for b in given]
    assert all(buffer.offset >= 0 and buffer.offset % 4 == 0 for buffer in placed)
    assert lower_bound(given) == naive_bound(given)
    assert naive_bound(given) <= arena_size(placed) <= sum(buffer.size for buffer in given)
    assert arena_size(placed) == max((b.offset + b.size for b in placed), default=0)


@given(buffers())
def test_deterministic_and_blind_to_names(given: list[Buffer]) -> None:
    offsets = [buffer.offset for buffer in place(given)]
    assert [buffer.offset for buffer in place(given)] == offsets
    other = [replace(buffer, name=f"z{len(given) - index}") for index, buffer in enumerate(given)]
    assert [buffer.offset for buffer in place(other)] == offsets


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_a_chain_needs_two_neighbours_at_most(sizes: list[int]) -> None:
    chain = [Buffer(name=str(i), size=4 * size, first=i, last=i + 1) for i, size in enumerate(sizes)]
    placed = place(chain)
    check_placement(placed)
    assert arena_size(placed) >= lower_bound(chain)
    # A chain is an interval graph of two at a time: alternating ends would reach the two largest at worst.
    assert arena_size(placed) <= sum(sorted(b.size for b in chain)[-2:]) + max(b.size for b in chain)


def test_a_tight_example() -> None:
    given = [
        Buffer(name="a", size=8, first=0, last=1),
        Buffer(name="b", size=16, first=1, last=2),
        Buffer(name="c", size=8, first=2, last=3),
    ]
    assert lower_bound(given) == 24
    assert arena_size(place(given)) == 24


def test_nothing_to_place() -> None:
    assert place([]) == ()
    assert (lower_bound([]), arena_size([])) == (0, 0)


class TestChecker:
    @pytest.mark.parametrize("offset", [0, 4, 12])
    def test_overlap_is_refused(self, offset: int) -> None:
        left = Buffer(name="left", size=16, first=0, last=2, offset=0)
        right = Buffer(name="right", size=8, first=2, last=3, offset=offset)
        with pytest.raises(InternalError, match="overlaps right"):
            check_placement([left, right])
        check_placement([left, replace(right, offset=16)])
        check_placement([left, replace(right, first=3)])

    @pytest.mark.parametrize(("offset", "size"), [(-1, 4), (-4, 4), (2, 4), (0, 3), (4, 6)])
    def test_misplaced_buffers_are_refused(self, offset: int, size: int) -> None:
        with pytest.raises(InternalError, match="buffer b"):
            check_placement([Buffer(name="b", size=size, first=0, last=0, offset=offset)])
