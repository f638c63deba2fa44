"""Spikes in bytes: which maps, and what kernels are asked for by name."""

from __future__ import annotations

import pytest

from host_tests.support.layers import Layers
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.options import Packing, PlanOptions
from qpsnn_codegen.planning.plan import make_plan

AROUND = Window(kernel=(3, 3), padding=(1, 1))


def network(*channels: int) -> IntegerNetwork:
    """A chain of layers; the readout takes the last map."""
    layers = Layers(seed=1).image(1, 4, 4)
    for outputs in channels:
        layers.layer(outputs, 4, AROUND)
    return layers.network()


@pytest.mark.parametrize(
    ("packing", "expected"),
    [
        ("words", ["SPIKES"] * 8),
        ("auto", ["SPIKES8", "SPIKES", "SPIKES8", "SPIKES", "SPIKES", "SPIKES8", "SPIKES", "SPIKES"]),
        ("bytes", ["SPIKES8", "SPIKES8", "SPIKES8", "SPIKES", "SPIKES", "SPIKES8", "SPIKES8", "SPIKES"]),
    ],
)
def test_which_maps_are_packed(packing: Packing, expected: list[str]) -> None:
    """Not those that would not get smaller, nor the one that the readout reads."""
    plan = make_plan(network(5, 9, 16, 31, 64, 72, 35, 3), "net", PlanOptions(packing=packing))
    assert [plan.layouts[f"neuron{index}"].format for index in range(8)] == expected


@pytest.mark.parametrize(("size", "worth"), [(12, True), (32, False)])
def test_bytes_that_cost_time_where_ram_is_saved(size: int, worth: bool) -> None:
    """35 channels take 5 bytes, not 8, where that makes the arena smaller by a sixteenth."""
    layers = Layers(seed=1).image(2, size, size).layer(35, 4, AROUND).layer(35, 4, AROUND).layer(35, 4, AROUND)
    same = layers.network()
    words, auto, packed = (make_plan(same, "net", PlanOptions(packing=way)) for way in ("words", "auto", "bytes"))
    assert packed.arena_bytes < words.arena_bytes
    assert (packed.arena_bytes <= words.arena_bytes * 15 / 16) == worth
    chosen = packed if worth else words
    assert (auto.layouts, auto.buffers) == (chosen.layouts, chosen.buffers)


def test_a_single_word_is_left_alone() -> None:
    """9 channels in 2 bytes would make the arena smaller by more than a sixteenth, at twice the price."""
    layers = Layers(seed=1).image(2, 12, 12).layer(9, 4, AROUND).layer(9, 4, AROUND).layer(9, 4, AROUND)
    same = layers.network()
    words, auto, packed = (make_plan(same, "net", PlanOptions(packing=way)) for way in ("words", "auto", "bytes"))
    assert packed.arena_bytes <= words.arena_bytes * 15 / 16
    assert auto.layouts == words.layouts


def test_bytes_of_a_pixel() -> None:
    plan = make_plan(network(35, 8), "net", PlanOptions(packing="bytes"))
    layout = plan.layouts["neuron0"]
    assert (layout.bytes_per_pixel, layout.words_per_pixel) == (5, 2)
    assert layout.size == 5 * 4 * layout.rows * 4


def kernels(**wanted: str) -> list[str]:
    layers = Layers(seed=1).image(2, 6, 6).layer(5, 4, AROUND).layer(6, 4, AROUND).pool(2, 2)
    plan = make_plan(layers.network(), "net", PlanOptions(kernels=tuple(wanted.items())))
    return [stage.kernel.name for stage in plan.stages]


def test_kernels_by_name() -> None:
    assert kernels() == ["image", "events", "counts"]
    assert kernels(conv0="generic") == ["generic", "events", "counts"]
    # The generic kernel takes in no pool.
    assert kernels(neuron1="generic") == ["image", "generic", "generic", "counts"]
    assert kernels(conv1="events", neuron0="image") == kernels()
    assert kernels(**{"pool of neuron1": "generic"}) == ["image", "events", "generic", "counts"]


@pytest.mark.parametrize(
    ("layer", "kernel", "message"),
    [
        ("conv9", "generic", "there is no layer 'conv9'; choose one of conv0, "),
        ("conv0", "events", "'events' cannot run conv0 [+] neuron0; choose image or image_packed or generic"),
        ("conv1", "fast", "'fast' cannot run .*; choose events or generic"),
    ],
)
def test_kernels_that_cannot_be(layer: str, kernel: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^--kernel {layer}={kernel}: {message}"):
        kernels(**{layer: kernel})


def test_a_stage_runs_on_one_kernel() -> None:
    with pytest.raises(UsageError) as caught:
        kernels(conv0="image", neuron0="generic")
    assert str(caught.value) == (
        "--kernel: conv0=image and neuron0=generic are for one stage, conv0 + neuron0; name one kernel for it"
    )
    # A pool becomes a stage of its own.
    assert kernels(conv1="events", **{"pool of neuron1": "generic"}) == ["image", "events", "generic", "counts"]


def test_options_come_back_from_a_report() -> None:
    options = PlanOptions(schedule="rows", packing="bytes", kernels=(("conv0", "generic"),))
    assert PlanOptions.of_report(options.report()) == options
    for damaged in (None, {}, {**options.report(), "schedule": "x"}, {**options.report(), "kernels": {"a": 1}}):
        with pytest.raises(ValueError, match="no options"):
            PlanOptions.of_report(damaged)
