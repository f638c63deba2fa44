"""Verification: the C of a folder against the integer reference, every spike of every layer and every logit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.golden import Golden, random_inputs, spike_checksums
from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.reference import Outcome, check_inputs, run_reference
from qpsnn_codegen.toolchain.host_model import HostModel

RANDOM_COUNT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first value in which two outcomes differ, in the order of execution."""

    sample: int
    layer: str
    timestep: int | None
    position: tuple[int, ...]
    expected: int
    actual: int

    def __str__(self) -> str:
        if self.timestep is None:
            return f"sample {self.sample}, logit {self.position[0]}: expected {self.expected}, got {self.actual}"
        channel, row, column = self.position
        place = f"timestep {self.timestep}, channel {channel}, row {row}, column {column}"
        return f"sample {self.sample}, layer {self.layer}, {place}: expected {self.expected}, got {self.actual}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``inputs``, ``spikes`` and ``logits`` compared, how many differed, and the first difference."""

    inputs: int
    spikes: int
    logits: int
    mismatches: int
    first: Difference | None


def compare(expected: Outcome, actual: Outcome) -> Verdict:
    """Compare two outcomes of the same inputs; layers that only one has count as a defect of the caller."""
    mismatches = int((expected.logits != actual.logits).sum())
    first: Difference | None = None
    spikes = 0
    for layer, wanted in expected.spikes.items():
        differ = wanted != actual.spikes[layer]
        spikes += differ.size
        mismatches += int(differ.sum())
        if first is None and differ.any():
            sample, timestep, *position = (int(index) for index in np.argwhere(differ)[0])
            at = (sample, timestep, *position)
            first = Difference(
                sample=sample,
                layer=layer,
                timestep=timestep,
                position=tuple(position),
                expected=int(wanted[at]),
                actual=int(actual.spikes[layer][at]),
            )
    if first is None and mismatches:
        sample, k = (int(index) for index in np.argwhere(expected.logits != actual.logits)[0])
        first = Difference(
            sample=sample,
            layer="logits",
            timestep=None,
            position=(k,),
            expected=int(expected.logits[sample, k]),
            actual=int(actual.logits[sample, k]),
        )
    return Verdict(
        inputs=len(expected.logits),
        spikes=spikes,
        logits=expected.logits.size,
        mismatches=mismatches,
        first=first,
    )


def adversarial_inputs(network: IntegerNetwork) -> NDArray[np.uint8]:
    """Inputs that stress lanes, borders and ranges: none, all, chequered, borders, single pixels, ramps."""
    kind = network.nodes[0].output_type()
    shape = kind.shape if kind.static else (network.timesteps, *kind.shape)
    most = int(kind.high.max())
    rows, columns = np.indices(shape[-2:])
    border = (rows == 0) | (columns == 0) | (rows == shape[-2] - 1) | (columns == shape[-1] - 1)
    patterns = [
        np.zeros(shape),
        np.full(shape, most),
        np.broadcast_to(((rows + columns) % 2) * most, shape),
        np.broadcast_to(((rows + columns + 1) % 2) * most, shape),
        np.broadcast_to(border * most, shape),
        np.broadcast_to(~border * most, shape),
        np.broadcast_to((rows == 0) & (columns == 0), shape) * most,
        np.minimum(np.arange(np.prod(shape)).reshape(shape) % (most + 1), most),
        np.full(shape, min(1, most)),
    ]
    return np.stack(patterns).astype(np.uint8)


def verification_inputs(
    folder: str | Path,
    network: IntegerNetwork,
    extra: NDArray[Any] | None,
    *,
    random: int = RANDOM_COUNT,
    limit: int | None = None,
) -> NDArray[Any]:
    """What a verification compares: ``extra``, golden vectors, adversarial and random inputs; the first ``limit``.

    Raises:
        ModelFileError: the folder's golden vectors are damaged, or not those of its network.
        DataError: ``extra`` does not fit the network.
    """
    if extra is not None:
        check_inputs(network, extra)
    golden = Golden.load(Path(folder) / "golden" / "vectors.npz")
    _check_golden(folder, network, golden)
    parts = [golden.inputs, adversarial_inputs(network), random_inputs(network, random, seed=1)]
    return np.concatenate([*([] if extra is None else [extra]), *parts])[:limit]


def verify_folder(
    folder: str | Path,
    *,
    inputs: NDArray[Any] | None = None,
    limit: int | None = None,
    cc: str = "gcc",
    sanitize: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Build a folder's C and compare it on :func:`verification_inputs`.

    Raises:
        ModelFileError: the folder is damaged, or its golden vectors are not those of its network.
        DataError: ``inputs`` do not fit the network.
        ToolchainError: the C does not build or run (with ``sanitize``: or does something undefined).
    """
    with HostModel(folder, trace=True, cc=cc, sanitize=sanitize) as model:
        samples = verification_inputs(folder, model.network, inputs, limit=limit)
        expected = run_reference(model.network, samples, trace=True)
        return compare(expected, model.run(samples, progress=progress))


def _check_golden(folder: str | Path, network: IntegerNetwork, golden: Golden) -> None:
    outcome = run_reference(network, golden.inputs, trace=True)
    same = np.array_equal(outcome.logits, golden.logits)
    if not same or not np.array_equal(spike_checksums(network, outcome), golden.checksums):
        raise ModelFileError(
            f"{folder}/golden", "its vectors are not what its network gives", "generate the folder again"
        )
