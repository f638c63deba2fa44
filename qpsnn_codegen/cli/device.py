"""The commands that talk to firmware on a device or an emulated board: ``run`` and ``profile``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qpsnn_codegen.cli.inputs import named_inputs
from qpsnn_codegen.cli.making import check_output
from qpsnn_codegen.cli.progress import progress_bar, status_line
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.files import atomic_file
from qpsnn_codegen.report.table import table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qpsnn_codegen.device.folder import FirmwareFolder
    from qpsnn_codegen.device.session import Session

_RANDOM_COUNT = 16
"""Random inputs of a verification; a board is slower than the host."""

F = TypeVar("F", bound=Callable[..., Any])


def device_options(command: F) -> F:
    """The options that say where the device is."""
    options = (
        click.option("--target", metavar="BOARD", help="Build for this board and run it in the emulator (QEMU)."),
        click.option("--port", metavar="PORT", help="A serial port, or socket://HOST:PORT."),
        click.option("--baud", type=click.IntRange(300), default=115200, show_default=True, help="Of a serial port."),
        click.option(
            "--timeout",
            type=click.FloatRange(0.1),
            default=60.0,
            show_default=True,
            help="Seconds that one inference may take.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def open_session(
    folder: FirmwareFolder, *, target: str | None, port: str | None, baud: int, timeout: float, trace: bool = True
) -> Iterator[Session]:
    """The device that the options name.

    Raises:
        UsageError: not exactly one of ``target`` and ``port``.
        QpsnnError: as for :mod:`qpsnn_codegen.device.session`.
    """
    from qpsnn_codegen.device import session  # noqa: PLC0415 - --help should not wait for it

    if (target is None) == (port is None):
        raise UsageError("--target, --port", "exactly one of them is needed", "give --target mps2-an386, or the port")
    if target is None:
        with session.open_port(folder, port or "", baud=baud, compute=timeout) as opened:
            yield opened
        return
    with ExitStack() as stack:
        with status_line() as say:
            opened = stack.enter_context(session.open_target(folder, target, trace=trace, compute=timeout, say=say))
        yield opened


@click.command(
    "run",
    epilog="""\b
Examples:
  qpsnn-codegen run fw/ digits --target mps2-an386
  qpsnn-codegen run fw/ inputs.npz --port /dev/ttyACM0 -o out.npz
  qpsnn-codegen run fw/ inputs.npy --labels labels.npy --port socket://localhost:4000

