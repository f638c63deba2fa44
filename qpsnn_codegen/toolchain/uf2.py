"""UF2 files, as mass-storage bootloaders take them: blocks of 512 bytes that each say where they belong."""

from __future__ import annotations

import struct

_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_PRESENT = 0x2000
_PAYLOAD = 256
_BLOCK = struct.Struct("<8I476sI")


def uf2(data: bytes, address: int, family: int) -> bytes:
    """The file that puts ``data`` at ``address``.

    Args:
        address: of the first byte, a multiple of 256.
        family: the chip's number.
    """
    if address % _PAYLOAD:
        raise ValueError(f"{address:#x} is no multiple of {_PAYLOAD}")
    chunks = [data[start : start + _PAYLOAD].ljust(_PAYLOAD, b"\0") for start in range(0, len(data), _PAYLOAD)]
    return b"".join(
        _BLOCK.pack(
            *_MAGIC,
            _FAMILY_PRESENT,
            address + _PAYLOAD * index,
            _PAYLOAD,
            index,
            len(chunks),
            family,
            chunk,
            _MAGIC_END,
        )
        for index, chunk in enumerate(chunks)
    )
