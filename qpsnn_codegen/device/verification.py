"""Verification on a device: logits of every input, and a digest of the spikes of every layer and timestep.

Where a digest differs, the spikes themselves are fetched, so that the first wrong one can be named.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.device.client import Device
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.layouts import pack_spikes, unpack_spikes
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.verification import Difference

_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVerdict:
    """How many inputs, logits and digests (covering ``spikes`` spikes) were compared, and what differed first.

    Attributes:
        mismatches: logits and digests that differ.
        first: the first value in the order of execution, or in words what is wrong where no value can be named.
    """

    inputs: int
    logits: int
    digests: int
    spikes: int
    mismatches: int
    first: Difference | str | None


def packed_trace(network: IntegerNetwork, outcome: Outcome) -> list[NDArray[np.uint32]]:
    """Per traced layer the words ``[N, T, H, W, words]`` that the firmware computes: without removed channels."""
    trains = (node.compact(outcome.spikes[node.name]) for node in network.spiking())
    return [pack_spikes(train.transpose(0, 1, 3, 4, 2)) for train in trains]


def spike_digest(words: NDArray[np.uint32]) -> int:
    """Digest of one layer at one timestep, words ``[H, W, words]``: whatever order its pixels are computed in.

    The sum modulo 2^32, over the pixels, of the CRC-32 of the pixel's index and its words, little-endian.
    """
    pixels = words.reshape(-1, words.shape[-1])
    indices = np.arange(len(pixels), dtype=np.uint32)[:, None]
    rows = np.concatenate([indices, pixels], axis=1).astype("<u4")
    return sum(map(zlib.crc32, map(np.ndarray.tobytes, rows))) % 2**32


def verify_device(
    device: Device,
    folder: FirmwareFolder,
    inputs: NDArray[Any],
    progress: Callable[[int], None] = lambda done: None,
) -> DeviceVerdict:
    """Compare a device with the integer reference on raw inputs.

    Raises:
        DataError: the inputs do not fit the network.
        DeviceError: the device cannot be asked, or was built without the trace hooks.
    """
    device.check_traced()
    network = folder.network
    packed = folder.pack(inputs)
    mismatches = 0
    found: list[tuple[int, int, int]] = []  # layer, sample, timestep of each digest that differs
    wrong_logits: list[Difference] = []
    spikes = 0
    for start in range(0, len(packed), _BATCH):
        expected = run_reference(network, inputs[start : start + _BATCH], trace=True)
        spikes += sum(train.size for train in expected.spikes.values())
        trace = packed_trace(network, expected)
        for index, data in enumerate(packed[start : start + _BATCH]):
            sample = start + index
            got = device.run(data).logits
            wrong_logits += _logit_differences(sample, expected.logits[index], got)
            wanted = [[spike_digest(frame) for frame in layer[index]] for layer in trace]
            differ = np.array(wanted, dtype=np.uint32).reshape(len(trace), network.timesteps) != device.digests(data)
            found += [(int(layer), sample, int(t)) for layer, t in np.argwhere(differ)]
            progress(1)
    mismatches = len(found) + len(wrong_logits)
    first: Difference | str | None = wrong_logits[0] if wrong_logits else None
    if found:
        first = _first_spike(device, folder, inputs, *min(found))
    return DeviceVerdict(
        inputs=len(packed),
        logits=len(packed) * len(network.class_names),
        digests=len(packed) * len(network.spiking()) * network.timesteps,
        spikes=spikes,
        mismatches=mismatches,
        first=first,
    )


def _logit_differences(sample: int, wanted: NDArray[np.int32], got: NDArray[np.int32]) -> list[Difference]:
    return [
        Difference(
            sample=sample, layer="logits", timestep=None, position=(k,), expected=int(wanted[k]), actual=int(got[k])
        )
        for k in map(int, np.flatnonzero(wanted != got))
    ]


def _first_spike(
    device: Device, folder: FirmwareFolder, inputs: NDArray[Any], layer: int, sample: int, timestep: int
) -> Difference | str:
    """Fetch the spikes behind a digest and find the first that differs."""
    network = folder.network
    part = inputs[sample : sample + 1]
    node = network.spiking()[layer]
    wanted = packed_trace(network, run_reference(network, part, trace=True))[layer][0, timestep]
    got = device.spikes(folder.pack(part)[0], layer, timestep, wanted.size).reshape(wanted.shape)
    channels, *_ = network.types()[node.name].shape
    # As a trace shows them: [1, 1, C, H, W] with the channels that were left out.
    both = [node.expand(unpack_spikes(words, channels).transpose(2, 0, 1)[None, None])[0, 0] for words in (wanted, got)]
    places = np.argwhere(both[0] != both[1])
    if len(places):
        position = tuple(int(index) for index in places[0])
        expected, actual = (int(spikes[position]) for spikes in both)
        return Difference(
            sample=sample, layer=node.name, timestep=timestep, position=position, expected=expected, actual=actual
        )
    where = f"sample {sample}, layer {node.name}, timestep {timestep}"
    if not np.array_equal(wanted, got):
        row, column, word = (int(index) for index in np.argwhere(wanted != got)[0])
        return f"{where}, row {row}, column {column}: unused bits of word {word} are set"
    return f"{where}: another digest, but equal spikes when asked for them; the device does not repeat itself"
