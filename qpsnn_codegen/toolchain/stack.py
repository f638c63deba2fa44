"""A bound of the stack an image can use, from the compiler's call graphs, the objects and the disassembly.

Frames and calls of C are in the ``.ci`` files of ``-fcallgraph-info=su``. Functions of libraries have none and are read
from the disassembly. A call through a pointer may reach any function whose address is taken somewhere, but each of them
only as often on one path as ``entries`` says: once, unless currents of one kind are nested in a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qpsnn_codegen.errors import ToolchainError
from qpsnn_codegen.toolchain.disassembly import Code, disassemble
from qpsnn_codegen.toolchain.elf import Elf

_VECTORS = ".vectors"
_RESET = "qps_reset"
_INDIRECT = "__indirect_call"
_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([a-z,]+)\)')
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')

EXCEPTION_FRAME = 32 + 4
"""What a core pushes on entry to an exception: eight registers, and a word to align the stack."""
FLOAT_EXCEPTION_FRAME = 4 * (8 + 18 + 16) + 4
"""With floating-point registers in use; of the secure state, all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the image.

    Attributes:
        frame: bytes of stack it uses itself.
        calls: functions it calls by name.
        indirect: it calls through a pointer.
        new_stack: it goes on on another stack.
    """

    frame: int
    calls: frozenset[str] = frozenset()
    indirect: bool = False
    new_stack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGraph:
    """Who calls whom; functions by name, static ones with their file (``qps_conv.c:qps_add_row``).

    Attributes:
        pointed: functions whose address is taken.
        handlers: of exceptions other than reset.
    """

    functions: Mapping[str, Function]
    pointed: frozenset[str]
    handlers: frozenset[str]


def stack_bound(graph: CallGraph, *, entries: Mapping[str, int], exception_frame: int) -> int:
    """Bytes of stack that no path through the image exceeds.

    The deepest path from reset, an interrupt on top of it, and a fault on top of that; or what faults use, which start
    the stack anew.

    Args:
        entries: how often a function may be entered on one path, where that is more than once.

    Raises:
        ToolchainError: a function calls itself, directly or through others by name.
    """
    _refuse_recursion(graph)
    paths = _Paths(graph, entries)
    reset = graph.functions[_RESET]
    deepest = reset.frame + max(map(paths.depth, reset.calls), default=0)
    interrupt = max(
        (exception_frame + paths.depth(name) for name in graph.handlers if not graph.functions[name].new_stack),
        default=0,
    )
    others = (function for function in graph.functions.values() if function.new_stack)
    anew = max((paths.depth(call) for function in others for call in function.calls), default=0)
    return max(deepest + interrupt + exception_frame, anew)


class _Paths:
    """Depths of paths. Calls by name form no cycle, and pointers end, so every path does."""

    def __init__(self, graph: CallGraph, entries: Mapping[str, int]) -> None:
        self._graph = graph
        self._entries = entries
        self._known: dict[tuple[str, tuple[tuple[str, int], ...]], int] = {}

    def depth(self, name: str) -> int:
        """Of the deepest path that begins with a call of ``name``."""
        return self._depth(name, {})

    def _depth(self, name: str, entered: Mapping[str, int]) -> int:
        if name in self._graph.pointed:
            entered = {**entered, name: entered.get(name, 0) + 1}
        key = (name, tuple(sorted(entered.items())))
        if key not in self._known:
            function = self._graph.functions[name]
            calls = set() if function.new_stack else set(function.calls)
            if function.indirect:
                calls |= {other for other in self._graph.pointed if entered.get(other, 0) < self._entries.get(other, 1)}
            self._known[key] = function.frame + max((self._depth(call, entered) for call in calls), default=0)
        return self._known[key]


def _refuse_recursion(graph: CallGraph) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            cycle = " calls ".join((*path[path.index(name) :], name))
            raise ToolchainError("stack", f"has no bound: {cycle}", "write it without recursion")
        if name not in done:
            for call in sorted(graph.functions[name].calls):
                visit(call, (*path, name))
            done.add(name)

    for name in sorted(graph.functions):
        visit(name, ())


def read_call_graph(image: Elf, objects: Path) -> CallGraph:
    """The call graph of an image.

    Args:
        objects: the folder of its object files and their ``.ci`` files.

    Raises:
        ToolchainError: a frame has no fixed size.
    """
    symbols = {symbol.key: symbol for symbol in image.symbols if symbol.kind == "function"}
    codes = disassemble(image.path, {symbol.address for symbol in symbols.values()})
    notes = Notes()
    for path in sorted(objects.rglob("*.ci")):
        notes.add(path.read_text(encoding="utf-8"))
    # Two names of one address are one function: the one that has notes.
    by_address = {
        symbol.address: key for key, symbol in sorted(symbols.items(), key=lambda item: item[0] in notes.frames)
    }
    names = {key: by_address[symbol.address] for key, symbol in symbols.items()}

    pointed: set[str] = set()
    handlers: set[str] = set()
    parts = [Elf(path) for path in sorted(objects.rglob("*.o"))]
    strong = {symbol.key for part in parts for symbol in part.symbols if not symbol.weak}
    for part in parts:
        for reference in part.references:
            target = names.get(reference.target, "")
            if reference.section == _VECTORS:
                handlers.add(target)
            elif reference.call:
                for symbol in part.functions_in(reference.section):
                    if not symbol.weak or symbol.key not in strong:
                        notes.calls.setdefault(symbol.key, set()).add(target)
            else:
                pointed.add(target)

    functions = {}
    for key in set(names.values()):
        code = codes[symbols[key].address]
        functions[key] = notes.function(key, code, names) if key in notes.frames else _library(key, code, by_address)
    return CallGraph(
        functions=functions,
        pointed=frozenset(pointed - {""}),
        handlers=frozenset(handlers - {"", _RESET}),
    )


class Notes:
    """What the compiler wrote down."""

    def __init__(self) -> None:
        self.frames: dict[str, int] = {}
        self.calls: dict[str, set[str]] = {}
        self.indirect: set[str] = set()

    def add(self, text: str) -> None:
        for line in text.splitlines():
            if node := _NODE.match(line):
                name = _title(node[1])
                if node[3] not in {"static", "dynamic,bounded"}:
                    raise _unknown_frame(name)
                self.frames[name] = max(int(node[2]), self.frames.get(name, 0))
            elif edge := _EDGE.match(line):
                source, target = _title(edge[1]), _title(edge[2])
                if target == _INDIRECT:
                    self.indirect.add(source)
                else:
                    self.calls.setdefault(source, set()).add(target)

    def function(self, key: str, code: Code, names: Mapping[str, str]) -> Function:
        calls = {names[call] for call in self.calls.get(key, ()) if call in names}
        return Function(
            # The compiler knows nothing of what a function all in assembly pushes: 0 bytes.
            frame=self.frames[key] or code.frame or 0,
            calls=frozenset(calls),
            indirect=key in self.indirect,
            new_stack=code.new_stack,
        )


def _library(name: str, code: Code, by_address: Mapping[int, str]) -> Function:
    if code.frame is None:
        raise _unknown_frame(name)
    calls = frozenset(by_address[call] for call in code.calls)
    return Function(frame=code.frame, calls=calls, indirect=code.indirect, new_stack=code.new_stack)


def _unknown_frame(name: str) -> ToolchainError:
    return ToolchainError(name, "has a stack frame of unknown size", "use fixed-size arrays")


def _title(title: str) -> str:
    """The name of a node: ``folder/file.c:function`` of static functions loses its folder."""
    path, _, name = title.rpartition(":")
    return f"{Path(path).name}:{name}" if path else name
