"""What a device's ticks mean: instructions in the emulator, cycles on hardware."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_codegen.boards import Board
from qpsnn_codegen.device.protocol import Hello

_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """``unit`` (instructions, cycles or ticks) per tick of the counter, and how that is known."""

    unit: str
    per_tick: float
    source: str


def scale_of(hello: Hello, board: Board | None) -> Scale:
    """How to read the ticks of a device that has said hello; ``board``: what it claims to be, if that is known.

    A chip that QEMU emulates says the same name as the real one. They differ in how many instructions pass in a tick:
    in the emulator that number is known exactly, and the calibration loop finds it again.
    """
    measured = hello.instructions_per_tick
    counter = f"{board.counter.description}, " if board else ""
    loop = f"calibration: {hello.calibration_instructions:,} instructions in {hello.calibration_ticks:,} ticks"
    exact = board.counter.instructions_per_tick if board else None
    if exact and measured is not None and abs(float(measured) / exact - 1) <= _TOLERANCE:
        resolution = "1 instruction" if exact == 1 else f"{exact:.4g} instructions"
        return Scale(unit="instructions", per_tick=exact, source=f"{counter}a tick is {resolution} ({loop})")
    cycles = board is not None and board.counter.counts_cycles
    rate = f"{hello.counter_hz / 1e6:g} MHz" if hello.counter_hz else "unknown rate"
    return Scale(unit="cycles" if cycles else "ticks", per_tick=1, source=f"{counter}{rate} ({loop})")
