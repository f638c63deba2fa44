"""UF2: blocks that put every byte where it belongs."""

from __future__ import annotations

import struct

import pytest

from qpsnn_codegen.toolchain.uf2 import uf2


def blocks(file: bytes) -> list[tuple[int, ...]]:
    """The eight words before the data and the one behind it, as the format's specification has them."""
    assert len(file) % 512 == 0
    return [
        (*struct.unpack_from("<8I", file, at), *struct.unpack_from("<I", file, at + 508))
        for at in range(0, len(file), 512)
    ]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 5000])
def test_the_bytes_come_back(size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    file = uf2(data, 0x10000000, 0xE48BFF56)
    count = -(-size // 256)
    memory = bytearray()
    for index, block in enumerate(blocks(file)):
        first, second, flags, address, length, number, total, family, last = block
        assert (first, second, last) == (0x0A324655, 0x9E5D5157, 0x0AB16F30)
        assert (flags, length, number, total, family) == (0x2000, 256, index, count, 0xE48BFF56)
        assert address == 0x10000000 + len(memory)
        memory += file[512 * index + 32 :][:256]
        assert not any(file[512 * index + 32 + 256 : 512 * index + 508])
    assert len(memory) == 256 * count
    assert memory[:size] == data
    assert not any(memory[size:])


def test_an_address_between_blocks() -> None:
    with pytest.raises(ValueError, match="0x10000001"):
        uf2(b"x", 0x10000001, 1)
