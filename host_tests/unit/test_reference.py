"""The reference: what it refuses, how it batches, and calibration's counts against naive loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.golden.handmade import Sketch
from host_tests.golden.models import MODELS
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import reference
from qpsnn_codegen.calibration import measure
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import DataError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.network import Network
from qpsnn_codegen.reference import check_inputs, run_reference


def small(most: int = 1) -> Network:
    """Events through grouped, strided, padded and dilated weights: three kinds of windows."""
    sketch = Sketch(seed=21, timesteps=3)
    sketch.events((4, 6, 5), most=most)
    sketch.conv("conv1", 6, 4, (3, 2), stride=(2, 1), padding=(1, 1), groups=2)
    sketch.neuron("lif1")
    sketch.max_pool("pool", Window(kernel=(2, 2)))
    sketch.conv("conv2", 4, 2, (2, 2), padding=(0, 1), dilation=(1, 2))
    sketch.neuron("lif2")
    sketch.flatten()
    sketch.linear("fc", 2)
    sketch.readout("mean")
    return sketch.network()


class TestInputs:
    @pytest.fixture
    def image(self) -> IntegerNetwork:
        return lower(MODELS["image"]())

    @pytest.fixture
    def events(self) -> IntegerNetwork:
        return lower(MODELS["events"]())

    def test_images_get_one_frame(self, image: IntegerNetwork) -> None:
        given = np.full((5, 1, 6, 6), 200, dtype=np.uint8)
        found = check_inputs(image, given)
        assert found.shape == (5, 1, 1, 6, 6)
        assert found.dtype == np.dtype(np.int64)
        assert (found == 200).all()

    def test_events_keep_theirs(self, events: IntegerNetwork) -> None:
        assert check_inputs(events, np.ones((2, 3, 34, 5, 4), dtype=bool)).shape == (2, 3, 34, 5, 4)

    @pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (2, 6, 6), (2, 3, 6, 6), (2, 1, 6, 7), (2, 4, 1, 6, 6)])
    def test_another_shape(self, image: IntegerNetwork, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError) as error:
            check_inputs(image, np.zeros(shape, dtype=np.uint8))
        assert str(list(shape)) in error.value.what
        assert "[N, 1, 6, 6]" in error.value.remedy

    def test_too_few_timesteps(self, events: IntegerNetwork) -> None:
        with pytest.raises(DataError, match=r"\[N, 3, 34, 5, 4\]"):
            check_inputs(events, np.zeros((2, 2, 34, 5, 4), dtype=np.uint8))

    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "U1", "O"])
    def test_no_integers(self, image: IntegerNetwork, dtype: str) -> None:
        with pytest.raises(DataError, match="raw integers"):
            check_inputs(image, np.zeros((2, 1, 6, 6), dtype=dtype))

    @pytest.mark.parametrize("value", [-1, 256, 2**40, -(2**62)])
    def test_out_of_range(self, image: IntegerNetwork, value: int) -> None:
        given = np.zeros((2, 1, 6, 6), dtype=np.int64)
        given[1, 0, 5, 5] = value
        with pytest.raises(DataError, match=rf"contain {value};.* 0 \.\.\. 255"):
            check_inputs(image, given)

    def test_spikes_that_are_no_spikes(self, events: IntegerNetwork) -> None:
        with pytest.raises(DataError, match=r"contain 2;.* 0 \.\.\. 1"):
            check_inputs(events, np.full((1, 3, 34, 5, 4), 2, dtype=np.uint8))

    def test_none_at_all(self, image: IntegerNetwork) -> None:
        outcome = run_reference(image, np.zeros((0, 1, 6, 6), dtype=np.uint8), trace=True)
        assert outcome.logits.shape == (0, 4)


class TestBatches:
    def test_in_any_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = lower(small())
        inputs = random_inputs(network, 11, seed=4)
        whole = run_reference(network, inputs, trace=True)
        monkeypatch.setattr(reference, "_BATCH_VALUES", 1000)
        done: list[int] = []
        parts = run_reference(network, inputs, trace=True, progress=done.append)
        assert len(done) > 2
        assert sum(done) == 11
        assert np.array_equal(whole.logits, parts.logits)
        assert all(np.array_equal(whole.spikes[name], parts.spikes[name]) for name in whole.spikes)

    def test_a_trace_is_taken_only_when_asked(self) -> None:
        network = lower(small())
        inputs = random_inputs(network, 2, seed=4)
        assert run_reference(network, inputs).spikes == {}
        assert list(run_reference(network, inputs, trace=True).spikes) == ["lif1", "lif2"]


def naive_operations(active: NDArray[np.bool_], outputs: int, groups: int, window: Window) -> int:
    """Every active input times every weight that reads it, position by position; ``active`` is ``[T, C, H, W]``."""
    steps, channels, height, width = active.shape
    rows, columns = window.output_size((height, width))
    count = 0
    taps = product(
        range(steps), range(channels), range(rows), range(columns), range(window.kernel[0]), range(window.kernel[1])
    )
    for t, c, y, x, ky, kx in taps:
        iy = y * window.stride[0] - window.padding[0] + ky * window.dilation[0]
        ix = x * window.stride[1] - window.padding[1] + kx * window.dilation[1]
        if 0 <= iy < height and 0 <= ix < width and active[t, c, iy, ix]:
            count += outputs // groups
    return count


@pytest.mark.parametrize("most", [1, 7])
def test_operations_and_rates_against_naive_counts(most: int) -> None:
    network = small(most)
    integers = lower(network)
    samples = random_inputs(integers, 3, seed=8)
    activity = measure(network, integers, samples)
    arguments: dict[str, list[NDArray[np.bool_]]] = {}

    def observe(name: str, inputs: tuple[NDArray[np.int64], ...], result: NDArray[np.int64]) -> None:
        arguments.setdefault(name, []).extend(sample != 0 for sample in inputs[0])

    outcome = run_reference(integers, samples, trace=True, observe=observe)
    for node in integers.nodes:
        synapses = node.synapses()
        if synapses is not None:
            counts = [
                naive_operations(sample, len(synapses.codes), synapses.groups, synapses.window)
                for sample in arguments[node.name]
            ]
            assert activity.operations[node.name] == pytest.approx(sum(counts) / 3)
            assert sum(counts) > 0
    assert set(activity.operations) == {"conv1", "conv2", "fc"}
    assert activity.samples == 3
    assert activity.rates == {name: pytest.approx(float(spikes.mean())) for name, spikes in outcome.spikes.items()}
    assert 0 < activity.rates["lif1"] < 1


def test_all_active_inputs_cost_the_dense_slots() -> None:
    network = small()
    compilation = compile_model(network, calibration=np.ones((1, 3, 4, 6, 5), dtype=np.uint8))
    first = next(stage for stage in compilation.plan.stages if "conv1" in stage.parts)
    assert compilation.activity is not None
    assert compilation.activity.operations["conv1"] == first.dense_slots
    for stage in compilation.plan.stages:
        spent = sum(compilation.activity.operations.get(part, 0.0) for part in stage.parts)
        assert spent <= stage.dense_slots


def test_changed_spikes_are_counted_for_layers_without_proof() -> None:
    network = MODELS["events"]()
    integers = lower(network)
    open_layers = {c.layer for c in integers.certificates if c.status != "certified"}
    assert open_layers
    activity = measure(network, integers, random_inputs(integers, 5, seed=1))
    assert set(activity.changed) == open_layers
    outcome = run_reference(integers, random_inputs(integers, 5, seed=1), trace=True)
    for name, (changed, compared) in activity.changed.items():
        assert compared == outcome.spikes[name].size
        assert 0 <= changed < compared * 0.01


def test_progress_counts_samples() -> None:
    network = small()
    integers = lower(network)
    done: list[int] = []
    measure(network, integers, random_inputs(integers, 6, seed=1), progress=done.append)
    assert sum(done) == 6
