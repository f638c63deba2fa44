"""What a penalty on synaptic operations costs in accuracy and saves in instructions; writes spike_economy.md.

python experiments/spike_economy.py [--data digits] [--epochs 30] [--seeds 0 1 2] [--penalties 0 0.3 1 3]

Networks are trained, not pruned: all have the same shape, flash and RAM, and differ only in how much they spike.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.common import TIMESTEPS, report, small_network
from experiments.on_core import BOARD, on_core
from qpsnn_codegen import nn

LAYOUT = "24,M,48,48,M"
BITS = 4
CALIBRATION = 256
MEASURED = 64
"""Held-out images whose instructions are counted; accuracy is that of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One trained network: accuracy in [0, 1], synaptic operations and Cortex-M4 instructions per image."""

    penalty: float
    accuracy: float
    operations: float
    dense: float
    instructions: float


def measure(data: nn.Dataset, penalty: float, seed: int, arguments: argparse.Namespace) -> Result:
    """Train one network and run it on the emulated core."""
    options = nn.TrainingOptions(
        epochs=arguments.epochs,
        learning_rate=1e-2,
        shift=1.0,
        rotate=12.0,
        zoom=0.15,
        smoothing=0.05,
        spike_penalty=penalty,
        seed=seed,
    )
    model = small_network(data, arguments.layout, BITS, seed)
    nn.train(model, data, options)
    core = on_core(model, data.train_images[:CALIBRATION], data.test_images[:MEASURED])
    result = Result(
        penalty=penalty,
        accuracy=nn.evaluate(model, data),
        operations=core.operations,
        dense=core.dense,
        instructions=core.instructions,
    )
    print(f"seed {seed}: {result}", file=sys.stderr, flush=True)
    return result


def table(results: list[Result]) -> list[str]:
    """Markdown: a row for each penalty, mean over seeds; changes are against penalty 0 of the same seeds."""
    lines = [
        "| penalty | accuracy (lowest to highest) | points | operations | of dense | saved | M4 instructions | saved |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    rows = {p: [r for r in results if r.penalty == p] for p in dict.fromkeys(r.penalty for r in results)}
    first = rows[min(rows)]
    base = [float(np.mean(values)) for values in zip(*map(_figures, first), strict=True)]
    for penalty, row in rows.items():
        accuracy, operations, instructions = (
            float(np.mean(values)) for values in zip(*map(_figures, row), strict=True)
        )
        low, high = min(r.accuracy for r in row), max(r.accuracy for r in row)
        # Adding zero turns a rounded -0.0 around.
        points = round(100 * (accuracy - base[0]), 2) + 0.0
        lines.append(
            f"| {penalty:g} | {100 * accuracy:.2f} % ({100 * low:.2f} to {100 * high:.2f}) "
            f"| {points:+.2f} | {operations:,.0f} | {100 * operations / row[0].dense:.1f} % "
            f"| {100 * (1 - operations / base[1]):.0f} % | {instructions:,.0f} "
            f"| {100 * (1 - instructions / base[2]):.0f} % |"
        )
    return lines


def _figures(result: Result) -> tuple[float, float, float]:
    return result.accuracy, result.operations, result.instructions


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--layout", default=LAYOUT)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--penalties", type=float, nargs="+", default=[0.0, 0.3, 1.0, 3.0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    # More threads sum in another order, and training amplifies the last bit: other models would come out.
    torch.set_num_threads(1)
    data = nn.open_dataset(arguments.data)
    results = [measure(data, penalty, seed, arguments) for penalty in arguments.penalties for seed in arguments.seeds]
    name = arguments.data.partition(":")[0]
    lines = [
        f"{name}, {len(data.train_images):,} training and {len(data.test_images):,} held-out images;",
        f"layout {arguments.layout}, {BITS} bits, T = {TIMESTEPS}, {arguments.epochs} epochs, mean of",
        f"{len(arguments.seeds)} seeds. Operations per image on {CALIBRATION} training images; instructions per image",
        f"on {BOARD} (emulated Cortex-M4) over {MEASURED} held-out images.",
        "",
        *table(results),
    ]
    report(arguments.out, "Spike economy", arguments.data, lines)


if __name__ == "__main__":
    main()
