"""The commands that train: ``train`` and ``finetune``.

torch takes seconds to import, so it is imported inside the commands: ``--help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qpsnn_codegen.cli.making import (
    DATA_HELP,
    check_distinct,
    check_output,
    command_line,
    command_options,
    open_data,
    output_options,
)
from qpsnn_codegen.cli.progress import terminal_size
from qpsnn_codegen.cli.zoo import architecture
from qpsnn_codegen.errors import OutputError, UsageError

if TYPE_CHECKING:
    from qpsnn_codegen.nn.datasets import Dataset
    from qpsnn_codegen.nn.network import SpikingNetwork
    from qpsnn_codegen.nn.training import Progress
    from qpsnn_codegen.nn.training_options import TrainingOptions
    from qpsnn_codegen.nn.training_state import Epoch

_training_options = command_options(
    click.option("--data", required=True, help=DATA_HELP),
    click.option("--batch", type=int, default=64, show_default=True, help="Images per step."),
    click.option("--optimizer", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True),
    click.option("--weight-decay", type=float, default=0.0, show_default=True, help="L2 penalty."),
    click.option("--crop", type=int, default=0, show_default=True, help="Cut images out of a border of zeros: pixels."),
    click.option("--flip", is_flag=True, help="Mirror every other image."),
    click.option(
        "--autoaugment",
        type=click.Choice(["cifar10", "imagenet", "svhn"]),
        help="Change colours and shapes as AutoAugment learned for this data set; needs kornia.",
    ),
    click.option("--cutout", type=int, default=0, show_default=True, help="Set a square to zero: pixels."),
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
    click.option("--float-weights", is_flag=True, help="Do not quantize while training; only what is written."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random."),
    click.option(
        "--state",
        type=click.Path(path_type=Path),
        help="File that receives the state after every epoch, for --resume.",
    ),
    click.option("--resume", is_flag=True, help="Continue from --state, if it exists."),
    click.option("--csv", "log", type=click.Path(path_type=Path), help="File that receives a line per epoch (CSV)."),
    click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True),
    output_options,
)


@click.command(
    epilog="""\b
Examples:
  qpsnn-codegen train --data digits --bits 4 -o digits.pt
  qpsnn-codegen train --data digits --bits 2 --layout 24,M,48,48,M --seed 3 -o digits_2bit.pt
  qpsnn-codegen train --data digits --arch micro_resnet --width 2 -o residual.pt
  qpsnn-codegen train --data mnist:mnist.npz --epochs 10 --state run.state --resume -o mnist.pt
  qpsnn-codegen train --data cifar10:cifar/ --arch vgg16 --crop 4 --flip --cutout 16 --rotate 0 -o c.pt
  qpsnn-codegen train --data "events:gestures/?frames=10&size=32" --csv run.csv -o gestures.pt
  torchrun --nproc-per-node 4 -m qpsnn_codegen train --data cifar10:cifar/ --threads 1 -o cifar.pt

\b
Then: qpsnn-codegen prune digits.pt --data digits --ratio 0.5 -o half.pt
"""
)
@click.option("--arch", help="Architecture: `qpsnn-codegen zoo` lists them. [default: cnn]")
@click.option("--preset", help="Architecture and T of a row of the paper's tables, likewise; unpruned.")
@click.option("--width", type=float, default=1.0, show_default=True, help="Factor on all channel counts.")
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
@click.option("--timesteps", "-T", type=int, help="T, 1 to 4096. [default: the architecture's, or the events' frames]")
@click.option("--epochs", type=int, default=120, show_default=True, help="Passes over the training images.")
@click.option("--lr", "learning_rate", type=float, default=1e-2, show_default=True, help="At the start.")
@_training_options
def train(
    *,
    arch: str | None,
    preset: str | None,
    width: float,
    layout: str | None,
    hidden: str | None,
    bits: int,
    gamma: str,
    timesteps: int | None,
    data: str,
    threads: int,
    **settings: Any,
) -> None:
    """Train a quantized spiking network from scratch.

    The first conv and the last linear layer are quantized to 8 bits, the layers between to --bits, from the
    first step on. Accuracy on the held-out images is printed at the end and stored in the model file.
    """
    job = _job(settings)
    dataset = open_data(data, threads)
    from qpsnn_codegen.nn.training import fitted  # noqa: PLC0415
    from qpsnn_codegen.nn.zoo import build  # noqa: PLC0415

    # Classes and input are the data's; a preset has its own only as the paper's.
    name, _ = architecture(arch, preset)
    frames = _timesteps(timesteps, dataset)
    extra: dict[str, Any] = {} if frames is None else {"timesteps": frames}
    if layout is not None:
        extra["layout"] = tuple(_width(entry, "--layout") for entry in layout.split(","))
    if hidden is not None:
        extra["hidden"] = tuple(_width(entry, "--hidden", pools=False) for entry in hidden.split(","))
    try:
        model = build(
            name,
            seed=job.options.seed,
            bits=bits,
            gamma=gamma,
            width=width,
            classes=len(dataset.class_names),
            class_names=dataset.class_names,
            input_shape=dataset.shape,
            divisor=dataset.divisor,
            **extra,
        )
    except UsageError as error:
        if layout is not None or error.where not in ("input_shape", "layout"):
            raise
        size = "×".join(map(str, dataset.shape[1:]))
        what = f"{name} needs larger images than the {size} pixels of {data}"
        raise UsageError(
            "--arch", what, "choose another one ('qpsnn-codegen zoo' lists them), or other data"
        ) from error
    _run(fitted(model, dataset), dataset, job)


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
    threads: int,
    **settings: Any,
) -> None:
    """Train MODEL further, usually after pruning."""
    job = _job(settings)
    dataset = open_data(data, threads)
    from qpsnn_codegen.nn.checkpoint import load  # noqa: PLC0415

    _run(load(model), dataset, job)


# --- what they share


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A training as the command line describes it: how, and which files take part."""

    options: TrainingOptions
    out: Path
    force: bool
    state: Path | None
    resume: bool
    log: Path | None
    device: str
    float_weights: bool


