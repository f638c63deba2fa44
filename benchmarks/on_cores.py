"""Emulated cores to measure on: their ports, and the instructions of every stage of many networks in one image."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import serial
from numpy.typing import NDArray

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host_tests.support.builds import emit
from qpsnn_codegen.boards import Board, find_board
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, make_plan
from qpsnn_codegen.reference import check_inputs, run_reference
from qpsnn_codegen.toolchain.emulator import QEMU, emulate
from qpsnn_codegen.toolchain.make import CROSS, compiler_version
from qpsnn_codegen.toolchain.packages import find_tool

BOARDS = {
    "M0": "mps2-an385",
    "M3": "mps2-an385",
    "M4": "mps2-an386",
    "M7": "mps2-an500",
    "M33": "mps2-an505",
    "M55": "mps3-an547",
}
"""By core; no emulated Cortex-M0 has the memory, so its code runs on the board of the Cortex-M3."""

_PROGRAM = Path(__file__).with_name("on_core.c")
_SECONDS = 300.0
_HOOKED = "#define QPS_TRACE 1\n"

_NO_UNALIGNED_ACCESS = """
#include "qps_startup.h"

/* A Cortex-M0 has no unaligned accesses: CCR.UNALIGN_TRP makes them faults on this core too. */
__attribute__((naked)) void qps_port_reset(void)
{
    __asm volatile(".syntax unified\\n\\t"
                   "ldr r0, =0xE000ED14\\n\\t"
                   "ldr r1, [r0]\\n\\t"
                   "movs r2, #8\\n\\t"
                   "orrs r1, r2\\n\\t"
                   "str r1, [r0]\\n\\t"
                   "bx lr\\n\\t"
                   ".ltorg");
}
"""


def toolchain() -> str:
    """What the firmware is built with."""
    return f"{CROSS}gcc {compiler_version()} -O2"


def emulator() -> str:
    """What it runs in."""
    told = subprocess.run([find_tool(QEMU), "--version"], capture_output=True, text=True, check=True).stdout
    return f"QEMU {told.split()[3]}"


def core_board(core: str) -> Board:
    """The emulated board of a core (``M0`` to ``M55``), said to have that core."""
    return replace(find_board(BOARDS[core]), core=f"cortex-{core.lower()}")


def core_port(core: str, external: Collection[str] = ()) -> dict[str, str | bytes]:
    """The port files of :func:`core_board`: a folder's own port is what it is built with.

    Args:
        external: as of ``port_files``.
    """
    board = core_board(core)
    files = port_files([board], external)
    own = find_board(board.name).core
    if board.core != own:
        place = f"ports/{board.name}"
        files[f"{place}/board.toml"] = str(files[f"{place}/board.toml"]).replace(f'"{own}"', f'"{board.core}"')
        files[f"{place}/board.c"] = str(files[f"{place}/board.c"]) + _NO_UNALIGNED_ACCESS
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A network to run on raw inputs ``[N, ...]``; ``kernels``: by node, where the planner is not to choose."""

    network: IntegerNetwork
    inputs: NDArray[Any]
    kernels: tuple[tuple[str, str], ...] = ()


