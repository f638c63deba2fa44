"""Real networks behind the protocol: logits, operations, digests and every spike are the reference's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tests.golden.handmade import Sketch
from host_tests.golden.models import MODELS
from host_tests.protocol import wire
from host_tests.protocol.programs import Program, build, device_files
from host_tests.protocol.real_network import RealNetwork
from host_tests.protocol.sessions import check, crc, upload
from host_tests.protocol.wire import answers, request, words
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.network import Network
from qpsnn_codegen.verification import adversarial_inputs

SAMPLES = 3


def device(network: RealNetwork, cc: str) -> Program:
    shipped = network.compilation.files
    code = {path: text for path, text in shipped.items() if path.endswith((".c", ".h"))}
    return build(f"{network.name}-{cc}", {**code, **device_files()}, cc=cc, trace=True, faults=False)


def network_of(model: str | Path | Network, name: str, timesteps: int | None = None) -> RealNetwork:
    compilation = compile_model(model, name=name, timesteps=timesteps)
    integers = compilation.integers
    samples = random_inputs(integers, SAMPLES, seed=5)
    samples[0] = adversarial_inputs(integers)[1]
    return RealNetwork(compilation, samples)


def conversation(network: RealNetwork) -> Iterator[bytes]:
    """Everything there is to know of every input."""
    yield request(wire.HELLO)
    for data in network.inputs:
        asked = crc(data)
        yield upload(data) + request(wire.RUN, words(asked)) + request(wire.LOGITS, words(asked, 0))
        yield request(wire.PROFILE, words(asked, 0))
        for first in range(0, network.layers * network.timesteps + 1, 60):
            yield request(wire.TRACE, words(asked, first))
        for layer, spikes in enumerate(network.run(data).spikes):
            for t in range(network.timesteps):
                for first in range(0, spikes[t].size, 60):
                    yield request(wire.SPIKES, words(asked, layer, t, first))
    yield request(wire.STATS)


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("model", MODELS)
def test_small_networks(model: str, cc: str) -> None:
    network = network_of(MODELS[model](), model)
    assert any(spikes.any() for data in network.inputs for spikes in network.run(data).spikes)
    check(device(network, cc), network, b"".join(conversation(network)))


def test_more_timesteps_than_one_answer_carries() -> None:
    network = network_of(MODELS["image"](), "lasting", timesteps=30)
    assert network.layers * network.timesteps == 90
    check(device(network, "gcc"), network, b"".join(conversation(network)))


def test_a_shipped_model(checkout: Path) -> None:
    network = network_of(checkout / "examples" / "digits_2bit_pruned.pt", "digits")
    check(device(network, "gcc"), network, b"".join(conversation(network)))


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_a_network_without_spikes(cc: str) -> None:
    sketch = Sketch(seed=4, timesteps=2)
    sketch.image((1, 3, 3))
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("mean")
    network = network_of(sketch.network(), "bare")
    assert network.layers == 0
    program = device(network, cc)
    check(program, network, b"".join(conversation(network)))
    asked = words(crc(network.inputs[0]), 0)
    stream = request(wire.TRACE, asked) + request(wire.SPIKES, asked + words(0, 0))
    assert [answer.status for answer in answers(program.talk(stream))] == [wire.OUT_OF_RANGE] * 2
