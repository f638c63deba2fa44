"""What an output folder says of itself: whether this tool wrote it, and which of its files are somebody else's."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qpsnn_codegen.errors import ModelFileError

REPORT_NAME = "report.json"
"""The file by which an output of this tool is recognized ..."""
BUILD_REPORT_NAME = "build.json"
"""... or a build of one, ..."""
GENERATOR = "qpsnn-codegen"
"""when its key ``generator`` has this value. Its key ``files`` names what was written."""

_SOURCES = (".c", ".h", ".S", ".bin")
_BUILDS = "build"
"""In a generated folder, where make and the command ``build`` leave their results."""


def is_output_folder(folder: Path, marker: str = REPORT_NAME) -> bool:
    """Whether ``folder`` is an output of this tool: its file ``marker`` names the tool as generator."""
    return read_record(folder, marker) is not None


def read_record(folder: Path, marker: str) -> dict[str, Any] | None:
    """What the file ``marker`` of an output of this tool holds; None for any other folder."""
    report = folder / marker
    try:
        if not stat.S_ISREG(report.lstat().st_mode):
            return None
        content = json.loads(report.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.get("generator") == GENERATOR else None


def check_sources(folder: Path) -> None:
    """Refuse a generated folder that lacks a file which a build needs; raises :class:`ModelFileError`."""
    for name in _recorded(folder, REPORT_NAME):
        if Path(name).suffix in _SOURCES and not (folder / name).is_file():
            raise ModelFileError(f"{folder}/{name}", "is missing", "generate the folder again")


def _recorded(folder: Path, marker: str) -> list[str]:
    """The files that the record names."""
    files = (read_record(folder, marker) or {}).get("files")
    return [name for name in files if isinstance(name, str)] if isinstance(files, list | dict) else []


def foreign_files(folder: Path, marker: str) -> list[str]:
    """What lies in an earlier output and was not written by this tool: files, and folders of nothing but those.

    Empty folders do not count, and neither does ``build/`` of a generated folder.
    """
    known = {marker, *_recorded(folder, marker)}
    parents = {str(parent) for name in known for parent in Path(name).parents}

    def search(place: Path) -> Iterator[str]:
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            name = Path(entry.path).relative_to(folder).as_posix()
            if name == _BUILDS and marker == REPORT_NAME:
                continue
            if not entry.is_dir(follow_symlinks=False):
                if name not in known:
                    yield name
            elif name in parents:
                yield from search(Path(entry.path))
            elif any(files for _, _, files in os.walk(entry.path)):
                yield f"{name}/"

    return list(search(folder))
