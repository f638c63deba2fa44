"""Do ReScaW and SVS win, as QP-SNN says? Three γ and vanilla, and ReScaW or not × SVS or SCA; writes ablation.md.

python experiments/ablation.py --data cifar10:cifar/ [--images 10000] [--width 0.125] [--timesteps 2] [--bits 2]
    [--epochs 20] [--finetune 10] [--seeds 0 1 2] [--states folder/] [--out ablation.md]

VGG-16, narrowed. Every γ is trained; mean|W| (ReScaW) and vanilla are then pruned to the ratios of a preset, by SVS and
by SCA, and fine-tuned. Seven minutes of one core per seed at 10 and 5 epochs; with ``--states`` it goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.common import add_states, part, report, state_of
from qpsnn_codegen import nn

PRESET = "cifar10-vgg16-1.42M"
GAMMAS = {
    "vanilla": "γ = 1 (vanilla)",
    "mean": "mean of W (ReScaW)",
    "max": "max of W",
    "percentile": "95th percentile",
}
PRUNED = ("vanilla", "mean")
CRITERIA = ("sca", "svs")
SCORED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One network; ``criterion`` None: unpruned. ``accuracy`` in [0, 1]."""

    gamma: str
    criterion: str | None
    seed: int
    accuracy: float


def measure(data: nn.Dataset, gamma: str, seed: int, arguments: argparse.Namespace) -> Iterator[Result]:
    """Train with one γ; prune and fine-tune where that belongs to the ablation."""
    options = nn.TrainingOptions(epochs=arguments.epochs, batch=100, learning_rate=2e-3, crop=4, flip=True, seed=seed)

    def fit(model: nn.SpikingNetwork, chosen: nn.TrainingOptions, criterion: str | None) -> Result:
        state = state_of(arguments.states, f"{gamma}_{criterion or 'whole'}_{seed}")
        nn.train(model, data, chosen, state=state, resume=True)
        result = Result(gamma=gamma, criterion=criterion, seed=seed, accuracy=nn.evaluate(model, data))
        print(result, file=sys.stderr, flush=True)
        return result

    model = nn.build(
        "vgg16",
        seed=seed,
        width=arguments.width,
        bits=arguments.bits,
        gamma=gamma,
        timesteps=arguments.timesteps,
        input_shape=data.shape,
        divisor=data.divisor,
        class_names=data.class_names,
    )
    yield fit(model, options, None)
    images = torch.from_numpy(data.train_images[:SCORED].copy())
    for criterion in CRITERIA if gamma in PRUNED else ():
        smaller, _ = nn.prune(
            model,
            images,
            nn.find_preset(PRESET).ratios,
            criterion=criterion,  # type: ignore[arg-type]
            rounding="code",
        )
        yield fit(smaller, replace(options, epochs=arguments.finetune, learning_rate=1e-3), criterion)


def tables(results: Sequence[Result]) -> list[str]:
    """Markdown: unpruned by γ, then the ablation."""

    def figures(gamma: str, criterion: str | None) -> str:
        found = [100 * r.accuracy for r in results if (r.gamma, r.criterion) == (gamma, criterion)]
        return f"{sum(found) / len(found):.2f} % | {min(found):.2f} to {max(found):.2f}"

    return [
        "| unpruned | accuracy, mean | lowest to highest |",
        "|---|--:|---|",
        *(f"| {title} | {figures(gamma, None)} |" for gamma, title in GAMMAS.items()),
        "",
        "| pruned and fine-tuned | criterion | accuracy, mean | lowest to highest |",
        "|---|---|--:|---|",
        *(
            f"| {GAMMAS[gamma]} | {criterion.upper()} | {figures(gamma, criterion)} |"
            for gamma in PRUNED
            for criterion in CRITERIA
        ),
    ]


def main() -> None:
    """Train, prune, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="as that of qpsnn-codegen train; 32×32 images")
    parser.add_argument("--images", type=int, default=10_000, help="of the training set")
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--timesteps", type=int, default=2)
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--finetune", type=int, default=10, help="epochs after pruning")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    add_states(parser)
    arguments = parser.parse_args()
    # More threads sum in another order, and training amplifies the last bit: other models would come out.
    torch.set_num_threads(1)
    data = part(nn.open_dataset(arguments.data), arguments.images)
    results = [
        result for seed in arguments.seeds for gamma in GAMMAS for result in measure(data, gamma, seed, arguments)
    ]
    lines = [
        f"{len(data.train_images):,} training images, {len(data.test_images):,} held-out ones;",
        f"VGG-16 of width {arguments.width:g}, {arguments.bits} bits, T = {arguments.timesteps},",
        f"{arguments.epochs} epochs (Adam, 2e-3); pruned as",
        f"{PRESET}, then {arguments.finetune} epochs (1e-3). Seeds: {', '.join(map(str, arguments.seeds))}.",
        "",
        *tables(results),
    ]
    report(arguments.out, "Ablation", arguments.data, lines)


if __name__ == "__main__":
    main()