def stage_instructions(core: str, jobs: Sequence[Job]) -> list[NDArray[np.float64]]:
    """For each job, the instructions of every stage for every input: ``[N, stages]``. Logits are compared.

    The kernels are built without trace hooks; a stage's own hook costs some 20 instructions.
    """
    board = core_board(core)
    plans = [make_plan(job.network, f"n{index}x", PlanOptions(kernels=job.kernels)) for index, job in enumerate(jobs)]
    runs = [
        np.concatenate(
            [np.zeros((len(job.inputs), len(plan.stages))), run_reference(job.network, job.inputs).logits], 1
        )
        for plan, job in zip(plans, jobs, strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="qpsnn-on-core-") as scratch:
        elf = _build(Path(scratch), core, plans, jobs)
        size = 4 * sum(run.size for run in runs)
        with emulate(board, elf) as url, serial.serial_for_url(url, timeout=5) as port:
            port.write(b"!")
            words = np.frombuffer(_read(port, size), dtype="<u4").astype(np.int64)
    scale = board.counter.instructions_per_tick or 1.0
    results = []
    for plan, run in zip(plans, runs, strict=True):
        got, words = words[: run.size].reshape(run.shape), words[run.size :]
        stages = len(plan.stages)
        if not np.array_equal(got[:, stages:], run[:, stages:] % 2**32):
            raise AssertionError(f"{plan.name} has other logits on {core}")
        results.append(np.asarray(got[:, :stages] * scale, dtype=np.float64))
    return results


def _read(port: serial.SerialBase, size: int) -> bytes:
    """All bytes; an emulator computes for seconds in between."""
    data, silent = b"", 0.0
    while len(data) < size and silent < _SECONDS:
        part = port.read(size - len(data))
        silent = 0.0 if part else silent + 5.0
        data += part
    return data


def _build(folder: Path, core: str, plans: Sequence[Plan], jobs: Sequence[Job]) -> Path:
    board = core_board(core)
    files: dict[str, str | bytes] = {}
    for plan in plans:
        made = emit(plan)
        own = f"{plan.name}.c"
        files.update({**made, own: _HOOKED + str(made[own])})
    files["runtime/qps_trace.c"] = _HOOKED + str(files["runtime/qps_trace.c"])
    files["app/on_core.c"] = _PROGRAM.read_text(encoding="utf-8")
    files["app/on_core.h"] = _header(plans, jobs)
    # The inputs lie beside the weights.
    files.update(core_port(core, [board.name]))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    models = [f"{plan.name}{part}.c" for plan in plans for part in ("", "_weights")]
    runtime = sorted(name for name in files if name.startswith("runtime/") and name.endswith(".c"))
    variables = {
        "BOARD": board.name,
        "TRACE": "0",
        "MODEL_SOURCES": " ".join(models + runtime),
        "APP_SOURCES": "app/on_core.c",
        "PORT_IMAGES": "",
    }
    command = ["make", "-s", "-j2", *(f"{name}={value}" for name, value in variables.items())]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    # The Makefile is that of the network that was emitted last.
    return folder / "build" / board.name / f"{plans[-1].name}.elf"


def _header(plans: Sequence[Plan], jobs: Sequence[Job]) -> str:
    lines = ["#include <string.h>", ""]
    rows = []
    for plan, job in zip(plans, jobs, strict=True):
        name, layout = plan.name, plan.input_layout
        pad = -layout.size % 4
        samples = [layout.pack(sample) + bytes(pad) for sample in check_inputs(job.network, job.inputs)]
        words = np.frombuffer(b"".join(samples), dtype="<u4")
        ctype = "uint32_t" if layout.format == "SPIKES" else "uint8_t"
        lines += [
            f'#include "../{name}.h"',
            f"QPS_WEIGHTS_SECTION static const uint32_t {name}_data[] = {{",
            *(",".join(f"{word}U" for word in part) + "," for part in np.array_split(words, len(words) // 16 + 1)),
            "};",
            f"static qps_status_t run_{name}(uint32_t *state, const uint32_t *input, int32_t *result)",
            "{",
            f"    return {name}_run(({name}_t *)(void *)state, (const {ctype} *)input, result);",
            "}",
            "",
        ]
        counts = (len(samples), len(samples[0]) // 4, len(plan.stages), len(job.network.class_names))
        rows.append(f"    {{run_{name}, {name}_data, {', '.join(f'{count}U' for count in counts)}}},")
    most = partial(max, default=1)
    return "\n".join(
        [
            *lines,
            "typedef struct {",
            "    qps_status_t (*run)(uint32_t *state, const uint32_t *input, int32_t *result);",
            "    const uint32_t *data;",
            "    uint32_t inputs, input_words, stages, classes;",
            "} network_t;",
            "static const network_t networks[] = {",
            *rows,
            "};",
            f"#define ON_CORE_STAGES {most(len(plan.stages) for plan in plans)}U",
            f"#define ON_CORE_ARENA_WORDS {most(plan.arena_bytes for plan in plans) // 4 + 1}U",
            f"#define ON_CORE_CLASSES {most(len(job.network.class_names) for job in jobs)}U",
            "",
        ]
    )
