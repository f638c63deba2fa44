"""Requests and answers over one serial line: timeouts, retries, resynchronisation, faults.

Every request may be repeated, so whatever is lost or damaged on the way is asked for again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import serial
from serial.tools import list_ports

from qpsnn_codegen.device.faults import describe
from qpsnn_codegen.device.protocol import (
    RESPONSE,
    Fault,
    FrameReader,
    Packet,
    ProtocolError,
    Status,
    Type,
    VersionError,
    status_name,
)
from qpsnn_codegen.errors import DeviceError

REPLY_S = 2.0
ATTEMPTS = 3
_GRACE_S = 0.3
"""How much longer to wait once something unreadable came: it may have been the answer."""
_REASON = re.compile(r"(?:\[Errno -?\d+\] |\(\d+, ')([A-Z][^:')]*)")
"""The system's own words within one of pyserial's messages."""
_PROBE_S = 2.0
"""After this long without an answer, find out whether the device is still busy with the request."""
_WRITE_S = 5.0
_CHUNK = 4096


class DeviceFault(DeviceError):
    """The device reported a fault and will not go on until it is reset."""

    def __init__(self, where: str, fault: Fault, text: str = "") -> None:
        self.fault = fault
        super().__init__(where, f"the device stopped: {text or describe(fault)}", "reset the board to go on")


class RefusalError(DeviceError):
    """The device understood a request and answered it with another status than OK."""

    def __init__(self, where: str, kind: Type, status: int) -> None:
        self.status = status
        super().__init__(
            where,
            f"answers {kind.name} with {status_name(status)}",
            "check that the firmware is this folder's, built by this version",
        )


@dataclass(slots=True)
class LinkStatistics:
    """What the host's side of a link has seen."""

    requests: int = 0
    retries: int = 0
    unreadable: int = 0
    rejected: int = 0
    late: int = 0


