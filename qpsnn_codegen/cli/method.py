"""The commands of the method: ``train``, ``prune``, ``finetune``.

torch takes seconds to import, so it is imported inside the commands: ``--help`` stays quick.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qpsnn_codegen.errors import OutputError, UsageError

if TYPE_CHECKING:
    from qpsnn_codegen.nn.datasets import Dataset
    from qpsnn_codegen.nn.network import SpikingNetwork
    from qpsnn_codegen.nn.training import Epoch, TrainingOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_DATA_HELP = "digits (scikit-learn's, built in), mnist:PATH (an npz, or a folder of idx files), or npz:PATH."


def _options(*decorators: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    def apply(command: _Command) -> _Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


_output_options = _options(
    click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Model file to write."),
    click.option("--force", is_flag=True, help="Overwrite --out if it exists."),
    click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="CPU threads."),
)

_training_options = _options(
    click.option("--data", required=True, help=_DATA_HELP),
    click.option("--batch", type=int, default=64, show_default=True, help="Images per step."),
    click.option("--optimizer", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True),
    click.option("--weight-decay", type=float, default=0.0, show_default=True, help="L2 penalty."),
    click.option("--shift", type=float, default=1.0, show_default=True, help="Move images: pixels."),
    click.option("--rotate", type=float, default=12.0, show_default=True, help="Turn them: degrees."),
    click.option("--zoom", type=float, default=0.15, show_default=True, help="Scale them: fraction."),
    click.option("--smoothing", type=float, default=0.05, show_default=True, help="Label smoothing."),
    click.option(
        "--spike-penalty",
        type=float,
        default=0.0,
        show_default=True,
        help="Weight in the loss of synaptic operations relative to dense: saves spikes, and so instructions.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random."),
    click.option(
        "--state",
        type=click.Path(path_type=Path),
        help="File that receives the state after every epoch, for --resume.",
    ),
    click.option("--resume", is_flag=True, help="Continue from --state, if it exists."),
    _output_options,
)


@click.command(
    epilog="""\b
Examples:
  qpsnn-codegen train --data digits --bits 4 -o digits.pt
  qpsnn-codegen train --data digits --bits 2 --layout 24,M,48,48,M --seed 3 -o digits_2bit.pt
  qpsnn-codegen train --data mnist:mnist.npz --epochs 10 --state run.state --resume -o mnist.pt

\b
Then: qpsnn-codegen prune digits.pt --data digits --ratio 0.5 -o half.pt
"""
)
@click.option("--arch", default="cnn", show_default=True, help="cnn, mlp, vgg16 or resnet.")
@click.option("--layout", help="cnn: widths of the 3×3 convs, M for a max-pool. [default: 16,M,32,M,32]")
@click.option("--hidden", help="mlp: widths of the hidden layers. [default: 128]")
@click.option("--bits", type=int, default=4, show_default=True, help="Of the inner weights: 8, 4 or 2.")
@click.option(
    "--gamma",
    type=click.Choice(["mean", "max", "percentile", "vanilla"]),
    default="mean",
    show_default=True,
    help="Scale of the weights: ReScaW's three, or none.",
)
@click.option("--timesteps", "-T", type=int, default=4, show_default=True, help="T, 1 to 4096.")
@click.option("--epochs", type=int, default=120, show_default=True, help="Passes over the training images.")
@click.option("--lr", "learning_rate", type=float, default=1e-2, show_default=True, help="At the start.")
@_training_options
def train(
    *,
    arch: str,
    layout: str | None,
    hidden: str | None,
    bits: int,
    gamma: str,
    timesteps: int,
    data: str,
    out: Path,
    force: bool,
    threads: int,
    state: Path | None,
    resume: bool,
    **settings: Any,
) -> None:
    """Train a quantized spiking network from scratch.

    The first conv and the last linear layer are quantized to 8 bits, the layers between to --bits, from the
    first step on. Accuracy on the held-out images is printed at the end and stored in the model file.
    """
    _check_output(out, force)
    _check_state(state, resume)
    options = _training(settings)
    dataset = _open(data, threads)
    from qpsnn_codegen.nn.zoo import build  # noqa: PLC0415

    extra: dict[str, Any] = {}
    if layout is not None:
        extra["layout"] = tuple(_width(entry, "--layout") for entry in layout.split(","))
    if hidden is not None:
        extra["hidden"] = tuple(_width(entry, "--hidden", pools=False) for entry in hidden.split(","))
    model = build(
        arch,
        seed=options.seed,
        bits=bits,
        gamma=gamma,
        timesteps=timesteps,
        classes=len(dataset.class_names),
        class_names=dataset.class_names,
        input_shape=dataset.shape,
        divisor=dataset.divisor,
        **extra,
    )
    _run(model, dataset, options, out, state, resume)


@click.command(
    epilog="""\b
