"""Wrong constants: the certificate must refuse every one that some input can show, tried over all inputs there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from host_tests.golden.models import MODELS
from host_tests.mutants.exhaustive import OneNeuron
from qpsnn_codegen import certificate
from qpsnn_codegen.certificate import NeuronIntegers, RealNeuron, certify, proven_steps, search
from qpsnn_codegen.kinds import neuron as neuron_kind
from qpsnn_codegen.lowering import lower

NEURONS: dict[str, OneNeuron] = {
    "hard": OneNeuron(threshold=Fraction(7, 3), rest=Fraction(1, 3)),
    "hard, at the threshold": OneNeuron(threshold=Fraction(5, 2), rest=Fraction(1), strict=False),
    "hard, on the threshold": OneNeuron(threshold=Fraction(5, 2), rest=Fraction(1)),
    "hard, by a quarter": OneNeuron(threshold=Fraction(9, 4), rest=Fraction(-1, 2), decay=Fraction(1, 4), timesteps=3),
    "soft": OneNeuron(threshold=Fraction(7, 3), rest=Fraction(0), drop=Fraction(7, 3), reset="soft"),
    "soft, odd drop": OneNeuron(
        threshold=Fraction(11, 5), rest=Fraction(-2, 5), drop=Fraction(9, 5), reset="soft", strict=False
    ),
    "no reset": OneNeuron(threshold=Fraction(3, 2), rest=Fraction(1, 7), reset="none"),
    "integrating": OneNeuron(threshold=Fraction(13, 3), rest=Fraction(0), decay=Fraction(1), bias=Fraction(1, 3)),
    "integrating, soft": OneNeuron(
        threshold=Fraction(13, 5),
        rest=Fraction(0),
        drop=Fraction(13, 5),
        decay=Fraction(1),
        bias=Fraction(-1, 7),
        reset="soft",
    ),
    "shortcut": OneNeuron(
        threshold=Fraction(7, 3), rest=Fraction(0), gain=Fraction(5, 7), shortcut_max=1, low=-1, high=2, timesteps=3
    ),
    "shortcut of counts": OneNeuron(
        threshold=Fraction(3), rest=Fraction(1, 5), gain=Fraction(-3, 4), shortcut_max=2, low=-1, high=3, timesteps=2
    ),
}

CONSTANTS = ("threshold", "rest", "drop", "bias", "gain")


def found(neuron: OneNeuron) -> NeuronIntegers:
    integers = search(neuron.real, neuron.timesteps)
    assert integers is not None
    return integers


def claims(neuron: OneNeuron, integers: NeuronIntegers) -> bool:
    """Whether the certificate says that no input can tell the integers from the real neuron."""
    return int(proven_steps(neuron.real, integers, neuron.timesteps)[0]) == neuron.timesteps


def wrong(integers: NeuronIntegers) -> dict[str, NeuronIntegers]:
    """Every constant, off by powers of two in both directions."""
    trials = {}
    for name in CONSTANTS:
        for power in range(integers.fraction_bits + 2):
            for step in (2**power, -(2**power)):
                trials[f"{name} {step:+}"] = replace(integers, **{name: getattr(integers, name) + step})
    return trials


@pytest.mark.parametrize("name", NEURONS)
class TestOneNeuron:
    def test_a_certified_neuron_never_differs(self, name: str) -> None:
        neuron = NEURONS[name]
        integers = found(neuron)
        assert claims(neuron, integers)
        assert neuron.integer_trains(integers) == neuron.real_trains()

    def test_every_wrong_constant_is_found(self, name: str) -> None:
        neuron = NEURONS[name]
        truth = neuron.real_trains()
        visible = {
            trial: integers
            for trial, integers in wrong(found(neuron)).items()
            if neuron.integer_trains(integers) != truth
        }
        assert {trial.split()[0] for trial in visible} >= {"threshold"}
        assert [trial for trial, integers in visible.items() if claims(neuron, integers)] == []

    def test_no_claim_reaches_beyond_the_first_difference(self, name: str) -> None:
        neuron = NEURONS[name]
        truth = neuron.real_trains()
        for trial, integers in wrong(found(neuron)).items():
            steps = int(proven_steps(neuron.real, integers, neuron.timesteps)[0])
            # Up to that many steps from the start, whatever happens later, no train may differ.
            short = [train[:steps] for train in neuron.integer_trains(integers)]
            assert short == [train[:steps] for train in truth], trial


def test_each_constant_matters_somewhere() -> None:
    visible = set()
    for neuron in NEURONS.values():
        truth = neuron.real_trains()
        for trial, integers in wrong(found(neuron)).items():
            if neuron.integer_trains(integers) != truth:
                visible.add(trial.split()[0])
    assert visible == set(CONSTANTS)


@pytest.mark.parametrize("name", ["hard, on the threshold", "hard, at the threshold"])
@pytest.mark.parametrize("step", [1, -1])
def test_a_threshold_off_by_one_is_found(name: str, step: int) -> None:
    neuron = NEURONS[name]
    integers = found(neuron)
    # With currents in steps of 1 and no fraction, a threshold has no room at all.
    exact = [
        replace(integers, threshold=integers.threshold + step * shift)
        for shift in range(1, 2**integers.fraction_bits + 1)
    ]
    assert [trial for trial in exact if claims(neuron, trial)] != exact
    assert not claims(neuron, replace(integers, threshold=integers.threshold + step * 2**integers.fraction_bits))


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("constant", ["threshold", "rest"])
def test_a_constant_without_room_is_exact(constant: str, step: int) -> None:
    # λ = 1 and whole numbers: no fraction bits are needed, and each unit counts.
    neuron = OneNeuron(threshold=Fraction(4), rest=Fraction(1), decay=Fraction(1))
    integers = found(neuron)
    assert integers.fraction_bits == 0
    assert claims(neuron, integers)
    assert not claims(neuron, replace(integers, **{constant: getattr(integers, constant) + step}))


Corrupt = Callable[[NeuronIntegers], NeuronIntegers]

CORRUPTIONS: dict[str, Corrupt] = {
    "threshold too high": lambda n: replace(n, threshold=n.threshold + 2 ** (n.fraction_bits + 1)),
    "threshold too low": lambda n: replace(n, threshold=n.threshold - 2 ** (n.fraction_bits + 1)),
    "rest too high": lambda n: replace(n, rest=n.rest + 2 ** (n.fraction_bits + 3)),
    "rest too low": lambda n: replace(n, rest=n.rest - 2 ** (n.fraction_bits + 3)),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_broken_search_is_found_in_a_whole_network(corruption: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = MODELS["image"]()
    assert {c.status for c in lower(network).certificates} == {"certified"}

    def broken(*arguments: Any, **options: Any) -> NeuronIntegers | None:
        integers = search(*arguments, **options)
        return None if integers is None else CORRUPTIONS[corruption](integers)

    monkeypatch.setattr(neuron_kind, "search", broken)
    certificates = lower(network).certificates
    assert all(c.status != "certified" and c.proven < c.channels for c in certificates)
    assert all(c.membrane_error > 0 for c in certificates)


def test_a_broken_search_for_thresholds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    interval = certificate._threshold_interval

    def broken(*arguments: Any) -> Any:
        low, _ = interval(*arguments)
        return low - 1, low - 1

    monkeypatch.setattr(certificate, "_threshold_interval", broken)
    neuron = NEURONS["hard"]
    assert not claims(neuron, found(neuron))


def test_certify_says_how_far_a_proof_reaches() -> None:
    neuron = NEURONS["hard"]
    integers = found(neuron)
    good = certify("lif", neuron.real, integers, neuron.timesteps, input_error=(Fraction(0),))
    assert (good.status, good.steps, good.proven, good.membrane_error) == ("certified", 4, 1, 0.0)
    bad = replace(integers, threshold=integers.threshold + 2**integers.fraction_bits)
    verdict = certify("lif", neuron.real, bad, neuron.timesteps, input_error=(Fraction(0),))
    assert (verdict.status, verdict.steps, verdict.proven) == ("bounded", 0, 0)
    rounded_input = certify("lif", neuron.real, integers, neuron.timesteps, input_error=(Fraction(1, 1000),))
    assert (rounded_input.status, rounded_input.proven) == ("bounded", 0)
    assert rounded_input.membrane_error > 0.001


def test_channels_are_judged_one_by_one() -> None:
    neurons = [NEURONS["hard"], NEURONS["hard, on the threshold"]]
    real = RealNeuron(
        threshold=tuple(n.threshold for n in neurons),
        rest=tuple(n.rest for n in neurons),
        drop=(Fraction(1), Fraction(1)),
        bias=(Fraction(0), Fraction(0)),
        gain=(Fraction(0), Fraction(0)),
        strict=True,
        decay=Fraction(1, 2),
        reset="hard",
        low=np.array([-2, -2]),
        high=np.array([3, 3]),
    )
    integers = search(real, 4)
    assert integers is not None
    assert proven_steps(real, integers, 4).tolist() == [4, 4]
    second = np.array([0, 2**integers.fraction_bits])
    assert proven_steps(real, replace(integers, threshold=integers.threshold + second), 4).tolist() == [4, 0]
