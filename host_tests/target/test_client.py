"""The client against a device in Python that is honest, or wrong in one way: what it gives, and what it says."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from host_tests.protocol import wire
from host_tests.target.conftest import Material
from host_tests.target.networks import CLASSES, DEPTH, SILENT
from host_tests.target.responder import (
    CALIBRATION,
    STACK,
    TICKS_PER_STAGE,
    HangUpError,
    Mischief,
    Request,
    Responder,
    honest,
    on_socket,
    on_terminal,
)
from qpsnn_codegen.device.client import Device
from qpsnn_codegen.device.link import DeviceFault, Link, RefusalError
from qpsnn_codegen.device.verification import packed_trace, spike_digest, verify_device
from qpsnn_codegen.errors import DeviceError
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.verification import Difference

QUICK = 0.15
"""Patience where the device is going to be silent."""
LONG = 20.0
"""Patience that a test would notice: much longer than any of them may take."""

Serve = Callable[[Responder], AbstractContextManager[str]]


@contextmanager
def opened(responder: Responder, *, patience: float = LONG, serve: Serve = on_terminal) -> Iterator[Device]:
    with serve(responder) as url, Link.open(url, baud=115200) as link:
        yield Device(link, compute=patience, patience=patience, start=3 * patience)


def responder(material: Material, mischief: Mischief = honest) -> Responder:
    return Responder(material.folder, material.inputs, mischief)


def after_hello(mischief: Mischief) -> Mischief:
    """Honest until something else than HELLO is asked."""
    return lambda request, answer: answer if request.type == wire.HELLO else mischief(request, answer)


def once(mischief: Mischief, kind: int) -> Mischief:
    """Out of order for the first request of a type only."""
    seen: list[Request] = []

    def act(request: Request, answer: bytes) -> bytes:
        if request.type == kind and not seen:
            seen.append(request)
            return mischief(request, answer)
        return answer

    return act


def no_answer(request: Request, answer: bytes) -> bytes:
    return b""


def check_message(error: DeviceError, *says: str) -> None:
    text = str(error)
    assert "\n" not in text
    for part in says:
        assert part in text, text


# --- honest


@pytest.mark.parametrize("serve", [on_socket, on_terminal])
def test_every_request(serve: Serve, material: Material) -> None:
    network = material.folder.network
    expected = run_reference(network, material.inputs, trace=True)
    trace = packed_trace(network, expected)
    with opened(responder(material), serve=serve) as device:
        hello = device.hello
        assert (hello.name, hello.board, hello.core, hello.traced) == ("digits", "mps2-an386", "cortex-m4", True)
        assert hello.instructions_per_tick == pytest.approx(CALIBRATION[0] / CALIBRATION[1])
        material.folder.check_device(hello, "here")
        for index, data in enumerate(material.packed):
            result = device.run(data)
            assert result.logits.dtype == np.int32
            assert np.array_equal(result.logits, expected.logits[index])
            assert (result.ticks, result.stack_used) == (TICKS_PER_STAGE * (DEPTH + 2), STACK[1])
            digests = device.digests(data)
            assert digests.shape == (DEPTH + 1, 2)
            assert digests.tolist() == [[spike_digest(frame) for frame in layer[index]] for layer in trace]
            stages = np.arange(DEPTH + 2)
            assert np.array_equal(device.profile(data), np.stack([TICKS_PER_STAGE + stages, 10 * stages], axis=1))
            words = device.spikes(data, 0, 1, 128)
            assert np.array_equal(words, trace[0][index, 1].reshape(-1))
        assert device.echo(bytes(range(240))) == bytes(range(240))
        assert device.echo(b"") == b""
        statistics = device.statistics()
        assert (statistics.runs, statistics.stack_used) == (3, STACK[1])
        assert (device.link.statistics.retries, device.link.statistics.unreadable) == (0, 0)


def test_digest_does_not_depend_on_the_order_of_pixels_but_on_their_places(material: Material) -> None:
    words = np.arange(24, dtype=np.uint32).reshape(3, 4, 2) * np.uint32(0x9E3779B9)
    by_hand = sum(struct.unpack("<I", _crc(i, words.reshape(-1, 2)[i]))[0] for i in reversed(range(12))) % 2**32
    assert spike_digest(words) == by_hand
    assert spike_digest(words[:, ::-1]) != by_hand
    assert spike_digest(words.reshape(4, 3, 2)) == by_hand


def _crc(index: int, pixel: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> bytes:
    return struct.pack("<I", zlib.crc32(struct.pack("<3I", index, *pixel)))


# --- trouble on the line: answered all the same


def noise_around(request: Request, answer: bytes) -> bytes:
    return b"\x01\x02\xff boot\r\n" + b"\0\0" + answer + b"\0rubbish\xfe"


def another_first(request: Request, answer: bytes) -> bytes:
    """An answer to somebody else's request, and one of another type, before the right one."""
    other = Responder.frame(request.type | 0x80, wire.OK, (request.sequence + 100) % 256, b"not for you")
    return other + Responder.frame((request.type ^ 1) | 0x80, wire.OK, request.sequence, b"other") + answer


