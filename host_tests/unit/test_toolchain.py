"""The host compiler: found, strict, explained when it fails; and programs run without deadlock."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from qpsnn_codegen.errors import OutputError, ToolchainError
from qpsnn_codegen.resources import firmware_dir, templates_dir
from qpsnn_codegen.toolchain import build_host, find_host_compiler, run_host

COMPILERS = ("gcc", "clang")
Project = Callable[[dict[str, str]], Path]

ECHO = """
#include <stdio.h>
int main(void)
{
    int c;
    while ((c = getchar()) != EOF) { (void)putchar(c); (void)fputc('e', stderr); }
    return 0;
}
"""


def read_all(stream: BinaryIO) -> bytes:
    return stream.read()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    def make(files: dict[str, str]) -> Path:
        folder = tmp_path / "project"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return make


def build(folder: Path, *sources: str, cc: str = "gcc", sanitize: bool = False) -> Path:
    paths = [Path(source) for source in sources or ("main.c",)]
    return build_host(folder, folder.parent / f"build-{cc}", sources=paths, cc=cc, sanitize=sanitize)


class TestFinding:
    @pytest.mark.parametrize("cc", COMPILERS)
    def test_by_name(self, cc: str) -> None:
        compiler = find_host_compiler(cc)
        assert compiler.family == cc
        assert compiler.path.is_absolute()
        assert compiler.major.isdecimal()

    def test_by_path(self) -> None:
        path = shutil.which("gcc")
        assert path is not None
        assert find_host_compiler(path).family == "gcc"

    @pytest.mark.parametrize(
        ("cc", "package"),
        [
            ("gcc", "gcc"),
            ("clang", "clang"),
            ("gcc-99", "gcc-99"),
            ("clang-99", "clang-99"),
            ("tcc", "gcc"),
            ("", "gcc"),
            ("/nowhere/clang", "clang"),
        ],
    )
    def test_missing_names_the_package(
        self, cc: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ToolchainError) as caught:
            find_host_compiler(cc)
        assert f"apt-get install {package}'" in caught.value.remedy
        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize(
        ("script", "what"),
        [
            ("#!/bin/sh\necho some other compiler", "neither gcc nor clang"),
            ("#!/bin/sh\nexit 1", "answers --version with an error"),
            ("#!/nowhere/at/all", "cannot be started"),
        ],
    )
    def test_impostor(self, script: str, what: str, tmp_path: Path) -> None:
        path = tmp_path / "gcc"
        path.write_text(script)
        path.chmod(0o755)
        with pytest.raises(ToolchainError, match=what):
            find_host_compiler(str(path))


class TestBuilding:
    @pytest.mark.parametrize("sanitize", [False, True])
    @pytest.mark.parametrize("cc", COMPILERS)
    def test_c_and_assembler_with_headers_defines_and_binary(
        self, cc: str, sanitize: bool, project: Project, tmp_path: Path
    ) -> None:
        folder = project(
            {
                "main.c": '#include <stdio.h>\n#include "twice.h"\nextern const unsigned char blob[];\n'
                'int main(void) { return printf("%d %c\\n", twice(FACTOR), blob[1]) < 0; }\n',
                "runtime/main.c": '#include "twice.h"\nint twice(int x) { return 2 * x; }\n',
                "include/twice.h": "int twice(int x);\n",
                "data/blob.bin": "abc",
                "blob.S": '.section .rodata\n.global blob\nblob: .incbin "data/blob.bin"\n',
            }
        )
        program = build_host(
            folder,
            tmp_path / "deep" / "build",
            sources=[Path("main.c"), Path("runtime/main.c"), Path("blob.S")],
            include_dirs=[Path("include")],
            defines=["FACTOR=21"],
            cc=cc,
            sanitize=sanitize,
            executable="twice",
        )
        assert program == tmp_path / "deep" / "build" / "twice"
        assert run_host(program, reader=read_all) == b"42 b\n"
        assert sorted(path.name for path in folder.iterdir()) == [
            "blob.S",
            "data",
            "include",
            "main.c",
            "runtime",
        ]

    @pytest.mark.parametrize("cc", COMPILERS)
    @pytest.mark.parametrize(
        ("body", "name"),
        [
            ("int unused = 1;", "unused-variable"),
            ("unsigned char c = n; return c;", "(conversion|implicit-int-conversion)"),
            ("float f = 1.0f; double d = f * 2.0; return d > 3.0;", "double-promotion"),
            ("if (n) { int n = 2; return n; }", "shadow"),
            ("int a[0]; return (int)sizeof(a) + n;", "(pedantic|zero-length-array)"),
        ],
    )
    def test_warnings_are_failures(self, cc: str, body: str, name: str, project: Project) -> None:
        folder = project({"main.c": f"int main(int n, char **v) {{ (void)v; {body} return n; }}\n"})
        with pytest.raises(ToolchainError) as caught:
            build(folder, cc=cc)
        assert re.match(rf"compilation failed: main\.c:1:\d+: error: .*\[.*{name}", caught.value.what)

    def test_first_failing_source_is_named_first_every_time(self, project: Project) -> None:
        folder = project({"a.c": "int a(void) { return 0; }", "b.c": "broken", "c.c": "broken", "d.c": "broken"})
        for _ in range(3):
            with pytest.raises(ToolchainError) as caught:
                build(folder, "a.c", "b.c", "c.c", "d.c")
            assert caught.value.where == "gcc b.c"

    def test_missing_system_header_names_the_package(self, project: Project) -> None:
        folder = project({"main.c": "#include <nowhere.h>\nint main(void) { return 0; }\n"})
        with pytest.raises(ToolchainError, match=r"nowhere\.h") as caught:
            build(folder)
        assert "libc6-dev" in caught.value.remedy

    @pytest.mark.parametrize("cc", COMPILERS)
    def test_link_failure(self, cc: str, project: Project) -> None:
        folder = project({"main.c": "int gone(void);\nint main(void) { return gone(); }\n"})
        with pytest.raises(ToolchainError, match=r"linking failed: .*gone") as caught:
            build(folder, cc=cc)
        assert len(str(caught.value).splitlines()) == 1

    def test_missing_sanitizers_name_the_package(self, project: Project, tmp_path: Path) -> None:
        fake = tmp_path / "clang-14"
        fake.write_text(
            "#!/bin/sh\n"
            'case "$*" in\n'
            '--version) echo "clang version 14.0.6" ;;\n'
            "-dumpversion) echo 14.0.6 ;;\n"
            '*" -c "*) ;;\n'
            '*) echo "ld: cannot find libclang_rt.asan-x86_64.a: No such file or directory" >&2; exit 1 ;;\n'
            "esac\n"
        )
        fake.chmod(0o755)
        folder = project({"main.c": "int main(void) { return 0; }\n"})
        with pytest.raises(ToolchainError) as caught:
            build_host(folder, tmp_path / "build", sources=[Path("main.c")], cc=str(fake), sanitize=True)
        assert "apt-get install libclang-rt-14-dev" in caught.value.remedy

    def test_unwritable_build_folder(self, project: Project, tmp_path: Path) -> None:
        folder = project({"main.c": "int main(void) { return 0; }\n"})
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="cannot be made"):
            build_host(folder, tmp_path / "file" / "build", sources=[Path("main.c")])

    @pytest.mark.parametrize("sources", [[], [Path("/etc/main.c")], [Path("../main.c")]])
    def test_misuse(self, sources: list[Path], tmp_path: Path) -> None:
        with pytest.raises(ValueError):
            build_host(tmp_path, tmp_path / "build", sources=sources)


class TestRunning:
    def test_streams_more_than_pipes_and_counts(self, project: Project) -> None:
        program = build(project({"main.c": ECHO}))
        data = bytes(range(256)) * 8192
        counts: list[int] = []
        for stdin in (data, memoryview(data), io.BytesIO(data)):
            counts.clear()
            assert run_host(program, reader=read_all, stdin=stdin, progress=counts.append) == data
            assert counts == sorted(counts)
            assert counts[-1] == len(data)

    def test_file_and_arguments(self, project: Project, tmp_path: Path) -> None:
        text = '#include <stdio.h>\nint main(int c, char **v) { return printf("%d %s", c, v[1]) < 0; }\n'
        program = build(project({"main.c": text}))
        (tmp_path / "input").write_bytes(b"unread" * 1_000_000)
        with (tmp_path / "input").open("rb") as file:
            assert run_host(program, ["two words"], reader=read_all, stdin=file) == b"2 two words"

    @pytest.mark.parametrize("cc", COMPILERS)
    @pytest.mark.parametrize(
        ("body", "finding"),
        [
            ("int a[4] = {0}; volatile int i = n + 3; return a[i];", "runtime error: index 4 out of bounds"),
            ("char *volatile p = malloc(4); free(p); if (n) { free(p); }", "ERROR: AddressSanitizer: "),
            (
                "volatile int big = 2147483647; big += n; return big == 0;",
                "runtime error: signed integer overflow",
            ),
        ],
    )
    def test_sanitizer_finding_is_reported(self, cc: str, body: str, finding: str, project: Project) -> None:
        text = f"#include <stdlib.h>\nint main(int n, char **v) {{ (void)v; {body} return 0; }}\n"
        program = build(project({"main.c": text}), cc=cc, sanitize=True)
        with pytest.raises(ToolchainError) as caught:
            run_host(program, reader=read_all)
        assert finding in caught.value.what
        assert len(str(caught.value).splitlines()) == 1

    def test_exit_status_and_first_line(self, project: Project) -> None:
        text = '#include <stdio.h>\nint main(void) { (void)fputs("\\nbad\\nmore\\n", stderr); return 3; }\n'
        program = build(project({"main.c": text}))
        with pytest.raises(ToolchainError, match="failed with exit status 3: bad;"):
            run_host(program, reader=read_all)

    def test_signal(self, project: Project) -> None:
        program = build(project({"main.c": "#include <stdlib.h>\nint main(void) { abort(); }\n"}))
        with pytest.raises(ToolchainError, match="was killed by SIGABRT"):
            run_host(program, reader=read_all)

    def test_failure_is_preferred_to_its_symptom(self, project: Project) -> None:
        program = build(project({"main.c": "int main(void) { return 4; }\n"}))

        def need_one(stream: BinaryIO) -> bytes:
            if not (data := stream.read(1)):
                raise EOFError("short")
            return data

        with pytest.raises(ToolchainError, match="exit status 4"):
            run_host(program, reader=need_one)
        program = build(project({"main.c": "int main(void) { return 0; }\n"}))
        with pytest.raises(EOFError):
            run_host(program, reader=need_one)

    def test_excess_output(self, project: Project) -> None:
        program = build(project({"main.c": ECHO}))
        with pytest.raises(ToolchainError, match="more output than expected"):
            run_host(program, reader=lambda stream: stream.read(3), stdin=b"four")

    @pytest.mark.parametrize("loop", ["for (;;) { }", "for (;;) { (void)putchar('x'); }"])
    def test_timeout(self, loop: str, project: Project) -> None:
        program = build(project({"main.c": f"#include <stdio.h>\nint main(void) {{ {loop} }}\n"}))
        began = time.monotonic()
        with pytest.raises(ToolchainError, match=r"did not finish in 0\.3 seconds"):
            run_host(program, reader=discard, stdin=b"x" * 1_000_000, timeout=0.3)
        assert time.monotonic() - began < 20

    def test_reader_that_raises_leaves_no_process(self, project: Project) -> None:
        text = "#include <stdio.h>\nint main(void) { for (;;) { (void)putchar('x'); } }\n"
        program = build(project({"main.c": text}))

        def interrupted(stream: BinaryIO) -> bytes:
            stream.read(1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_host(program, reader=interrupted)
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(program) not in listing

    def test_missing_program(self, tmp_path: Path) -> None:
        with pytest.raises(ToolchainError, match="cannot be started"):
            run_host(tmp_path / "gone", reader=read_all)


def discard(stream: BinaryIO) -> None:
    while stream.read(1 << 16):
        pass


def test_resources_of_the_checkout(checkout: Path) -> None:
    assert firmware_dir() == checkout / "firmware"
    assert templates_dir() == checkout / "templates"
    assert os.access(firmware_dir() / "runtime", os.R_OK)
