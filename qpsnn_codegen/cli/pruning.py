"""The command ``prune``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from qpsnn_codegen.cli.making import (
    DATA_HELP,
    check_distinct,
    check_output,
    command_line,
    numbers,
    open_data,
    output_options,
)
from qpsnn_codegen.cli.progress import status_line
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

    from qpsnn_codegen.nn.datasets import Dataset
    from qpsnn_codegen.nn.network import SpikingNetwork
    from qpsnn_codegen.nn.pruning import PruningReport


@click.command(
    epilog="""\b
Examples:
  qpsnn-codegen prune digits.pt --data digits --ratio 0.5 -o half.pt
  qpsnn-codegen prune digits.pt --data digits --ratio 0.3,0.6,0 --criterion sca --plot scores.svg -o other.pt
  qpsnn-codegen prune digits.pt --data digits --target instructions=40% -o quick.pt
  qpsnn-codegen prune digits.pt --data digits --target flash=6000 --steps 3 --epochs 10 -o small.pt
  qpsnn-codegen prune vgg.pt --data cifar10:cifar/ --preset cifar10-vgg16-1.42M -o slim.pt

\b
Then: qpsnn-codegen finetune half.pt --data digits -o digits_pruned.pt
"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--ratio", help="Share of channels to remove from each layer, or one per conv (0.3,0.6,0).")
@click.option(
    "--target",
    help="Instead: parameters, flash (bytes), operations or instructions (of a Cortex-M4) at most, as N or P% of now.",
)
@click.option("--preset", help="Instead: the ratios of a row of the paper's tables; `qpsnn-codegen zoo` lists them.")
@click.option(
    "--criterion",
    type=click.Choice(["svs", "sca", "l1"]),
    default="svs",
    show_default=True,
    help="svs: singular values of the spike maps; sca: size of the membrane potentials; l1: of the weights.",
)
@click.option(
    "--rounding",
    type=click.Choice(["text", "code"]),
    help="Channels kept: n - round(r·n), or int(n·(1 - r)) as the paper's code. [default: text; code with --preset]",
)
@click.option("--images", type=click.IntRange(1), default=256, show_default=True, help="Images to score on.")
@click.option("--prune-last", is_flag=True, help="Prune the last conv too.")
@click.option("--steps", type=click.IntRange(1, 100), default=1, show_default=True, help="Remove a part at a time.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True, help="Of training between steps.")
@click.option("--lr", type=float, default=5e-3, show_default=True, help="Learning rate between steps, at the start.")
@click.option("--scores", type=click.Path(path_type=Path), help="JSON file for scores and kept channels of each step.")
@click.option("--plot", type=click.Path(path_type=Path), help="SVG file for a picture of the last step's.")
@click.option("--float-weights", is_flag=True, help="Score MODEL with its float weights (prune, then quantize).")
@click.option("--seed", type=int, default=0, show_default=True, help="Picks the images; of the training between steps.")
@output_options
def prune(*, model: Path, data: str, out: Path, force: bool, threads: int, **settings: Any) -> None:
    """Remove the least informative channels of MODEL's layers.

    Scores are taken on training images; batch-norms and following layers shrink along, and so do layers whose outputs
    are added. Fine-tune the result.
    """
    outputs = {"-o": out, "--scores": settings["scores"], "--plot": settings["plot"]}
    for option, path in outputs.items():
        if path is not None:
            check_output(path, force, option)
    check_distinct(outputs)
    goal = _goal(settings.pop("ratio"), settings.pop("target"), settings.pop("preset"))
    settings["rounding"] = settings["rounding"] or goal.rounding
    dataset = open_data(data, threads)
    import torch  # noqa: PLC0415

    from qpsnn_codegen.nn import checkpoint, training  # noqa: PLC0415

    network = checkpoint.load(model)
    training.check_fits(network, dataset)
    _check_preset(goal, network)
    order = torch.randperm(len(dataset.train_images), generator=torch.Generator().manual_seed(settings["seed"]))
    images = torch.from_numpy(dataset.train_images[order[: settings["images"]].numpy()])
    with status_line() as say:
        smaller, reports = _pruned(network, dataset, images, goal, say, settings)
    _write_scores(reports, settings)
    accuracy = training.evaluate(smaller, dataset)
    record = {"data": dataset.name, "accuracy": accuracy, "seed": settings["seed"], "command": command_line()}
    checkpoint.save(smaller, out, training=record)
    for name, kept in reports[-1].kept.items():
        click.echo(f"{name}: {len(kept)} channels kept")
    for name, reason in reports[-1].untouched.items():
        click.echo(f"{name}: left whole, {reason}")
    click.echo(f"parameters: {reports[0].parameters_before} to {reports[-1].parameters_after}")
    held_out = len(dataset.test_images)
    click.echo(f"accuracy before fine-tuning: {100 * accuracy:.2f} % of {held_out} held-out images")
    click.echo(f"wrote {out}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goal:
    """How far to prune: ``ratios``, or down to ``limit`` of ``cost`` (``percent``: of what the model has).

    Ratios by name are those of a ``preset``; ``typed`` is how errors name the limit.
    """

    ratios: float | tuple[float, ...] | Mapping[str, float] = 0.0
    preset: str = ""
    rounding: Literal["text", "code"] = "text"
    typed: str = ""
    cost: str = ""
    limit: float = 0.0
    percent: bool = False


_UNITS = {
    "parameters": "parameters",
    "flash": "bytes",
    "operations": "operations",
    "instructions": "instructions",
}
COST_NAMES = tuple(_UNITS)
"""The keys of ``pruning_costs.COSTS``, which takes seconds to import."""


def _goal(ratio: str | None, target: str | None, preset: str | None) -> _Goal:
    if [ratio, target, preset].count(None) != 2:
        raise UsageError(
            "--ratio", "exactly one of --ratio, --target and --preset says how far to prune", "give one of them"
        )
    if ratio is not None:
        given = tuple(numbers(ratio, "--ratio"))
        return _Goal(ratios=given[0] if len(given) == 1 else given)
    if preset is not None:
        from qpsnn_codegen.nn.zoo_presets import find_preset  # noqa: PLC0415

        ratios = find_preset(preset).ratios
        if not ratios:
            raise UsageError("--preset", f"{preset} is a row without pruning", "choose another, or give --ratio")
        return _Goal(ratios=ratios, preset=preset, rounding="code")
    name, _, amount = str(target).partition("=")
    try:
        limit = float(amount.removesuffix("%"))
    except ValueError:
        limit = 0.0
    percent = amount.endswith("%")
    if name not in COST_NAMES or not 0.0 < limit < (100.0 if percent else 1e15):
        wanted = f"give one of {', '.join(COST_NAMES)} and a number or a percentage: operations=40%"
        raise UsageError("--target", f"cannot use {target!r}", wanted)
    return _Goal(typed=f"--target {target}", cost=name, limit=limit, percent=percent)


def _check_preset(goal: _Goal, network: SpikingNetwork) -> None:
    from qpsnn_codegen.nn.pruning import prunable_layers  # noqa: PLC0415
    from qpsnn_codegen.nn.zoo_presets import find_preset  # noqa: PLC0415

    if goal.preset:
        preset, layers = find_preset(goal.preset), prunable_layers(network)
        lacking = [name for name in preset.ratios if name not in layers]
        if lacking:
            wanted = f"train one with --arch {preset.arch}, or give --ratio"
            raise UsageError("--preset", f"the network has no {lacking[0]}, which {preset.name} prunes", wanted)


def _pruned(
    network: SpikingNetwork,
    dataset: Dataset,
    images: Tensor,
    goal: _Goal,
    say: Callable[[str], None],
    settings: dict[str, Any],
) -> tuple[SpikingNetwork, list[PruningReport]]:
    """All steps, with training between them."""
    from qpsnn_codegen.nn import layers, pruning, training  # noqa: PLC0415
    from qpsnn_codegen.nn.training_options import TrainingOptions  # noqa: PLC0415
    from qpsnn_codegen.pruning_costs import COSTS  # noqa: PLC0415

    options = TrainingOptions(epochs=settings["epochs"], learning_rate=settings["lr"], seed=settings["seed"])
    shared = {"criterion": settings["criterion"], "prune_last": settings["prune_last"]}
    widths = pruning.layer_widths(network)

    def by_ratio(present: SpikingNetwork, share: float) -> tuple[SpikingNetwork, PruningReport]:
        say("scoring channels")
        part = pruning.scaled(goal.ratios, share)
        with layers.float_weights(present, settings["float_weights"]):
            return pruning.prune(present, images, part, rounding=settings["rounding"], widths=widths, **shared)

    def by_cost(present: SpikingNetwork, share: float) -> tuple[SpikingNetwork, PruningReport]:
        def cost(candidate: SpikingNetwork) -> float:
            say(f"looking for a network of {aim:,.0f} {goal.cost}")
            return COSTS[goal.cost](candidate, images)

        aim = begin + (limit - begin) * share
        with layers.float_weights(present, settings["float_weights"]):
            unit = _UNITS[goal.cost]
            return pruning.prune_to(present, images, cost, aim, where=goal.typed, unit=unit, **shared)

    def tune(present: SpikingNetwork) -> None:
        with layers.float_weights(present, settings["float_weights"]):
            training.train(
                present,
                dataset,
                options,
                progress=lambda epoch: say(f"training between steps, epoch {epoch.number} of {options.epochs}"),
            )

    begin = COSTS[goal.cost](network, images) if goal.cost else 0.0
    limit = goal.limit / 100.0 * begin if goal.percent else goal.limit
    step = by_cost if goal.cost else by_ratio
    steps = list(pruning.in_steps(network, settings["steps"], step, tune))
    return steps[-1][0], [report for _, report in steps]


def _write_scores(reports: list[PruningReport], settings: dict[str, Any]) -> None:
    from qpsnn_codegen.report.score_chart import score_chart  # noqa: PLC0415

    if settings["scores"] is not None:
        steps = [
            {name: {"scores": scores, "kept": report.kept.get(name)} for name, scores in report.scores.items()}
            for report in reports
        ]
        with atomic_file(settings["scores"]) as stream:
            stream.write(json.dumps({"criterion": settings["criterion"], "steps": steps}, indent=1).encode())
    if settings["plot"] is not None:
        title = f"{settings['criterion'].upper()} scores"
        with atomic_file(settings["plot"]) as stream:
            stream.write(score_chart(title, reports[-1].scores, reports[-1].kept).encode())