\b
INPUTS: an .npy or .npz file as for simulate, digits, or mnist:PATH for its held-out images. Labels beside the
inputs in an .npz (labels, y, y_test) are used without asking.
OUT.npz: logits int32 [N, K], logits_real float64 [N, K], prediction int64 [N], ticks uint32 [N] of the
device's counter; of an emulated board also instructions int64 [N].
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("inputs")
@device_options
@click.option("--labels", type=click.Path(path_type=Path), help="An .npy or .npz file with one label per input.")
@click.option("--limit", type=click.IntRange(1), help="Use only the first inputs.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="An .npz to write.")
@click.option("--force", is_flag=True, help="Overwrite the output if it exists.")
def run_command(
    *,
    folder: Path,
    inputs: str,
    target: str | None,
    port: str | None,
    baud: int,
    timeout: float,
    labels: Path | None,
    limit: int | None,
    output: Path | None,
    force: bool,
) -> None:
    """Run INPUTS on a device with FOLDER's firmware: a board on a serial port, or one in the emulator."""
    import numpy as np  # noqa: PLC0415 - --help should not wait for it

    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415

    if output is not None:
        check_output(output, force)
    generated = FirmwareFolder.load(folder)
    network = generated.network
    samples, truth = named_inputs(inputs, network, labels=labels, limit=limit)
    packed = generated.pack(samples)
    with open_session(generated, target=target, port=port, baud=baud, timeout=timeout, trace=False) as session:
        started = time.monotonic()
        with progress_bar(len(packed), "running") as advance:
            results = []
            for data in packed:
                results.append(session.device.run(data))
                advance(1)
        seconds = time.monotonic() - started
        scale, where = session.scale, session.where
        stack_bytes = session.device.hello.stack_bytes
        link = session.device.link.statistics
    logits = np.stack([result.logits for result in results])
    ticks = np.array([result.ticks for result in results], dtype=np.uint32)
    prediction = logits.argmax(axis=1)
    counts = np.rint(ticks * scale.per_tick).astype(np.int64)
    click.echo(f"{len(packed):,} inputs on {where} in {seconds:.1f} s, {len(packed) / seconds:,.1f} per second")
    click.echo(f"{counts.mean():,.0f} {scale.unit} per inference, {counts.min():,} to {counts.max():,}")
    click.echo(f"{results[-1].stack_used:,} of {stack_bytes:,} bytes of stack used")
    if port is not None and link.retries:
        click.echo(f"{link.retries:,} requests had to be repeated, of {link.requests:,}")
    if truth is not None:
        right = int((prediction == truth).sum())
        click.echo(f"accuracy {right / len(truth):.2%}: {right:,} of {len(truth):,}")
    if output is not None:
        arrays: dict[str, Any] = {
            "logits": logits,
            "logits_real": logits * network.logit_scale,
            "prediction": prediction,
            "ticks": ticks,
        }
        if scale.unit == "instructions":
            arrays["instructions"] = counts
        with atomic_file(output) as stream:
            np.savez_compressed(stream, **arrays)
        click.echo(f"wrote {output}: {', '.join(arrays)}")


@click.command(
    "profile",
    epilog="""\b
Examples:
  qpsnn-codegen profile fw/ --target mps2-an386
  qpsnn-codegen profile fw/ digits --limit 20 --port /dev/ttyACM0

\b
INPUTS: as for run; the golden vectors of the folder without. The table shows averages over them.
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("inputs", required=False)
@device_options
@click.option("--limit", type=click.IntRange(1), help="Use only the first inputs.")
def profile_command(
    *,
    folder: Path,
    inputs: str | None,
    target: str | None,
    port: str | None,
    baud: int,
    timeout: float,
    limit: int | None,
) -> None:
    """What an inference costs, layer by layer: instructions in the emulator, cycles on hardware."""
    import numpy as np  # noqa: PLC0415 - --help should not wait for it

    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415
    from qpsnn_codegen.emit.golden import Golden  # noqa: PLC0415

    generated = FirmwareFolder.load(folder)
    if inputs is None:
        samples: NDArray[Any] = Golden.load(folder / "golden" / "vectors.npz").inputs[:limit]
    else:
        samples, _ = named_inputs(inputs, generated.network, limit=limit)
    packed = generated.pack(samples)
    with open_session(generated, target=target, port=port, baud=baud, timeout=timeout) as session:
        session.device.check_traced()
        with progress_bar(len(packed), "profiling") as advance:
            parts = []
            for data in packed:
                parts.append(session.device.profile(data))
                advance(1)
        used = session.device.statistics().stack_used
        click.echo(profile_text(session, generated, np.mean(parts, axis=0), used, len(packed)))


def profile_text(
    session: Session, folder: FirmwareFolder, means: NDArray[np.float64], stack_used: int, count: int
) -> str:
    """The table of a profile: ``means`` are ticks and operations per stage ``[stages, 2]``."""
    scale, hello = session.scale, session.device.hello
    counts, operations = means[:, 0] * scale.per_tick, means[:, 1]
    total = counts.sum()

    def row(name: str, cost: float, work: float) -> list[str]:
        each = f"{cost / work:,.1f}" if work else "-"
        share = f"{cost / total:6.1%}" if total else "-"
        return [name, f"{cost:,.0f}", f"{work:,.0f}" if work else "-", each, share]

    rows = [row(*values) for values in zip(folder.stages, counts, operations, strict=True)]
    rows.append(row("total", total, operations.sum()))
    inputs = "1 input" if count == 1 else f"{count:,} inputs on average"
    bound = "" if session.stack_bound is None else f"{session.stack_bound:,} bytes by the call graph, "
    return "\n".join(
        [
            f"{session.where}, {inputs}",
            table(["layer", scale.unit, "operations", f"{scale.unit} / operation", "share"], rows),
            "",
            f"counter  {scale.source}",
            f"stack    {bound}{stack_used:,} bytes used at most (painted), {hello.stack_bytes:,} reserved",
        ]
    )


def verify_on_device(
    folder: Path,
    extra: NDArray[Any] | None,
    *,
    limit: int | None,
    target: str | None,
    port: str | None,
    baud: int,
    timeout: float,
) -> tuple[bool, str]:
    """Whether a device does what the reference does, and what ``verify`` says of it.

    Raises:
        QpsnnError: the device, the folder or the inputs ``extra`` cannot be used.
    """
    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415 - --help should not wait for it
    from qpsnn_codegen.device.verification import verify_device  # noqa: PLC0415
    from qpsnn_codegen.verification import verification_inputs  # noqa: PLC0415

    generated = FirmwareFolder.load(folder)
    samples = verification_inputs(folder, generated.network, extra, random=_RANDOM_COUNT, limit=limit)
    with open_session(generated, target=target, port=port, baud=baud, timeout=timeout) as session:
        with progress_bar(len(samples), "verifying") as advance:
            verdict = verify_device(session.device, generated, samples, advance)
        where = session.where
    if verdict.first is not None:
        total = verdict.digests + verdict.logits
        return False, (
            f"DIFFERENT: {verdict.mismatches:,} of {total:,} logits and digests of spikes differ\n"
            f"first: {verdict.first}"
        )
    return True, (
        f"equal: {verdict.spikes:,} spikes in {verdict.digests:,} digests and {verdict.logits:,} logits "
        f"of {verdict.inputs:,} inputs on {where}"
    )
