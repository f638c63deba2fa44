"""Trades: of the plans that keep a budget, one that takes few instructions, and what it gave up for that.

The search begins with the fastest plan. As long as that is too large, it makes the change that costs the fewest
instructions for each byte saved of what is missing: another kernel for a layer, spikes in bytes, another schedule.
Then it takes back what turns out to be unnecessary. It may miss the best plan, but looks at a few hundred at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import cast

from qpsnn_codegen.budget import Budget, Limit, refusal
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.choosing import fast_kernels, named
from qpsnn_codegen.planning.cost import CORES, predicted_instructions
from qpsnn_codegen.planning.options import Packing, PlanOptions, Schedule
from qpsnn_codegen.planning.packing import packing_for
from qpsnn_codegen.planning.plan import Plan, arrange
from qpsnn_codegen.planning.stages import Stage
from qpsnn_codegen.planning.ways import Layer, layers_of
from qpsnn_codegen.planning.work import Work

_CORE = "cortex-m4"
"""The core whose instructions count where no board is given."""
_MOST_PLANS = 400
"""After so many no other place to go on from is looked for: some seconds for a VGG-16."""
_Choice = tuple[str, ...]
"""What is decided: the kernel of every layer, the packing, the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bargain:
    """A plan that keeps a budget. ``trades``: a line for everything that would be faster without it."""

    plan: Plan
    trades: tuple[str, ...] = ()


