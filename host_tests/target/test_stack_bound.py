"""The stack bound of real images: what is read from objects, and that no run exceeds it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import qpsnn_codegen
from benchmarks.code_size import NETWORKS
from host_tests.support.builds import emit
from host_tests.support.fast_networks import fast_network
from qpsnn_codegen.boards import all_boards
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import ToolchainError
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.toolchain.arm import build_firmware
from qpsnn_codegen.toolchain.elf import Elf
from qpsnn_codegen.toolchain.stack import CallGraph, read_call_graph, stack_bound

EMULATED = tuple(board.name for board in all_boards() if board.emulator is not None)

FIRST = """
#include <string.h>
typedef int fn(int);
int other(int x);
int far_away(int x);
static int helper(int x) { volatile int words[10]; words[x & 7] = x; return words[3]; }
static int pointed(int x) { volatile int words[20]; words[x & 15] = x; return words[3] + far_away(x); }
static fn *const table[] = {pointed, other};
__attribute__((weak)) int replaced(int x) { return far_away(x); }
__attribute__((noinline)) int jumps(int x)
{
    switch (x) {
    case 0: return other(1);
    case 1: return other(22);
    case 2: return other(333);
    case 3: return far_away(4);
    case 4: return other(55);
    case 5: return far_away(6);
    default: return x;
    }
}
char to[99];
__attribute__((naked)) void pushes(void) { __asm volatile("push {r4-r6, lr}\\n pop {r4-r6, pc}"); }
void start(void)
{
    pushes();
    memcpy(to, to + 1, (size_t)helper(to[5]));
    to[0] = (char)(table[to[1] & 1](2) + jumps(to[2]) + replaced(3));
}
void handler(void) { to[1] = 1; }
__attribute__((naked)) void fault(void) { __asm volatile("msr msp, r0\\n bl handler"); }
__attribute__((naked)) void qps_reset(void) { __asm volatile("bl start"); }
__attribute__((used, section(".vectors"))) static void (*const vectors[])(void) = {qps_reset, handler, fault};
"""
SECOND = """
int far_away(int x) { return x * 3; }
int replaced(int x) { return x; }
static __attribute__((noinline)) int helper(int x) { volatile int words[30]; words[x & 7] = x; return words[3]; }
int other(int x) { return helper(x) + 1; }
"""


def graph_of(folder: Path, core: str, first: str = FIRST) -> CallGraph:
    """Compile two files and link them."""
    (folder / "first.c").write_text(first)
    (folder / "second.c").write_text(SECOND)
    flags = [f"-mcpu={core}", "-mthumb", "-O2", "-ffunction-sections", "-fdata-sections", "-fcallgraph-info=su"]
    link = ["-nostartfiles", "-Wl,--gc-sections", "-Wl,-e,qps_reset", "-Wl,-u,vectors"]
    script = folder / "keep.ld"
    script.write_text("SECTIONS { .vectors : { KEEP(*(.vectors)) } .text : { *(.text*) } .rodata : { *(.rodata*) } }\n")
    for name in ("first", "second"):
        command = ["arm-none-eabi-gcc", *flags, "-c", f"{name}.c", "-o", f"{name}.o"]
        subprocess.run(command, cwd=folder, check=True)
    command = ["arm-none-eabi-gcc", *flags, *link, "-T", "keep.ld", "first.o", "second.o", "-o", "image.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return read_call_graph(Elf(folder / "image.elf"), folder)


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m33"])
def test_what_objects_and_notes_say(core: str, tmp_path: Path) -> None:
    graph = graph_of(tmp_path, core)
    functions = graph.functions
    assert graph.handlers == {"handler", "fault"}
    assert graph.pointed == {"first.c:pointed", "other"}
    assert "start" in functions["qps_reset"].calls
    assert functions["start"].indirect
    assert {"memcpy", "jumps", "replaced"} <= functions["start"].calls
    # The jump table points into the function, not at functions.
    assert functions["jumps"].calls >= {"other"}
    assert functions["first.c:pointed"].frame >= 80
    assert functions["second.c:helper"].frame >= 120
    assert functions["other"].calls == {"second.c:helper"}
    # The weak one that was replaced called another function.
    assert functions["replaced"].calls == frozenset()
    # All in assembly, which the compiler's notes do not count.
    assert functions["pushes"].frame == 16
    assert functions["fault"].new_stack
    assert functions["fault"].calls == {"handler"}
    assert not functions["handler"].new_stack
    assert not functions["memcpy"].indirect

    deepest = functions["start"].frame + functions["other"].frame + functions["second.c:helper"].frame
    extra = functions["jumps"].frame
    handler = functions["handler"].frame
    assert stack_bound(graph, entries={}, exception_frame=36) in {
        deepest + 36 + handler + 36,
        deepest + extra + 36 + handler + 36,
    }


def test_recursion_is_found(tmp_path: Path) -> None:
    first = FIRST.replace("return other(1);", "return other(jumps(other(x)));")
    graph = graph_of(tmp_path, "cortex-m4", first)
    with pytest.raises(ToolchainError, match="jumps calls jumps"):
        stack_bound(graph, entries={}, exception_frame=36)


def test_a_frame_without_bound_is_refused(tmp_path: Path) -> None:
    first = FIRST.replace("volatile int words[10];", "volatile int words[x];")
    with pytest.raises(ToolchainError, match="has a stack frame of unknown size"):
        graph_of(tmp_path, "cortex-m4", first)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FirmwareFolder:
    """Pools within pools, a pool of spikes, and an addition would not be deeper."""
    path = tmp_path_factory.mktemp("stack") / "firmware"
    qpsnn_codegen.compile(NETWORKS["nested pools (example)"](), name="net").write(path)
    return FirmwareFolder.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("board", EMULATED)
def test_no_run_exceeds_the_bound(board: str, trace: bool, folder: FirmwareFolder, tmp_path: Path) -> None:
    firmware = build_firmware(folder.path, board, trace=trace, build_dir=tmp_path / "out")
    (packed,) = folder.pack(random_inputs(folder.network, 1, seed=3))
    with run_firmware(folder, firmware) as session:
        device = session.device
        if trace:
            device.profile(packed)
            device.digests(packed)
            device.spikes(packed, 0, 0, 4)
        device.echo(bytes(range(200)))
        used = device.run(packed).stack_used
    assert used <= firmware.stack_bound <= firmware.stack_size
    # A bound that is far off would be of no use.
    assert firmware.stack_bound <= 2 * used


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("board", ["microbit", "mps2-an386", "mps3-an547"])
@pytest.mark.parametrize("name", ["columns", "rests", "bytes", "any neurons", "counts of pooled spikes"])
def test_every_loop_has_a_bound(name: str, board: str, tmp_path: Path) -> None:
    """Loops for all widths of codes and all kinds of neurons, in the assembly of each family of cores."""
    write_folder(emit(make_plan(fast_network(name).network, "net")), tmp_path / "net", force=False)
    bound = build_firmware(tmp_path / "net", board).stack_bound
    assert bound is not None
    assert 200 < bound < 2048


def test_recursion_in_the_firmware_stops_the_build(folder: FirmwareFolder, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder.path, own)
    path = own / "runtime" / "qps_current.c"
    start = "    const qps_map_t *const map = (const qps_map_t *)layer;\n"
    again = start + "    if (t > 999U) {\n        qps_map_fill(layer, input, t / 2U, y, x, current + 1);\n    }\n"
    path.write_text(path.read_text().replace(start, again, 1))
    assert again in path.read_text()
    pool = own / "runtime" / "qps_pool.c"
    start = "    int first = 1;\n"
    pool.write_text(pool.read_text().replace(start, f"{start}    qps_map_fill(layer, input, t, y, x, current);\n", 1))
    with pytest.raises(ToolchainError, match="stack: has no bound: qps_map_fill calls qps_map_fill"):
        build_firmware(own, "mps2-an386")
