"""The command ``zoo``, and the choice of an architecture that ``train`` shares with it."""

from __future__ import annotations

import shlex
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qpsnn_codegen.cli.making import check_output
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.report.table import table

if TYPE_CHECKING:
    from qpsnn_codegen.nn.network import SpikingNetwork


def architecture(arch: str | None, preset: str | None, default: str = "cnn") -> tuple[str, dict[str, Any]]:
    """The architecture's name and its options.

    Raises:
        UsageError: both are given, or there is no such preset.
    """
    if preset is None:
        return default if arch is None else arch, {}
    if arch is not None:
        raise UsageError("--arch", f"{arch} beside --preset {preset}", "give one of them")
    from qpsnn_codegen.nn.zoo_presets import find_preset  # noqa: PLC0415 - imports torch

    found = find_preset(preset)
    return found.arch, dict(found.options)


@click.command(
    "zoo",
    epilog="""\b
Examples:
  qpsnn-codegen zoo --preset cifar10-vgg16-1.42M --bits 4 -o vgg16.pt
  qpsnn-codegen zoo --arch resnet20 --width 0.25 --classes 4 --input 3,24,24 -o small.pt
  qpsnn-codegen zoo

\b
Then: qpsnn-codegen vgg16.pt -o fw/ --board mps2-an386
""",
)
@click.option("--arch", help="Architecture, see the list.")
@click.option("--preset", help="A row of the paper's tables, pruned as there, see the list.")
@click.option("--width", type=float, help="Factor on all channel counts. [default: 1]")
@click.option("--classes", type=click.IntRange(1, 65536), help="Outputs. [default: the architecture's]")
@click.option("--input", "shape", metavar="C,H,W", help="Input shape. [default: the architecture's]")
@click.option("--timesteps", "-T", type=int, help="T. [default: the architecture's]")
@click.option("--bits", type=int, default=4, show_default=True, help="Of the inner weights: 8, 4 or 2.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights.")
@click.option("--output", "--out", "-o", "out", type=click.Path(path_type=Path), help="Model file to write.")
@click.option("--force", is_flag=True, help="Overwrite --output if it exists.")
def zoo_command(
    *,
    arch: str | None,
    preset: str | None,
    width: float | None,
    classes: int | None,
    shape: str | None,
    timesteps: int | None,
    bits: int,
    seed: int,
    out: Path | None,
    force: bool,
) -> None:
    """List ready-made networks, or write one with random weights.

    A network that is not trained compiles like one that is: what it costs in flash, RAM and instructions can be
    looked at before the training. Its spike rates mean nothing.
    """
    if arch is None and preset is None:
        _list()
        return
    if out is None:
        raise UsageError("--output", "there is no file to write the network to", "give -o model.pt")
    check_output(out, force)
    name, options = architecture(arch, preset)
    given = {"width": width, "classes": classes, "timesteps": timesteps}
    options |= {key: value for key, value in given.items() if value is not None}
    if shape is not None:
        options["input_shape"] = _shape(shape)
    from qpsnn_codegen.nn.checkpoint import save  # noqa: PLC0415 - imports torch
    from qpsnn_codegen.nn.zoo import build, enlivened  # noqa: PLC0415
    from qpsnn_codegen.nn.zoo_presets import PRESETS  # noqa: PLC0415

    ratios = PRESETS[preset].ratios if preset is not None else {}
    model = enlivened(build(name, seed=seed, bits=bits, prune=ratios, **options), seed)
    save(model, out, training={"note": "random weights, not trained", "seed": seed})
    click.echo(f"{preset or name}: {_parameters(model):,} parameters, T = {model.timesteps}, random weights")
    click.echo(f"wrote {out}  (next: qpsnn-codegen {shlex.quote(str(out))} -o fw/)")


def _list() -> None:
    from qpsnn_codegen.nn.zoo import ARCHITECTURES  # noqa: PLC0415 - imports torch
    from qpsnn_codegen.nn.zoo_presets import PRESETS  # noqa: PLC0415

    # The first paragraph of what each says of itself.
    summaries = {name: (getdoc(function) or "").partition("\n\n")[0] for name, function in ARCHITECTURES.items()}
    rows = [[name, " ".join(text.split()).removesuffix(".")] for name, text in summaries.items()]
    click.echo(table(["--arch", "what"], rows))
    click.echo()
    header = ["--preset", "arch", "MB, 8 bits", "4 bits", "2 bits", "accuracy %, 8 bits", "4 bits", "2 bits"]
    numbers = [
        [
            preset.name,
            preset.arch,
            *(f"{preset.sizes[bits]:.2f}" if bits in preset.sizes else "-" for bits in (8, 4, 2)),
            *(f"{preset.accuracies[bits]:.2f}" if bits in preset.accuracies else "-" for bits in (8, 4, 2)),
        ]
        for preset in PRESETS.values()
    ]
    click.echo(table(header, numbers))
    click.echo("\nSizes and accuracies as the paper states them, with first and last layer at 32 bits.")


def _shape(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError("--input", f"{text!r} is no shape", "give C,H,W: 3,32,32")
    return tuple(map(int, parts))


def _parameters(model: SpikingNetwork) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
