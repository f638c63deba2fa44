"""The command ``flash``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qpsnn_codegen.cli.progress import status_line
from qpsnn_codegen.errors import UsageError

if TYPE_CHECKING:
    from qpsnn_codegen.device.flashing import Method


@click.command(
    "flash",
    epilog="""\b
Examples:
  qpsnn-codegen flash fw/ --board nucleo_f446re --dry-run
  qpsnn-codegen flash fw/ --board rpi_pico --port /dev/ttyACM0

\b
A board with a bootloader's drive gets the image copied there; others are programmed by pyOCD through their debug
probe (pip install 'qpsnn-codegen[flash]').
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="The board to flash.")
@click.option("--method", type=click.Choice(["volume", "pyocd"]), help="[default: the drive, where there is one]")
@click.option("--volume", type=click.Path(path_type=Path), help="The bootloader's drive. [default: found by its label]")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--port", metavar="PORT", help="Then say hello on this serial port, and compare the model's hash.")
@click.option("--baud", type=click.IntRange(300), default=115200, show_default=True, help="Of the serial port.")
def flash_command(
    *,
    folder: Path,
    board: str,
    method: Method | None,
    volume: Path | None,
    dry_run: bool,
    port: str | None,
    baud: int,
) -> None:
    """Build FOLDER for a board and put the image onto it."""
    from qpsnn_codegen.device import flashing  # noqa: PLC0415 - --help should not wait for it
    from qpsnn_codegen.device.folder import FirmwareFolder  # noqa: PLC0415
    from qpsnn_codegen.toolchain.arm import build_firmware  # noqa: PLC0415

    generated = FirmwareFolder.load(folder)
    plan = flashing.plan_flash(generated.board(board), folder, generated.name, method)
    mount = None
    if plan.volume is None and volume is not None:
        raise UsageError("--volume", f"{board} is flashed by {plan.method}", "leave it out, or add --method volume")
    if plan.volume is not None:
        mount = volume or flashing.find_volume(plan.volume, flashing.mount_roots())
    if dry_run:
        click.echo(f"build  {plan.image}")
        click.echo("\n".join(plan.steps(mount)))
        if port is not None:
            click.echo(f"hello  on {port}, expecting SHA-256 {generated.network.digest}")
        return
    flashing.check_ready(plan, mount)
    with status_line() as say:
        say(f"building for {board}")
        build_firmware(folder, board)
        say(f"flashing {board}")
        if mount is not None:
            done = f"copied {plan.image} to {flashing.copy_to_volume(plan, mount)}"
        else:
            flashing.run_pyocd(plan)
            done = f"flashed {plan.image} with pyOCD"
    click.echo(done)
    if port is not None:
        with status_line() as say:
            say(f"waiting for {board} on {port}")
            session = flashing.wait_for_hello(generated, port, baud)
        hello = session.device.hello
        click.echo(f"hello from {session.where}: {hello.name}, SHA-256 {hello.digest}, as in the folder")
