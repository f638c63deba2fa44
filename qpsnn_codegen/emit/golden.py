"""Golden vectors: a few inputs with what the reference makes of them, shipped in every generated folder."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.arrays import DAMAGE
from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.layouts import pack_spikes
from qpsnn_codegen.reference import Outcome, run_reference

COUNT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """``inputs`` raw ``[N, ...]`` uint8, ``logits`` int32 ``[N, K]``, ``checksums`` uint32 ``[N, layers]``.

    A checksum is the CRC-32 of a layer's packed spikes ``[t][y][x][word]``, little-endian.
    """

    inputs: NDArray[np.uint8]
    logits: NDArray[np.int32]
    checksums: NDArray[np.uint32]

    def dump(self) -> bytes:
        """As ``.npz``, the same bytes for the same vectors."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, inputs=self.inputs, logits=self.logits, checksums=self.checksums)
        return buffer.getvalue()

    @staticmethod
    def load(path: Path) -> Golden:
        """Read what :meth:`dump` wrote; raises :class:`ModelFileError`."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                return Golden(**{name: archive[name] for name in ("inputs", "logits", "checksums")})
        except (OSError, *DAMAGE):
            raise ModelFileError(str(path), "is missing or damaged", "generate the folder again") from None


def make_golden(network: IntegerNetwork, samples: NDArray[Any] | None) -> Golden:
    """Golden vectors from the first calibration samples, filled up with random inputs of a fixed seed."""
    inputs = random_inputs(network, COUNT, seed=0)
    if samples is not None:
        count = min(COUNT, len(samples))
        inputs[:count] = samples[:count]
    outcome = run_reference(network, inputs, trace=True)
    return Golden(inputs=inputs, logits=outcome.logits, checksums=spike_checksums(network, outcome))


def random_inputs(network: IntegerNetwork, count: int, seed: int) -> NDArray[np.uint8]:
    """``count`` inputs of differing density, uniform in the input's range, from a seed."""
    kind = network.nodes[0].output_type()
    shape = kind.shape if kind.static else (network.timesteps, *kind.shape)
    generator = np.random.Generator(np.random.PCG64(seed))
    values = generator.integers(0, int(kind.high.max()) + 1, (count, *shape))
    density = generator.uniform(0.05, 1.0, (count, *[1] * len(shape)))
    return np.asarray(np.where(generator.random(values.shape) < density, values, 0), dtype=np.uint8)


def spike_checksums(network: IntegerNetwork, outcome: Outcome) -> NDArray[np.uint32]:
    """CRC-32 of every layer's packed spikes ``[N, layers]``."""
    columns = []
    for node in network.spiking():
        words = pack_spikes(outcome.spikes[node.name].transpose(0, 1, 3, 4, 2)).astype("<u4")
        columns.append([zlib.crc32(sample.tobytes()) for sample in words])
    return np.array(columns, dtype=np.uint32).reshape(len(columns), len(outcome.logits)).T