@pytest.mark.parametrize("serve", [on_socket, on_terminal])
@pytest.mark.parametrize("mischief", [noise_around, another_first])
def test_strange_frames_are_passed_over(mischief: Mischief, serve: Serve, material: Material) -> None:
    device_side = responder(material, mischief)
    with opened(device_side, serve=serve) as device:
        started = time.monotonic()
        assert device.run(material.packed[0]).logits.shape == (CLASSES,)
        assert device.digests(material.packed[0]).shape == (DEPTH + 1, 2)
        assert time.monotonic() - started < LONG / 2


def damaged(request: Request, answer: bytes) -> bytes:
    return answer[:5] + bytes([answer[5] ^ 0x40 or 1]) + answer[6:]


def truncated(request: Request, answer: bytes) -> bytes:
    return answer[:4] + b"\0"


def refused(request: Request, answer: bytes) -> bytes:
    return Responder.frame(wire.REJECT, wire.BAD_CRC, 0)


@pytest.mark.parametrize("kind", [wire.HELLO, wire.WRITE, wire.RUN, wire.LOGITS, wire.TRACE])
@pytest.mark.parametrize("mischief", [damaged, truncated, refused])
def test_what_is_damaged_is_asked_again_soon(mischief: Mischief, kind: int, material: Material) -> None:
    device_side = responder(material, once(mischief, kind))
    started = time.monotonic()
    with opened(device_side) as device:
        device.run(material.packed[1])
        device.digests(material.packed[1])
        assert device.link.statistics.retries == 1
        assert time.monotonic() - started < LONG / 4
    kinds = [request.type for request in device_side.seen]
    first = kinds.index(kind)
    assert kinds[first + 1] == kind
    assert device_side.seen[first].sequence != device_side.seen[first + 1].sequence
    assert device_side.seen[first].body == device_side.seen[first + 1].body


@pytest.mark.parametrize("kind", [wire.HELLO, wire.WRITE, wire.RUN, wire.LOGITS, wire.PROFILE])
def test_what_is_lost_is_asked_again(kind: int, material: Material) -> None:
    with opened(responder(material, once(no_answer, kind)), patience=QUICK) as device:
        expected = run_reference(material.folder.network, material.inputs)
        assert np.array_equal(device.run(material.packed[2]).logits, expected.logits[2])
        assert device.profile(material.packed[2]).shape == (DEPTH + 2, 2)
        assert device.link.statistics.retries == 1


@pytest.mark.parametrize("mischief", [no_answer, lambda request, answer: answer[:-2]], ids=["all", "the_end"])
def test_what_is_lost_while_computing_is_noticed_long_before_the_time_is_up(
    mischief: Mischief, material: Material
) -> None:
    """A device that has nothing else to do than to answer ECHO is not computing."""
    started = time.monotonic()
    with opened(responder(material, once(mischief, wire.RUN))) as device:
        device.run(material.packed[2])
        assert device.link.statistics.retries == 1
    assert 1 < time.monotonic() - started < LONG / 4


def test_a_device_that_computes_is_waited_for(material: Material) -> None:
    def think(request: Request, answer: bytes) -> bytes:
        time.sleep(3.0)
        return answer

    with opened(responder(material, once(think, wire.RUN))) as device:
        device.run(material.packed[2])
        assert (device.link.statistics.retries, device.link.statistics.late) == (0, 1)


