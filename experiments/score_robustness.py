"""How much pruning scores depend on the batch they are taken on; writes score_robustness.md.

python experiments/score_robustness.py [--mnist mnist.npz] [--batches 10] [--images 32]

Scores of unpruned networks that ship here, on disjoint batches of training images: the cosine of each two batches'
scores (QP-SNN has at least 0.993 for SVS, about 0.86 to 0.95 for SCA), and of the half that would be kept, how much
each two batches agree on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.common import report
from qpsnn_codegen import nn

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "digits_4bit.pt"
MNIST = ROOT / "benchmarks" / "models" / "A_4bit.pt"

Criterion = Literal["svs", "sca"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A layer's scores by one criterion: cosines of all pairs of batches, and the share of kept channels they share."""

    network: str
    layer: str
    criterion: Criterion
    channels: int
    cosines: tuple[float, ...]
    agreement: tuple[float, ...]


def rows(name: str, model: nn.SpikingNetwork, data: nn.Dataset, batches: int, size: int, seed: int) -> Iterator[Row]:
    """All layers of a network by all criteria."""
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(seed))[: batches * size]
    parts = torch.from_numpy(data.train_images[order.numpy()]).split(size)
    for criterion in get_args(Criterion):
        scored = [nn.layer_scores(model, part, criterion=criterion) for part in parts]
        for layer, first in scored[0].items():
            pairs = list(combinations([scores[layer] for scores in scored], 2))
            yield Row(
                network=name,
                layer=layer,
                criterion=criterion,
                channels=len(first),
                cosines=tuple(torch.cosine_similarity(one, other, dim=0).item() for one, other in pairs),
                agreement=tuple(len(_kept(one) & _kept(other)) / len(_kept(one)) for one, other in pairs),
            )


def _kept(scores: Tensor) -> set[int]:
    """The better half, as pruning takes it."""
    order = torch.argsort(scores, descending=True, stable=True)
    return set(order[: len(scores) - round(0.5 * len(scores))].tolist())


def table(results: list[Row]) -> list[str]:
    """Markdown."""
    lines = [
        "| network | layer | channels | criterion | cosine, mean | least | kept alike, mean | least |",
        "|---|---|--:|---|--:|--:|--:|--:|",
    ]
    for row in results:
        cosine, agreement = sum(row.cosines) / len(row.cosines), sum(row.agreement) / len(row.agreement)
        lines.append(
            f"| {row.network} | {row.layer} | {row.channels} | {row.criterion.upper()} | {cosine:.4f} "
            f"| {min(row.cosines):.4f} | {agreement:.0%} | {min(row.agreement):.0%} |"
        )
    return lines


def main() -> None:
    """Score, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, help="npz file, for the benchmark network A; without it digits only")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--images", type=int, default=32, help="per batch")
    parser.add_argument("--seed", type=int, default=0, help="of the batches")
    arguments = parser.parse_args()
    networks = [("digits, 24-48-48", DIGITS, nn.digits())]
    if arguments.mnist is not None:
        networks.append(("MNIST, 16-32-64", MNIST, nn.mnist(arguments.mnist)))
    results = [
        row
        for name, path, data in networks
        for row in rows(name, nn.load(path), data, arguments.batches, arguments.images, arguments.seed)
    ]
    lines = [
        f"{arguments.batches} disjoint batches of {arguments.images} training images (seed {arguments.seed}), every",
        "pair of them; 4-bit networks that ship here, trained and unpruned. *Kept alike* is the share of the better",
        "half of the channels that both batches would keep.",
        "",
        *table(results),
    ]
    report(Path(__file__).with_suffix(".md"), "Robustness of pruning scores over batches", str(arguments.mnist), lines)


if __name__ == "__main__":
    main()
