"""The commands ``compile`` and ``inspect``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from qpsnn_codegen.cli.inputs import calibration_inputs
from qpsnn_codegen.cli.loading import load_model, load_options
from qpsnn_codegen.cli.progress import status_line
from qpsnn_codegen.cli.sizes import Bytes
from qpsnn_codegen.emit.folder import check_destination
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.planning.kernels import KERNELS
from qpsnn_codegen.report.table import compilation_text, table

if TYPE_CHECKING:
    from qpsnn_codegen.planning.options import Packing, Schedule

_KERNELS = ", ".join(kernel.name for kernel in KERNELS)


@click.command(
    "compile",
    epilog="""\b
Examples:
  qpsnn-codegen model.pt -o fw/
  qpsnn-codegen model.pt -o fw/ --name digits --calibrate digits
  qpsnn-codegen model.pt -o fw/ --calibrate mnist:mnist.npz --force
  qpsnn-codegen model.pt -o fw/ --weights-in binary
  qpsnn-codegen model.pt -o fw/ --board mps2-an386 --board microbit
  qpsnn-codegen model.pt -o fw/ --ram-limit 8192
  qpsnn-codegen vgg16.pth.tar -o fw/ --bits 4 --timesteps 4

\b
Every layer runs on the kernel that suits it, chosen by the instructions predicted for the boards' cores,
or for all cores. Layers take turns, row by row, where that saves RAM. To keep a limit, or fit a board,
spikes are packed closer and layers run on slower, smaller kernels: as far as needed, by what costs fewest
instructions, and where no option says otherwise. A line for each such change says what it saves and costs.

\b
The table shows, for each layer: output shape, bits of its weights, the kernel that runs it, bytes in
flash (weights, constants) and RAM (arena), synaptic operations if every input were active and as
calibrated, and what is proven of its spikes. A second one
shows how many instructions are predicted, expected and at worst.
""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--name", help="Prefix of every C symbol. [default: from the file name]")
@load_options
@click.option(
    "--calibrate",
    metavar="DATA",
    help="Count spikes on raw inputs: an .npy or .npz file, digits, or KIND:PATH as for train.",
)
@click.option("--samples", type=click.IntRange(1), default=256, show_default=True, help="Of --calibrate to use.")
@click.option(
    "--weights-in",
    type=click.Choice(["c", "binary"]),
    default="c",
    show_default=True,
    help="Weights as C arrays, or as a binary file that an assembler file includes.",
)
@click.option(
    "--input-bits",
    type=click.Choice(["8", "16"]),
    default="16",
    show_default=True,
    help="Width of normalized images, where normalization is more than a scale.",
)
@click.option(
    "--weight-bits",
    type=click.Choice(["8", "16"]),
    default="16",
    show_default=True,
    help="Width of the first layer's weights, where they were trained in float.",
)
@click.option(
    "--readout-bits",
    type=click.Choice(["8", "16"]),
    default="8",
    show_default=True,
    help="The same of the last layer.",
)
@click.option(
    "--board", "boards", multiple=True, metavar="BOARD", help="Put this board's port into the folder; may be repeated."
)
@click.option("--ram-limit", type=Bytes(), metavar="BYTES", help="Of the arena; stack not counted.")
@click.option("--flash-limit", type=Bytes(), metavar="BYTES", help="Of weights and constants, without code.")
@click.option(
    "--schedule",
    type=click.Choice(["auto", "window", "rows"]),
    default="auto",
    show_default=True,
    help="Layers in turns, row by row: where that saves RAM, nowhere, wherever possible. rows is for measuring what "
    "turns do, and may take more RAM than window.",
)
@click.option(
    "--packing",
    type=click.Choice(["auto", "words", "bytes"]),
    default="auto",
    show_default=True,
    help="Spikes in bytes: where that costs no time or saves RAM, nowhere, wherever possible.",
)
@click.option(
    "--kernel",
    "kernels",
    multiple=True,
    metavar="LAYER=KERNEL",
    help=f"What a layer runs on: {_KERNELS}, where that can run it; may be repeated.",
)
@click.option("--force", is_flag=True, help="Replace a folder that an earlier compilation wrote.")
def compile_command(
    *,
    model: Path,
    output: Path,
    name: str | None,
    timesteps: int | None,
    bits: str | None,
    ends: str | None,
    calibrate: str | None,
    samples: int,
    weights_in: Literal["c", "binary"],
    input_bits: str,
    weight_bits: str,
    readout_bits: str,
    boards: tuple[str, ...],
    ram_limit: int | None,
    flash_limit: int | None,
    schedule: Schedule,
    packing: Packing,
    kernels: tuple[str, ...],
    force: bool,
) -> None:
    """Compile MODEL to a folder of C11 whose every spike equals the Python integer reference."""
    from qpsnn_codegen import pipeline  # noqa: PLC0415 - numpy takes a moment; --help should not wait for it
    from qpsnn_codegen.boards import find_board  # noqa: PLC0415
    from qpsnn_codegen.planning.options import PlanOptions  # noqa: PLC0415
    from qpsnn_codegen.report.boards import boards_text  # noqa: PLC0415
    from qpsnn_codegen.report.instructions import instructions_text  # noqa: PLC0415

    for board in boards:
        find_board(board)
    planning = PlanOptions(schedule=schedule, packing=packing, kernels=_kernels(kernels))
    check_destination(output, force=force)
    with status_line() as say:
        say("loading")
        loaded = load_model(model, timesteps, bits, ends)
        network = loaded.network
        data = None if calibrate is None else calibration_inputs(calibrate, network)[:samples]
        compilation = pipeline.compile(
            network,
            name=pipeline.default_name(model) if name is None else name,
            calibration=data,
            weights_in=weights_in,
            input_bits=_width(input_bits),
            weight_bits=_width(weight_bits),
            readout_bits=_width(readout_bits),
            bits=None if bits is None else int(bits),
            ends=ends,  # type: ignore[arg-type]
            boards=boards,
            planning=planning,
            ram_limit=ram_limit,
            flash_limit=flash_limit,
            progress=_counter(say, 0 if data is None else len(data)),
            say=say,
        )
        say("writing the folder")
        compilation.write(output, force=force)
    # First of all: whoever stops the command now has a folder, and should know.
    click.echo(f"wrote  {output}\n")
    click.echo(compilation_text(compilation.report))
    for trade in compilation.trades:
        click.echo(f"budget: {trade}")
    click.echo(boards_text(compilation.report))
    click.echo(f"\n{instructions_text(compilation.report)}\n")
    click.echo(f"next: qpsnn-codegen verify {shlex.quote(str(output))}")


