"""The commands that run generated C on this machine: ``simulate``, ``verify`` and ``evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qpsnn_codegen.cli.device import device_options, verify_on_device
from qpsnn_codegen.cli.inputs import named_inputs
from qpsnn_codegen.cli.loading import load_model, load_options
from qpsnn_codegen.cli.making import DATA_HELP, check_output
from qpsnn_codegen.cli.progress import progress_bar, status_line
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.files import atomic_file


@click.command(
    "simulate",
    epilog="""\b
Examples:
  qpsnn-codegen simulate fw/ inputs.npy -o out.npz
  qpsnn-codegen simulate fw/ digits -o out.npz --trace

\b
INPUTS: as for run; raw integers, uint8 [N, C, H, W], or [N, T, C, H, W] for networks that read spikes.
OUT.npz: logits int32 [N, K], logits_real float64 [N, K], prediction int64 [N]; with --trace also
spikes/LAYER uint8 [N, T, C, H, W] for every spiking layer, before pooling.
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("inputs")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
@click.option("--trace", is_flag=True, help="Write every spike of every layer too.")
@click.option("--cc", default="gcc", show_default=True, help="C compiler: gcc, clang or a path.")
@click.option("--force", is_flag=True, help="Overwrite the output if it exists.")
def simulate_command(*, folder: Path, inputs: str, output: Path, trace: bool, cc: str, force: bool) -> None:
    """Build FOLDER's own C with the host's compiler and run it on INPUTS."""
    import numpy as np  # noqa: PLC0415 - --help should not wait for it

    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415
    from qpsnn_codegen.toolchain.host_model import HostModel  # noqa: PLC0415

    check_output(output, force)
    samples, _ = named_inputs(inputs, FirmwareFolder.load(folder).network, may_be_empty=True)
    with HostModel(folder, trace=trace, cc=cc, optimize="-O3") as model:
        with progress_bar(len(samples), "simulating") as advance:
            outcome = model.run(samples, progress=advance)
        scale = model.network.logit_scale
    arrays: dict[str, Any] = {
        "logits": outcome.logits,
        "logits_real": outcome.logits * scale,
        "prediction": outcome.logits.argmax(axis=1),
        **{f"spikes/{layer}": spikes for layer, spikes in outcome.spikes.items()},
    }
    with atomic_file(output) as stream:
        np.savez_compressed(stream, **arrays)
    click.echo(f"wrote {output}: {len(samples):,} inputs, {', '.join(arrays)}")


@click.command(
    "verify",
    epilog="""\b
Examples:
  qpsnn-codegen verify fw/
  qpsnn-codegen verify fw/ --inputs test.npy --cc clang --sanitize
  qpsnn-codegen verify fw/ --target mps2-an386
  qpsnn-codegen verify fw/ --port /dev/ttyACM0 --inputs digits --limit 50

\b
Exit code 0: everything equal. 1: the first difference is shown.
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--inputs", help="More inputs, compared first: .npy, .npz, digits, or KIND:PATH as for train.")
@click.option("--limit", type=click.IntRange(1), help="Compare only the first inputs.")
@click.option("--cc", help="C compiler: gcc, clang or a path. [default: gcc]")
@click.option("--sanitize", is_flag=True, help="Build with AddressSanitizer and UndefinedBehaviorSanitizer.")
@device_options
@click.pass_context
def verify_command(
    ctx: click.Context,
    *,
    folder: Path,
    inputs: str | None,
    limit: int | None,
    cc: str | None,
    sanitize: bool,
    target: str | None,
    port: str | None,
    baud: int,
    timeout: float,
) -> None:
    """Compare FOLDER's C with the integer reference: every spike of every layer, and every logit.

    Without --target or --port the C is built for this machine; with one of them a board is compared. Golden vectors,
    adversarial and random inputs are always among the inputs.
    """
    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415 - as above
    from qpsnn_codegen.verification import verify_folder  # noqa: PLC0415

    network = FirmwareFolder.load(folder).network
    samples = None if inputs is None else named_inputs(inputs, network)[0]
    if target is not None or port is not None:
        if cc is not None or sanitize:
            raise UsageError("--cc, --sanitize", "are for this machine's C", "leave them out with --target or --port")
        equal, text = verify_on_device(
            folder, samples, limit=limit, target=target, port=port, baud=baud, timeout=timeout
        )
        click.echo(text)
        ctx.exit(0 if equal else 1)
    cc = "gcc" if cc is None else cc
    with progress_bar(0, "verifying") as advance:
        verdict = verify_folder(folder, inputs=samples, limit=limit, cc=cc, sanitize=sanitize, progress=advance)
    if verdict.first is not None:
        click.echo(f"DIFFERENT: {verdict.mismatches:,} of {verdict.spikes + verdict.logits:,} values differ")
        click.echo(f"first: {verdict.first}")
        ctx.exit(1)
    how = f"{cc}, with sanitizers" if sanitize else cc
    click.echo(f"equal: {verdict.spikes:,} spikes and {verdict.logits:,} logits of {verdict.inputs:,} inputs ({how})")


@click.command(
    "evaluate",
    epilog="""\b
Examples:
  qpsnn-codegen evaluate digits.pt --data digits
  qpsnn-codegen evaluate mnist.pt --data mnist:mnist.npz --limit 1000

\b
Exit code 1 if the C differs from the integer reference in any spike or logit.
""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--limit", type=click.IntRange(1), help="Use only the first held-out images.")
@click.option("--cc", default="gcc", show_default=True, help="C compiler: gcc, clang or a path.")
@load_options
@click.pass_context
def evaluate_command(
    ctx: click.Context,
    *,
    model: Path,
    data: str,
    limit: int | None,
    cc: str,
    timesteps: int | None,
    bits: str | None,
    ends: str | None,
) -> None:
    """Accuracy of MODEL on held-out data: float model, integer reference and C, side by side."""
    from qpsnn_codegen import pipeline  # noqa: PLC0415 - as above
    from qpsnn_codegen.comparison import compare_on  # noqa: PLC0415
    from qpsnn_codegen.nn.datasets import open_dataset  # noqa: PLC0415
    from qpsnn_codegen.reference import check_inputs  # noqa: PLC0415
    from qpsnn_codegen.report.table import table  # noqa: PLC0415

    dataset = open_dataset(data)
    images, labels = dataset.test_images[:limit], dataset.test_labels[:limit]
    with status_line() as say:
        loaded = load_model(model, timesteps, bits, ends)
        compilation = pipeline.compile(loaded.network, say=say)
    check_inputs(compilation.integers, images, data)
    with progress_bar(len(images), "evaluating") as advance:
        result = compare_on(loaded.predict, compilation, images, labels, cc=cc, progress=advance)
    rows = [
        [loaded.trained, f"{result.float_correct / len(labels):.2%}", ""],
        ["integer reference (numpy)", f"{result.reference_correct / len(labels):.2%}", ""],
        [f"C ({cc})", f"{result.c_correct / len(labels):.2%}", f"{result.verdict.mismatches} mismatches"],
    ]
    click.echo(table([f"{len(labels):,} held-out images of {data}", "accuracy", "against the reference"], rows))
    verdict = result.verdict
    click.echo(
        f"\n{verdict.spikes:,} spikes and {verdict.logits:,} logits compared, {verdict.mismatches} mismatches; "
        f"{result.certified} of {result.layers} spiking layers certified; "
        f"float and integer predictions agree on {result.agree:,} of {len(labels):,}"
    )
    if verdict.first is not None:
        click.echo(f"first difference: {verdict.first}")
        ctx.exit(1)
