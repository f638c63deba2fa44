"""Plans that keep a budget of RAM and flash: what is tried, fastest first, and what is said when nothing does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from qpsnn_codegen.boards import Board
from qpsnn_codegen.errors import BudgetError
from qpsnn_codegen.footprint import fit_error, needs_of, predict
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.kernels import GenericKernel
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, make_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that a model may take.

    Attributes:
        ram: of the arena; stack, input and application are not counted.
        flash: of weights and constants; code is not counted.
        boards: whose memories must hold everything, the serial application included.
    """

    ram: int | None = None
    flash: int | None = None
    boards: tuple[Board, ...] = ()

    def missing(self, plan: Plan) -> int:
        """Bytes that a plan takes too many, all limits together."""
        over = sum(max(needed - limit, 0) for _, _, needed, limit in self._limits(plan))
        if self.boards:
            needs = needs_of(plan)
            footprints = [predict(needs, board, trace=False) for board in self.boards]
            over += sum(footprint.missing_flash + footprint.missing_ram for footprint in footprints)
        return over

    def refuse(self, plan: Plan) -> BudgetError:
        """What a plan lacks."""
        over = [limit for limit in self._limits(plan) if limit[2] > limit[3]]
        if not over:
            return fit_error(needs_of(plan), self.boards)
        what = " and ".join(f"{needed:,} bytes of {kind}, {needed - limit:,} more" for _, kind, needed, limit in over)
        return BudgetError(
            " ".join(f"{option} {limit}" for option, _, _, limit in over),
            f"the model needs {what}, in the smallest form that was found",
            "train a smaller one, or with fewer bits or timesteps",
        )

    def _limits(self, plan: Plan) -> list[tuple[str, str, int, int]]:
        limits = (
            ("--ram-limit", "arena", plan.arena_bytes, self.ram),
            ("--flash-limit", "weights and constants", plan.weight_bytes + plan.constant_bytes, self.flash),
        )
        return [(option, kind, needed, limit) for option, kind, needed, limit in limits if limit is not None]


def plan_within(network: IntegerNetwork, name: str, options: PlanOptions, budget: Budget) -> Plan:
    """The first plan that keeps the budget, of those that leave the options as they were given.

    Raises:
        BudgetError: none does; what the closest one lacks.
    """
    tried: list[tuple[int, Plan]] = []
    for attempt in _attempts(network, options):
        plan = make_plan(network, name, attempt)
        missing = budget.missing(plan)
        if missing == 0:
            return plan
        tried.append((missing, plan))
    raise budget.refuse(min(tried, key=lambda pair: pair[0])[1])


def _attempts(network: IntegerNetwork, options: PlanOptions) -> Iterator[PlanOptions]:
    """The options as given; spikes in bytes; then one stage after the other on the kernel that is slow and small.

    Stages change first by the flash they save, and then, from the beginning, by the scratch.
    """
    packed = replace(options, packing="bytes" if options.packing == "auto" else options.packing)
    yield options
    if packed != options:
        yield packed
    fast = make_plan(network, "net", options)
    chosen = dict(options.kernels)
    free = [stage for stage in fast.stages if chosen.keys().isdisjoint(stage.parts)]
    slow = {stage.parts[0]: GenericKernel.name for stage in free if stage.kernel.name != GenericKernel.name}
    small = make_plan(network, "net", _with_kernels(options, slow))
    for sizes in (_flash, _scratch):
        before, after = sizes(fast), sizes(small)
        saved = {part: before[part] - after[part] for part in slow if before[part] > after[part]}
        order = sorted(saved, key=lambda part: -saved[part])
        for count in range(1, len(order) + 1):
            yield _with_kernels(packed, dict.fromkeys(order[:count], GenericKernel.name))


def _with_kernels(options: PlanOptions, kernels: Mapping[str, str]) -> PlanOptions:
    return replace(options, kernels=(*options.kernels, *kernels.items()))


def _flash(plan: Plan) -> dict[str, int]:
    """Of every stage, by its first node."""
    return {stage.parts[0]: stage.weight_bytes + stage.constant_bytes for stage in plan.stages}


def _scratch(plan: Plan) -> dict[str, int]:
    return {stage.parts[0]: stage.scratch_bytes for stage in plan.stages}
