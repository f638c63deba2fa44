"""A generated folder as the host's side of a device: its network, its input layout, and who it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from qpsnn_codegen import storage
from qpsnn_codegen.device.protocol import Hello
from qpsnn_codegen.emit.folder import is_output_folder
from qpsnn_codegen.errors import DeviceError, ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.layouts import layout_of
from qpsnn_codegen.reference import check_inputs

_REGENERATE = "generate the folder again"


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
