"""Budgets: what is tried to keep them, in which order, and what is said when nothing does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from host_tests.support.layers import Layers
from qpsnn_codegen.boards import Memory, find_board
from qpsnn_codegen.budget import Budget, plan_within
from qpsnn_codegen.errors import BudgetError
from qpsnn_codegen.footprint import needs_of, predict
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, make_plan

AROUND = Window(kernel=(3, 3), padding=(1, 1))


@cache
def network() -> IntegerNetwork:
    """Maps that bytes make smaller, a first layer whose codes take twice their room on the fast kernel."""
    layers = Layers(seed=1).image(3, 12, 12)
    return layers.layer(35, 8, AROUND).layer(37, 4, AROUND).pool(2, 2).layer(33, 4, AROUND).network()


def planned(*, ram: int | None = None, flash: int | None = None, **options: Any) -> Plan:
    return plan_within(network(), "net", PlanOptions(**options), Budget(ram=ram, flash=flash))


def flash(plan: Plan) -> int:
    return plan.weight_bytes + plan.constant_bytes


def kernels(plan: Plan) -> list[str]:
    return [stage.kernel.name for stage in plan.stages]


def test_without_limits_the_fastest() -> None:
    assert planned() == make_plan(network(), "net")
    assert planned(ram=10**6, flash=10**6) == planned()


def test_spikes_are_packed_before_anything_slower() -> None:
    fast, packed = planned(), make_plan(network(), "net", PlanOptions(packing="bytes"))
    assert packed.arena_bytes < fast.arena_bytes
    assert planned(ram=fast.arena_bytes) == fast
    assert planned(ram=fast.arena_bytes - 1) == packed
    assert planned(ram=packed.arena_bytes) == packed


def test_kernels_change_for_flash_the_one_that_saves_most_first() -> None:
    fast = planned()
    assert kernels(fast) == ["image", "events", "events", "counts"]
    small = planned(flash=flash(fast) - 1)
    assert kernels(small) == ["generic", "events", "events", "counts"]
    assert flash(small) < flash(fast)
    assert planned(flash=flash(small)) == small


def test_kernels_change_for_ram_when_bytes_are_not_enough() -> None:
    packed = make_plan(network(), "net", PlanOptions(packing="bytes"))
    small = planned(ram=packed.arena_bytes - 1)
    assert small.arena_bytes < packed.arena_bytes
    assert kernels(small) != kernels(packed)


def test_what_was_asked_for_stays() -> None:
    fast = planned()
    fast_kernels = (("conv0", "image"), ("conv1", "events"), ("conv2", "events"))
    with pytest.raises(BudgetError):
        planned(packing="words", kernels=fast_kernels, ram=fast.arena_bytes - 1)
    kept = planned(kernels=(("conv0", "image"),), ram=fast.arena_bytes - 1)
    assert kernels(kept)[0] == "image"


def test_what_is_missing_is_said() -> None:
    with pytest.raises(BudgetError) as caught:
        planned(ram=100, flash=200)
    error = caught.value
    smallest = int(error.what.split()[3].replace(",", ""))
    assert error.exit_code == 1
    assert error.where == "--ram-limit 100 --flash-limit 200"
    assert f"{smallest:,} bytes of arena, {smallest - 100:,} more and " in error.what
    assert "bytes of weights and constants, " in error.what
    assert "\n" not in str(error)
    # What is said of one limit is the least of all that was tried.
    with pytest.raises(BudgetError) as caught:
        planned(ram=100)
    least = int(caught.value.what.split()[3].replace(",", ""))
    assert planned(ram=least).arena_bytes == least
    with pytest.raises(BudgetError):
        planned(ram=least - 1)


def test_a_board_is_a_budget() -> None:
    board = find_board("microbit")
    fast = make_plan(network(), "net")
    fitting = predict(needs_of(fast), board, trace=False)
    tight = replace(board, ram=Memory(origin=board.ram.origin, size=fitting.ram))
    less = replace(board, ram=Memory(origin=board.ram.origin, size=fitting.ram - 4))
    plans = [plan_within(network(), "net", PlanOptions(), Budget(boards=(board, each))) for each in (tight, less)]
    assert plans[0] == fast
    assert plans[1].options.packing == "bytes"
    none = replace(board, ram=Memory(origin=board.ram.origin, size=4096))
    with pytest.raises(BudgetError, match=r"^--board microbit: the model needs .* bytes more RAM than its 4,096"):
        plan_within(network(), "net", PlanOptions(), Budget(boards=(none,)))
