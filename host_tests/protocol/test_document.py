"""docs/protocol.md says what the device does: its example byte by byte, its tables number by number."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from cobs import cobs

from host_tests.protocol import oracle, wire
from host_tests.protocol.programs import fake_device
from host_tests.support.builds import COMPILERS
from qpsnn_codegen import resources


@pytest.fixture(scope="module")
def document(checkout: Path) -> str:
    return (checkout / "docs" / "protocol.md").read_text(encoding="utf-8")


def example(document: str) -> list[tuple[bytes, bytes]]:
    """Pairs of what is sent and what comes back."""
    lines = re.findall(r"^    ([<>]) ([0-9A-F ]+)$", document, re.MULTILINE)
    directions = [direction for direction, _ in lines]
    assert directions == [">", "<"] * (len(lines) // 2)
    data = [bytes.fromhex(text) for _, text in lines]
    return list(zip(data[::2], data[1::2], strict=True))


def table(document: str, columns: int) -> list[list[str]]:
    """All rows of tables with so many columns."""
    lines = re.findall(r"^\|.*\|$", document, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == columns and not row[0].startswith("-")]


@pytest.mark.parametrize("cc", COMPILERS)
def test_the_example_is_what_the_device_does(document: str, cc: str) -> None:
    pairs = example(document)
    assert len(pairs) == 4
    for sent, received in pairs:
        assert fake_device(cc).talk(sent) == received


def test_the_example_is_what_the_text_says(document: str) -> None:
    good, damaged, write, logits = example(document)

    def packet(data: bytes) -> bytes:
        decoded = bytes(cobs.decode(data[1:-1]))
        assert zlib.crc32(decoded[:-4]).to_bytes(4, "little") == decoded[-4:]
        return decoded[:-4]

    assert packet(good[0]) == bytes([1, wire.ECHO, 7, 0, 0x48, 0, 0x49])
    assert packet(good[1]) == bytes([1, wire.ECHO | 0x80, 7, wire.OK, 0x48, 0, 0x49])
    assert damaged[0] == good[0].replace(b"\x49", b"\x4b")
    assert packet(damaged[1]) == bytes([1, wire.REJECT, 0, wire.BAD_CRC])
    assert packet(write[0]) == bytes([1, wire.WRITE, 8, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    assert packet(write[1]) == bytes([1, wire.WRITE | 0x80, 8, wire.OUT_OF_RANGE])
    assert packet(logits[0]) == bytes([1, wire.LOGITS, 9, 0]) + wire.words(0x12345678, 0)
    assert packet(logits[1]) == bytes([1, wire.LOGITS | 0x80, 9, wire.OTHER_INPUT])


def test_the_table_of_codes(document: str) -> None:
    rows = {row[1]: int(row[0]) for row in table(document, 3) if row[0].isdigit()}
    header = (resources.firmware_dir() / "app" / "qps_frame.h").read_text(encoding="utf-8")
    assert list(rows) == re.findall(r"^    X\((\w+)\)", header, re.MULTILINE)
    assert list(rows.values()) == list(range(len(rows)))


def test_the_table_of_requests(document: str) -> None:
    rows = {row[1]: int(row[0], 16) for row in table(document, 4) if row[0].startswith("0x")}
    header = (resources.firmware_dir() / "app" / "qps_protocol.h").read_text(encoding="utf-8")
    assert rows == {
        name: int(code, 16) for name, code in re.findall(r"QPS_REQUEST_(\w+) = (0x\w\w),", header) if name != "END"
    }
    assert rows == {name: getattr(wire, name) for name in rows}


def test_the_fields_of_hello(document: str) -> None:
    sizes = {"u16": 2, "u32": 4, "32 bytes": 32, "text": 0}
    fields = [sizes[row[0]] for row in table(document, 2) if row[0] in sizes]
    assert fields == [2] * 4 + [4] * 10 + [32] + [0] * 4
    assert sum(fields) == oracle.HELLO_FIXED_BYTES


def test_the_counters_of_stats(document: str) -> None:
    section = document.split("**STATS**")[1].split("## 4.", maxsplit=1)[0]
    rows = table(section, 2)[1:]
    assert len(rows) == 10
    counted = [name for _, names in rows[:8] for name in names.split(", ")]
    assert sorted(counted) == sorted({*re.findall(r"^\| \d+ \| (\w+)", document, re.MULTILINE)} - {"FAULTED"})
