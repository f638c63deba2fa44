"""Run a generated folder on this machine: its own C, built with the host's compiler."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen import storage
from qpsnn_codegen.emit.earlier import check_sources, is_output_folder
from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.layouts import layout_of, unpack_spikes
from qpsnn_codegen.reference import Outcome, check_inputs
from qpsnn_codegen.toolchain.host import build_host, run_host

_BATCH = 256


class HostModel:
    """A generated folder, built once (in a temporary folder, never in the user's) and run as often as wanted.

    Args:
        folder: what the compiler wrote.
        trace: with every spike in the outcome.
        cc, sanitize, optimize: see :func:`qpsnn_codegen.toolchain.host.build_host`.

    Raises:
        ModelFileError: the folder is not one of ours.
        ToolchainError: no compiler, or it refuses the sources.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        trace: bool = False,
        cc: str = "gcc",
        sanitize: bool = False,
        optimize: str = "-O2",
    ) -> None:
        self.folder = Path(folder)
        if not is_output_folder(self.folder):
            raise ModelFileError(
                str(folder), "is no folder of generated firmware", "give what 'qpsnn-codegen MODEL -o' wrote"
            )
        check_sources(self.folder)
        self.network = storage.load(self.folder / "golden" / "network.npz")
        self.trace = trace
        self._build = tempfile.TemporaryDirectory(prefix="qpsnn-build-")
        try:
            self._executable = build_host(
                self.folder,
                Path(self._build.name),
                sources=_sources(self.folder),
                include_dirs=[Path()],
                cc=cc,
                sanitize=sanitize,
                optimize=optimize,
                defines=["QPS_TRACE=1"] if trace else [],
            )
        except BaseException:
            self._build.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._build.cleanup()

    def run(
        self,
        inputs: NDArray[Any],
        *,
        progress: Callable[[int], None] = lambda done: None,
        timeout: float | None = None,
    ) -> Outcome:
        """Run raw inputs, uint8 ``[N, C, H, W]`` or ``[N, T, C, H, W]``.

        Raises:
            DataError: they do not fit the network.
            ToolchainError: the program failed; a sanitizer's finding is the message.
        """
        return run_program(self._executable, self.network, inputs, trace=self.trace, progress=progress, timeout=timeout)


def run_program(
    executable: Path,
    network: IntegerNetwork,
    inputs: NDArray[Any],
    *,
    trace: bool,
    progress: Callable[[int], None] = lambda done: None,
    timeout: float | None = None,
) -> Outcome:
    """Run a network's host application; the arguments and errors of :meth:`HostModel.run`.

    Args:
        trace: whether it was built with ``QPS_TRACE=1``, and so writes every spike.
    """
    samples = check_inputs(network, inputs)
    classes = len(network.class_names)
    shapes = _trace_shapes(network) if trace else {}
    sizes = [t * h * w * words for t, h, w, words, _ in shapes.values()]
    logits = np.empty((len(samples), classes), dtype=np.int32)
    spikes = {name: np.empty((len(samples), t, c, h, w), dtype=np.uint8) for name, (t, h, w, _, c) in shapes.items()}

    def read(stream: BinaryIO) -> None:
        for index in range(len(samples)):
            logits[index] = np.frombuffer(_exactly(stream, 4 * classes), dtype=np.int32)
            for (name, (t, h, w, words, channels)), size in zip(shapes.items(), sizes, strict=True):
                packed = np.frombuffer(_exactly(stream, 4 * size), dtype=np.uint32).reshape(t, h, w, words)
                spikes[name][index] = unpack_spikes(packed, channels).transpose(0, 3, 1, 2)
            progress(1)
        if stream.read(1):
            raise ModelFileError(executable.name, "wrote more than asked", "generate the folder again")

    layout = layout_of(network.nodes[0], network.nodes[0].output_type(), network.timesteps)
    with tempfile.TemporaryFile() as packed_inputs:
        for sample in samples:
            packed_inputs.write(layout.pack(sample))
        packed_inputs.seek(0)
        run_host(executable, reader=read, stdin=packed_inputs, timeout=timeout)
    nodes = {node.name: node for node in network.nodes}
    return Outcome(logits=logits, spikes={name: nodes[name].expand(part) for name, part in spikes.items()})


def _trace_shapes(network: IntegerNetwork) -> dict[str, tuple[int, int, int, int, int]]:
    """Per traced layer: timesteps, height, width, words per pixel, channels."""
    types = network.types()
    shapes = {}
    for node in network.spiking():
        channels, height, width = types[node.name].shape
        shapes[node.name] = (network.timesteps, height, width, -(-channels // 32), channels)
    return shapes


def _sources(folder: Path) -> list[Path]:
    """The sources by place, not by what a file of the folder says."""
    found = [
        *folder.glob("*.c"),
        *folder.glob("*.S"),
        *folder.glob("runtime/*.c"),
        folder / "app" / "host_main.c",
    ]
    return sorted(path.relative_to(folder) for path in found)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ModelFileError("host program", "ended early", "generate the folder again")
    return data
