"""Firmware for every board: what is in the image is what was planned, and nothing that was not asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import qpsnn_codegen
from benchmarks.code_size import NETWORKS
from host_tests.support.compiler_cache import compile_anew
from host_tests.unit.test_uf2 import blocks
from qpsnn_codegen.boards import all_boards, find_board
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.errors import BoardError, InternalError, ModelFileError, OutputError, ToolchainError
from qpsnn_codegen.toolchain.arm import Firmware, build_firmware
from qpsnn_codegen.toolchain.elf import Elf

pytestmark = pytest.mark.slow

BOARDS = tuple(board.name for board in all_boards())
DIGITS = "digits_4bit_pruned"
STALE = "beyond 5 %: if firmware/ has changed, `make code-sizes` measures it anew"

LIBRARY = {
    *("memcpy", "memset"),
    *("__aeabi_lmul", "__muldi3", "__ctzsi2", "__clzsi2", "__aeabi_uldivmod", "__aeabi_ldivmod"),
    *("__aeabi_uidiv", "__aeabi_uidivmod", "__udivsi3", "__aeabi_idiv", "__aeabi_idivmod", "__divsi3"),
    *("__aeabi_idiv0", "__aeabi_ldiv0", "__aeabi_llsl", "__ashldi3", "__aeabi_llsr", "__lshrdi3"),
    *("__aeabi_lasr", "__ashrdi3", "__gnu_thumb1_case_uqi", "__gnu_thumb1_case_sqi", "__gnu_thumb1_case_uhi"),
    *("__gnu_thumb1_case_shi", "__gnu_thumb1_case_si"),
}
"""What an image may have of the C library and of the compiler's: copying, and arithmetic of integers."""


class Folders:
    """Compiled models, each written once."""

    def __init__(self, root: Path, examples: Path) -> None:
        self._root = root
        self._examples = examples
        self.of = cache(self._of)

    def _of(self, model: str) -> Path:
        folder = self._root / model
        source = NETWORKS[model]() if model in NETWORKS else self._examples / f"{model}.pt"
        qpsnn_codegen.compile(source, name="net").write(folder)
        return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Folders:
    return Folders(tmp_path_factory.mktemp("models"), checkout / "examples")


@pytest.fixture
def folder(folders: Folders, tmp_path: Path) -> Path:
    """A folder of one's own, without ports."""
    return shutil.copytree(folders.of("image"), tmp_path / "firmware")


def matrix() -> list[tuple[str, str, bool]]:
    """Every board with a shipped model, and with two of the small models in turn, one of them without hooks."""
    names = list(NETWORKS)
    cases = []
    for index, board in enumerate(BOARDS):
        cases.append((board, DIGITS, True))
        cases += [(board, names[(2 * index + step) % len(names)], bool(step)) for step in (0, 1)]
    return cases


@pytest.mark.parametrize(("board", "model", "trace"), matrix())
def test_the_image_is_what_was_planned(board: str, model: str, trace: bool, folders: Folders, tmp_path: Path) -> None:
    folder = folders.of(model)
    firmware = build_firmware(folder, board, trace=trace, build_dir=tmp_path / "out")
    check_sizes(firmware, json.loads((folder / "report.json").read_bytes()))
    check_symbols(Elf(firmware.elf), folder)
    assert 0 < firmware.stack_bound <= firmware.stack_size == 2048
    assert firmware.board == find_board(board)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    uf2 = firmware.board.programming is not None and firmware.board.programming.format == "uf2"
    assert names == {f"net.{kind}" for kind in ("elf", "hex", "bin", "map", *(["uf2"] if uf2 else []))} | {"build.json"}


def check_sizes(firmware: Firmware, report: dict[str, object]) -> None:
    """Weights, constants and arena exactly, code within 5 %."""
    sizes, predicted = firmware.report["sizes"], firmware.report["predicted"]
    for what in ("weights", "constants", "arena"):
        key = {"weights": "weight_bytes", "constants": "constant_bytes", "arena": "arena_bytes"}[what]
        assert sizes[what] == predicted[what] == report[key]
    assert sizes["flash"] == sizes["weights"] + sizes["constants"] + sizes["code"]
    assert sizes["ram"] == sizes["arena"] + sizes["application"] + sizes["stack"]
    assert firmware.bin is not None
    assert sizes["flash"] == firmware.bin.stat().st_size
    assert abs(predicted["code"] - sizes["code"]) <= 0.05 * sizes["code"], STALE
    assert abs(predicted["flash"] - sizes["flash"]) <= 0.05 * sizes["code"], STALE
    assert abs(predicted["ram"] - sizes["ram"]) <= 16, STALE


