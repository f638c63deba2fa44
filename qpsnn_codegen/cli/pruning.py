"""The command ``prune``."""

from __future__ import annotations

from pathlib import Path

import click

from qpsnn_codegen.cli.making import DATA_HELP, check_output, command_line, numbers, open_data, output_options


@click.command(
    epilog="""\b
Examples:
  qpsnn-codegen prune digits.pt --data digits --ratio 0.5 -o half.pt
  qpsnn-codegen prune digits.pt --data digits --ratio 0.3,0.6,0 --criterion sca -o other.pt

\b
Then: qpsnn-codegen finetune half.pt --data digits -o digits_pruned.pt
"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--ratio", required=True, help="Share of channels to remove from each conv, or one per conv (0.3,0.6,0).")
@click.option(
    "--criterion",
    type=click.Choice(["svs", "sca"]),
    default="svs",
    show_default=True,
    help="svs: singular values of the spike maps; sca: size of the membrane potentials.",
)
@click.option(
    "--rounding",
    type=click.Choice(["text", "code"]),
    default="text",
    show_default=True,
    help="Channels kept: n - round(r·n), or int(n·(1 - r)) as the paper's code.",
)
@click.option("--images", type=click.IntRange(1), default=256, show_default=True, help="Images to score on.")
@click.option("--prune-last", is_flag=True, help="Prune the last conv too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Picks the images.")
@output_options
def prune(
    *,
    model: Path,
    data: str,
    ratio: str,
    criterion: str,
    rounding: str,
    images: int,
    prune_last: bool,
    seed: int,
    out: Path,
    force: bool,
    threads: int,
) -> None:
    """Remove the least informative channels of MODEL's convs.

    Scores are taken on training images; batch-norms and following layers shrink along. Fine-tune the result.
    """
    check_output(out, force)
    ratios = numbers(ratio, "--ratio")
    dataset = open_data(data, threads)
    import torch  # noqa: PLC0415

    from qpsnn_codegen.nn import checkpoint, pruning, training  # noqa: PLC0415

    network = checkpoint.load(model)
    training.check_fits(network, dataset)
    order = torch.randperm(len(dataset.train_images), generator=torch.Generator().manual_seed(seed))
    smaller, report = pruning.prune(
        network,
        torch.from_numpy(dataset.train_images[order[:images].numpy()]),
        ratios[0] if len(ratios) == 1 else ratios,
        criterion=criterion,  # type: ignore[arg-type]
        rounding=rounding,  # type: ignore[arg-type]
        prune_last=prune_last,
    )
    accuracy = training.evaluate(smaller, dataset)
    record = {"data": dataset.name, "accuracy": accuracy, "seed": seed, "command": command_line()}
    checkpoint.save(smaller, out, training=record)
    for name, kept in report.kept.items():
        click.echo(f"{name}: {len(kept)} channels kept")
    for name, reason in report.untouched.items():
        click.echo(f"{name}: left whole, {reason}")
    click.echo(f"parameters: {report.parameters_before} to {report.parameters_after}")
    held_out = len(dataset.test_images)
    click.echo(f"accuracy before fine-tuning: {100 * accuracy:.2f} % of {held_out} held-out images")
    click.echo(f"written: {out}")