class Link:
    """An open serial port.

    Args:
        port: opened by pyserial, with whatever it has received so far.
        name: what the user calls it.
    """

    def __init__(self, port: serial.SerialBase, name: str) -> None:
        self.name = name
        self.statistics = LinkStatistics()
        self._port = port
        self._reader = FrameReader()
        self._frames: list[bytes] = []
        self._sequence = int.from_bytes(os.urandom(1))  # an answer to an earlier program's request is nobody's

    @staticmethod
    def open(name: str, *, baud: int) -> Link:
        """Open a device path, or a URL that pyserial knows (``socket://host:port``).

        Raises:
            DeviceError: no such port, no permission, in use, nobody listens.
        """
        try:
            port = serial.serial_for_url(name, baudrate=baud, write_timeout=_WRITE_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError, TypeError) as error:
            # TypeError: pyserial compares the missing port of 'socket://host'.
            raise _cannot_open(name, error) from None
        return Link(port, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; never fails."""
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()

    def request(self, kind: Type, body: bytes = b"", *, patience: float = REPLY_S, attempts: int = ATTEMPTS) -> bytes:
        """Send a request until an answer comes; its body.

        Args:
            patience: seconds to wait for the answer, each time.
            attempts: how often to send it.

        Raises:
            DeviceFault: the device reported a fault.
            RefusalError: it answered with another status than OK.
            DeviceError: it is silent, incomprehensible, of another protocol version, or gone.
        """
        self.statistics.requests += 1
        ours: set[int] = set()
        trouble = ""
        for attempt in range(attempts):
            self.statistics.retries += attempt > 0
            ours.add(self._transmit(kind, body))
            answer = self._await(kind, ours, patience, last=attempt == attempts - 1)
            if isinstance(answer, Packet):
                if answer.status != Status.OK:
                    raise RefusalError(self.name, kind, answer.status)
                return answer.body
            trouble = answer or trouble
        raise DeviceError(
            self.name,
            f"no answer to {kind.name} in {attempts * patience:g} s" + (f" (but {trouble})" if trouble else ""),
            "check the port, its baud rate, and that the board runs this firmware",
        )

    def _transmit(self, kind: Type, body: bytes = b"") -> int:
        """Send a request once; its sequence number."""
        self._sequence = (self._sequence + 1) % 256
        self.send(Packet(type=kind, sequence=self._sequence, body=body).encode())
        return self._sequence

    def _await(self, kind: Type, ours: set[int], patience: float, *, last: bool) -> Packet | str:
        """The answer to one of our tries, or when it is time for another, what went wrong, if that is known.

        An answer to an earlier try is as good: the request was the same.
        """
        trouble = ""
        probes: set[int] = set()
        now = time.monotonic()
        deadline, probe = now + patience, now + _PROBE_S
        while True:
            frame = self._receive(min(deadline, probe))
            if frame is None:
                if time.monotonic() >= deadline:
                    return trouble
                # A device answers in order. If it answers this first, it has nothing else to do.
                probes.add(self._transmit(Type.ECHO))
                probe += _PROBE_S
                continue
            packet = self._understand(frame)
            if isinstance(packet, str):
                trouble = packet
                # What was damaged may have been the answer: better to ask again soon.
                deadline = deadline if last else min(deadline, time.monotonic() + _GRACE_S)
            elif packet.type == kind | RESPONSE and packet.sequence in ours:
                return packet
            elif packet.type == Type.ECHO | RESPONSE and packet.sequence in probes:
                return trouble or "the device is idle"
            else:
                self.statistics.late += 1

    def send(self, data: bytes) -> None:
        """Put bytes on the line as they are; raises :class:`DeviceError`."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise DeviceError(
                self.name, f"takes no data for {_WRITE_S:g} s", "check that it is the board's port"
            ) from None
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from None

    def _receive(self, deadline: float) -> bytes | None:
        """The next frame, or ``None`` after the deadline."""
        while not self._frames:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            try:
                self._port.timeout = remaining
                data = self._port.read(1)
                if data:
                    # Whatever else is there, without waiting for more.
                    self._port.timeout = 0
                    data += self._port.read(_CHUNK)
            except (serial.SerialException, OSError) as error:
                raise self._lost(error) from None
            self._frames = self._reader.feed(data)
        return self._frames.pop(0)

    def _understand(self, frame: bytes) -> Packet | str:
        """A packet, or what is wrong with the frame or with what the device has received."""
        try:
            packet = Packet.decode(frame)
            if packet.type == Type.FAULT:
                raise DeviceFault(self.name, Fault.decode(packet.body))
        except VersionError as error:
            raise DeviceError(
                self.name, str(error), "use the version of qpsnn-codegen that built the firmware"
            ) from None
        except ProtocolError as error:
            self.statistics.unreadable += 1
            return f"received {error}"
        if packet.type == Type.REJECT:
            self.statistics.rejected += 1
            return f"the device could not read it: {status_name(packet.status)}"
        return packet

    def _lost(self, error: Exception) -> DeviceError:
        return DeviceError(self.name, f"the connection is lost ({error})", "check cable and power, then start again")


def _cannot_open(name: str, error: Exception) -> DeviceError:
    number = getattr(error, "errno", None)
    found = ", ".join(sorted(port.device for port in list_ports.comports()))
    remedy = f"ports of this machine: {found}" if found else "this machine has no serial port; is the board connected?"
    if "://" in name:
        what, remedy = "cannot be reached", "give a device path, or socket://HOST:PORT of something that listens"
    elif number == errno.EACCES:
        what, remedy = "cannot be opened", "add yourself to its group, usually with 'adduser USER dialout'"
    elif number in {errno.EAGAIN, errno.EBUSY} or "exclusively lock" in str(error):
        what, remedy = "is in use by another program", "close that program"
    else:
        what = "cannot be opened"
    reason = _REASON.search(str(error))
    return DeviceError(name or "--port", f"{what} ({reason[1]})" if reason else what, remedy)
