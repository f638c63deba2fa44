"""Broken references and broken emitters: every one must be found by comparing the C with the reference."""

from __future__ import annotations

import pytest

from host_tests.mutants.builds import c_outcome, compile_model, run, runtime_objects
from host_tests.mutants.cases import CASES, case
from host_tests.mutants.python_mutants import EMITTER_MUTANTS, REFERENCE_MUTANTS, PythonMutant
from qpsnn_codegen.errors import QpsnnError
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import compare

pytestmark = pytest.mark.slow


def identify(mutant: PythonMutant) -> str:
    return mutant.title.replace(" ", "-")


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("mutant", REFERENCE_MUTANTS, ids=identify)
def test_a_broken_reference_is_found(mutant: PythonMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = [(case(name), c_outcome(name)) for name in CASES if not case(name).generic]
    mutant.install(monkeypatch)
    verdicts = [compare(run_reference(each.network, each.inputs, trace=True), outcome) for each, outcome in tested]
    assert sum(verdict.mismatches for verdict in verdicts) > 0, f"no case notices: {mutant.title}"


@pytest.mark.parametrize("mutant", EMITTER_MUTANTS, ids=identify)
def test_a_broken_emitter_is_found(mutant: PythonMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = [case(name) for name in CASES]
    mutant.install(monkeypatch)
    number = EMITTER_MUTANTS.index(mutant)
    for each in tested:
        objects = compile_model(f"emitted-{number}-{each.name}", each.files)
        try:
            outcome = run(f"emitted-{number}", each, [*objects, *runtime_objects().values()])
        except QpsnnError:
            return
        if compare(run_reference(each.network, each.inputs, trace=True), outcome).mismatches:
            return
    pytest.fail(f"no case notices: {mutant.title}")