def _job(settings: dict[str, Any]) -> _Job:
    """Take the options of :data:`_training_options` apart, and refuse what could not be written later."""
    from qpsnn_codegen.nn.training_options import TrainingOptions  # noqa: PLC0415

    own = {name: settings.pop(name) for name in ("out", "force", "state", "resume", "log", "device", "float_weights")}
    job = _Job(options=TrainingOptions(**settings), **own)
    check_output(job.out, job.force)
    check_distinct({"-o": job.out, "--state": job.state, "--csv": job.log})
    if job.resume and job.state is None:
        raise UsageError("--resume", "there is no --state to resume from", "give --state FILE as well")
    if job.state is not None and job.state.exists() and not job.resume:
        raise OutputError(str(job.state), "the file exists", "give --resume to continue from it, or delete it")
    if job.log is not None:
        # A run that continues has its earlier epochs in the state, and writes them again.
        check_output(job.log, job.force or job.resume, "--csv")
    return job


def _timesteps(given: int | None, data: Dataset) -> int | None:
    """T as it is asked for, or as the recordings have it; None leaves it to the architecture."""
    if given is not None and data.frames not in (None, given):
        raise UsageError("--timesteps", f"{given} for recordings of {data.frames} frames", "leave it out")
    return data.frames or given


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


_WORTH_SAYING = 20.0
"""Seconds of training below which nobody has to be told how long it will take."""


def _run(model: SpikingNetwork, dataset: Dataset, job: _Job) -> None:
    import torch  # noqa: PLC0415

    from qpsnn_codegen.nn import checkpoint, layers, training  # noqa: PLC0415
    from qpsnn_codegen.nn.distributed import torchrun_team  # noqa: PLC0415

    if job.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device", "torch sees no CUDA device", "use --device cpu, or a torch built for CUDA")
    options, device = job.options, torch.device(job.device)
    with torchrun_team(device) as team:
        model.to(device)

        def announce(seconds: float, epochs: int) -> None:
            if team.leads and seconds * epochs >= _WORTH_SAYING:
                click.echo(f"about {_duration(seconds)} per epoch, {_duration(seconds * epochs)} for {epochs} epochs")
            # The bar begins below that line.
            bars.append(stack.enter_context(_epochs(options.epochs, show=team.leads)))

        bars: list[Progress] = []

        def advance(epoch: Epoch) -> None:
            for bar in bars:
                bar(epoch)

        with layers.float_weights(model, job.float_weights), ExitStack() as stack:
            history = training.train(
                model,
                dataset,
                options,
                begin=announce,
                progress=advance,
                log=job.log,
                state=job.state,
                resume=job.resume,
                team=team,
            )
        if not team.leads:
            return
        start = "" if team.size == 1 else f"torchrun --nproc-per-node {team.size} -m "
        accuracy = training.evaluate(model, dataset)
        record = training.training_record(dataset, options, history, accuracy=accuracy, command=start + command_line())
        checkpoint.save(model.cpu(), job.out, training=record)
    click.echo(f"accuracy: {100 * accuracy:.2f} % of {len(dataset.test_images)} held-out images")
    click.echo(f"wrote {job.out}")


@contextmanager
def _epochs(total: int, *, show: bool) -> Iterator[Progress]:
    from tqdm import tqdm  # noqa: PLC0415

    # None: a bar on a terminal only.
    with tqdm(total=total, unit="epoch", disable=None if show else True, **terminal_size()) as bar:

        def progress(epoch: Epoch) -> None:
            bar.update(epoch.number - bar.n)
            bar.set_postfix(
                loss=f"{epoch.loss:.4f}",
                train=f"{100 * epoch.accuracy:.1f} %",
                operations=f"{100 * epoch.operations:.1f} %",
            )

        yield progress


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