def plan_within(network: IntegerNetwork, name: str, options: PlanOptions, budget: Budget, work: Work) -> Bargain:
    """The fastest plan that was found, of those that keep the budget and leave the options as they were given.

    Args:
        work: what instructions are predicted from.

    Raises:
        UsageError: a kernel of the options cannot be.
        BudgetError: no plan was found that keeps the budget; what is missing in the smallest ones.
    """
    search = _Search(
        network=network,
        name=name,
        options=options,
        budget=budget,
        work=work,
        layers=layers_of(network, options, work),
    )
    start = search.fastest()
    final = search.within(start)
    return Bargain(plan=final.plan, trades=tuple(search.trades(start, final)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A choice, the plan it leads to, and what that is judged by.

    Attributes:
        time: instructions, in proportion to those of the planner's order of kernels; the mean of all cores.
    """

    choice: _Choice
    plan: Plan
    time: float
    limits: tuple[Limit, ...]

    @property
    def missing(self) -> int:
        """Bytes, of all limits together."""
        return sum(limit.missing for limit in self.limits)

    def lack(self, mosts: Mapping[int, int]) -> int:
        """Bytes too many by other limits, each given by its index; of RAM those of all moments together.

        Where several moments are too full, a change that helps one of them is a step, though the arena stays as large.
        """
        total = 0
        for index, most in mosts.items():
            over = max(self.limits[index].needed - most, 0)
            total += over
            if over and self.limits[index].memory == "RAM":
                room = self.plan.arena_bytes - over
                total += sum(max(alive - room, 0) for alive in self._alive())
        return total

    def _alive(self) -> Iterator[int]:
        """Bytes of the arena in use at each moment."""
        for moment in range(len(self.plan.groups)):
            yield sum(buffer.size for buffer in self.plan.buffers if moment in buffer.needs_room)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    network: IntegerNetwork
    name: str
    options: PlanOptions
    budget: Budget
    work: Work
    layers: tuple[Layer, ...]
    values: tuple[tuple[str, ...], ...] = field(init=False)
    """What every part of a choice can be: first as the planner has it by itself."""
    forms: dict[_Choice, _Form] = field(default_factory=dict)
    """Those that were looked at."""

    def __post_init__(self) -> None:
        kernels = [tuple(way.kernel for way in layer.ways) for layer in self.layers]
        packing, schedule = self.options.packing, self.options.schedule
        packings = (packing_for(packing, self.budget.cores), "bytes") if packing == "auto" else (packing,)
        schedules = ("auto", "window", "rows") if schedule == "auto" else (schedule,)
        object.__setattr__(self, "values", (*kernels, packings, schedules))

    def fastest(self) -> _Form:
        """Without a budget."""
        kernels = fast_kernels(self.layers, self.budget.cores or CORES)
        own = [kernels.get(layer.name, layer.ways[0].kernel) for layer in self.layers]
        return self._form((*own, self.values[-2][0], self.options.schedule))

    def within(self, start: _Form) -> _Form:
        """One that keeps the budget."""
        if not start.missing:
            return start
        mosts = {index: limit.most for index, limit in enumerate(start.limits)}
        found = [self._shrunk(start, mosts)]
        smallest: list[_Form] = []
        if found == [None] or len(mosts) > 1:
            # What saves one memory may cost another: what is smallest by one limit is another place to begin.
            smallest = [self._smallest(start, index) for index in mosts]
            found += [self._shrunk(form, mosts) for form in smallest]
        kept = [self._faster(form, start) for form in found if form is not None]
        if kept:
            return min(kept, key=lambda form: form.time)
        least = [form.limits[index] for index, form in enumerate(smallest)]
        closest = min(self.forms.values(), key=lambda form: form.missing)
        raise refusal(least, closest.limits, closest.plan)

    def _faster(self, form: _Form, start: _Form) -> _Form:
        """Without the changes that are not needed, nor those that one other change makes unnecessary."""
        form = self._freed(form, start)
        while len(self.forms) < _MOST_PLANS:
            others = (
                self._freed(self._with(form, *change), start)
                for change in self._changes(form)
                if len(self.forms) < _MOST_PLANS
            )
            best = min((other for other in others if not other.missing), key=lambda other: other.time, default=form)
            if best.time >= form.time:
                break
            form = best
        return form

    def _freed(self, form: _Form, start: _Form) -> _Form:
        """Without the changes that the budget does not need: those that cost most are taken back first."""
        changed = [index for index, value in enumerate(start.choice) if form.choice[index] != value]
        for index in sorted(changed, key=lambda index: self._with(form, index, start.choice[index]).time):
            others = [self._with(form, index, value) for value in self.values[index] if value != form.choice[index]]
            better = [
                other
                for other in others
                if not other.missing and (other.time < form.time or other.choice[index] == start.choice[index])
            ]
            form = min(better, key=lambda other: other.time, default=form)
        return form

    def trades(self, start: _Form, final: _Form) -> Iterator[str]:
        """What each change saves, and costs, beside the plan that is the same without it."""
        for index, (value, before) in enumerate(zip(final.choice, start.choice, strict=True)):
            if value != before:
                other = self._with(final, index, before)
                yield f"{self._what(index, value)}: {', '.join(_differences(other, final))}"

    def _what(self, index: int, value: str) -> str:
        if index < len(self.layers):
            return f"{self.layers[index].name} runs on {value}"
        texts = {
            "bytes": "spikes are packed in bytes",
            "window": "layers take no turns",
            "rows": "all layers take turns",
        }
        return texts[value]

    def _changes(self, form: _Form) -> list[tuple[int, str]]:
        """Single ones: a part of the choice, and what else that can be."""
        return [(i, value) for i, values in enumerate(self.values) for value in values if value != form.choice[i]]

    def _with(self, form: _Form, index: int, value: str) -> _Form:
        return self._form((*form.choice[:index], value, *form.choice[index + 1 :]))

    def _form(self, choice: _Choice) -> _Form:
        """Of a choice, made once."""
        if choice not in self.forms:
            self.forms[choice] = self._made(choice)
        return self.forms[choice]

    def _made(self, choice: _Choice) -> _Form:
        *kernels, packing, schedule = choice
        ways = [
            next(way for way in layer.ways if way.kernel == kernel)
            for layer, kernel in zip(self.layers, kernels, strict=True)
        ]
        other = {
            layer.name: kernel
            for layer, kernel in zip(self.layers, kernels, strict=True)
            if kernel != layer.ways[0].kernel
        }
        options = named(
            PlanOptions(
                packing=cast("Packing", packing), schedule=cast("Schedule", schedule), kernels=self.options.kernels
            ),
            other,
        )
        plan = arrange(self.network, self.name, options, self._in_order([s for way in ways for s in way.stages]))
        cores = self.budget.cores or (_CORE,)
        stages = predicted_instructions(plan, self.work)
        times = [
            sum(stage[core] for stage in stages) / sum(layer.ways[0].instructions[core] for layer in self.layers)
            for core in cores
        ]
        return _Form(choice=choice, plan=plan, time=sum(times) / len(times), limits=self.budget.limits(plan))

    def _in_order(self, stages: list[Stage]) -> tuple[Stage, ...]:
        """As :func:`make_stages` has them: a pool that was taken in has the place of its layer."""
        places = {node.name: index for index, node in enumerate(self.network.nodes) if node.stored}
        return tuple(sorted(stages, key=lambda stage: min(places[part] for part in stage.parts if part in places)))

    def _smallest(self, form: _Form, index: int) -> _Form:
        """As small as it gets by one limit alone, the time left out of account."""
        while smaller := self._shrunk(form, {index: form.limits[index].needed - 1}):
            form = smaller
        return form

    def _shrunk(self, form: _Form, mosts: Mapping[int, int]) -> _Form | None:
        """Changed until it keeps to these limits, or ``None`` if no change helps any more."""
        known: dict[tuple[int, str], float] = {}
        while form.lack(mosts):
            if len(self.forms) >= _MOST_PLANS:
                return None
            better = self._step(form, mosts, known)
            if better is None:
                return None
            form = better
        return form

    def _step(self, form: _Form, mosts: Mapping[int, int], known: dict[tuple[int, str], float]) -> _Form | None:
        """The change that costs least for what it saves.

        Args:
            known: what each change cost when it was last looked at; those that were dearer then than the best that is
                found now are not looked at again.
        """
        lack, best, least = form.lack(mosts), None, inf
        for change in sorted(self._changes(form), key=lambda change: known.get(change, -inf)):
            if best is not None and known.get(change, -inf) > least:
                break
            other = self._with(form, *change)
            saved = lack - other.lack(mosts)
            known[change] = max(other.time - form.time, 0.0) / saved if saved > 0 else inf
            if saved > 0 and (known[change], -saved) < (least, -(lack - best.lack(mosts)) if best else inf):
                best, least = other, known[change]
        return best


def _differences(before: _Form, after: _Form) -> Iterator[str]:
    """In bytes of each memory that is limited, and in instructions."""
    seen = set()
    for old, new in zip(before.limits, after.limits, strict=True):
        if old.memory not in seen and new.needed != old.needed:
            seen.add(old.memory)
            less = "less" if new.needed < old.needed else "more"
            yield f"{abs(old.needed - new.needed):,} bytes of {old.memory} {less}"
    change = after.time / before.time - 1
    if abs(change) >= 0.005:
        yield f"{abs(change):.0%} {'more' if change > 0 else 'fewer'} instructions".replace("%", " %")
    elif change > 0:
        yield "less than 1 % more instructions"
