"""What a trained network takes on an emulated Cortex-M4: shared by the experiments."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import qpsnn_codegen
from qpsnn_codegen import nn
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import run_firmware
from qpsnn_codegen.toolchain.arm import build_firmware

BOARD = "mps2-an386"


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
        compilation.write(Path(scratch) / "firmware")
        folder = FirmwareFolder.load(Path(scratch) / "firmware")
        firmware = build_firmware(Path(scratch) / "firmware", BOARD, trace=False, build_dir=Path(scratch) / "build")
        with run_firmware(folder, firmware) as session:
            runs = [session.device.run(sample) for sample in folder.pack(shown)]
            instructions = float(np.mean([run.ticks * session.scale.per_tick for run in runs]))
    sizes = firmware.report["sizes"]
    return OnCore(
        operations=float(compilation.report["operations"]),
        dense=float(compilation.report["dense_slots"]),
        instructions=instructions,
        flash=sizes["weights"] + sizes["constants"] + sizes["code"],
        ram=compilation.plan.arena_bytes + max(run.stack_used for run in runs),
    )