def test_a_late_answer_counts_for_the_request_it_answers(material: Material) -> None:
    """The second try would come too late as well; the first answer is taken, and the second passed over later."""

    def late(request: Request, answer: bytes) -> bytes:
        time.sleep(1.5 * QUICK)
        return answer

    device_side = responder(material, once(late, wire.ECHO))
    with opened(device_side, patience=QUICK) as device:
        assert device.echo(b"first") == b"first"
        assert device.link.statistics.retries == 1
        assert [request.body for request in device_side.seen[1:2]] == [b"first"]
        time.sleep(QUICK)
        # The answer to the second try is there by now; it is not the answer to this.
        assert device.echo(b"second") == b"second"
        assert device.link.statistics.late == 1


def test_input_is_written_again_after_a_reset(material: Material) -> None:
    device_side = responder(material)

    def reset(request: Request, answer: bytes) -> bytes:
        device_side.input[:] = bytes(len(device_side.input))
        return Responder.frame(request.type | 0x80, wire.OTHER_INPUT, request.sequence)

    device_side.mischief = once(reset, wire.LOGITS)
    with opened(device_side) as device:
        expected = run_reference(material.folder.network, material.inputs)
        assert np.array_equal(device.run(material.packed[0]).logits, expected.logits[0])
    kinds = [request.type for request in device_side.seen if request.type != wire.HELLO]
    once_through = [wire.WRITE, wire.WRITE, wire.RUN, wire.LOGITS]
    assert kinds == [*once_through, *once_through, wire.LOGITS]


# --- trouble that is reported


def test_silence(material: Material) -> None:
    device_side = responder(material, no_answer)
    started = time.monotonic()
    with pytest.raises(DeviceError) as caught, opened(device_side, patience=QUICK):
        pass
    assert time.monotonic() - started < 10 * QUICK
    check_message(caught.value, "/dev/pts/", "no answer to HELLO in 0.45 s", "baud rate")
    assert [request.type for request in device_side.seen] == [wire.HELLO] * 3
    assert len({request.sequence for request in device_side.seen}) == 3


def test_silence_while_computing(material: Material) -> None:
    device_side = responder(material, after_hello(lambda r, a: b"" if r.type == wire.RUN else a))
    with opened(device_side, patience=QUICK) as device:
        with pytest.raises(DeviceError) as caught:
            device.run(material.packed[0])
        check_message(caught.value, "no answer to RUN in 0.45 s")
        assert device.echo(b"still there") == b"still there"


@pytest.mark.parametrize("mischief", [damaged, truncated, refused])
def test_nothing_but_damage(mischief: Mischief, material: Material) -> None:
    with pytest.raises(DeviceError) as caught, opened(responder(material, mischief), patience=QUICK):
        pass
    says = "the device could not read it: BAD_CRC" if mischief is refused else "received a "
    check_message(caught.value, "no answer to HELLO", f"but {says}")


def test_endless_noise_does_not_hold_the_client(material: Material) -> None:
    with (
        pytest.raises(DeviceError) as caught,
        opened(responder(material, lambda request, answer: bytes(range(1, 256)) * 4000), patience=QUICK),
    ):
        pass
    check_message(caught.value, "no answer to HELLO")


def test_fault_instead_of_an_answer(material: Material) -> None:
    fault = wire.words(2, 0x08001234, 0x08004321, 0x20000400, 0x8200, 0xE8000000)
    device_side = responder(
        material, after_hello(lambda request, answer: Responder.frame(wire.FAULT, wire.FAULTED, 0, fault))
    )
    with opened(device_side) as device:
        with pytest.raises(DeviceFault) as caught:
            device.run(material.packed[0])
        check_message(
            caught.value, "bus fault", "at 0x08001234", "0x08004321", "accessing 0xe8000000", "CFSR 0x00008200"
        )
        assert caught.value.fault.sp == 0x20000400
        device.explain = lambda fault: f"in words, {fault.pc:#x}"
        with pytest.raises(DeviceFault, match="in words, 0x8001234"):
            device.echo(b"")


def test_fault_without_a_request(material: Material) -> None:
    fault = Responder.frame(wire.FAULT, wire.FAULTED, 0, wire.words(1, 0, 0, 0, 0, 0))
    device_side = responder(material, after_hello(lambda request, answer: fault + answer))
    with opened(device_side) as device, pytest.raises(DeviceFault, match="stack overflow"):
        device.echo(b"x")


