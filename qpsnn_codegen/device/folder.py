"""A generated folder as the host's side of a device: its network, its input layout, and who it belongs to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from qpsnn_codegen import storage
from qpsnn_codegen.boards import Board, find_board, read_board
from qpsnn_codegen.device.protocol import Hello
from qpsnn_codegen.emit.earlier import BUILD_REPORT_NAME, is_output_folder
from qpsnn_codegen.errors import DeviceError, ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.layouts import layout_of
from qpsnn_codegen.reference import check_inputs

_REGENERATE = "generate the folder again"


_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """An image, and the bytes of stack that it needs at most by its call graph."""

    elf: Path
    stack_bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFolder:
    """What the host needs of a generated folder.

    Attributes:
        network: the oracle.
        name: the model's.
        stages: what each stage of the schedule computes.
        sizes: what a device with this model says of itself, by the field of :class:`Hello`.
    """

    path: Path
    network: IntegerNetwork
    name: str
    stages: tuple[str, ...]
    sizes: dict[str, int]

    @staticmethod
    def load(path: Path) -> FirmwareFolder:
        """Raises :class:`ModelFileError` for a folder that is not one of ours, or is damaged."""
        if not is_output_folder(path):
            raise ModelFileError(
                str(path), "is no folder of generated firmware", "give what 'qpsnn-codegen MODEL -o' wrote"
            )
        network = storage.load(path / "golden" / "network.npz")
        report = _report(path / "report.json")
        try:
            stages = tuple(str(layer["name"]) for layer in report["layers"])
            sizes = {
                "timesteps": network.timesteps,
                "classes": len(network.class_names),
                "trace_layers": len(network.spiking()),
                "stages": len(stages),
                "input_bytes": int(report["input"]["bytes"]),
                "arena_bytes": int(report["arena_bytes"]),
                "weight_bytes": int(report["weight_bytes"]),
                "constant_bytes": int(report["constant_bytes"]),
            }
            name = str(report["name"])
        except (LookupError, TypeError, ValueError):
            raise ModelFileError(f"{path}/report.json", "is damaged", _REGENERATE) from None
        return FirmwareFolder(path=path, network=network, name=name, stages=stages, sizes=sizes)

    def pack(self, inputs: NDArray[Any]) -> list[bytes]:
        """Raw inputs ``[N, ...]`` as the bytes the firmware reads; raises :class:`DataError` if they do not fit."""
        source = self.network.nodes[0]
        layout = layout_of(source, source.output_type(), self.network.timesteps)
        return [layout.pack(sample) for sample in check_inputs(self.network, inputs)]

    def board(self, name: str, where: str = "--board") -> Board:
        """A board by its name: the folder's own port, or one of this installation; raises :class:`BoardError`."""
        own = self.path / "ports" / name
        if _NAME.fullmatch(name) and (own / "board.toml").is_file():
            return read_board(own)
        return find_board(name, where)

    def build_of(self, hello: Hello) -> Build | None:
        """What ``build`` left in the folder for the device's board, if the device can be running that."""
        if not _NAME.fullmatch(hello.board):
            return None  # a device's word is no path
        place = self.path / "build" / hello.board
        elf = place / f"{self.name}.elf"
        try:
            report = json.loads((place / BUILD_REPORT_NAME).read_text(encoding="utf-8"))
            same = (report["model_sha256"], report["trace"], report["sizes"]["stack"])
            bound = int(report["stack_bound"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        if same != (hello.digest, hello.traced, hello.stack_bytes) or not elf.is_file():
            return None
        return Build(elf=elf, stack_bound=bound)

    def check_device(self, hello: Hello, where: str) -> None:
        """Raises :class:`DeviceError` if the device runs another model than this folder's."""
        other = [
            f"{field.replace('_', ' ')} {getattr(hello, field):,} instead of {size:,}"
            for field, size in self.sizes.items()
            if getattr(hello, field) != size
        ]
        digest = self.network.digest
        if hello.digest != digest:
            other.insert(0, f"SHA-256 {hello.digest[:12]}... instead of {digest[:12]}...")
        if other:
            raise DeviceError(
                where,
                f"the device runs another model ({hello.name}) than {self.path} ({self.name}): {', '.join(other[:3])}",
                "flash the firmware of this folder, or name the folder of the device's model",
            )


def _report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelFileError(str(path), "is missing or damaged", _REGENERATE) from None
    if not isinstance(report, dict):
        raise ModelFileError(str(path), "is damaged", _REGENERATE)
    return report