Examples:
  qpsnn-codegen finetune half.pt --data digits -o digits_pruned.pt
  qpsnn-codegen finetune half.pt --data digits --lr 1e-3 --weight-decay 1e-4 -o digits_pruned.pt --force
"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--epochs", type=int, default=120, show_default=True, help="Passes over the training images.")
@click.option("--lr", "learning_rate", type=float, default=5e-3, show_default=True, help="At the start.")
@_training_options
def finetune(
    *,
    model: Path,
    data: str,
    out: Path,
    force: bool,
    threads: int,
    state: Path | None,
    resume: bool,
    **settings: Any,
) -> None:
    """Train MODEL further, usually after pruning."""
    _check_output(out, force)
    _check_state(state, resume)
    options = _training(settings)
    dataset = _open(data, threads)
    from qpsnn_codegen.nn.checkpoint import load  # noqa: PLC0415

    _run(load(model), dataset, options, out, state, resume)


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
@click.option("--data", required=True, help=_DATA_HELP)
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
@_output_options
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
    _check_output(out, force)
    ratios = [_number(entry, "--ratio") for entry in ratio.split(",")]
    dataset = _open(data, threads)
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
    record = {"data": dataset.name, "accuracy": accuracy, "seed": seed, "command": _command_line()}
    checkpoint.save(smaller, out, training=record)
    for name, kept in report.kept.items():
        click.echo(f"{name}: {len(kept)} channels kept")
    for name, reason in report.untouched.items():
        click.echo(f"{name}: left whole, {reason}")
    click.echo(f"parameters: {report.parameters_before} to {report.parameters_after}")
    held_out = len(dataset.test_images)
    click.echo(f"accuracy before fine-tuning: {100 * accuracy:.2f} % of {held_out} held-out images")
    click.echo(f"written: {out}")


# --- what they share


def _check_output(out: Path, force: bool) -> None:
    # Before the training, not after it.
    if out.is_dir():
        raise OutputError(str(out), "it is a folder", "give a file name ending in .pt")
    if out.exists() and not force:
        raise OutputError(str(out), "the file exists", "give --force to overwrite it, or another --out")
    if not out.parent.is_dir():
        raise OutputError(str(out), f"there is no folder {out.parent}", "make it first")


def _check_state(state: Path | None, resume: bool) -> None:
    if resume and state is None:
        raise UsageError("--resume", "there is no --state to resume from", "give --state FILE as well")
    if state is not None and state.exists() and not resume:
        raise OutputError(str(state), "the file exists", "give --resume to continue from it, or delete it")


def _width(entry: str, option: str, *, pools: bool = True) -> int | str:
    if pools and entry.strip() == "M":
        return "M"
    try:
        width = int(entry)
    except ValueError:
        width = 0
    if not 1 <= width <= 65536:
        wanted = "give widths and M (max-pool): 16,M,32" if pools else "give widths: 128,64"
        raise UsageError(option, f"entry {entry!r}", wanted)
    return width


def _number(entry: str, option: str) -> float:
    try:
        return float(entry)
    except ValueError:
        raise UsageError(option, f"{entry!r} is no number", "give 0.5, or one per conv: 0.3,0.6,0") from None


def _training(settings: dict[str, Any]) -> TrainingOptions:
    from qpsnn_codegen.nn.training import TrainingOptions  # noqa: PLC0415

    return TrainingOptions(**settings)


def _open(data: str, threads: int) -> Dataset:
    import torch  # noqa: PLC0415

    from qpsnn_codegen.nn.datasets import open_dataset  # noqa: PLC0415

    torch.set_num_threads(threads)
    return open_dataset(data)


def _command_line() -> str:
    return shlex.join(["qpsnn-codegen", *sys.argv[1:]])


def _run(
    model: SpikingNetwork,
    dataset: Dataset,
    options: TrainingOptions,
    out: Path,
    state: Path | None,
    resume: bool,
) -> None:
    from tqdm import tqdm  # noqa: PLC0415

    from qpsnn_codegen.nn import checkpoint, training  # noqa: PLC0415

    with tqdm(total=options.epochs, unit="epoch", disable=None) as bar:

        def show(epoch: Epoch) -> None:
            bar.update(epoch.number - bar.n)
            bar.set_postfix(
                loss=f"{epoch.loss:.4f}",
                train=f"{100 * epoch.accuracy:.1f} %",
                operations=f"{100 * epoch.operations:.1f} %",
            )

        history = training.train(model, dataset, options, progress=show, state=state, resume=resume)
    accuracy = training.evaluate(model, dataset)
    record = training.training_record(dataset, options, history, accuracy=accuracy, command=_command_line())
    checkpoint.save(model, out, training=record)
    click.echo(f"accuracy: {100 * accuracy:.2f} % of {len(dataset.test_images)} held-out images")
    click.echo(f"written: {out}")
