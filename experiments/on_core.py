"""What a trained network takes on an emulated Cortex-M4: shared by the experiments."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import qpsnn_codegen
from benchmarks.cores import run_on
from benchmarks.on_cores import BOARDS
from qpsnn_codegen import nn

CORE = "M4"
BOARD = BOARDS[CORE]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCore:
    """Per image: synaptic operations, their number if every input were active, instructions (trace hooks off).

    ``flash`` is the whole image in bytes, serial application included; ``ram`` arena and stack.
    """

    operations: float
    dense: float
    instructions: float
    flash: int
    ram: int


def on_core(model: nn.SpikingNetwork, calibration: NDArray[np.uint8], shown: NDArray[np.uint8]) -> OnCore:
    """Compile, build and run: operations are counted on ``calibration``, instructions on ``shown`` (raw inputs)."""
    with tempfile.TemporaryDirectory() as scratch:
        nn.save(model, Path(scratch) / "model.pt")
        compilation = qpsnn_codegen.compile(Path(scratch) / "model.pt", name="net", calibration=calibration)
    instructions, memory = run_on(CORE, compilation, shown)
    return OnCore(
        operations=float(compilation.report["operations"]),
        dense=float(compilation.report["dense_slots"]),
        instructions=instructions,
        flash=memory.flash,
        ram=memory.ram,
    )
