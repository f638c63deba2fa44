"""Broken kernels: every one must be found by comparing the C with the reference, as ``verify`` does."""

from __future__ import annotations

from functools import cache

import pytest

from host_tests.mutants.builds import c_outcome, compile_runtime, killer
from host_tests.mutants.c_mutants import GENERIC_MUTANTS, CMutant
from host_tests.mutants.cases import CASES, NETWORKS, case, files_of, integer_nodes, observed_hits
from host_tests.mutants.fast_mutants import FAST_MUTANTS
from host_tests.support.fast_networks import FAST_NETWORKS
from host_tests.target.test_kernels_on_cores import CORE_FILES
from qpsnn_codegen.kinds import NODE_KINDS
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.verification import compare

pytestmark = pytest.mark.slow

C_MUTANTS = (*GENERIC_MUTANTS, *FAST_MUTANTS)


@cache
def expected() -> dict[str, Outcome]:
    return {name: run_reference(case(name).network, case(name).inputs, trace=True) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_the_shipped_kernels_pass(name: str) -> None:
    verdict = compare(expected()[name], c_outcome(name))
    assert verdict.first is None
    assert verdict.mismatches == 0
    assert verdict.spikes == sum(spikes.size for spikes in expected()[name].spikes.values())


@pytest.mark.parametrize("mutant", C_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_broken_kernel_is_found(mutant: CMutant) -> None:
    number = C_MUTANTS.index(mutant)
    sources = mutant.apply(files_of("image"))
    objects = compile_runtime(f"mutant-{number}", sources, f"runtime/{mutant.file}")
    # Those first that run most of what is broken.
    cases = (*FAST_NETWORKS, *NETWORKS) if mutant in FAST_MUTANTS else CASES
    assert killer(str(number), objects, {name: expected()[name] for name in cases}), f"no case notices: {mutant.name}"


def test_mutants_are_named_once() -> None:
    assert len({mutant.name for mutant in C_MUTANTS}) == len(C_MUTANTS)


def test_every_kernel_file_has_a_mutant() -> None:
    files = {path.removeprefix("runtime/") for path in files_of("image") if path.startswith("runtime/")}
    # Texts of status codes, which no inference uses, and declarations without code.
    modules = ("add", "conv", "current", "lookup", "pool", "readout", "shortcut", "trace", "wide")
    declarations = {
        f"qps_{name}.h" for name in (*modules, "counts", "events", "events_any", "image", "image_dense", "lif", "pixel")
    }
    broken = {mutant.file for mutant in C_MUTANTS}
    assert broken | CORE_FILES == files - declarations - {"qps_status.c", "qps_trace.c"}


def test_the_cases_use_every_integer_node() -> None:
    assert integer_nodes() == {kind for _, kinds in NODE_KINDS for kind in kinds}


def test_thresholds_are_hit_exactly() -> None:
    total = [observed_hits(case(name).network, case(name).inputs) for name in CASES]
    assert [name for name, hits in zip(CASES, total, strict=True) if not any(hits.values())] == [
        "plain",
        "plain in generic kernels",
        *(name for name in FAST_NETWORKS if name.startswith("counts")),
    ]
    assert all(sum(hits[away] for hits in total) > 50 for away in (-1, 0, 1))
