"""The command ``build``: firmware for a board."""

from __future__ import annotations

from pathlib import Path

import click

from qpsnn_codegen.cli.progress import status_line


@click.command(
    "build",
    epilog="""\b
Examples:
  qpsnn-codegen build fw/ --board mps2-an386
  qpsnn-codegen build fw/ --board nucleo_f446re --no-trace -o image/

\b
Writes .elf, .bin, .hex, .map and build.json, and .uf2 for boards that take it. Nothing is done again when neither
sources nor options have changed.
""",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="The board to build for.")
@click.option("--no-trace", is_flag=True, help="Leave out the hooks that verify and profile need: smaller and faster.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder to write. [default: FOLDER/build/BOARD]")
@click.option("--stack-size", type=click.IntRange(256), help="Bytes to reserve for the stack. [default: 2048]")
def build_command(*, folder: Path, board: str, no_trace: bool, output: Path | None, stack_size: int | None) -> None:
    """Build FOLDER's firmware for a board with arm-none-eabi-gcc, and show what it takes."""
    from qpsnn_codegen.report.boards import build_text  # noqa: PLC0415 - --help should not wait for it
    from qpsnn_codegen.toolchain.arm import build_firmware  # noqa: PLC0415

    with status_line() as say:
        say(f"building for {board}")
        firmware = build_firmware(folder, board, trace=not no_trace, build_dir=output, stack_size=stack_size)
    click.echo(build_text(firmware))
