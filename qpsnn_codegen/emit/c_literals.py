"""C text from values: literals, arrays and identifiers, from a whitelist of characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.errors import UsageError

_INT32_MIN = -(2**31)
_LINE = 100
_PER_LINE = 20
_HEX = [f"0x{value:02x}," for value in range(256)]

_C_WORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class "
    "compl concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype "
    "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int "
    "long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast struct switch "
    "template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile "
    "wchar_t while xor xor_eq main errno memcpy memset "
)
C_WORDS = frozenset(_C_WORDS.split())
"""Reserved words of C and C++ (generated headers are included by both), and names the runtime uses."""

_SYSTEM_WORDS = (
    "alloca assert complex ctype endian errno features fenv float inttypes iso646 limits locale malloc math sched "
    "setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath "
    "threads time uchar unistd wchar wctype fpos max_align nullptr ptrdiff size ssize "
)
_SYSTEM_NAMES = frozenset(_SYSTEM_WORDS.split())
"""Headers that ``<name>.h`` would hide from code with the folder on its include path, and types ``<name>_t`` would
redefine.
"""


def check_model_name(name: str, where: str = "--name") -> str:
    """The prefix of every symbol of a model, unchanged.

    Raises:
        UsageError: it is not a lower-case C identifier that can stand in C and C++.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise UsageError(
            where,
            f"{name!r} is no model name",
            "use a lower-case letter, then letters, digits and _ (48 at most)",
        )
    if "_weights" in name:
        raise UsageError(where, f"{name!r} may be a symbol of another model", "choose a name without '_weights'")
    if name in C_WORDS | _SYSTEM_NAMES or name.startswith(("qps_", "str", "mem", "int", "uint")) or name == "qps":
        raise UsageError(
            where,
            f"{name!r} is reserved in C or by the runtime",
            "choose another, for instance net_" + name[:44],
        )
    return name


def identifiers(names: Sequence[str]) -> dict[str, str]:
    """A unique C identifier for every name: other characters become ``_``, doubles get a number."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^A-Za-z0-9_]", "_", name)[:40]
        base = base if re.match(r"[A-Za-z]", base) else f"n{base}"
        unique, number = base, 2
        while unique in taken:
            unique, number = f"{base}_{number}", number + 1
        taken.add(unique)
        result[name] = unique
    return result


def comment_text(text: str) -> str:
    """Text that can stand in a C comment or a report line: printable ASCII, without comment marks."""
    plain = re.sub(r"[^ -~]", "?", text)
    plain = re.sub(r"\?(?=\?)", "? ", plain)  # trigraphs
    return plain.replace("*/", "* /").replace("/*", "/ *").rstrip("\\ ")


def literal(value: int, ctype: str) -> str:
    """An integer constant of a type; the most negative one has no literal of its own in C."""
    if value == _INT32_MIN:
        return "INT32_MIN"
    return f"{value}U" if ctype.startswith("u") else str(value)


def array_lines(values: NDArray[Any], ctype: str) -> list[str]:
    """The initializer of an array, as lines."""
    if values.ndim == 2 and values.dtype == np.uint8:
        # Weights: millions of them, so by table and in lines of a fixed count.
        data = values.tobytes()
        width = min(values.shape[1], _PER_LINE)
        return ["".join(map(_HEX.__getitem__, data[i : i + width])) for i in range(0, len(data), width)]
    return _wrap(literal(int(value), ctype) for value in np.ravel(values).tolist())


def _wrap(items: Iterable[str]) -> list[str]:
    lines: list[str] = []
    current = ""
    for item in items:
        piece = f"{item},"
        if current and len(current) + 1 + len(piece) > _LINE:
            lines.append(current)
            current = piece
        else:
            current = f"{current} {piece}" if current else piece
    return [*lines, current] if current else lines
