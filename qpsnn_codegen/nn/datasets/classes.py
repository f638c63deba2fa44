"""Folders that hold a folder per class, split into ``train`` and ``test`` or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.dataset import PARTS, hold_out
from qpsnn_codegen.nn.datasets.source import Source

MAX_CLASSES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of a class."""

    path: Path
    label: int


def class_folders(source: Source, pattern: str, *, held_out: float) -> tuple[dict[str, list[Member]], tuple[str, ...]]:
    """Files by part, and the classes' names: the folders' names in order.

    Numbers in names count as numbers, so that 10 follows 9. Without ``train`` and ``test``, the last files of each
    class are held out; the option ``holdout`` says which share.

    Args:
        source: its path is the folder.
        pattern: of the file names, separated by spaces.
        held_out: the share without that option.

    Raises:
        DataError: no such folder, no classes, a class without files.
    """
    root = source.file
    share = source.share("holdout", held_out)
    if not root.is_dir():
        raise DataError(str(root), "there is no such folder", "give one with a folder of files for each class")
    if all((root / part).is_dir() for part in PARTS):
        names = _classes(root / "train")
        listed = {part: _members(root / part, names, pattern) for part in PARTS}
        return listed, names
    names = _classes(root)
    members = _members(root, names, pattern)
    held = hold_out(np.array([member.label for member in members]), share)
    parts: dict[str, list[Member]] = {part: [] for part in PARTS}
    for member, test in zip(members, held, strict=True):
        parts["test" if test else "train"].append(member)
    if not parts["train"]:
        raise DataError(str(root), "there is one file per class, which leaves none to train on", "give more")
    return parts, names


def _classes(folder: Path) -> tuple[str, ...]:
    names = sorted((entry.name for entry in folder.iterdir() if entry.is_dir()), key=_natural)
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(str(folder), f"it holds {len(names)} folders", "give a folder of files for each class")
    return tuple(names)


def _members(folder: Path, names: tuple[str, ...], patterns: str) -> list[Member]:
    members = []
    for label, name in enumerate(names):
        found = [path for pattern in patterns.split() for path in (folder / name).glob(pattern)]
        if not found:
            raise DataError(str(folder / name), f"it holds no {patterns}", "put the files of this class there")
        members += [Member(path=path, label=label) for path in sorted(found, key=lambda path: _natural(path.name))]
    return members


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 9 before 10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return [(0, int(digits), "") if digits else (1, 0, letters) for digits, letters in parts]
