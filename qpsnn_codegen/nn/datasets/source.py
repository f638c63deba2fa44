"""The one line that names a data set, taken apart: ``KIND:PATH?option=value&option=value``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qpsnn_codegen.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A named data set. Whoever opens it reads its options by the methods; what nobody read is refused at the end.

    Attributes:
        text: the whole line, for messages.
        kind, path: around the first colon.
        options: name to value, both as given.
        progress: called with the number of files just read.
    """

    text: str
    kind: str
    path: str
    options: Mapping[str, str]
    progress: Callable[[int], None]
    _read: set[str] = field(default_factory=set)

    @property
    def file(self) -> Path:
        return Path(self.path)

    def word(self, name: str, default: str) -> str:
        """An option as it is."""
        self._read.add(name)
        return self.options.get(name, default)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of these words, the first by default; raises :class:`DataError`."""
        value = self.word(name, choices[0])
        if value not in choices:
            raise DataError(self.text, f"{name} is {value!r}", f"choose {' or '.join(choices)}")
        return value

    def integer(self, name: str, default: int | None, least: int, most: int) -> int | None:
        """A whole number in a range; raises :class:`DataError`."""
        value = self.word(name, "")
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or not least <= int(value[:12]) <= most:
            raise DataError(self.text, f"{name} is {value!r}", f"give an integer from {least} to {most}")
        return int(value)

    def share(self, name: str, default: float) -> float:
        """A number above 0 and below 1; raises :class:`DataError`."""
        value = self.word(name, str(default))
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0.0 < number < 1.0:
            raise DataError(self.text, f"{name} is {value!r}", "give a number above 0 and below 1")
        return number

    def refuse_unread(self) -> None:
        """Raises :class:`DataError` if an option was given that this kind does not have."""
        unknown = next((name for name in self.options if name not in self._read), None)
        if unknown is not None:
            known = ", ".join(sorted(self._read)) or "none"
            raise DataError(self.text, f"there is no option {unknown!r} here", f"options of {self.kind}: {known}")


def parse_source(text: str, progress: Callable[[int], None]) -> Source:
    """Take the line apart; a path may hold question marks as long as an ``=`` does not follow the last.

    Raises:
        DataError: an option without a value, or twice.
    """
    kind, _, rest = text.partition(":")
    path, mark, query = rest.rpartition("?")
    if not mark or "=" not in query:
        path, query = rest, ""
    options: dict[str, str] = {}
    for entry in query.split("&") if query else ():
        name, _, value = entry.partition("=")
        if not name or not value or name in options:
            raise DataError(text, f"cannot read its option {entry!r}", "write ?name=value&other=value, each once")
        options[name] = value
    return Source(text=text, kind=kind, path=path, options=options, progress=progress)
