"""An output folder appears whole or not at all, and replaces nothing but an earlier output."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qpsnn_codegen.emit.earlier import GENERATOR, foreign_files, is_output_folder
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.errors import InternalError, OutputError

NAMES = ["report.json", "digits.c", "golden/input.bin", "runtime/deep/qps_conv.h"]
REPORT = json.dumps({"generator": GENERATOR, "files": NAMES})
FILES: dict[str, str | bytes] = {
    "report.json": REPORT,
    "digits.c": "/* Θ */\r\n",
    "golden/input.bin": bytes(range(256)),
    "runtime/deep/qps_conv.h": "",
}
NEWER: dict[str, str | bytes] = {
    "report.json": json.dumps({"generator": GENERATOR, "files": ["other.c"]}),
    "other.c": "int x;\n",
}


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden and temporary ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


def encoded(files: dict[str, str | bytes]) -> dict[str, bytes]:
    return {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}


def refused(files: dict[str, str | bytes], destination: Path, *, force: bool = False) -> str:
    with pytest.raises(OutputError) as caught:
        write_folder(files, destination, force=force)
    assert caught.value.where == str(destination)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


class TestWriting:
    def test_everything_and_nothing_else(self, tmp_path: Path) -> None:
        write_folder(FILES, tmp_path / "a" / "b" / "out", force=False)
        assert content(tmp_path) == {f"a/b/out/{name}": data for name, data in encoded(FILES).items()}
        assert is_output_folder(tmp_path / "a" / "b" / "out")

    def test_empty_folder_is_used(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        write_folder(FILES, tmp_path / "out", force=False)
        assert content(tmp_path / "out") == encoded(FILES)

    @pytest.mark.parametrize("name", ["out", "./out", "x/../out", "out/", "x/.."])
    def test_relative_destinations(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "here" / "x").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "here")
        if name == "x/..":
            refused(FILES, Path(name), force=True)
            return
        write_folder(FILES, Path(name), force=False)
        assert content(tmp_path / "here" / "out") == encoded(FILES)

    @pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
    def test_modes_are_those_of_the_umask(self, umask: int, tmp_path: Path) -> None:
        before = os.umask(umask)
        try:
            write_folder(FILES, tmp_path / "out", force=False)
        finally:
            os.umask(before)
        for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
            expected = (0o777 if path.is_dir() else 0o666) & ~umask
            assert stat.S_IMODE(path.stat().st_mode) == expected

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../out.c",
            "a/../b.c",
            "/etc/passwd",
            "a//b.c",
            "./a.c",
            "a/",
            ".hidden",
            "-rf",
            "a b.c",
            "ä.c",
            "a\\b.c",
            "a\n.c",
            "a.c\n",
            "a\0.c",
            "$(x).c",
        ],
    )
    def test_unportable_names_are_a_defect(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(InternalError):
            write_folder({"report.json": REPORT, name: "x"}, tmp_path / "out", force=False)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("names", [["a.c", "A.c"], ["a", "a/b.c"], ["a/b.c", "A"], []])
    def test_clashing_names_are_a_defect(self, names: list[str], tmp_path: Path) -> None:
        with pytest.raises(InternalError):
            write_folder(dict.fromkeys(names, ""), tmp_path / "out", force=False)
        assert list(tmp_path.iterdir()) == []


class TestReplacing:
    def test_needs_force(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        assert "--force" in refused(NEWER, out)
        assert content(tmp_path) == {f"out/{name}": data for name, data in encoded(FILES).items()}

    def test_replaces_the_whole_folder(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        (out / "digits.c").write_text("edited")
        (out / "build" / "microbit").mkdir(parents=True)
        (out / "build" / "microbit" / "digits.elf").write_text("an image")
        (out / "empty" / "too").mkdir(parents=True)
        write_folder(NEWER, out, force=True)
        assert content(tmp_path) == {f"out/{name}": data for name, data in encoded(NEWER).items()}
        assert not (out / "empty").exists()

    @pytest.mark.parametrize(
        "name", ["notes.txt", "main.c", ".git/HEAD", "runtime/deep/mine.c", "app/build/x", "build.json"]
    )
    @pytest.mark.parametrize("force", [False, True])
    def test_files_of_the_user_are_kept(self, name: str, force: bool, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
        before = content(tmp_path)
        message = refused(NEWER, out, force=force)
        shown = {".git/HEAD": ".git/", "app/build/x": "app/"}.get(name, name)
        assert f"holds {shown}, not written by {GENERATOR}; move that elsewhere" in message
        assert "--force" not in message
        assert content(tmp_path) == before
        (out / "other").touch()
        assert " and 1 more, not written by" in refused(NEWER, out, force=force)

    def test_links_of_the_user_are_kept(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        (tmp_path / "precious").write_text("keep")
        (out / "link").symlink_to(tmp_path / "precious")
        (out / "folder_link").symlink_to(tmp_path)
        assert foreign_files(out, "report.json") == ["folder_link", "link"]
        assert "folder_link and 1 more" in refused(NEWER, out, force=True)

    def test_what_is_in_a_place_of_our_own_goes(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        (out / "objects").mkdir()
        (out / "objects" / "digits.o").touch()
        write_folder(NEWER, out, force=True, own=True)
        assert content(out) == encoded(NEWER)

    @pytest.mark.parametrize("files", ["", ', "files": 3', ', "files": [1, null, {}]', ', "files": "digits.c"'])
    def test_a_report_that_lists_no_files(self, files: str, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write_folder({**FILES, "report.json": f'{{"generator": "{GENERATOR}"{files}}}'}, out, force=False)
        assert "holds digits.c and 2 more" in refused(NEWER, out, force=True)

    @pytest.mark.parametrize(
        "report",
        [
            None,
            "",
            "{",
            "[]",
            "{}",
            '{"generator": "other"}',
            '{"generator": ["qpsnn-codegen"]}',
            "[" * 100_000,
            "\xff",
        ],
    )
    def test_never_replaces_what_is_not_ours(self, report: str | None, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / "thesis.tex").write_text("years")
        if report is not None:
            (out / "report.json").write_bytes(report.encode("latin-1"))
        before = content(tmp_path)
        message = refused(NEWER, out, force=True)
        assert "is no output of qpsnn-codegen" in message
        assert "--force" not in message + refused(NEWER, out)
        assert content(tmp_path) == before

    def test_report_that_is_a_link_does_not_count(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere.json").write_text(REPORT)
        out = tmp_path / "out"
        out.mkdir()
        (out / "report.json").symlink_to(tmp_path / "elsewhere.json")
        refused(NEWER, out, force=True)

    @pytest.mark.parametrize("force", [False, True])
    def test_link_is_not_followed(self, force: bool, tmp_path: Path) -> None:
        write_folder(FILES, tmp_path / "real", force=False)
        (tmp_path / "out").symlink_to(tmp_path / "real")
        before = content(tmp_path)
        assert "symbolic link" in refused(NEWER, tmp_path / "out", force=force)
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        assert "symbolic link" in refused(NEWER, tmp_path / "dangling", force=force)
        (tmp_path / "dangling").unlink()
        assert content(tmp_path) == before

    @pytest.mark.parametrize("force", [False, True])
    def test_file_is_kept(self, force: bool, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("a file")
        assert "not a folder" in refused(FILES, tmp_path / "out", force=force)
        refused(FILES, tmp_path / "out" / "below", force=force)
        refused(FILES, tmp_path / "out" / "far" / "below", force=force)
        assert content(tmp_path) == {"out": b"a file"}

    @pytest.mark.parametrize("inside", ["", "golden"])
    def test_current_folder_is_kept(self, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out = tmp_path / "out"
        write_folder(FILES, out, force=False)
        monkeypatch.chdir(out / inside)
        assert "current folder" in refused(NEWER, out, force=True)
        assert "current folder" in refused(NEWER, Path(".."), force=True) if inside else True
        assert content(out) == encoded(FILES)

    def test_loop_of_links(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        refused(FILES, tmp_path / "loop" / "out")
        refused(FILES, tmp_path / "loop" / "deep" / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["loop"]

    def test_name_too_long(self, tmp_path: Path) -> None:
        assert "shorter name" in refused(FILES, tmp_path / "new" / ("x" * 300))
        assert list(tmp_path.iterdir()) == []


class TestInterruption:
    """Failures at every step, made by the step before going wrong in the real file system or by Ctrl-C."""

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    @pytest.mark.parametrize("call", range(4))
    def test_while_writing(
        self,
        force: bool,
        error: type[BaseException] | BaseException,
        call: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out = tmp_path / "work" / "out"
        if force:
            write_folder(NEWER, out, force=False)
        before = content(tmp_path), sorted(tmp_path.iterdir())
        real, calls = Path.write_bytes, 0

        def fail(path: Path, data: bytes) -> int:
            nonlocal calls
            calls += 1
            if calls > call:
                real(path, data[: len(data) // 2])
                raise error
            return real(path, data)

        monkeypatch.setattr(Path, "write_bytes", fail)
        with pytest.raises((KeyboardInterrupt, OutputError)):
            write_folder(FILES, out, force=force)
        assert (content(tmp_path), sorted(tmp_path.iterdir())) == before
        assert [path.name for path in tmp_path.rglob(".*")] == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(5, "Input/output error")])
    @pytest.mark.parametrize("call", [0, 1])
    def test_while_moving(
        self,
        error: type[BaseException] | BaseException,
        call: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out = tmp_path / "out"
        write_folder(NEWER, out, force=False)
        real, calls = Path.rename, 0

        def fail(path: Path, target: Path) -> Path:
            nonlocal calls
            calls += 1
            if calls == call + 1:
                raise error
            return real(path, target)

        monkeypatch.setattr(Path, "rename", fail)
        with pytest.raises((KeyboardInterrupt, OutputError)):
            write_folder(FILES, out, force=True)
        assert content(tmp_path) == {f"out/{name}": data for name, data in encoded(NEWER).items()}
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_earlier_output_is_never_lost(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out = tmp_path / "out"
        write_folder(NEWER, out, force=False)
        real, calls = Path.rename, 0

        def fail(path: Path, target: Path) -> Path:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise OSError(5, "Input/output error")
            return real(path, target)

        monkeypatch.setattr(Path, "rename", fail)
        message = refused(FILES, out, force=True)
        kept = Path(message.split("it is now ")[1].split(": move")[0])
        assert content(kept) == encoded(NEWER)


ATTEMPT = """
import json, os, sys
from pathlib import Path
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.errors import OutputError
destination, size, setup = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
exec(setup)
files = {"report.json": '{"generator": "qpsnn-codegen"}', "a.bin": bytes(size)}
try:
    write_folder(files, destination, force=True)
    message = None