@pytest.mark.parametrize("cut", [0, 1, 10])
def test_disconnect(cut: int, material: Material) -> None:
    def hang_up(request: Request, answer: bytes) -> bytes:
        raise HangUpError(answer[:cut])

    with opened(responder(material, after_hello(hang_up)), serve=on_socket) as device:
        started = time.monotonic()
        with pytest.raises(DeviceError) as caught:
            device.run(material.packed[0])
        assert time.monotonic() - started < LONG / 4
        check_message(caught.value, "the connection is lost", "check cable and power")


def test_a_new_connection_after_a_disconnect_works(material: Material) -> None:
    def hang_up(request: Request, answer: bytes) -> bytes:
        raise HangUpError(answer[:7])

    device_side = responder(material, once(hang_up, wire.RUN))
    with on_socket(device_side) as url:
        with Link.open(url, baud=115200) as link, pytest.raises(DeviceError):
            Device(link).run(material.packed[0])
        with Link.open(url, baud=115200) as link:
            assert Device(link).run(material.packed[0]).logits.shape == (CLASSES,)


@pytest.mark.parametrize(
    ("status", "name"), [(wire.MODEL_ERROR, "MODEL_ERROR"), (wire.NOT_TRACED, "NOT_TRACED"), (99, "unknown status 99")]
)
def test_refusal(status: int, name: str, material: Material) -> None:
    device_side = responder(
        material,
        after_hello(lambda r, a: Responder.frame(r.type | 0x80, status, r.sequence) if r.type == wire.RUN else a),
    )
    with opened(device_side) as device, pytest.raises(RefusalError) as caught:
        device.run(material.packed[0])
    check_message(caught.value, f"answers RUN with {name}")
    assert caught.value.status == status


def test_other_version_of_the_protocol(material: Material) -> None:
    def other(request: Request, answer: bytes) -> bytes:
        return wire.frame(wire.packet(request.type | 0x80, sequence=request.sequence, version=2))

    with pytest.raises(DeviceError) as caught, opened(responder(material, other)):
        pass
    check_message(caught.value, "speaks version 2 of the protocol, this tool version 1")


# --- answers that cannot be


def body_of(kind: int, change: Callable[[bytes], bytes]) -> Mischief:
    def act(request: Request, answer: bytes) -> bytes:
        if request.type != kind:
            return answer
        (said,) = wire.answers(answer)
        return Responder.frame(kind | 0x80, said.status, said.sequence, change(said.body))

    return act


NONSENSE: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "hello_empty": (wire.HELLO, lambda body: b""),
    "hello_cut": (wire.HELLO, lambda body: body[:79]),
    "hello_without_texts": (wire.HELLO, lambda body: body[:80]),
    "hello_unterminated": (wire.HELLO, lambda body: body[:-1]),
    "hello_with_more": (wire.HELLO, lambda body: body + b"more\0"),
    "hello_unprintable": (wire.HELLO, lambda body: body.replace(b"mps2", b"\x1b[2J")),
    "hello_not_ascii": (wire.HELLO, lambda body: body.replace(b"mps2", b"\xc3\xa9s2")),
    "hello_long_text": (wire.HELLO, lambda body: body.replace(b"mps2", b"m" * 90)),
    "hello_body_max": (wire.HELLO, lambda body: b"\0\0" + body[2:]),
    "hello_body_max_large": (wire.HELLO, lambda body: b"\xff\xff" + body[2:]),
    "hello_no_classes": (wire.HELLO, lambda body: body[:12] + bytes(4) + body[16:]),
    "write_with_body": (wire.WRITE, lambda body: b"x"),
    "run_short": (wire.RUN, lambda body: body[:-1]),
    "run_long": (wire.RUN, lambda body: body + bytes(4)),
    "run_other_class": (wire.RUN, lambda body: wire.words((body[0] + 1) % CLASSES) + body[4:]),
    "logits_empty": (wire.LOGITS, lambda body: b""),
    "logits_odd": (wire.LOGITS, lambda body: body[:-1]),
    "logits_more": (wire.LOGITS, lambda body: body + bytes(4) if len(body) < 240 else body),
    "trace_empty": (wire.TRACE, lambda body: b""),
    "profile_half": (wire.PROFILE, lambda body: body[:-4]),
    "stats_short": (wire.STATS, lambda body: body[:-4]),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense(case: str, material: Material) -> None:
    kind, change = NONSENSE[case]
    with pytest.raises(DeviceError) as caught, opened(responder(material, body_of(kind, change))) as device:
        ask_everything(device, material.packed[0])
    name = case.partition("_")[0].upper()
    check_message(caught.value, f"answers {name} with ")


