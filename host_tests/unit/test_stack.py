"""The stack bound on call graphs made by hand, and what is read from compilers' notes and disassemblies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_codegen.errors import ToolchainError
from qpsnn_codegen.toolchain.disassembly import Code, parse
from qpsnn_codegen.toolchain.stack import CallGraph, Function, Notes, stack_bound

FRAME = 36


def function(frame: int, *calls: str, indirect: bool = False, new_stack: bool = False) -> Function:
    return Function(frame=frame, calls=frozenset(calls), indirect=indirect, new_stack=new_stack)


def bound(
    functions: Mapping[str, Function],
    *,
    pointed: str = "",
    handlers: str = "",
    entries: Mapping[str, int] | None = None,
) -> int:
    graph = CallGraph(functions=functions, pointed=frozenset(pointed.split()), handlers=frozenset(handlers.split()))
    return stack_bound(graph, entries=entries or {}, exception_frame=FRAME)


def test_the_deepest_path() -> None:
    functions = {
        "qps_reset": function(0, "main"),
        "main": function(10, "a", "b"),
        "a": function(100),
        "b": function(50, "c"),
        "c": function(60),
        "unused": function(1000),
    }
    assert bound(functions) == 10 + 50 + 60 + FRAME


def test_an_interrupt_comes_on_top_and_a_fault_on_that() -> None:
    functions = {
        "qps_reset": function(0, "main"),
        "main": function(10),
        "tick": function(8, "helper"),
        "helper": function(4),
        "tock": function(11),
        "fault": function(0, "report", new_stack=True),
        "report": function(20),
    }
    assert bound(functions, handlers="fault") == 10 + FRAME
    assert bound(functions, handlers="tick tock fault") == 10 + (FRAME + 12) + FRAME


def test_a_fault_may_need_more_than_all_else() -> None:
    functions = {
        "qps_reset": function(0, "main"),
        "main": function(10),
        "fault": function(0, "report", new_stack=True),
        "report": function(500),
    }
    assert bound(functions, handlers="fault") == 500


def test_what_goes_on_on_another_stack_is_not_added() -> None:
    functions = {
        "qps_reset": function(0, "main"),
        "main": function(10, "raise"),
        "raise": function(0, "report", new_stack=True),
        "report": function(30),
    }
    assert bound(functions) == 10 + FRAME


def test_pointers_reach_what_has_its_address_taken_but_once_on_a_path() -> None:
    functions = {
        "qps_reset": function(0, "main"),
        "main": function(10, indirect=True),
        "pool": function(100, indirect=True),
        "conv": function(40),
        "other": function(1000),
    }
    assert bound(functions, pointed="pool conv") == 10 + 100 + 40 + FRAME
    assert bound(functions, pointed="conv") == 10 + 40 + FRAME
    assert bound(functions, pointed="pool conv", entries={"pool": 3}) == 10 + 3 * 100 + 40 + FRAME


@pytest.mark.parametrize("calls", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["b"]}])
def test_recursion_has_no_bound(calls: dict[str, list[str]]) -> None:
    functions = {name: function(8, *targets) for name, targets in calls.items()}
    functions |= {"qps_reset": function(0, "a")}
    with pytest.raises(ToolchainError, match=r"has no bound: \w+ calls"):
        bound(functions)


NAMES = [f"f{index}" for index in range(6)]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Function], list[str], dict[str, int]]:
    functions = {}
    for index, name in enumerate(NAMES):
        calls = draw(st.lists(st.sampled_from(NAMES[index + 1 :]), max_size=2)) if index + 1 < len(NAMES) else []
        functions[name] = function(draw(st.integers(0, 50)), *calls, indirect=draw(st.booleans()))
    pointed = draw(st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=3))
    entries = draw(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), max_size=2))
    return functions, pointed, entries


@given(graphs())
def test_every_path_counted_one_by_one(case: tuple[dict[str, Function], list[str], dict[str, int]]) -> None:
    functions, pointed, entries = case

    def longest(name: str, path: list[str]) -> int:
        """Walks all paths; a pointer does not reach what is on the path often enough."""
        path = [*path, name]
        calls = set(functions[name].calls)
        if functions[name].indirect:
            calls |= {other for other in pointed if path.count(other) < entries.get(other, 1)}
        return functions[name].frame + max((longest(call, path) for call in calls), default=0)

    result = bound({**functions, "qps_reset": function(0, "f0")}, pointed=" ".join(pointed), entries=entries)
    assert result == longest("f0", []) + FRAME


class TestNotes:
    TEXT = r"""graph: { title: "runtime/x.c"
node: { title: "runtime/x.c:helper" label: "helper\nruntime/x.c:3:13\n24 bytes (static)" }
node: { title: "memset" label: "__builtin_memset\n<built-in>" shape : ellipse }
edge: { sourcename: "runtime/x.c:helper" targetname: "memset" }
node: { title: "run" label: "run\nruntime/x.c:9:6\n40 bytes (dynamic,bounded)" }
node: { title: "__indirect_call" label: "Indirect Call Placeholder" shape : ellipse }
edge: { sourcename: "run" targetname: "__indirect_call" label: "runtime/x.c:11:9" }
edge: { sourcename: "run" targetname: "runtime/x.c:helper" label: "runtime/x.c:12:5" }
}
"""

    def test_frames_and_calls(self) -> None:
        notes = Notes()
        notes.add(self.TEXT)
        assert notes.frames == {"x.c:helper": 24, "run": 40}
        assert notes.calls == {"x.c:helper": {"memset"}, "run": {"x.c:helper"}}
        assert notes.indirect == {"run"}

    def test_a_frame_without_bound(self) -> None:
        with pytest.raises(ToolchainError, match="helper: has a stack frame of unknown size"):
            Notes().add(self.TEXT.replace("(static)", "(dynamic)"))


class TestDisassembly:
    TEXT = """
