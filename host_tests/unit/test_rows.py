"""Stages that take turns: no row is missing when it is read, none is kept longer than it must be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from host_tests.support.layers import Layers
from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, check_plan, make_plan
from qpsnn_codegen.planning.rows import LayerRows, check_order, order_of, rows_kept

AROUND = Window(kernel=(3, 3), padding=(1, 1))


@st.composite
def chains(draw: st.DrawFn) -> list[LayerRows]:
    """One to four layers, each reading what the one before stores."""
    height = draw(st.integers(1, 14))
    chain = []
    for _ in range(draw(st.integers(1, 4))):
        kernel, stride, padding, dilation = (
            draw(st.integers(low, high)) for low, high in ((1, 5), (1, 3), (0, 4), (1, 3))
        )
        window = Window(kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0), dilation=(dilation, 1))
        own, _ = window.output_size((height, 1))
        assume(own > 0)
        pool = draw(st.integers(1, min(3, own)))
        chain.append(LayerRows(window=window, input_height=height, height=own, pool_height=pool))
        height = own // pool
    return chain


def kept_of(chain: list[LayerRows]) -> list[int]:
    """Rows in memory of every map; all of the last."""
    return [*(rows_kept(reader) for reader in chain[1:]), chain[-1].stored]


class Maps:
    """The maps between layers, as lists of places; a layer's row is read and stored place by place."""

    def __init__(self, chain: list[LayerRows], kept: list[int]) -> None:
        self.chain = chain
        self.places: list[list[int | None]] = [[None] * rows for rows in kept]
        self.done = [0] * len(chain)

    def run(self, index: int) -> bool:
        """Compute the next row of a layer; whether all rows it reads were there, whole."""
        layer, y = self.chain[index], self.done[index]
        found = True
        if index > 0:
            before = self.chain[index - 1]
            for tap in range(layer.window.kernel[0]):
                row = y * layer.window.stride[0] - layer.window.padding[0] + tap * layer.window.dilation[0]
                if 0 <= row < layer.input_height:
                    whole = self.done[index - 1] >= (row + 1) * before.pool_height
                    places = self.places[index - 1]
                    found &= whole and places[row % len(places)] == row
        stored = y // layer.pool_height
        if stored < layer.height // layer.pool_height:
            self.places[index][stored % len(self.places[index])] = stored
        self.done[index] += 1
        return found


@given(chains())
def test_every_row_finds_what_it_reads(chain: list[LayerRows]) -> None:
    order, kept = order_of(chain), kept_of(chain)
    check_order(chain, kept, order)
    maps = Maps(chain, kept)
    assert all(maps.run(index) for index in order)
    assert maps.done == [layer.height for layer in chain]


@given(chains())
def test_no_row_is_kept_for_nothing(chain: list[LayerRows]) -> None:
    """With one row less of any map, some row is missing: in this order, and it is the checker that notices."""
    order, kept = order_of(chain), kept_of(chain)
    for index in range(len(chain) - 1):
        if kept[index] > 1:
            fewer = [*kept[:index], kept[index] - 1, *kept[index + 1 :]]
            maps = Maps(chain, fewer)
            assert not all(maps.run(stage) for stage in order)
            with pytest.raises(InternalError, match="not there"):
                check_order(chain, fewer, order)


def test_a_window_keeps_the_rows_it_spans() -> None:
    def layer(kernel: int, stride: int = 1, dilation: int = 1, padding: int = 0) -> LayerRows:
        window = Window(kernel=(kernel, 1), stride=(stride, 1), dilation=(dilation, 1), padding=(padding, 0))
        return LayerRows(window=window, input_height=12, height=window.output_size((12, 1))[0], pool_height=1)

    assert rows_kept(layer(1)) == 1
    assert rows_kept(layer(3, padding=1)) == 3
    assert rows_kept(layer(3, dilation=2)) == 5
    assert rows_kept(layer(12)) == 12
    assert rows_kept(layer(2, stride=5)) == 2
    outside = LayerRows(window=Window(kernel=(1, 1), padding=(2, 0)), input_height=1, height=2, pool_height=1)
    assert rows_kept(outside) == 1


@pytest.mark.parametrize("order", [(0, 0, 0, 0, 1, 1, 1), (1, 0, 0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 1, 1, 1, 1)])
def test_the_checker_refuses_other_orders(order: tuple[int, ...]) -> None:
    chain = [LayerRows(window=AROUND, input_height=4, height=4, pool_height=1)] * 2
    check_order(chain, [3, 4], (0, 0, 1, 0, 1, 0, 1, 1))
    with pytest.raises(InternalError, match="order of rows"):
        check_order(chain, [3, 4], order)


# --- plans


def deep() -> IntegerNetwork:
    layers = Layers(seed=1).events(8, 16, 16)
    for _ in range(3):
        layers.layer(40, 4, AROUND)
    return layers.pool(2, 2).layer(33, 2, AROUND).layer(200, 2, Window(kernel=(8, 8))).network()


def test_rows_in_turns_are_chosen_where_they_save_memory() -> None:
    network = deep()
    plans = {
        schedule: make_plan(network, "net", PlanOptions(schedule=schedule)) for schedule in ("window", "rows", "auto")
    }
    for plan in plans.values():
        check_plan(plan)
    assert not any(group.order for group in plans["window"].groups)
    assert [(group.first, group.last) for group in plans["rows"].groups] == [(0, 4), (5, 5)]
    assert plans["auto"].arena_bytes < 0.8 * plans["window"].arena_bytes
    assert plans["auto"].arena_bytes <= plans["rows"].arena_bytes
    # Nothing is saved by a few rows less where the fullest moment is another one.
    small = Layers(seed=1).events(3, 4, 4).layer(4, 4, AROUND).layer(4, 4, AROUND).layer(999, 2, Window(kernel=(4, 4)))
    assert not any(group.order for group in make_plan(small.network(), "net").groups)


def test_a_map_with_two_readers_is_kept_whole() -> None:
    layers = Layers(seed=1).events(3, 8, 8).layer(5, 4, AROUND).layer(5, 4, AROUND).layer(5, 4, AROUND, after="neuron0")
    layers.add("neuron1", "neuron2")
    assert not any(group.order for group in make_plan(layers.network(), "net", PlanOptions(schedule="rows")).groups)


def shortened(plan: Plan) -> Plan:
    """The first map keeps one row less."""
    node = plan.stages[0].node
    layout = plan.layouts[node]
    return replace(plan, layouts=plan.layouts | {node: replace(layout, rows=layout.rows - 1)})


def test_the_plan_is_checked() -> None:
    plan = make_plan(deep(), "net", PlanOptions(schedule="rows"))
    with pytest.raises(InternalError, match="not there"):
        check_plan(shortened(plan))
    with pytest.raises(InternalError, match="all stages in order"):
        check_plan(replace(plan, groups=plan.groups[1:]))