def ask_everything(device: Device, data: bytes) -> None:
    device.run(data)
    device.digests(data)
    device.profile(data)
    device.statistics()


# --- another model


def test_another_model(material: Material) -> None:
    device_side = responder(material)
    device_side.claim(digest="ab" * 32, name="mnist")
    with opened(device_side) as device, pytest.raises(DeviceError) as caught:
        material.folder.check_device(device.hello, "here")
    check_message(
        caught.value, "here: the device runs another model (mnist)", "SHA-256 abababababab... instead of 0000"
    )


def test_the_same_model_with_other_timesteps(material: Material) -> None:
    device_side = responder(material)
    device_side.claim(timesteps=4)
    with opened(device_side) as device, pytest.raises(DeviceError, match="timesteps 4 instead of 2"):
        material.folder.check_device(device.hello, "here")


# --- verification


def test_equal(material: Material) -> None:
    done: list[int] = []
    with opened(responder(material)) as device:
        verdict = verify_device(device, material.folder, material.inputs, done.append)
    assert (verdict.mismatches, verdict.first) == (0, None)
    assert (verdict.inputs, verdict.logits, verdict.digests) == (3, 3 * CLASSES, 3 * 2 * (DEPTH + 1))
    # The channels that were left out count: their silence is proven, and compared nowhere else.
    assert verdict.spikes == 3 * 2 * 64 * (40 + 2 * DEPTH)
    assert done == [1, 1, 1]


@pytest.mark.parametrize(
    ("flipped", "layer", "position"),
    [
        # The firmware's channel 0 is channel 1 of the network, since channel 0 never spikes.
        ((0, 1, 0, 0), "wide", (1, 0, 0)),
        ((0, 0, 2 * 13, 31), "wide", (33, 1, 5)),
        ((0, 1, 2 * 63 + 1, 4), "wide", (38, 7, 7)),
        ((31, 0, 9, 1), "deep30", (1, 1, 1)),
    ],
)
def test_a_wrong_spike_is_named(
    flipped: tuple[int, int, int, int], layer: str, position: tuple[int, ...], material: Material
) -> None:
    assert SILENT == (0, 3, 39)
    device_side = responder(material)
    device_side.flipped = flipped
    with opened(device_side) as device:
        verdict = verify_device(device, material.folder, material.inputs)
    expected = run_reference(material.folder.network, material.inputs, trace=True).spikes[layer]
    was = int(expected[(0, flipped[1], *position)])
    assert verdict.mismatches == 3
    assert verdict.first == Difference(
        sample=0, layer=layer, timestep=flipped[1], position=position, expected=was, actual=1 - was
    )


def test_unused_bits_are_seen(material: Material) -> None:
    device_side = responder(material)
    device_side.flipped = (0, 1, 2 * 10 + 1, 5)
    with opened(device_side) as device:
        verdict = verify_device(device, material.folder, material.inputs)
    assert verdict.first == "sample 0, layer wide, timestep 1, row 1, column 2: unused bits of word 1 are set"


def test_a_device_that_does_not_repeat_itself(material: Material) -> None:
    device_side = responder(material, body_of(wire.TRACE, lambda body: bytes([body[0] ^ 1]) + body[1:]))
    with opened(device_side) as device:
        verdict = verify_device(device, material.folder, material.inputs)
    assert isinstance(verdict.first, str)
    assert verdict.first.startswith("sample 0, layer wide, timestep 0: another digest, but equal spikes")


def test_a_wrong_logit_is_named(material: Material) -> None:
    low = int(run_reference(material.folder.network, material.inputs).logits[0, :60].argmin())

    def lower(body: bytes) -> bytes:
        values = np.frombuffer(body, dtype="<i4").copy()
        if len(values) == 60:
            values[low] -= 5
        return values.tobytes()

    with opened(responder(material, body_of(wire.LOGITS, lower))) as device:
        verdict = verify_device(device, material.folder, material.inputs)
    assert verdict.mismatches == 3
    assert str(verdict.first).startswith(f"sample 0, logit {low}: expected ")


def test_firmware_without_trace_hooks(material: Material) -> None:
    device_side = responder(material)
    device_side.claim(flags=0)
    with opened(device_side) as device, pytest.raises(DeviceError, match="built without trace hooks"):
        verify_device(device, material.folder, material.inputs)