program.elf:     file format elf32-littlearm

00000100 <first>:
     100:\tpush\t{r4, r5, lr}
     102:\tsub\tsp, #20
     104:\tbl\t200 <second>
     108:\tstr.w\tr0, [sp, #-4]!
     10c:\tvpush\t{d8-d10}
     110:\tstr\tr0, [sp, #4]
     112:\tadd\tsp, #20
     114:\tpop\t{r4, r5, pc}

00000200 <second>:
     200:\tstmdb\tsp!, {r4, r5, r6, r7, r8, lr}
     204:\tsub.w\tsp, sp, #1024\t@ 0x400
     208:\tbeq.n\t20c <second+0xc>
0000020c <label_inside>:
     20c:\tb.w\t300 <third>
     210:\t.word\t0x20000000

00000300 <third>:
     300:\tpop\t{r3}
     302:\tbx\tr3

00000400 <fourth>:
     400:\tblx\tr3
     402:\tbx\tlr

00000500 <fifth>:
     500:\tbx\tr2

00000600 <sixth>:
     600:\tmsr\tMSP, r4
     604:\tcbz\tr0, 608 <sixth+0x8>
     608:\tbl\t300 <third>
"""

    def test_frames_and_calls(self) -> None:
        functions = {0x100, 0x200, 0x300, 0x400, 0x500, 0x600}
        assert parse(self.TEXT, functions) == {
            0x100: Code(frame=12 + 20 + 4 + 24, calls=frozenset({0x200}), indirect=False, new_stack=False),
            0x200: Code(frame=24 + 1024, calls=frozenset({0x300}), indirect=False, new_stack=False),
            0x300: Code(frame=0, calls=frozenset(), indirect=False, new_stack=False),
            0x400: Code(frame=0, calls=frozenset(), indirect=True, new_stack=False),
            0x500: Code(frame=0, calls=frozenset(), indirect=True, new_stack=False),
            0x600: Code(frame=0, calls=frozenset({0x300}), indirect=False, new_stack=True),
        }

    @pytest.mark.parametrize("instruction", ["sub\tsp, r3", "sub.w\tsp, sp, r3", "add\tsp, r3", "add.w\tsp, sp, r3"])
    def test_a_frame_that_is_computed(self, instruction: str) -> None:
        code = parse(f"00000100 <f>:\n     100:\tpush\t{{r4}}\n     102:\t{instruction}\n", {0x100})
        assert code[0x100].frame is None