def check_symbols(image: Elf, folder: Path) -> None:
    """Every function is from the folder's or the port's C, or one of :data:`LIBRARY`."""
    ports = [text for name, text in port_files(all_boards()).items() if name.endswith((".c", ".h"))]
    texts = [path.read_text() for path in folder.rglob("*.[ch]")]
    own = set(re.findall(r"\w+", "\n".join([*texts, *map(str, ports)])))
    # Of a static function there may be parts, and copies for one argument: qps_x.part.0, qps_x.constprop.0.
    functions = {symbol.name.partition(".")[0] for symbol in image.symbols if symbol.kind == "function"}
    assert {"qps_reset", "main", "net_run"} <= functions
    assert functions - own <= LIBRARY
    objects = {symbol.name for symbol in image.symbols if symbol.kind == "object" and not symbol.source}
    assert objects <= own | {symbol.name for symbol in image.symbols if symbol.name.startswith("net_weights_")}


class TestFiles:
    def test_the_default_place(self, folder: Path) -> None:
        firmware = build_firmware(folder, "mps2-an386")
        assert firmware.folder == folder / "build" / "mps2-an386"
        assert firmware.elf.is_file()
        assert (firmware.trace, firmware.checks, firmware.uf2) == (True, False, None)

    def test_uf2_holds_the_binary(self, folder: Path) -> None:
        firmware = build_firmware(folder, "rpi_pico")
        assert firmware.uf2 is not None
        assert firmware.bin is not None
        file, binary = firmware.uf2.read_bytes(), firmware.bin.read_bytes()
        data = b"".join(file[start + 32 :][:256] for start in range(0, len(file), 512))
        assert data.rstrip(b"\0") == binary.rstrip(b"\0")
        assert blocks(file)[0][3] == 0x10000000
        assert {block[7] for block in blocks(file)} == {0xE48BFF56}

    def test_hex_holds_the_binary(self, folder: Path) -> None:
        firmware = build_firmware(folder, "netduinoplus2")
        back = firmware.folder / "back.bin"
        command = ["arm-none-eabi-objcopy", "-I", "ihex", "-O", "binary", str(firmware.hex), str(back)]
        subprocess.run(command, check=True)
        assert firmware.bin is not None
        assert back.read_bytes() == firmware.bin.read_bytes()

    def test_weights_from_a_binary_file(self, tmp_path: Path) -> None:
        for weights_in in ("c", "binary"):
            target = tmp_path / weights_in
            qpsnn_codegen.compile(NETWORKS["image"](), name="net", weights_in=weights_in).write(target)
            assert build_firmware(target, "microbit").report["sizes"]["weights"] > 0

    def test_the_same_bytes_everywhere(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With its own port or the package's, built here or there; and no path of this machine."""
        compile_anew(monkeypatch)
        own = tmp_path / "another place" / "own"
        qpsnn_codegen.compile(NETWORKS["image"](), name="net", boards=["microbit"]).write(own)
        elsewhere = tmp_path / "elsewhere"
        shutil.copytree(own, elsewhere)
        first, second = (build_firmware(path, "microbit") for path in (own, elsewhere))
        for kind in ("elf", "hex", "bin", "map"):
            data = getattr(first, kind).read_bytes()
            assert data == getattr(second, kind).read_bytes()
            assert str(tmp_path).encode() not in data
            assert b"/qpsnn-build-" not in data
        # The options are in the banner of the C, not in the code.
        staged = build_firmware(folder, "microbit")
        assert not (folder / "ports").exists()
        assert staged.hex.read_bytes() == first.hex.read_bytes()


class TestAgain:
    def changed(self, folder: Path, path: str, old: str, new: str) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new, 1))

    def test_nothing_is_done_without_a_change(self, folder: Path) -> None:
        first = build_firmware(folder, "microbit")
        before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
        assert build_firmware(folder, "microbit") == first
        assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before

    def test_a_change_of_sources_or_options(self, folder: Path) -> None:
        first = build_firmware(folder, "microbit")
        original = first.bin and first.bin.read_bytes()
        plain = build_firmware(folder, "microbit", trace=False)
        assert plain.report["sizes"]["code"] < first.report["sizes"]["code"]
        larger = build_firmware(folder, "microbit", stack_size=4096)
        assert larger.stack_size == 4096
        assert larger.report["sizes"]["ram"] == first.report["sizes"]["ram"] + 2048
        checks = build_firmware(folder, "microbit", checks=True)
        assert "qps_provoke" in {symbol.name for symbol in Elf(checks.elf).symbols}
        assert checks.stack_bound == checks.stack_size
        (first_code,) = re.findall(r"= \{\n +(0x..,)", (folder / "net_weights.c").read_text())[:1]
        self.changed(folder, "net_weights.c", first_code, "0xa5," if first_code != "0xa5," else "0x5a,")
        other = build_firmware(folder, "microbit")
        assert other.bin is not None
        assert other.bin.read_bytes() != original

    def test_a_damaged_file_is_made_anew(self, folder: Path) -> None:
        first = build_firmware(folder, "microbit")
        good = first.hex.read_bytes()
        first.hex.write_bytes(good[:100])
        assert build_firmware(folder, "microbit").hex.read_bytes() == good
        first.elf.unlink()
        assert build_firmware(folder, "microbit").elf.is_file()
        (first.folder / "build.json").write_text("{}")
        with pytest.raises(OutputError, match="is no output"):
            build_firmware(folder, "microbit")

    def test_a_failure_leaves_the_earlier_build(self, folder: Path) -> None:
        first = build_firmware(folder, "microbit")
        before = {path: path.read_bytes() for path in first.folder.iterdir()}
        self.changed(folder, "app/serial_main.c", "int main", "int int main")
        with pytest.raises(
            ToolchainError, match=r"arm-none-eabi-gcc for microbit: failed: app/serial_main.c:\d+:\d+: error"
        ):
            build_firmware(folder, "microbit")
        assert {path: path.read_bytes() for path in first.folder.iterdir()} == before
        assert [path.name for path in first.folder.parent.iterdir()] == ["microbit"]

    def test_make_alone_builds_the_same(self, tmp_path: Path) -> None:
        """And only what has changed; `qpsnn-codegen build` takes over what it left."""
        own = tmp_path / "own"
        qpsnn_codegen.compile(NETWORKS["image"](), name="net", boards=["microbit"]).write(own)

        def make(*options: str) -> str:
            command = ["make", "BOARD=microbit", *options]
            return subprocess.run(command, cwd=own, capture_output=True, text=True, check=True).stdout

        assert make().count("compile") > 10
        assert "compile" not in make()
        (own / "app/qps_frame.c").touch()
        assert re.findall(r"compile +(\S+)", make()) == ["app/qps_frame.c"]
        (own / "runtime/qps_events.h").touch()
        assert set(re.findall(r"compile +(\S+)", make())) == {
            "net.c",
            "runtime/qps_events.c",
            "runtime/qps_events_any.c",
        }
        assert make("TRACE=0").count("compile") > 10
        binary = (own / "build/microbit/net.bin").read_bytes()
        assert list((own / "build/microbit/objects").rglob("*.su"))
        plain = build_firmware(own, "microbit", trace=False)
        assert plain.folder == own / "build/microbit"
        assert plain.bin is not None
        assert plain.bin.read_bytes() == binary
        subprocess.run(["make", "clean"], cwd=own, check=True, capture_output=True)
        assert not (own / "build").exists()


