"""What an image takes, read from its ELF file: the measured side of :mod:`qpsnn_codegen.footprint`."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_codegen.boards import Board
from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.footprint import Footprint, Needs
from qpsnn_codegen.toolchain.elf import Elf


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSizes:
    """Bytes.

    Attributes:
        flash: used of the board's flash.
        weights: packed weights, wherever they are.
        constants: the model's arrays of constants.
        code: everything else in flash.
        ram: used of the board's RAM, the reserve for the stack included.
        arena: the model's state.
        stack: the reserve.
        application: everything else in RAM.
    """

    flash: int
    weights: int
    constants: int
    code: int
    ram: int
    arena: int
    stack: int
    application: int


def measure(image: Elf, board: Board, needs: Needs) -> ImageSizes:
    """The sizes of an image with one model."""
    flash = _used(image, board.flash.origin, board.flash.size)
    ram = _used_ram(image, board)
    own = {symbol.name: symbol.size for symbol in image.symbols if symbol.source == f"{needs.name}.c"}
    constants = sum(own.get(name, 0) for name in needs.constants)
    weights = [symbol for symbol in image.symbols if symbol.name.startswith(f"{needs.name}_weights_")]
    weight_bytes = sum(symbol.size for symbol in weights)
    inside = sum(symbol.size for symbol in weights if _within(symbol.address, board.flash.origin, board.flash.size))
    arena = image.type_size(f"{needs.name}.c", f"{needs.name}_t")
    stack = image.value("__stack_top") - image.value("__stack_limit")
    return ImageSizes(
        flash=flash,
        weights=weight_bytes,
        constants=constants,
        code=flash - constants - inside,
        ram=ram,
        arena=arena,
        stack=stack,
        application=ram - arena - stack,
    )


def check_prediction(sizes: ImageSizes, footprint: Footprint) -> None:
    """Refuse an image whose weights, constants or arena are not what was planned.

    Raises:
        InternalError: which, and by how much.
    """
    for what in ("weights", "constants", "arena"):
        planned, found = getattr(footprint, what), getattr(sizes, what)
        if planned != found:
            raise InternalError(
                f"image for {footprint.board.name}", f"has {found} bytes of {what}, planned were {planned}"
            )


def _within(address: int, origin: int, size: int) -> bool:
    return origin <= address < origin + size


def _used(image: Elf, origin: int, size: int) -> int:
    """Bytes from the start of a memory to the end of what is loaded there."""
    ends = [s.load + s.size for s in image.sections if s.load is not None and _within(s.load, origin, size)]
    return max(ends, default=origin) - origin


def _used_ram(image: Elf, board: Board) -> int:
    ends = [s.address + s.size for s in image.sections if _within(s.address, board.ram.origin, board.ram.size)]
    return max(ends, default=board.ram.origin) - board.ram.origin