except OutputError as error:
    message = str(error)
left = sorted(str(path) for path in destination.parent.rglob("*"))
print(json.dumps([message, left]))
"""


def attempt(
    destination: Path, checkout: Path, *, size: int = 1 << 20, setup: str = "", before: str = ""
) -> tuple[str | None, list[str]]:
    """Write in a separate process, after ``before`` (shell, in a mount namespace) and ``setup`` (Python)."""
    command = [sys.executable, "-c", ATTEMPT, str(destination), str(size), setup]
    if before:
        command = ["unshare", "-m", "sh", "-c", f'{before}\nexec "$@"', "sh", *command]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=checkout)
    message, left = json.loads(result.stdout)
    return message, left


@pytest.fixture(scope="module")
def mountable() -> None:
    unshare = shutil.which("unshare")
    probe = [unshare or "unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a file system in a namespace of its own")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder all users can reach; pytest's are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class TestRealFailures:
    def test_file_size_limit(self, tmp_path: Path, checkout: Path) -> None:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
        message, left = attempt(tmp_path / "new" / "out", checkout, setup=limit)
        assert message is not None
        assert "File too large" in message
        assert "ulimit" in message
        assert not left
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("mountable")
    def test_disk_full(self, tmp_path: Path, checkout: Path) -> None:
        mount = f"mount -t tmpfs -o size=64k none {tmp_path}"
        message, left = attempt(tmp_path / "out", checkout, before=mount)
        assert message is not None
        assert "No space left on device" in message
        assert "free some space" in message
        assert left == []

    @pytest.mark.usefixtures("mountable")
    def test_disk_full_keeps_the_earlier_output(self, tmp_path: Path, checkout: Path) -> None:
        out = tmp_path / "out"
        mount = (
            f"mount -t tmpfs -o size=64k none {tmp_path}; mkdir {out}\n"
            f"""echo '{{"generator": "qpsnn-codegen"}}' > {out}/report.json"""
        )
        message, left = attempt(out, checkout, before=mount)
        assert message is not None
        assert "No space left on device" in message
        assert left == [str(out), f"{out}/report.json"]

    @pytest.mark.usefixtures("mountable")
    def test_read_only_disk(self, tmp_path: Path, checkout: Path) -> None:
        message, left = attempt(tmp_path / "out", checkout, before=f"mount -t tmpfs -o ro none {tmp_path}")
        assert message is not None
        assert "you may write to" in message
        assert left == []

    @pytest.mark.usefixtures("mountable")
    def test_mount_point(self, tmp_path: Path, checkout: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        message, left = attempt(out, checkout, size=10, before=f"mount -t tmpfs none {out}")
        assert message is not None
        assert "name a folder inside it" in message
        assert left == [str(out)]

    def test_no_permission(self, open_path: Path, checkout: Path) -> None:
        locked = open_path / "locked"
        locked.mkdir(mode=0o555)
        drop = "os.setuid(65534)" if os.geteuid() == 0 else ""
        for destination in (locked / "out", locked / "new" / "out"):
            message, _ = attempt(destination, checkout, size=10, setup=drop)
            assert message is not None
            assert "Permission denied" in message
            assert "you may write to" in message
        assert list(locked.iterdir()) == []

    def test_earlier_output_that_cannot_be_deleted(self, open_path: Path, checkout: Path) -> None:
        out = open_path / "mine" / "out"
        write_folder(FILES, out, force=False)
        (out / "golden").chmod(0o555)
        drop = ""
        if os.geteuid() == 0:
            for path in (out.parent, out, out / "golden", out / "golden" / "input.bin"):
                os.chown(path, 65534, 65534)
            drop = "os.setuid(65534)"
        message, left = attempt(out, checkout, size=10, setup=drop)
        assert message is not None
        assert "was replaced" in message
        kept = [path for path in left if path.endswith("input.bin")]
        assert len(kept) == 1
        assert Path(kept[0]).relative_to(out.parent).parts[0] in message
        assert sorted(path.name for path in out.iterdir()) == ["a.bin", "report.json"]
        for path in out.parent.rglob("golden"):
            path.chmod(0o755)