@pytest.mark.parametrize("board", ["microbit", "mps3-an547", "rpi_pico"])
def test_cmake_builds_the_same(board: str, tmp_path: Path) -> None:
    own, build = tmp_path / "own", tmp_path / "cmake"
    qpsnn_codegen.compile(NETWORKS["image"](), name="net", boards=[board], weights_in="binary").write(own)
    for command in (["-S", str(own), "-B", str(build), f"-DQPS_BOARD={board}"], ["--build", str(build), "-j2"]):
        result = subprocess.run(["cmake", *command], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    firmware = build_firmware(own, board)
    assert firmware.bin is not None
    assert (build / "net.bin").read_bytes() == firmware.bin.read_bytes()
    assert (build / "net.hex").read_bytes() == firmware.hex.read_bytes()
    assert "Memory Configuration" in (build / "net.map").read_text()
    assert not (build / "libnet.a").exists()


class TestRefusals:
    @pytest.mark.parametrize("what", ["weights", "constants", "arena"])
    def test_an_image_that_is_not_what_was_planned(self, what: str, folder: Path) -> None:
        """C that was edited by hand, or a generator that miscounts."""
        edits = {
            "weights": ("net_weights.c", "net_internal.h", r"(uint8_t net_weights_\w+\[)(\d+)"),
            "constants": ("net.c", "net.c", r"(int\d+_t \w+_neurons\[)(\d+)"),
            "arena": ("net.h", "net.h", r"(uint32_t arena\[|_ARENA_BYTES )(\d+)"),
        }
        *files, pattern = edits[what]
        for name in dict.fromkeys(files):
            text = (folder / name).read_text()
            once = 0 if what == "arena" else 1
            changed = re.sub(pattern, lambda m: f"{m[1]}{int(m[2]) + (4 if 'BYTES' in m[1] else 1)}", text, count=once)
            assert changed != text
            (folder / name).write_text(changed)
        with pytest.raises(InternalError, match=rf"image for microbit: has \d+ bytes of {what}, planned were \d+"):
            build_firmware(folder, "microbit")

    def test_a_folder_that_is_not_ours(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="is no folder of generated firmware"):
            build_firmware(tmp_path, "microbit")

    def test_no_such_board(self, folder: Path) -> None:
        with pytest.raises(BoardError, match="there is no board 'nano'"):
            build_firmware(folder, "nano")

    def test_a_place_that_is_taken(self, folder: Path, tmp_path: Path) -> None:
        taken = tmp_path / "taken"
        taken.mkdir()
        (taken / "thesis.txt").write_text("mine")
        with pytest.raises(OutputError, match="taken: is no output of qpsnn-codegen"):
            build_firmware(folder, "microbit", build_dir=taken)
        assert [path.name for path in taken.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize(("memory", "name"), [("FLASH", "flash"), ("RAM", "RAM")])
    def test_an_image_that_is_too_large(self, memory: str, name: str, tmp_path: Path) -> None:
        own = tmp_path / "own"
        qpsnn_codegen.compile(NETWORKS["image"](), name="net", boards=["microbit"]).write(own)
        script = own / "ports/microbit/memory.ld"
        small = re.sub(rf"({memory} .*LENGTH = )\w+", r"\g<1>0x00000800", script.read_text())
        assert small != script.read_text()
        script.write_text(small)
        with pytest.raises(
            BoardError, match=rf"--board microbit: the image needs [\d,]+ bytes of {name} more than the"
        ):
            build_firmware(own, "microbit")
        assert not (own / "build").exists()

    @pytest.mark.parametrize(("tool", "package"), [("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("make", "make")])
    def test_a_tool_that_is_missing(
        self, tool: str, package: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in {"arm-none-eabi-gcc", "make"} - {tool}:
            (tools / name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(tools))
        with pytest.raises(ToolchainError, match=rf"{tool}: is not installed; .*apt-get install {package}'"):
            build_firmware(folder, "microbit")

    def test_a_c_library_that_is_missing(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The real compiler, kept from its headers."""
        tools = tmp_path / "tools"
        tools.mkdir()
        gcc = tools / "arm-none-eabi-gcc"
        gcc.write_text(f'#!/bin/sh\nexec {shutil.which("arm-none-eabi-gcc")} -nostdinc "$@"\n')
        gcc.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(ToolchainError, match="apt-get install libnewlib-arm-none-eabi"):
            build_firmware(folder, "microbit")
        assert not (folder / "build").exists()


def test_weights_in_external_memory(tmp_path: Path) -> None:
    """A model too large for flash: its weights lie in the board's external memory, and the rest where it was."""
    own = tmp_path / "own"
    compilation = qpsnn_codegen.compile(NETWORKS["image"](), name="net")
    compilation.write(own)
    board = find_board("mps2-an386")
    for name, text in port_files([board], [board.name]).items():
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    firmware = build_firmware(own, "mps2-an386")
    assert firmware.bin is None
    assert board.external is not None
    weights = [symbol for symbol in Elf(firmware.elf).symbols if symbol.name.startswith("net_weights_")]
    assert sum(symbol.size for symbol in weights) == compilation.plan.weight_bytes
    assert all(0 <= symbol.address - board.external.origin < 2**16 for symbol in weights)
    assert firmware.report["sizes"]["flash"] == sum(firmware.report["sizes"][key] for key in ("constants", "code"))
