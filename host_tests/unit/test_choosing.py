"""Kernels by predicted cost: which layers change, on which cores, and which stay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from host_tests.golden.handmade import Sketch
from host_tests.support.layers import Layers
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning import cost
from qpsnn_codegen.planning.choosing import fastest
from qpsnn_codegen.planning.cost import CORES, predicted_instructions
from qpsnn_codegen.planning.kernels import KERNELS
from qpsnn_codegen.planning.options import Packing, PlanOptions
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.planning.ways import layers_of
from qpsnn_codegen.planning.work import assumed_work

AROUND = Window(kernel=(3, 3), padding=(1, 1))
M0, M4 = "cortex-m0", "cortex-m4"
PLAIN = PlanOptions()


@cache
def network() -> IntegerNetwork:
    """Stages image, events with a pool, events, counts."""
    layers = Layers(seed=1).image(2, 6, 6).layer(5, 8, AROUND).layer(6, 4, AROUND).pool(2, 2)
    return layers.layer(4, 4).network()


def chosen(cores: Sequence[str] = CORES, options: PlanOptions = PLAIN) -> dict[str, str]:
    return dict(fastest(network(), options, assumed_work(network(), 0.15), cores).kernels)


def priced(monkeypatch: pytest.MonkeyPatch, costs: dict[str, dict[str, float]]) -> None:
    """Instructions of a stage by its kernel, 1000 where nothing is said; by core."""
    table = {
        core: cost.Costs(
            constants={kernel.name: {"stages": costs.get(core, {}).get(kernel.name, 1000.0)} for kernel in KERNELS},
            margins={},
        )
        for core in CORES
    }
    monkeypatch.setattr(cost, "read_costs", lambda: table)


def everywhere(**costs: float) -> dict[str, dict[str, float]]:
    return dict.fromkeys(CORES, costs)


def test_the_order_decides_between_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generic kernel needs a stage more for the pool, and takes as many instructions elsewhere."""
    priced(monkeypatch, {})
    assert chosen() == {}


def test_a_kernel_that_saves_enough_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # 4,000 in all: one stage saves 80, just 2 %; the pool's own stage is more than the fused layer saves.
    priced(monkeypatch, everywhere(generic=920.0))
    assert chosen() == {"conv0": "generic", "conv2": "generic", "classes": "generic"}
    priced(monkeypatch, everywhere(generic=921.0))
    assert chosen() == {}
    priced(monkeypatch, everywhere(generic=490.0))
    assert chosen() == dict.fromkeys(("conv0", "classes", "conv2"), "generic"), "two of 490, saving 20"
    priced(monkeypatch, everywhere(generic=400.0))
    assert chosen() == dict.fromkeys(("conv0", "classes", "conv1", "conv2"), "generic")


def test_the_best_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    priced(monkeypatch, everywhere(generic=800.0, image_bytes=700.0))
    assert chosen()["conv0"] == "image_bytes"
    priced(monkeypatch, everywhere(generic=700.0, image_bytes=700.0))
    assert chosen()["conv0"] == "image_bytes", "the one that comes first in the order"


def test_it_is_worth_it_on_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    priced(monkeypatch, {core: {"counts": 1000.0, "generic": 1000.0 if core == M4 else 100.0} for core in CORES})
    assert chosen() == {}
    assert chosen([M0, M4]) == {}
    assert "classes" in chosen([M0])
    assert chosen([M4]) == {}


def test_what_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    priced(monkeypatch, everywhere(generic=100.0))
    options = PlanOptions(kernels=(("neuron0", "image"), ("pool of neuron1", "generic")), packing="words")
    result = fastest(network(), options, assumed_work(network(), 0.15), [M4])
    assert result == PlanOptions(
        packing="words",
        kernels=(
            ("classes", "generic"),
            ("conv1", "generic"),
            ("conv2", "generic"),
            ("neuron0", "image"),
            ("pool of neuron1", "generic"),
        ),
    )
    stages = make_plan(network(), "net", result).stages
    assert [stage.kernel.name for stage in stages] == ["image", "generic", "generic", "generic", "generic"]


def test_the_ways_of_a_layer_are_what_options_make_of_it() -> None:
    work = assumed_work(network(), 0.15)
    layers = layers_of(network(), PLAIN, work)
    names = [[way.kernel for way in layer.ways] for layer in layers]
    assert names == [
        ["image", "image_bytes", "generic"],
        ["events", "generic"],
        ["events", "generic"],
        ["counts", "generic"],
    ]
    for layer in layers:
        for way in layer.ways:
            # Ways are compared as if all spikes were in words.
            plan = make_plan(network(), "net", PlanOptions(kernels=((layer.name, way.kernel),), packing="words"))
            assert all(stage in plan.stages for stage in way.stages)
            others = [each.ways[0] for each in layers if each is not layer]
            total = sum(stage[M4] for stage in predicted_instructions(plan, work))
            assert total == pytest.approx(way.instructions[M4] + sum(each.instructions[M4] for each in others))
            assert plan.weight_bytes + plan.constant_bytes - sum(len(group.order) for group in plan.groups) == sum(
                stage.weight_bytes + stage.constant_bytes for each in (way, *others) for stage in each.stages
            )


@pytest.mark.parametrize("timesteps", [1, 4])
def test_only_tiny_layers_change(timesteps: int) -> None:
    """By the measured constants: 4 channels to 4 at one timestep, yes; a layer that has enough to do, no."""
    tiny = Layers(seed=1, timesteps=timesteps).events(4, 8, 8).layer(4, 4).network()
    large = Layers(seed=1, timesteps=timesteps).events(64, 8, 8).layer(64, 4, AROUND).network()
    for core in CORES:
        kernels = dict(fastest(tiny, PLAIN, assumed_work(tiny, 0.01), [core]).kernels)
        assert timesteps > 1 or kernels["conv0"] == "generic"
        assert "conv0" not in dict(fastest(large, PLAIN, assumed_work(large, 0.01), [core]).kernels)


@pytest.mark.parametrize(("rate", "kernel"), [(0.0, "generic"), (0.5, "events")])
def test_compile_chooses_for_the_spikes_that_it_counts(rate: float, kernel: str) -> None:
    """And for the board's core. 64 inputs at one timestep: with hardly a spike, the short way is faster."""
    sketch = Sketch(seed=1, timesteps=1)
    sketch.events((64, 1, 1))
    sketch.conv("conv1", 10, 4, (1, 1), padding=(0, 0))
    sketch.neuron("lif1")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("mean")
    spikes = (np.random.default_rng(0).random((4, 1, 64, 1, 1)) < rate).astype(np.uint8)
    made = compile_model(sketch.network(), calibration=spikes, boards=["mps2-an386"])
    assert made.trades == ()
    assert made.report["layers"][0]["kernel"] == kernel
    assert make_plan(made.integers, made.plan.name, PlanOptions.of_report(made.report["planning"])) == made.plan


@pytest.mark.parametrize(
    ("cores", "asked", "packing"),
    [
        (["cortex-m55"], "auto", "words"),
        (["cortex-m55"], "bytes", "bytes"),
        ([M4, "cortex-m55"], "auto", "auto"),
        ([M4], "auto", "auto"),
    ],
)
def test_helium_has_spikes_in_words(cores: list[str], asked: Packing, packing: Packing) -> None:
    """Unless other cores run the network as well, or the user wants it otherwise."""
    work = assumed_work(network(), 0.15)
    assert fastest(network(), PlanOptions(packing=asked), work, cores).packing == packing
