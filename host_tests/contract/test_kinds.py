"""What every kind of node owes: a kernel that exists, bits that agree, values within bounds, memory within its buffers.

The tests run over NODE_KINDS: a kind added there without an example in ``host_tests/support/examples.py`` fails.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.builds import COMPILERS, emit, run_files
from host_tests.support.examples import EXAMPLES, example
from host_tests.support.guards import GUARDED_MAIN, guarded_main, spread
from qpsnn_codegen import resources
from qpsnn_codegen.emit.c_model import CModel
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import ToolchainError
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNetwork, IntegerNode, Integers, check_integer_network
from qpsnn_codegen.kinds import NODE_KINDS
from qpsnn_codegen.kinds.input import IntegerInput
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.network import Node, check_network
from qpsnn_codegen.planning.plan import Plan, make_plan
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import adversarial_inputs, compare

INTEGER_KINDS = tuple(kind for _, kinds in NODE_KINDS for kind in kinds)
KERNEL_KINDS = tuple(kind for kind in INTEGER_KINDS if kind is not IntegerInput)


@cache
def integers(name: str) -> IntegerNetwork:
    """The integer network of an example."""
    case = example(name)
    check_network(case.network)
    network = lower(case.network, case.options)
    check_integer_network(network)
    return network


@cache
def inputs(name: str) -> NDArray[np.uint8]:
    """Random inputs, and those that stress borders and ranges: none, all, the largest."""
    network = integers(name)
    return np.concatenate([random_inputs(network, 12, 1), adversarial_inputs(network)])


def examples_with(kind: type[IntegerNode]) -> list[tuple[str, IntegerNode]]:
    """Every node of exactly that class in the examples."""
    found = [(name, node) for name in EXAMPLES for node in integers(name).nodes if type(node) is kind]
    assert found, f"{kind.__name__} has no example: add one to host_tests/support/examples.py"
    return found


@pytest.mark.parametrize("kind", [node for node, _ in NODE_KINDS], ids=lambda kind: kind.__name__)
def test_every_node_kind_has_an_example(kind: type[Node]) -> None:
    nodes = [node for name in EXAMPLES for node in example(name).network.nodes]
    assert any(type(node) is kind for node in nodes), (
        f"{kind.__name__} has no example: add one to host_tests/support/examples.py"
    )


@pytest.mark.parametrize("kind", KERNEL_KINDS, ids=lambda kind: kind.__name__)
def test_kernel_is_declared_and_defined(kind: type[IntegerNode]) -> None:
    """``describe`` names a function that one runtime header declares and one runtime source defines."""
    name, node = examples_with(kind)[0]
    layer = node.describe(CModel(make_plan(integers(name), "net")))
    runtime = resources.firmware_dir() / "runtime"
    pattern = re.compile(rf"^void {layer.function}\([^;{{]*\)(?P<end>;|\s*{{)", re.MULTILINE)

    def places(suffix: str, end: str) -> list[str]:
        return [
            path.name
            for path in sorted(runtime.glob(f"*{suffix}"))
            for match in pattern.finditer(path.read_text(encoding="utf-8"))
            if match["end"].strip() == end
        ]

    assert len(places(".h", ";")) == 1, layer.function
    assert len(places(".c", "{")) == 1, layer.function


@pytest.mark.parametrize("kind", KERNEL_KINDS, ids=lambda kind: kind.__name__)
def test_described_arguments_are_what_stages_pass(kind: type[IntegerNode]) -> None:
    """A stage's kernel takes buffers; a current's is called through ``qps_fill_fn`` and takes none of its own."""
    name, node = examples_with(kind)[0]
    layer = node.describe(CModel(make_plan(integers(name), "net")))
    assert bool(layer.arguments) == kind.stored
    assert set(layer.arguments) <= {"input", "second", "output", "logits", "scratch"}


def executed(name: str, wanted: str) -> Integers:
    """Every value a node takes in the reference."""
    seen: list[Integers] = []

    def observe(node: str, arguments: tuple[Integers, ...], result: Integers) -> None:
        if node == wanted:
            seen.append(result)

    run_reference(integers(name), inputs(name), observe=observe)
    return np.concatenate(seen)


@pytest.mark.parametrize("kind", INTEGER_KINDS, ids=lambda kind: kind.__name__)
def test_values_stay_within_their_proven_range(kind: type[IntegerNode]) -> None:
    """Also with every input at its largest; and the range itself fits int32."""
    for name, node in examples_with(kind):
        network = integers(name)
        kinds = network.types()
        bounds = kinds[node.name]
        assert bounds.bound <= INT32_MAX
        values = executed(name, node.name)
        frames = 1 if bounds.static else network.timesteps
        assert values.shape == (len(inputs(name)), frames, *bounds.shape), node.name
        low, high = (end[:, None, None] for end in (bounds.low, bounds.high))
        assert (values >= low).all(), node.name
        assert (values <= high).all(), node.name
        assert values.any(), f"{node.name} of example {name} is never anything but 0: it tests nothing"


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_c_equals_reference(name: str, cc: str) -> None:
    network = integers(name)
    expected = run_reference(network, inputs(name), trace=True)
    actual = run_files(emit(make_plan(network, "net")), network, inputs(name), cc)
    verdict = compare(expected, actual)
    assert verdict.mismatches == 0, verdict.first
    for layer, spikes in expected.spikes.items():
        assert 0 < spikes.mean() < 1, f"{layer} of example {name} always does the same: it tests nothing"


def run_guarded(name: str, plan: Plan, cc: str) -> None:
    """Run the example with guarded buffers; raises ToolchainError on the first access outside them."""
    files = {**emit(plan), GUARDED_MAIN: guarded_main(plan)}
    actual = run_files(files, plan.network, inputs(name), cc, main=GUARDED_MAIN)
    verdict = compare(run_reference(plan.network, inputs(name), trace=True), actual)
    assert verdict.mismatches == 0, verdict.first


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_kernels_stay_within_their_buffers(name: str, cc: str) -> None:
    """No kernel touches a byte outside the maps it was given and the scratch it asked for."""
    run_guarded(name, spread(make_plan(integers(name), "net")), cc)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_guards_notice_a_word_too_few(name: str) -> None:
    """The test above can fail: each stage's scratch is used to its last word, each map to its last byte.

    Lists of spikes have room for more than these inputs bring. ``test_event_lists.py`` and
    ``test_counts_kernel.py`` fill those of kernels for spikes.
    """
    network = integers(name)
    plan = spread(make_plan(network, "net"))
    types = network.types()
    listing = {n.name for n in network.nodes if isinstance(n, WideConv) and not types[n.inputs[0]].static}
    lists = {
        f"{stage.node}/scratch"
        for stage in plan.stages
        if max(getattr(stage.kernel, name, 0) for name in ("slot", "chunk")) > 0 or not listing.isdisjoint(stage.parts)
    }
    for index, buffer in enumerate(plan.buffers):
        if buffer.over or buffer.name in lists:
            continue  # over: it lies in a larger one
        short = list(plan.buffers)
        short[index] = replace(buffer, size=buffer.size - 4)
        with pytest.raises(ToolchainError, match="use-after-poison"):
            run_guarded(name, replace(plan, buffers=tuple(short)), "gcc")
