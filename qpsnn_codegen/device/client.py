"""A device with firmware of ours: every request of the protocol as a method."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.device.link import ATTEMPTS, REPLY_S, DeviceFault, Link, RefusalError
from qpsnn_codegen.device.protocol import (
    WORDS_MAX,
    Fault,
    Hello,
    ProtocolError,
    Provocation,
    RunResult,
    Statistics,
    Status,
    Type,
    pack_words,
    some_words,
)
from qpsnn_codegen.errors import DeviceError

T = TypeVar("T")

COMPUTE_S = 60.0
START_S = 6.0
_HELLO_EVERY_S = 0.5
_RUNS = {Type.RUN: 1, Type.PROFILE: 2, Type.TRACE: 2, Type.SPIKES: 2}
"""How many plain runs of the network a request may take as long as; a listener slows it down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What one run of the network on the device gave.

    Attributes:
        logits: int32 ``[K]``.
        ticks: of the device's counter.
        stack_used: bytes, the most since the device started.
    """

    logits: NDArray[np.int32]
    ticks: int
    stack_used: int


class Device:
    """A device that has said hello.

    Args:
        link: the line it is on.
        compute: seconds it may take for a run of the network.
        patience: seconds it may take for anything else.
        start: seconds until the first hello is answered; it is asked for again and again meanwhile.
        explain: a fault in words, by someone who knows the image.

    Raises:
        DeviceError: it does not answer, or speaks another protocol.
    """

    def __init__(
        self,
        link: Link,
        *,
        compute: float = COMPUTE_S,
        patience: float = REPLY_S,
        start: float = START_S,
        explain: Callable[[Fault], str] | None = None,
    ) -> None:
        self.link = link
        self.explain = explain
        self._compute = compute
        self._patience = patience
        self.hello = self._first_hello(start)
        self._data_max = (self.hello.body_max - 4) // 4 * 4

    def _first_hello(self, start: float) -> Hello:
        # What a board hears before its receiver is on is lost.
        attempts = max(ATTEMPTS, round(start / _HELLO_EVERY_S))
        with self._translated(Type.HELLO):
            return Hello.decode(self.link.request(Type.HELLO, patience=start / attempts, attempts=attempts))

    def check_traced(self) -> None:
        """Raises :class:`DeviceError` for firmware without the hooks that profile, digests and spikes need."""
        if not self.hello.traced:
            raise DeviceError(
                self.link.name, "its firmware was built without trace hooks", "build it with TRACE=1, and flash that"
            )

    def run(self, data: bytes) -> Inference:
        """Run the network on one input, in the layout its header describes."""
        hello = self.hello

        def run() -> tuple[RunResult, NDArray[np.int32]]:
            request = pack_words(zlib.crc32(data))
            result = self._ask(Type.RUN, request, RunResult.decode)
            logits = self._words(Type.LOGITS, request, hello.classes)
            return result, logits.view(np.int32)

        result, logits = self._with_input(data, run)
        if result.prediction != logits.argmax():
            raise self._nonsense(Type.RUN, f"class {result.prediction}, which has not the largest logit")
        return Inference(logits=logits, ticks=result.ticks, stack_used=result.stack_used)

    def profile(self, data: bytes) -> NDArray[np.uint32]:
        """Ticks and synaptic operations of every stage ``[stages, 2]`` for one input."""
        flat = self._of_input(Type.PROFILE, data, self.hello.stages, unit=2)
        return flat.reshape(-1, 2)

    def digests(self, data: bytes) -> NDArray[np.uint32]:
        """One word per traced layer and timestep ``[layers, T]``, as :func:`spike_digests` computes them."""
        hello = self.hello
        if not hello.trace_layers:
            return np.empty((0, hello.timesteps), dtype=np.uint32)
        flat = self._of_input(Type.TRACE, data, hello.trace_layers * hello.timesteps)
        return flat.reshape(hello.trace_layers, hello.timesteps)

    def spikes(self, data: bytes, layer: int, timestep: int, count: int) -> NDArray[np.uint32]:
        """The ``count`` words ``[y][x][word]`` that a traced layer gave at one timestep."""
        return self._of_input(Type.SPIKES, data, count, layer, timestep)

    def echo(self, data: bytes) -> bytes:
        """The same bytes back, up to ``hello.body_max``."""
        return self._ask(Type.ECHO, data, bytes)

    def statistics(self) -> Statistics:
        """What the device has received so far."""
        return self._ask(Type.STATS, b"", Statistics.decode)

    def provoke(self, kind: Provocation, *, patience: float) -> None:
        """Have a test image do something wrong; raises what that leads to, mostly :class:`DeviceFault`."""
        with self._translated(Type.PROVOKE):
            _nothing(self.link.request(Type.PROVOKE, pack_words(kind), patience=patience, attempts=1))

    def _of_input(self, kind: Type, data: bytes, count: int, *arguments: int, unit: int = 1) -> NDArray[np.uint32]:
        request = pack_words(zlib.crc32(data), *arguments)
        return self._with_input(data, lambda: self._words(kind, request, count, unit))

    def _words(self, kind: Type, request: bytes, count: int, unit: int = 1) -> NDArray[np.uint32]:
        """``count`` groups of ``unit`` words, asked for from index 0 on as many times as it takes."""
        parts: list[NDArray[np.uint32]] = []
        done = 0
        while done < count:
            decode = partial(some_words, most=min(count - done, WORDS_MAX // unit), unit=unit)
            part = self._ask(kind, request + pack_words(done), decode)
            parts.append(part)
            done += len(part) // unit
        return np.concatenate(parts)

    def _with_input(self, data: bytes, action: Callable[[], T]) -> T:
        """Put the input there, then act; once more if the device says that it has another input."""
        if len(data) != self.hello.input_bytes:
            raise ValueError(f"an input of {len(data)} bytes for a device that takes {self.hello.input_bytes}")
        self._write(data)
        try:
            return action()
        except RefusalError as error:
            if error.status != Status.OTHER_INPUT:
                raise
        # It was reset in between.
        self._write(data)
        return action()

    def _write(self, data: bytes) -> None:
        for offset in range(0, len(data), self._data_max):
            self._ask(Type.WRITE, pack_words(offset) + data[offset : offset + self._data_max], _nothing)

    def _ask(self, kind: Type, request: bytes, decode: Callable[[bytes], T]) -> T:
        runs = _RUNS.get(kind, 0)
        patience = runs * self._compute if runs else self._patience
        with self._translated(kind):
            return decode(self.link.request(kind, request, patience=patience))

    @contextmanager
    def _translated(self, kind: Type) -> Iterator[None]:
        """Say what an impossible body means, and a fault in the words of someone who knows the image."""
        try:
            yield
        except ProtocolError as error:
            raise self._nonsense(kind, str(error)) from None
        except DeviceFault as error:
            if self.explain is None:
                raise
            raise DeviceFault(error.where, error.fault, self.explain(error.fault)) from None

    def _nonsense(self, kind: Type, what: str) -> DeviceError:
        return DeviceError(
            self.link.name,
            f"answers {kind.name} with {what}",
            "use the version of qpsnn-codegen that built the firmware",
        )


def _nothing(body: bytes) -> None:
    if body:
        raise ProtocolError(f"a body of {len(body)} bytes instead of none")
