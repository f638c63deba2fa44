"""Writing an output folder whole, or not at all.

The files are written into a hidden folder beside the destination and renamed into place when complete, so
that a reader of the destination never meets half an output and a failure leaves what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from qpsnn_codegen.emit.earlier import GENERATOR, REPORT_NAME, foreign_files, is_output_folder
from qpsnn_codegen.errors import InternalError, OutputError
from qpsnn_codegen.files import made_parents

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")

_ELSEWHERE = "choose another folder with -o"
_REMEDIES = {
    errno.ENOSPC: "free some space or choose a folder on another disk",
    errno.EDQUOT: "free some space or choose a folder on another disk",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBUSY: "name a folder inside it",
}


def write_folder(
    files: Mapping[str, str | bytes],
    destination: Path,
    *,
    force: bool,
    marker: str = REPORT_NAME,
    own: bool = False,
) -> None:
    """Make ``destination`` a folder holding exactly ``files``.

    Missing parent folders are made, and removed again on failure. Files and folders get the modes the user's
    umask gives them. Text is written as UTF-8 with its line ends as they are.

    Args:
        files: content by relative path with ``/`` between its parts.
        destination: must not exist, or be an empty folder.
        force: replace the folder ``destination`` whole if it is an earlier output of this tool (its file
            ``marker`` says so) with no other files in it. Nothing else is ever replaced, and symbolic links are not
            followed.
        marker: the file that says so.
        own: the place is this tool's own, so whatever lies in an earlier output there goes with it.

    Raises:
        OutputError: the destination may not be replaced, or writing failed (no permission, disk full);
            nothing has changed then. The one exception is an earlier output that cannot be deleted after it
            has been replaced: the error says where its remains are.
        InternalError: a file name is not one that every system and build tool can take.
    """
    _check_names(files)
    where = str(destination)
    try:
        destination = _absolute(destination)
        replace = _check_destination(destination, where, force=force, marker=marker, own=own)
        with made_parents(destination.parent), _staging(destination) as stage:
            _fill(stage / "new", files)
            _move_into_place(stage, destination, where, replace=replace)
    except OSError as error:
        raise _output_error(where, error) from error


def check_destination(destination: Path, *, force: bool) -> None:
    """Refuse early what :func:`write_folder` would refuse after the work is done.

    Raises:
        OutputError: ``destination`` may not be written or replaced.
    """
    try:
        _check_destination(_absolute(destination), str(destination), force=force, marker=REPORT_NAME, own=False)
    except OSError as error:
        raise _output_error(str(destination), error) from error


def _check_names(files: Mapping[str, str | bytes]) -> None:
    if not files:
        raise InternalError("emit", "there are no files to write")
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in files:
        path = PurePosixPath(name)
        if name != str(path) or not all(_COMPONENT.fullmatch(part) for part in path.parts):
            raise InternalError(f"emit {name!r}", "not a portable relative file name")
        # Some file systems do not tell upper from lower case.
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise InternalError(f"emit {name!r}", f"differs from {other!r} in case only")
        folders.update(str(parent).lower() for parent in path.parents)
    for name in files:
        if name.lower() in folders:
            raise InternalError(f"emit {name!r}", "is both a file and a folder")


def _absolute(destination: Path) -> Path:
    """Absolute, with a last component that is a name and is not followed if it is a link."""
    # realpath rather than Path.resolve, which raises a RuntimeError for a loop of links.
    if destination.name in ("", ".."):
        return Path(os.path.realpath(destination))
    return Path(os.path.realpath(destination.parent)) / destination.name


def _check_destination(destination: Path, where: str, *, force: bool, marker: str, own: bool) -> bool:
    """Whether there is an earlier output to replace; raises if the destination may not be written."""
    try:
        mode = destination.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        raise OutputError(where, "is a symbolic link", "name the folder it points to, or remove the link")
    if not stat.S_ISDIR(mode):
        raise OutputError(where, "exists and is not a folder", _ELSEWHERE)
    here = Path.cwd()
    if destination == here or destination in here.parents:
        raise OutputError(where, "holds the current folder, which cannot be replaced", "name a folder inside it")
    if not any(destination.iterdir()):
        return False
    if not is_output_folder(destination, marker):
        if force:
            raise OutputError(where, f"is no output of {GENERATOR} and not empty", f"empty it or {_ELSEWHERE}")
        raise OutputError(where, "exists and is not empty", _ELSEWHERE)
    foreign = [] if own else foreign_files(destination, marker)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise OutputError(
            where, f"holds {foreign[0]}{more}, not written by {GENERATOR}", f"move that elsewhere, or {_ELSEWHERE}"
        )
    if not force:
        raise OutputError(where, "exists and is not empty", f"{_ELSEWHERE}, or replace this one with --force")
    return True


@contextlib.contextmanager
def _staging(destination: Path) -> Iterator[Path]:
    """A private folder beside ``destination``, on its file system, gone afterwards.

    It holds ``new`` (being written) and ``old`` (what was replaced); ``new`` has the modes of the umask,
    which the folder around it must not have.
    """
    stage = Path(tempfile.mkdtemp(prefix=f".{destination.name[:64]}.", suffix=".tmp", dir=destination.parent))
    try:
        yield stage
    finally:
        # An `old` that could not be put back is the user's only copy.
        if not ((stage / "old").exists() and not destination.exists()):
            shutil.rmtree(stage, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, str | bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _move_into_place(stage: Path, destination: Path, where: str, *, replace: bool) -> None:
    old = stage / "old"
    if not replace:
        # Atomic, and succeeds only if the destination is missing or (still) an empty folder.
        (stage / "new").rename(destination)
        return
    try:
        destination.rename(old)
        (stage / "new").rename(destination)
    except BaseException as error:
        _put_back(old, destination, where, error)
        raise
    try:
        shutil.rmtree(old)
    except OSError as error:
        # Out of the staging folder, which goes; and under a name that says what it is.
        kept = destination.with_name(f"{stage.name.removesuffix('.tmp')}.old")
        with contextlib.suppress(OSError):
            old.rename(kept)
        raise OutputError(
            where,
            f"was replaced, but the earlier output could not be deleted whole ({error.strerror})",
            f"delete {kept.name} beside it by hand",
        ) from error


def _put_back(old: Path, destination: Path, where: str, cause: BaseException) -> None:
    try:
        if os.path.lexists(old) and not os.path.lexists(destination):
            old.rename(destination)
    except OSError as error:
        raise OutputError(
            where, f"could not be replaced, nor put back ({error.strerror})", f"it is now {old}: move it back"
        ) from cause


def _output_error(where: str, error: OSError) -> OutputError:
    what = f"cannot be written ({error.strerror or error})"
    return OutputError(where, what, _REMEDIES.get(error.errno or 0, _ELSEWHERE))
