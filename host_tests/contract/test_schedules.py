"""Stages that take turns, pools in the place of their input, and pixels nobody reads: in C, in the arena as planned."""

from __future__ import annotations

import numpy as np
import pytest

from host_tests.support.agreement import SCHEDULES, case_of, check_planned
from host_tests.support.builds import COMPILERS, emit, output_of, run_files
from host_tests.support.layers import Layers
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.options import PlanOptions, Schedule
from qpsnn_codegen.planning.plan import make_plan

pytestmark = pytest.mark.slow

AROUND = Window(kernel=(3, 3), padding=(1, 1))


@pytest.mark.parametrize("timesteps", [1, 5])
def test_windows_of_every_shape_in_turns(timesteps: int) -> None:
    """Rings of every height, read over their end, with strides, gaps, borders and pools between."""
    layers = Layers(seed=timesteps, timesteps=timesteps).image(2, 23, 6)
    layers.layer(33, 8, AROUND, fraction_bits=1)
    layers.layer(5, 4, Window(kernel=(5, 1), padding=(2, 0)))
    layers.layer(34, 4, Window(kernel=(3, 3), padding=(2, 1), dilation=(2, 1))).pool(2, 1)
    layers.layer(6, 2, Window(kernel=(2, 2), stride=(1, 2), padding=(1, 1)))
    layers.layer(7, 4, Window(kernel=(1, 1), stride=(2, 1)))
    layers.layer(8, 4, Window(kernel=(2, 1), padding=(3, 0), dilation=(3, 1)))
    case = case_of(layers)
    plan = make_plan(case.network, "net", PlanOptions(schedule="rows"))
    (group,) = (group for group in plan.groups if group.order)
    assert (group.first, group.last) == (0, 5)
    assert group.kept == (5, 5, 2, 1, 4)
    check_planned(case, plan)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_groups_and_stages_between_them(schedule: Schedule) -> None:
    """Two groups, a sum that keeps a map over all of the second, a pool over its input."""
    layers = Layers(seed=3, timesteps=2).events(4, 7, 8)
    for outputs in (35, 36, 37):
        layers.layer(outputs, 2, AROUND)
    layers.layer(33, 2, AROUND).pool_by(Window(kernel=(2, 2)))
    for _ in range(3):
        layers.layer(33, 2, AROUND)
    layers.add("pool of neuron3", "neuron6")
    case = case_of(layers)
    plan = make_plan(case.network, "net", PlanOptions(schedule=schedule))
    assert sum(bool(group.order) for group in plan.groups) == (2 if schedule == "rows" else 0)
    assert [buffer.name for buffer in plan.buffers if buffer.over] == ["pool of neuron3"]
    check_planned(case, plan)


@pytest.mark.parametrize("pool", [(2, 2), (3, 3), (4, 3), (1, 5)], ids=str)
def test_dropped_pixels_are_left_out_without_a_trace(pool: tuple[int, int]) -> None:
    """Their results are not missed, in any schedule."""
    for start in (Layers.image, Layers.events):
        layers = start(Layers(seed=5, timesteps=3), 3, 7, 8)
        layers.layer(35, 4, AROUND, fraction_bits=1).pool(*pool).layer(6, 4, AROUND)
        case = case_of(layers)
        for schedule, cc in zip(SCHEDULES, COMPILERS, strict=True):
            plan = make_plan(case.network, "net", PlanOptions(schedule=schedule))
            outcome = run_files(emit(plan), case.network, case.inputs, cc, trace=False)
            assert np.array_equal(outcome.logits, case.expected.logits)


COUNTED = """
#include <stdio.h>
#include "runtime/qps_pixel.h"
int main(void)
{
    const qps_map_t map = {.channels = 3U, .height = 2U, .width = 2U, .timesteps = 1U, .rows = 2U};
    const qps_tiles_t tiles = {.height = 7U, .width = 8U, .pool_height = 3U, .pool_width = 3U, .trace = 0U};
    uint32_t output[4];
    for (uint32_t y = 0U; y < 7U; y++) {
        const qps_line_t line = qps_begin_line(&map, &tiles, y, output);
        (void)printf("%u ", (unsigned)line.columns);
    }
    return 0;
}
"""


@pytest.mark.parametrize(("trace", "columns"), [(False, "6 6 6 6 6 6 0"), (True, "8 8 8 8 8 8 8")])
def test_columns_that_are_computed(trace: bool, columns: str) -> None:
    files = emit(make_plan(Layers(seed=1).events(3, 2, 2).layer(3, 4).network(), "net"))
    assert output_of(COUNTED, files, "gcc", trace=trace).split() == columns.split()
