"""Build a firmware folder for a board with arm-none-eabi-gcc."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qpsnn_codegen import storage
from qpsnn_codegen.boards import Board, find_board, read_board
from qpsnn_codegen.emit.earlier import (
    BUILD_REPORT_NAME,
    GENERATOR,
    REPORT_NAME,
    check_sources,
    is_output_folder,
    read_record,
)
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.errors import BudgetError, ModelFileError, OutputError
from qpsnn_codegen.footprint import Needs, external_weights, needs_of, predict
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.toolchain.elf import Elf
from qpsnn_codegen.toolchain.image_sizes import check_prediction, measure
from qpsnn_codegen.toolchain.make import CROSS, compiler_version, run_make
from qpsnn_codegen.toolchain.stack import EXCEPTION_FRAME, FLOAT_EXCEPTION_FRAME, read_call_graph, stack_bound
from qpsnn_codegen.toolchain.uf2 import uf2
from qpsnn_codegen.version import __version__

BUILD_VERSION = 1
"""Of the format of ``build.json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A built image.

    Attributes:
        board: what it is for.
        folder: where the files are, ``FOLDER/build/<board>`` by default.
        elf, hex, map: the files.
        bin: None where the weights are in external memory.
        uf2: where the board takes it.
        trace: with the trace hooks.
        checks: with the requests that provoke faults.
        stack_bound: bytes of stack that no path of calls exceeds, interrupts included. Of an image with checks, which
            overflows its stack on request, all that is reserved.
        stack_size: bytes reserved for the stack.
        model_sha256: digest of the model file, as hello says it.
        report: what ``build.json`` holds: options, and sizes measured and predicted.
    """

    board: Board
    folder: Path
    elf: Path
    hex: Path
    map: Path
    bin: Path | None
    uf2: Path | None
    trace: bool
    checks: bool
    stack_bound: int
    stack_size: int
    model_sha256: str
    report: dict[str, Any]


def build_firmware(
    folder: str | Path,
    board: str,
    *,
    trace: bool = True,
    checks: bool = False,
    build_dir: Path | None = None,
    stack_size: int | None = None,
) -> Firmware:
    """Build ``folder`` for a board; nothing is done if the last build was of the same sources and options.

    Args:
        folder: what the compiler wrote.
        board: name; the folder's own ``ports/BOARD`` is used if it has one, else the installed package's.
        trace: with the trace hooks, which verify and profile need.
        checks: with the requests that provoke faults on purpose; for tests only.
        build_dir: whole or not at all; by default ``FOLDER/build/<board>``.
        stack_size: bytes reserved for the stack, instead of the linker script's 2048.

    Raises:
        ModelFileError: the folder is not one of ours.
        BoardError: no such board, or the image does not fit it.
        BudgetError: the stack may need more than is reserved for it.
        ToolchainError: arm-none-eabi-gcc, newlib or make are missing, or the sources do not compile.
        OutputError: the build folder cannot be written, or ``build_dir`` holds another image.
    """
    job = _Job.of(Path(folder), board, trace=trace, checks=checks, stack_size=stack_size)
    destination = job.folder / "build" / job.board.name if build_dir is None else build_dir
    report = _known_build(destination, job.fingerprint())
    if report is None:
        if build_dir is not None:
            job.check_place(destination)
        with tempfile.TemporaryDirectory(prefix="qpsnn-build-", ignore_cleanup_errors=True) as scratch:
            files = job.build(Path(scratch))
        write_folder(files, destination, force=True, marker=BUILD_REPORT_NAME, own=build_dir is None)
        report = json.loads(files[BUILD_REPORT_NAME])
    return _firmware(job.board, destination, report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is to be built, and everything that the result depends on."""

    folder: Path
    board: Board
    needs: Needs
    model_sha256: str
    trace: bool
    checks: bool
    stack_size: int | None
    compiler: str
    ports: dict[str, bytes]

    @staticmethod
    def of(folder: Path, board_name: str, *, trace: bool, checks: bool, stack_size: int | None) -> _Job:
        if not is_output_folder(folder):
            raise ModelFileError(
                str(folder), "is no folder of generated firmware", "give what 'qpsnn-codegen MODEL -o' wrote"
            )
        check_sources(folder)
        network = storage.load(folder / "golden" / "network.npz")
        report = json.loads((folder / REPORT_NAME).read_bytes())
        name = report.get("name")
        if not isinstance(name, str):
            raise ModelFileError(f"{folder}/{REPORT_NAME}", "has no name", "generate the folder again")
        try:
            options = PlanOptions.of_report(report.get("planning"))
        except ValueError as error:
            raise ModelFileError(f"{folder}/{REPORT_NAME}", f"has {error}", "generate the folder again") from None
        own = folder / "ports" / board_name
        has_port = (own / "board.toml").is_file()
        board = read_board(own) if has_port else find_board(board_name)
        needs = needs_of(make_plan(network, name, options))
        files = {} if has_port else port_files([board], external_weights(needs, [board]))
        return _Job(
            folder=folder,
            board=board,
            needs=needs,
            model_sha256=network.digest,
            trace=trace,
            checks=checks,
            stack_size=stack_size,
            compiler=compiler_version(),
            ports={name: text.encode() if isinstance(text, str) else text for name, text in files.items()},
        )

    def fingerprint(self) -> str:
        """A digest of sources and options."""
        digest = hashlib.sha256()
        options = [__version__, self.compiler, self.board.name, self.trace, self.checks, self.stack_size]
        digest.update(json.dumps(options).encode())
        patterns = ("Makefile", "*.[chS]", "*.bin", "app/*.[ch]", "runtime/*.[ch]", "ports/*/*")
        paths = [path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file()]
        sources = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}
        for name, content in sorted({**sources, **self.ports}.items()):
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def check_place(self, place: Path) -> None:
        """Raises :class:`OutputError` for a place that holds the image of another board or model."""
        record = read_record(place, BUILD_REPORT_NAME) or {}
        name, board = (record.get(key) for key in ("name", "board"))
        if name is not None and (name, board) != (self.needs.name, self.board.name):
            raise OutputError(
                str(place),
                f"holds the image of {name} for {board}",
                "choose another folder with -o, or delete this one",
            )

    def build(self, scratch: Path) -> dict[str, str | bytes]:
        """The files of a build folder; work is done in ``scratch``."""
        for path, content in self.ports.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_bytes(content)
        run_make(
            self.folder,
            self.board.name,
            ports=scratch / "ports" if self.ports else Path("ports"),
            build=scratch / "build",
            trace=self.trace,
            checks=self.checks,
            stack_size="" if self.stack_size is None else str(self.stack_size),
        )
        made = scratch / "build" / self.board.name
        images = {path.name: path.read_bytes() for path in sorted(made.glob(f"{self.needs.name}.*"))}
        # The linker's notes name the objects where they were.
        linked = f"{self.needs.name}.map"
        images[linked] = images[linked].replace(f"{made}/".encode(), b"")
        loader = self.board.programming
        if loader is not None and loader.uf2_family is not None:
            binary = images[f"{self.needs.name}.bin"]
            images[f"{self.needs.name}.uf2"] = uf2(binary, self.board.flash.origin, loader.uf2_family)
        report = self._report(made)
        report["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in images.items()}
        return {**images, BUILD_REPORT_NAME: json.dumps(report, indent=1) + "\n"}

    def _report(self, made: Path) -> dict[str, Any]:
        """What ``build.json`` holds, but for the files."""
        image = Elf(made / f"{self.needs.name}.elf")
        sizes = measure(image, self.board, self.needs)
        footprint = predict(self.needs, self.board, trace=self.trace, stack=sizes.stack)
        check_prediction(sizes, footprint)
        bound = sizes.stack
        if not self.checks:
            graph = read_call_graph(image, made / "objects")
            frame = EXCEPTION_FRAME if self.board.float_abi == "soft" else FLOAT_EXCEPTION_FRAME
            bound = stack_bound(graph, entries=self.needs.nesting, exception_frame=frame)
        if bound > sizes.stack:
            raise BudgetError(
                f"--stack-size {self.stack_size or sizes.stack}",
                f"the stack may need {bound:,} bytes by the call graph, {sizes.stack:,} are reserved",
                f"give at least {bound}",
            )
        predicted = {name: getattr(footprint, name) for name in asdict(sizes)}
        return {
            "generator": GENERATOR,
            "version": BUILD_VERSION,
            "tool_version": __version__,
            "fingerprint": self.fingerprint(),
            "name": self.needs.name,
            "model_sha256": self.model_sha256,
            "board": self.board.name,
            "core": self.board.core,
            "compiler": f"{CROSS}gcc {self.compiler}",
            "trace": self.trace,
            "checks": self.checks,
            "flash_size": self.board.flash.size,
            "ram_size": self.board.ram.size,
            "stack_bound": bound,
            "sizes": asdict(sizes),
            "predicted": predicted,
        }


def _known_build(destination: Path, fingerprint: str) -> dict[str, Any] | None:
    """The report of an earlier build of the same, if its files are still what they were."""
    try:
        report = json.loads((destination / BUILD_REPORT_NAME).read_bytes())
        if report.get("fingerprint") != fingerprint:
            return None
        for name, digest in report["files"].items():
            if hashlib.sha256((destination / name).read_bytes()).hexdigest() != digest:
                return None
    except (OSError, ValueError, LookupError, AttributeError):
        return None
    return dict(report)


def _firmware(board: Board, folder: Path, report: dict[str, Any]) -> Firmware:
    name = report["name"]
    files = report["files"]
    return Firmware(
        board=board,
        folder=folder,
        elf=folder / f"{name}.elf",
        hex=folder / f"{name}.hex",
        map=folder / f"{name}.map",
        bin=folder / f"{name}.bin" if f"{name}.bin" in files else None,
        uf2=folder / f"{name}.uf2" if f"{name}.uf2" in files else None,
        trace=report["trace"],
        checks=report["checks"],
        stack_bound=report["stack_bound"],
        stack_size=report["sizes"]["stack"],
        model_sha256=report["model_sha256"],
        report=report,
    )
