"""The line to an emulated core under fire: every answer is predicted, none is missing, and the device stays well."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
import serial

from host_tests.golden.models import MODELS
from host_tests.protocol import wire
from host_tests.protocol.fuzz import Fuzzer
from host_tests.protocol.oracle import Result
from host_tests.protocol.real_network import RealNetwork
from host_tests.protocol.wire import Answer
from host_tests.target.conftest import Images
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.boards import all_boards
from qpsnn_codegen.device.client import Device
from qpsnn_codegen.device.link import Link
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.toolchain.emulator import emulate

BOARDS = tuple(board.name for board in all_boards() if board.emulator is not None)
FRAMES = {board: 2500 if board == "mps2-an386" else 500 for board in BOARDS}
BURST = 10
"""Pieces that are sent without waiting for the answers to the first of them."""
PATIENCE_S = 30.0


class LiveNetwork(RealNetwork):
    """A network whose result is known for any input: the fuzzer writes what it likes."""

    def run(self, data: bytes) -> Result:
        if data not in self._results:
            shape = self.compilation.report["input"]["shape"]
            self._results[data] = self._reference(np.frombuffer(data, dtype=np.uint8).reshape(1, *shape))
        return self._results[data]


@pytest.fixture(scope="session")
def network() -> LiveNetwork:
    compilation = compile_model(MODELS["image"](), name="image")
    return LiveNetwork(compilation, random_inputs(compilation.integers, 1, seed=1))


@pytest.fixture(scope="session")
def images(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory) -> Images:
    root = tmp_path_factory.mktemp("image")
    network.compilation.write(root / "firmware")
    return Images(root / "firmware", root)


@dataclass
class Line:
    """A raw serial line: bytes out, whole frames back."""

    port: serial.SerialBase
    unread: bytes = b""
    received: list[Answer] = field(default_factory=list)

    def answers(self, count: int) -> list[Answer]:
        """So many frames, or as many as come in time."""
        limit = time.monotonic() + PATIENCE_S
        # Each frame begins with a zero of its own and ends with one.
        while self.unread.count(b"\0") < 2 * count and time.monotonic() < limit:
            self.port.timeout = PATIENCE_S
            data = self.port.read(1)
            self.port.timeout = 0
            self.unread += data + self.port.read(4096)
        whole = self.unread
        self.unread = b""
        return wire.answers(whole)

    def nothing_more(self) -> bool:
        self.port.timeout = 0.2
        return self.port.read(1) == b""


def comparable(answer: Answer) -> tuple[int, int, int, bytes]:
    """Without what only a core knows: ticks, stack, and who it is."""
    body = answer.body
    if answer.status == wire.OK:
        if answer.type == wire.RUN | 0x80:
            body = body[:4]
        elif answer.type == wire.PROFILE | 0x80:
            body = b"".join(body[at + 4 : at + 8] for at in range(0, len(body), 8))
        elif answer.type == wire.STATS | 0x80:
            body = body[:36]
        elif answer.type == wire.HELLO | 0x80:
            # The sizes before the stack's, and the digest.
            body = body[:28] + body[48:80]
    return (answer.type, answer.sequence, answer.status, body)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
def test_fuzzed_frames(board: str, network: LiveNetwork, images: Images) -> None:
    firmware = images.of(board)
    fuzzer = Fuzzer(network, seed=2000 + BOARDS.index(board), trace=True)
    with emulate(firmware.board, firmware.elf) as url, Link.open(url, baud=115200) as link:
        device = Device(link, start=PATIENCE_S, patience=PATIENCE_S)
        take_over(fuzzer, device)
        line = Line(link._port)  # the same connection, without the client's help
        done = 0
        while done < FRAMES[board]:
            del fuzzer.stream[:], fuzzer.expected[:]
            for _ in range(BURST):
                fuzzer.piece()
            echo = wire.request(wire.ECHO, wire.words(done), sequence=done % 256)
            fuzzer.send(echo)
            line.port.write(b"".join(fuzzer.stream))
            got = line.answers(len(fuzzer.expected))
            assert [comparable(answer) for answer in got] == [comparable(answer) for answer in fuzzer.expected]
            assert got[-1].body == wire.words(done)
            done += len(got)
        assert line.nothing_more()
        # And the client, which knows nothing of all this, gets everything right.
        for data in network.inputs:
            result = network.run(data)
            assert tuple(device.run(data).logits.tolist()) == result.logits
            assert tuple(device.digests(data).reshape(-1).tolist()) == result.digests
        statistics = device.statistics()
        assert min(statistics.bad_crc, statistics.bad_cobs, statistics.too_long, statistics.too_short) > 0
        assert min(statistics.bad_version, statistics.unknown_type, statistics.bad_body, statistics.runs) > 0
        assert statistics.stack_used <= firmware.stack_bound


def take_over(fuzzer: Fuzzer, device: Device) -> None:
    """Tell the oracle what the device has received so far, before anybody was ready."""
    seen = device.statistics()
    fuzzer.oracle.counts = {
        wire.OK: seen.frames_ok + 1,
        wire.BAD_CRC: seen.bad_crc,
        wire.BAD_COBS: seen.bad_cobs,
        wire.TOO_LONG: seen.too_long,
        wire.TOO_SHORT: seen.too_short,
    }


@pytest.mark.parametrize("cut", [1, 4, 9, 40])
def test_disconnect_within_a_frame(cut: int, network: LiveNetwork, images: Images) -> None:
    """Whoever comes next is answered at once; the half frame is refused as what it is."""
    firmware = images.of("mps2-an386")
    data = network.inputs[1]
    whole = wire.request(wire.WRITE, wire.words(0) + data, sequence=9)
    assert cut < len(whole)
    with emulate(firmware.board, firmware.elf) as url:
        with Link.open(url, baud=115200) as link:
            Device(link, start=PATIENCE_S)
            link.send(whole[:cut])
        for _ in range(2):
            with Link.open(url, baud=115200) as link:
                device = Device(link, start=PATIENCE_S)
                assert tuple(device.run(data).logits.tolist()) == network.run(data).logits
                seen = device.statistics()
        assert seen.bad_cobs + seen.bad_crc + seen.too_short == int(cut > 1)


def test_noise_before_the_first_request(network: LiveNetwork, images: Images) -> None:
    """A terminal program that said something, then the client."""
    firmware = images.of("microbit")
    noise = bytes(range(1, 256)) * 20
    with emulate(firmware.board, firmware.elf) as url, Link.open(url, baud=115200) as link:
        link.send(noise)
        device = Device(link, start=PATIENCE_S)
        assert device.echo(b"hello") == b"hello"
        assert device.statistics().too_long >= 1


def test_every_byte_value_comes_through(network: LiveNetwork, images: Images) -> None:
    firmware = images.of("netduinoplus2")
    with emulate(firmware.board, firmware.elf) as url, Link.open(url, baud=115200) as link:
        device = Device(link, start=PATIENCE_S)
        for start in range(0, 256, 16):
            data = bytes((start + index) % 256 for index in range(240))
            assert zlib.crc32(device.echo(data)) == zlib.crc32(data)
        assert link.statistics.unreadable == 0
