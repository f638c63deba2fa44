"""The state dictionary of the QP-SNN authors' code: what its names mean, and tensors that nobody vouches for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.nn.fields import shorten
from qpsnn_codegen.nn.schema import MAX_CHANNELS, MAX_ELEMENTS

MAX_TENSORS = 20_000
_PARALLEL = "module."
# A module that is wrapped for the time axis appears under both names.
_DOUBLES = (
    (re.compile(r"\.seqbn\.module\."), ".bn."),
    (re.compile(r"(^|\.)conv(\d+)_s\.layer\.module\."), r"\1conv\2."),
    (re.compile(r"(^|\.)conv(\d+)_s\.bn\."), r"\1bn\2."),
)
# Statistics of training, and what the authors' quantized layers carry without using it.
_UNUSED = ("num_batches_tracked", "clip_val", "zero")
_REMEDY = "give a checkpoint as the QP-SNN authors' code saves it"


class StateDict:
    """Tensors by their one name; each may be read with the shape it must have.

    Raises:
        ModelFileError: something else than tensors, or tensors that contradict each other.
    """

    def __init__(self, where: str, values: Mapping[object, object]) -> None:
        self.where = where
        if len(values) > MAX_TENSORS:
            raise self.refuse(f"state_dict has {len(values)} entries", _REMEDY)
        self.tensors: dict[str, Tensor] = {}
        parallel = all(type(key) is str and key.startswith(_PARALLEL) for key in values)
        for key, value in values.items():
            if type(key) is not str or not isinstance(value, Tensor):
                raise self.refuse(f"state_dict entry {shorten(key)} is no tensor under a name", _REMEDY)
            if key.rpartition(".")[2] not in _UNUSED:
                self._add(key.removeprefix(_PARALLEL) if parallel else key, value)
        self.unread = set(self.tensors)

    def refuse(self, what: str, remedy: str) -> ModelFileError:
        """The error for this file."""
        return ModelFileError(self.where, what, remedy)

    def _add(self, key: str, value: Tensor) -> None:
        name = key
        for pattern, replacement in _DOUBLES:
            name = pattern.sub(replacement, name)
        if value.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            raise self.refuse(f"{shorten(key)} is of {value.dtype}, not of floats", _REMEDY)
        if value.numel() == 0 or value.numel() > MAX_ELEMENTS or max(value.shape, default=1) > MAX_CHANNELS:
            raise self.refuse(f"{shorten(key)} has shape {tuple(value.shape)}", _REMEDY)
        tensor = value.detach().to(torch.float32).contiguous()
        if not bool(torch.isfinite(tensor).all()):
            raise self.refuse(f"{shorten(key)} holds values that are not finite", "train again, it has diverged")
        double = self.tensors.setdefault(name, tensor)
        if double is not tensor and not torch.equal(double, tensor):
            raise self.refuse(f"{shorten(key)} and {shorten(name)} should be one tensor, but differ", _REMEDY)

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return name in self.tensors

    def read(self, name: str, shape: tuple[int | None, ...]) -> Tensor:
        """A tensor float32 of that shape (``None``: any size)."""
        if name not in self.tensors:
            raise self.refuse(f"{name} is missing", _REMEDY)
        tensor = self.tensors[name]
        fits = tensor.dim() == len(shape) and all(
            want in (None, size) for want, size in zip(shape, tensor.shape, strict=True)
        )
        if not fits:
            wanted = " x ".join("any" if size is None else str(size) for size in shape)
            raise self.refuse(f"{name} has shape {tuple(tensor.shape)}, where {wanted} is wanted", _REMEDY)
        self.unread.discard(name)
        return tensor

    def indices(self, pattern: str) -> list[int]:
        """The numbers that stand for the group of ``pattern`` at the start of names, in order."""
        found = (re.match(pattern, name) for name in self.tensors)
        return sorted({int(match[1]) for match in found if match is not None})

    def finish(self) -> None:
        """Refuse what nobody has read: a layer that was left out would go unnoticed."""
        if self.unread:
            names = sorted(self.unread)
            raise self.refuse(f"{shorten(names[0])} ({len(names)} in all) belongs to no layer known here", _REMEDY)


def side_of(area: int) -> int:
    """The side of a square of that many pixels, 0 if there is none."""
    side = math.isqrt(area)
    return side if side * side == area else 0