def _kernels(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Kernels by layer."""
    pairs: dict[str, str] = {}
    for text in texts:
        layer, equals, kernel = text.rpartition("=")
        if not (layer and equals and kernel):
            remedy = f"give LAYER=KERNEL, and one of {_KERNELS}"
            raise UsageError("--kernel", f"{text!r} names no layer and kernel", remedy)
        if pairs.setdefault(layer, kernel) != kernel:
            what = f"layer {layer!r} is to run on both {pairs[layer]} and {kernel}"
            raise UsageError("--kernel", what, "name one kernel for it")
    return tuple(sorted(pairs.items()))


def _width(text: str) -> Literal[8, 16]:
    return 8 if text == "8" else 16


def _counter(say: Callable[[str], None], total: int) -> Callable[[int], None]:
    """Tell how many of the calibration samples are done."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        say(f"calibrating, {done} of {total}")

    return advance


@click.command(
    "inspect",
    epilog="""\b
Example:
  qpsnn-codegen inspect model.pt
  qpsnn-codegen inspect vgg16.pth.tar --bits 2
""",
)
@click.argument("model", type=click.Path(path_type=Path))
@load_options
def inspect_command(*, model: Path, timesteps: int | None, bits: str | None, ends: str | None) -> None:
    """Show what is in MODEL: layers, shapes, weights, how it was trained, and what can be certified."""
    from qpsnn_codegen.lowering import lower  # noqa: PLC0415 - as above

    loaded = load_model(model, timesteps, bits, ends)
    network = loaded.network
    shapes = network.shapes()
    integers = lower(network)
    synapses = {node.name: node.synapses() for node in integers.nodes}
    certificates = {certificate.layer: str(certificate) for certificate in integers.certificates}
    rows = []
    for node in network.nodes:
        weights = synapses.get(node.name)
        rows.append(
            [
                node.name,
                node.kind,
                "x".join(map(str, shapes[node.name])),
                weights.bits if weights else "-",
                weights.codes.size if weights else "-",
                certificates.get(node.name, ""),
            ]
        )
    click.echo(table(["layer", "kind", "shape", "bits", "weights", "certificate"], rows))
    total = sum(weights.codes.size for weights in synapses.values() if weights)
    click.echo(f"\n{total:,} weights, {network.timesteps} timesteps, classes: {', '.join(network.class_names)}")
    click.echo(f"SHA-256 {network.digest}")
    for key, value in loaded.about.items():
        if not isinstance(value, dict | list | tuple):
            click.echo(f"{key}: {value}")
