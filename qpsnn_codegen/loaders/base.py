"""What a loader is given and what it gives; no torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.network import Network

Ends = Literal["float", "8bit"]
ENDS: tuple[Ends, ...] = ("float", "8bit")
BITS = (2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What a file may leave open; ``None``: as the file says, or the default of the code that wrote it.

    Attributes:
        timesteps: T.
        bits: of the weights between the first and the last layer.
        ends: how the first and the last layer were trained.

    Raises:
        UsageError: a value outside its range.
    """

    timesteps: int | None = None
    bits: int | None = None
    ends: Ends | None = None

    def __post_init__(self) -> None:
        if self.timesteps is not None and not 1 <= self.timesteps <= 4096:
            raise UsageError("--timesteps", f"{self.timesteps} is out of range", "give 1 to 4096")
        if self.bits is not None and self.bits not in BITS:
            raise UsageError("--bits", f"it is {self.bits}", "choose 2, 4 or 8")
        if self.ends is not None and self.ends not in ENDS:
            raise UsageError("--ends", f"it is {self.ends!r}", "choose float or 8bit")

    def given(self) -> dict[str, object]:
        """Those that only files of other programs leave open, by name, if the user gave them."""
        return {name: value for name in ("bits", "ends") if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A file as a network.

    Attributes:
        predict: the class of each raw input ``[N, ...]``, int64 [N], by the model as it was trained.
        trained: what ``predict`` runs, for people.
        about: what the file tells people: data set, accuracy, command.
        notes: what they should know of how it was read.
    """

    network: Network
    predict: Callable[[NDArray[Any]], NDArray[Any]]
    trained: str
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that has been read, but not understood. ``digest``: SHA-256 (hex)."""

    path: Path
    content: object
    digest: str
    options: LoadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """One kind of file: whether this is one, and the network it holds."""

    recognizes: Callable[[object], bool]
    load: Callable[[Source], Loaded]
