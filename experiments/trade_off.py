"""Accuracy against operations, flash, RAM and instructions, at 8, 4 and 2 bits, unpruned and pruned; writes a table.

python experiments/trade_off.py --data mnist:mnist.npz [--layout 12,M,24,M,48,M] [--images 20000] [--epochs 4]

Each network is trained, measured, pruned by ``--ratio`` in all convs but the last (SVS), trained as long again and
measured again. The table is ``trade_off_<data set>.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.common import TIMESTEPS, add_states, part, report, small_network, state_of
from experiments.on_core import BOARD, OnCore, on_core
from qpsnn_codegen import nn

SCORED = 256
CALIBRATION = 256
MEASURED = 32
"""Held-out images whose instructions are counted; accuracy is that of all."""

AUGMENTATION = {
    "mnist": {"shift": 1.0, "rotate": 8.0, "zoom": 0.1},
    "cifar10": {"crop": 4, "flip": True},
}
"""By data set; others get none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network; ``accuracy`` in [0, 1]."""

    bits: int
    pruned: bool
    parameters: int
    accuracy: float
    core: OnCore


def rows(data: nn.Dataset, bits: int, arguments: argparse.Namespace) -> Iterator[Row]:
    """The unpruned and the pruned network of one bit width."""
    options = nn.TrainingOptions(
        epochs=arguments.epochs,
        batch=100,
        learning_rate=5e-3,
        smoothing=0.05,
        spike_penalty=arguments.penalty,
        seed=arguments.seed,
        **AUGMENTATION.get(arguments.data.partition(":")[0], {}),
    )
    model = small_network(data, arguments.layout, bits, arguments.seed)
    states = [state_of(arguments.states, f"{bits}_{name}") for name in ("whole", "pruned")]
    nn.train(model, data, options, state=states[0], resume=True)
    yield _row(model, data, bits, pruned=False)
    images = torch.from_numpy(data.train_images[:SCORED].copy())
    model, _ = nn.prune(model, images, arguments.ratio)
    nn.train(model, data, options, state=states[1], resume=True)
    yield _row(model, data, bits, pruned=True)


def _row(model: nn.SpikingNetwork, data: nn.Dataset, bits: int, *, pruned: bool) -> Row:
    row = Row(
        bits=bits,
        pruned=pruned,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        accuracy=nn.evaluate(model, data),
        core=on_core(model, data.train_images[:CALIBRATION], data.test_images[:MEASURED]),
    )
    print(row, file=sys.stderr, flush=True)
    return row


def table(results: list[Row]) -> list[str]:
    """Markdown."""
    lines = [
        "| bits | network | parameters | accuracy | operations | flash, B | RAM, B | M4 instructions |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in results:
        core = row.core
        lines.append(
            f"| {row.bits} | {'pruned' if row.pruned else 'whole'} | {row.parameters:,} | {100 * row.accuracy:.2f} % "
            f"| {core.operations:,.0f} | {core.flash:,} | {core.ram:,} | {core.instructions:,.0f} |"
        )
    return lines


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="as that of qpsnn-codegen train")
    parser.add_argument("--layout", default="12,M,24,M,48,M")
    parser.add_argument("--images", type=int, default=20_000, help="of the training set")
    parser.add_argument("--epochs", type=int, default=4, help="before pruning, and after it")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--penalty", type=float, default=0.1, help="of spikes")
    parser.add_argument("--seed", type=int, default=0)
    add_states(parser)
    arguments = parser.parse_args()
    # More threads sum in another order, and training amplifies the last bit: other models would come out.
    torch.set_num_threads(1)
    data = part(nn.open_dataset(arguments.data), arguments.images)
    results = [row for bits in (8, 4, 2) for row in rows(data, bits, arguments)]
    name = arguments.data.partition(":")[0]
    lines = [
        f"{len(data.train_images):,} training images, {len(data.test_images):,} held-out ones; layout",
        f"{arguments.layout}, T = {TIMESTEPS}, seed {arguments.seed}, {arguments.epochs} epochs; then",
        f"{arguments.ratio:.0%} of the channels of each conv but the last removed by SVS,",
        f"and {arguments.epochs} epochs",
        "more, which the unpruned networks do not get. One seed: tenths of a point mean nothing.",
        f"Operations per image on {CALIBRATION} training images; flash is the whole image, serial application",
        f"included; RAM is arena and stack; instructions per image on {BOARD} (emulated Cortex-M4) over",
        f"{MEASURED} held-out images.",
        "",
        *table(results),
    ]
    report(Path(__file__).with_name(f"trade_off_{name}.md"), f"Trade-off on {name}", arguments.data, lines)


if __name__ == "__main__":
    main()
