"""What costs rest on: work is counted right, the worst case is one, every kernel has constants for every core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.examples import EXAMPLES, example
from host_tests.support.fast_networks import FAST_NETWORKS, fast_network
from host_tests.support.layers import Layers, all_kinds_of_inputs
from qpsnn_codegen.boards import find_board
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.pipeline import compile as compile_model
from qpsnn_codegen.planning.cost import CORES, predicted_instructions, read_costs, table_core, worst_instructions
from qpsnn_codegen.planning.kernels import KERNELS
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.planning.work import Load, Work, assumed_work, worst_work
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.report.instructions import board_cost, instructions_text, stage_costs, total_cost

DIGITS = Path(__file__).parents[2] / "examples" / "digits_2bit.pt"
AROUND = Window(kernel=(3, 3), padding=(1, 1), stride=(2, 1))


def one_layer(timesteps: int = 6) -> IntegerNetwork:
    """Spikes of 3 channels, 5x4, windows that hang over the border."""
    return Layers(seed=1, timesteps=timesteps).events(3, 5, 4).layer(7, 4, AROUND).pool(1, 2).network()


def counted(inputs: NDArray[np.uint8]) -> tuple[dict[int, int], dict[int, int]]:
    """Pixel by pixel: how many windows hold n spikes, and of how many the fullest of four timesteps does."""
    steps: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for sample in inputs:
        for y, x in np.ndindex(3, 4):
            rows = [row for row in (2 * y - 1, 2 * y, 2 * y + 1) if 0 <= row < 5]
            columns = [column for column in (x - 1, x, x + 1) if 0 <= column < 4]
            events = [int(frame[:, rows][:, :, columns].sum()) for frame in sample]
            for n in events:
                steps[n] = steps.get(n, 0) + 1
            for block in (events[:4], events[4:]):
                peaks[max(block)] = peaks.get(max(block), 0) + 1
    return steps, peaks


def as_dict(histogram: NDArray[np.float64], samples: int) -> dict[int, int]:
    return {n: round(count * samples) for n, count in enumerate(histogram) if count}


def test_windows_are_counted_one_by_one() -> None:
    network = one_layer()
    inputs = all_kinds_of_inputs(network)
    load = measure_work(network, inputs).loads["conv0"]
    steps, peaks = counted(inputs)
    assert as_dict(load.steps, len(inputs)) == steps
    assert as_dict(load.peaks, len(inputs)) == peaks
    assert load.events == pytest.approx(sum(n * count for n, count in steps.items()) / len(inputs))
    assert load.busy == pytest.approx(sum(count for n, count in steps.items() if n) / len(inputs))
    limit = sorted(peaks)[len(peaks) // 2]
    below = sum(count for n, count in peaks.items() if n < limit)
    assert load.peaks_below(limit) == pytest.approx(below / len(inputs))


def test_spikes_are_counted_before_the_pool() -> None:
    network = one_layer()
    inputs = all_kinds_of_inputs(network)
    work = measure_work(network, inputs)
    spikes = run_reference(network, inputs, trace=True).spikes["neuron0"]
    assert 0 < spikes.sum() < spikes.size
    assert work.spikes["neuron0"] == pytest.approx(spikes.sum() / len(inputs))
    assert work.awake["neuron0"] == pytest.approx(spikes.any(axis=1).sum() / len(inputs))


def test_inputs_of_a_readout_are_counted_once() -> None:
    network = Layers(seed=1, timesteps=3).events(5, 2, 3).layer(4, 4).network()
    inputs = all_kinds_of_inputs(network)
    work = measure_work(network, inputs)
    spikes = run_reference(network, inputs, trace=True).spikes["neuron0"]
    assert 0 < spikes.any(axis=1).sum() < spikes.any(axis=1).size
    assert work.inputs == {"classes": pytest.approx(spikes.any(axis=1).sum() / len(inputs))}
    assert worst_work(network).inputs == {"classes": 4 * 2 * 3}


def test_a_pool_that_leaves_pixels_out_has_loads_of_those_it_reads() -> None:
    layers = Layers(seed=1).events(3, 5, 4).layer(7, 4, Window(kernel=(3, 3), padding=(1, 1)))
    pooled = layers.pool(2, 3).network()
    inputs = all_kinds_of_inputs(pooled)
    all_of_it, part = measure_work(pooled, inputs).loads["conv0"], measure_work(pooled, inputs).pooled["conv0"]
    # 4x3 pixels of 5x4.
    assert (all_of_it.peaks.sum(), part.peaks.sum()) == (pytest.approx(20), pytest.approx(12))
    assert 0 < part.events < all_of_it.events
    everything = worst_work(pooled).pooled["conv0"]
    assert everything.events == 4 * 3 * sum(min(y + 2, 5) - max(y - 1, 0) for y in range(4)) * sum(
        min(x + 2, 4) - max(x - 1, 0) for x in range(3)
    )
    assert not worst_work(one_layer()).pooled


def test_batches_of_the_reference_add_up() -> None:
    network = one_layer()
    inputs = all_kinds_of_inputs(network)
    many = np.concatenate([inputs] * (600 // len(inputs) + 1))
    few, more = (measure_work(network, samples).loads["conv0"] for samples in (inputs, many))
    np.testing.assert_allclose(few.steps, more.steps)
    np.testing.assert_allclose(few.peaks, more.peaks)


@pytest.mark.parametrize("timesteps", [3, 4, 9])
def test_the_worst_case_is_all_inputs_at_once(timesteps: int) -> None:
    network = one_layer(timesteps)
    everything = np.ones((1, timesteps, 3, 5, 4), dtype=np.uint8)
    worst, found = worst_work(network).loads["conv0"], measure_work(network, everything).loads["conv0"]
    assert np.array_equal(worst.steps, found.steps)
    assert np.array_equal(worst.peaks, found.peaks)
    assert worst_work(network).spikes["neuron0"] == timesteps * 7 * 3 * 4
    assert worst_work(network).awake["neuron0"] == 7 * 3 * 4


def test_a_rate_is_between_nothing_and_everything() -> None:
    network = one_layer(4)
    none, some, most = (assumed_work(network, rate).loads["conv0"].events for rate in (0.0, 0.3, 1.0))
    assert none == 0
    assert some == pytest.approx(0.3 * most, rel=0.05)


def test_loads_add() -> None:
    short = Load(steps=np.array([1.0, 2.0]), peaks=np.array([3.0]))
    long = Load(steps=np.array([4.0, 0.0, 5.0]), peaks=np.array([0.0, 1.0]))
    both = short + long
    assert both.steps.tolist() == [5, 2, 5]
    assert both.peaks.tolist() == [3, 1]
    assert (both.events, both.busy) == (12, 7)
    assert both.scaled(0.5).steps.tolist() == [2.5, 1, 2.5]


def test_every_kernel_has_constants_for_every_core() -> None:
    costs = read_costs()
    assert set(costs) == set(CORES)
    for core in CORES:
        assert set(costs[core].constants) == set(costs[core].margins) == {kernel.name for kernel in KERNELS}
        assert all(1 <= margin < 1.25 for margin in costs[core].margins.values())
        for constants in costs[core].constants.values():
            assert all(value > 0 for value in constants.values())
            # A kernel whose stages cost nothing to have would mean that the measurement went wrong.
            assert len(constants) > 4


@pytest.mark.parametrize("name", FAST_NETWORKS)
def test_no_input_costs_more_than_the_worst_case(name: str) -> None:
    case = fast_network(name)
    plan = make_plan(case.network, "net")
    worst = worst_instructions(plan)
    for sample in case.inputs:
        found = predicted_instructions(plan, measure_work(case.network, sample[None]))
        for stage, usual, most in zip(plan.stages, found, worst, strict=True):
            for core in CORES:
                assert 0 < usual[core] <= most[core], f"{stage.node} on {core}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_stages_of_every_kind_cost_something_on_every_core(name: str) -> None:
    case = example(name)
    network = lower(case.network, case.options)
    plan = make_plan(network, "net")
    for stage, cost in zip(plan.stages, predicted_instructions(plan, assumed_work(network, 0.1)), strict=True):
        values = int(np.prod(network.types()[stage.node].shape))
        # Whatever a kernel does, it does it for every value that it writes.
        assert min(cost.values()) > values, stage.node


def test_more_spikes_cost_more() -> None:
    plan = make_plan(one_layer(4), "net")
    totals = [
        [sum(stage[core] for stage in predicted_instructions(plan, assumed_work(plan.network, rate))) for core in CORES]
        for rate in (0.0, 0.1, 0.5, 1.0)
    ]
    assert (np.diff(totals, axis=0) > 0).all()


def test_an_m0_plus_is_an_m0() -> None:
    assert {table_core(find_board(name).core) for name in ("rpi_pico", "microbit")} == {"cortex-m0"}


class TestReport:
    def plain(self, *, samples: int = 5, boards: Sequence[str] = ()) -> dict[str, Any]:
        inputs = np.random.default_rng(0).integers(0, 17, (samples, 1, 8, 8)).astype(np.uint8)
        return compile_model(DIGITS, calibration=inputs if samples else None, boards=boards).report

    def test_stages_add_up_to_the_totals(self) -> None:
        report = self.plain()
        assert report["spikes"] == "counted on 5 calibration samples"
        for core, total in report["instructions"].items():
            for case in ("expected", "worst"):
                assert total[case] == sum(row["instructions"][core][case] for row in report["layers"])
            assert 0 < total["expected"] < total["worst"]

    def test_without_data_a_rate_is_assumed_and_said(self) -> None:
        report = self.plain(samples=0)
        assert report["spikes"] == "assumed: every neuron spikes at 15% of the timesteps"
        assert "Spikes assumed: every neuron spikes at 15% of the timesteps." in instructions_text(report)

    def test_a_board_with_a_known_clock_has_milliseconds(self) -> None:
        report = self.plain(boards=["nucleo_f446re", "mps2-an385"])
        known, unknown = report["targets"]
        counts = report["instructions"]["cortex-m4"]
        assert known["instructions"] == counts
        assert known["milliseconds"]["worst"] == round(1000 * counts["worst"] / 84_000_000, 3)
        assert (unknown["clock_hz"], unknown["milliseconds"]) == (None, None)
        text = instructions_text(report)
        assert f"{counts['expected']:,}" in text
        assert "instructions, Cortex-M4" in text
        assert f"{known['milliseconds']['expected']:,.1f} ms expected" in text
        assert "mps2-an385:" not in text


def test_costs_of_a_stage_and_of_a_board_are_whole_instructions() -> None:
    plan = make_plan(one_layer(4), "net")
    stages = stage_costs(plan, None)
    assert len(stages) == len(plan.stages)
    total = total_cost(stages)
    assert board_cost(find_board("rpi_pico"), total)["instructions"] == total["cortex-m0"]
    assert isinstance(worst_work(plan.network), Work)


@pytest.mark.parametrize("name", EXAMPLES)
def test_weights_of_all_widths_have_a_price(name: str) -> None:
    case = example(name)
    integers = lower(case.network, case.options)
    work = assumed_work(integers, 0.2)
    for stage in make_plan(integers, "net").stages:
        rows = [feature for feature in stage.kernel.features(work) if feature.startswith("rows of ")]
        for core, kernels in read_costs().items():
            assert all(feature in kernels.constants[stage.kernel.name] for feature in rows), (
                core,
                stage.kernel.name,
                rows,
            )
