"""Budgets: what they are kept by, what that costs, and what is said when nothing keeps them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import product
from math import inf
from typing import Any, get_args

import pytest

from host_tests.support.layers import Layers
from qpsnn_codegen import trading
from qpsnn_codegen.boards import Memory, find_board
from qpsnn_codegen.budget import Budget
from qpsnn_codegen.errors import BudgetError
from qpsnn_codegen.footprint import needs_of, predict
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.cost import predicted_instructions
from qpsnn_codegen.planning.options import Packing, PlanOptions, Schedule
from qpsnn_codegen.planning.plan import Plan, arrange, make_plan
from qpsnn_codegen.planning.ways import layers_of
from qpsnn_codegen.planning.work import ASSUMED_RATE, Work, assumed_work
from qpsnn_codegen.trading import Bargain, plan_within

AROUND = Window(kernel=(3, 3), padding=(1, 1))


@cache
def network() -> IntegerNetwork:
    """Maps that bytes make a little smaller, a first layer whose codes take twice their room on the fast kernel."""
    layers = Layers(seed=1).image(3, 12, 12)
    return layers.layer(35, 8, AROUND).layer(51, 4, AROUND).pool(2, 2).layer(33, 4, AROUND).network()


@cache
def work() -> Work:
    return assumed_work(network(), ASSUMED_RATE)


def bargain(*, ram: int | None = None, flash: int | None = None, **options: Any) -> Bargain:
    return plan_within(network(), "net", PlanOptions(**options), Budget(ram=ram, flash=flash), work())


def planned(**limits: Any) -> Plan:
    return bargain(**limits).plan


def instructions(plan: Plan) -> float:
    """On a Cortex-M4."""
    return sum(stage["cortex-m4"] for stage in predicted_instructions(plan, work()))


@cache
def all_plans() -> tuple[Plan, ...]:
    """Every plan there is, but those in words where the planner would have bytes: that is for the user to say."""
    layers = layers_of(network(), PlanOptions(), work())
    kernels = product(*(tuple((layer.name, way.kernel) for way in layer.ways) for layer in layers))
    packings: tuple[Packing, ...] = ("auto", "bytes")
    schedules = get_args(Schedule)
    return tuple(
        make_plan(network(), "net", PlanOptions(kernels=chosen, packing=packing, schedule=schedule))
        for chosen, packing, schedule in product(kernels, packings, schedules)
    )


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


def test_kernels_change_for_flash_to_what_costs_least() -> None:
    fast = planned()
    assert kernels(fast) == ["image", "events", "events", "counts"]
    # The readout's filled rows go first, which cost fewest instructions.
    small = planned(flash=flash(fast) - 1)
    assert kernels(small) == ["image", "events", "events", "generic"]
    assert small.options.schedule == "auto"
    assert planned(flash=flash(small)) == small
    # Of the first layer's codes, each in two bytes, half go: at less than the generic kernel would cost.
    smaller = planned(flash=flash(small) - 100)
    assert kernels(smaller) == ["image_bytes", "events", "events", "generic"]


def test_kernels_change_for_ram_when_bytes_are_not_enough() -> None:
    packed = make_plan(network(), "net", PlanOptions(packing="bytes"))
    small = planned(ram=packed.arena_bytes - 1)
    assert small.arena_bytes < packed.arena_bytes
    assert kernels(small) != kernels(packed)


def test_no_plan_that_keeps_one_limit_takes_much_fewer_instructions() -> None:
    """Of all there are, at every size that a plan has: the search goes step by step, and may miss the best."""
    sizes: dict[tuple[int, int], float] = {}
    for plan in all_plans():
        key = plan.arena_bytes, flash(plan)
        sizes[key] = min(instructions(plan), sizes.get(key, inf))
    for ram in {ram for ram, _ in sizes}:
        least = min(time for (size, _), time in sizes.items() if size <= ram)
        assert instructions(planned(ram=ram)) <= 1.02 * least, ram
    for most in {size for _, size in sizes}:
        least = min(time for (_, size), time in sizes.items() if size <= most)
        assert instructions(planned(flash=most)) <= 1.02 * least, most


def test_two_limits_are_kept_if_they_can_be() -> None:
    sizes = {(plan.arena_bytes, flash(plan)): plan for plan in all_plans()}
    for ram, most in product(sorted({ram for ram, _ in sizes})[::3], sorted({size for _, size in sizes})[::5]):
        fitting = [instructions(plan) for (a, f), plan in sizes.items() if a <= ram and f <= most]
        if fitting:
            plan = planned(ram=ram, flash=most)
            assert plan.arena_bytes <= ram
            assert flash(plan) <= most
            assert instructions(plan) <= 1.2 * min(fitting)
        else:
            with pytest.raises(BudgetError):
                planned(ram=ram, flash=most)


@pytest.mark.parametrize("limits", [{}, {"ram": 4700}, {"flash": 21_000}, {"ram": 4700, "flash": 21_000}])
def test_the_plan_is_the_one_that_its_options_make(limits: dict[str, int]) -> None:
    """Which ``verify`` and ``build`` rely on."""
    plan = planned(**limits)
    assert (plan.options == PlanOptions()) == (not limits)
    assert make_plan(network(), "net", PlanOptions.of_report(plan.options.report())) == plan


def test_what_was_traded_is_said() -> None:
    fast = planned()
    assert bargain().trades == ()
    made = bargain(flash=flash(fast) - 1300)
    # Each beside the plan that is the same but for this change.
    other = make_plan(network(), "net", PlanOptions(kernels=(("classes", "generic"),)))
    slower = round(100 * (instructions(made.plan) / instructions(other) - 1))
    saved = flash(other) - flash(made.plan)
    assert made.trades == (
        f"conv0 runs on image_bytes: {saved:,} bytes of flash less, {slower} % more instructions",
        "classes runs on generic: 1,189 bytes of flash less, less than 1 % more instructions",
    )
    made = bargain(ram=fast.arena_bytes - 1)
    saved = fast.arena_bytes - made.plan.arena_bytes
    assert made.trades == (f"spikes are packed in bytes: {saved:,} bytes of RAM less, 3 % more instructions",)


def test_the_smallest_form_of_each_limit_is_that_of_all() -> None:
    """Both limits missed: what is said of one does not come from the plan that is smallest by the other."""
    with pytest.raises(BudgetError) as caught:
        planned(ram=100, flash=200)
    ram, least = (min(sizes) for sizes in zip(*((p.arena_bytes, flash(p)) for p in all_plans()), strict=True))
    assert f"needs {ram:,} bytes of arena, {ram - 100:,} more and {least:,} bytes of weights" in caught.value.what
    # A limit alone could be kept, both cannot: no other memory is blamed.
    with pytest.raises(BudgetError, match="each limit can be kept alone, all together not"):
        planned(ram=ram, flash=least)


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
    budgets = [Budget(boards=(board, each)) for each in (tight, less)]
    plans = [plan_within(network(), "net", PlanOptions(), budget, work()).plan for budget in budgets]
    assert plans[0] == fast
    assert plans[1].options.packing == "bytes"
    none = replace(board, ram=Memory(origin=board.ram.origin, size=4096))
    with pytest.raises(BudgetError, match=r"^--board microbit: the model needs .* bytes more RAM than its 4,096"):
        plan_within(network(), "net", PlanOptions(), Budget(boards=(none,)), work())


@pytest.mark.parametrize(("ram", "flash_limit", "kept"), [(1, None, False), (1, 1, False), (6800, 130_000, True)])
def test_deep_networks_are_planned_a_few_hundred_times(
    ram: int, flash_limit: int | None, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = Layers(seed=1).image(3, 8, 8).layer(35, 8, AROUND)
    for _ in range(10):
        layers.layer(51, 4, AROUND)
    deep = layers.network()
    made: list[Plan] = []

    def counted(*arguments: Any) -> Plan:
        made.append(arrange(*arguments))
        return made[-1]

    monkeypatch.setattr(trading, "arrange", counted)
    budget = Budget(ram=ram, flash=flash_limit)
    with nullcontext() if kept else pytest.raises(BudgetError):
        plan_within(deep, "net", PlanOptions(), budget, assumed_work(deep, ASSUMED_RATE))
    assert 40 < len(made) < 450
