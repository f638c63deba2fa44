"""Measure the code of every kernel, core by core: writes qpsnn_codegen/code_sizes.json (``make code-sizes``).

The sizes are those of the arm-none-eabi-gcc that is installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host_tests.golden.models import MODELS
from host_tests.support.examples import EXAMPLES, example
from qpsnn_codegen import Compilation, resources
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.boards import Board, all_boards
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.footprint import MODES, TABLE, Functions, aligned, closure, needs_of, trace_bytes
from qpsnn_codegen.network import Network
from qpsnn_codegen.toolchain.disassembly import disassemble
from qpsnn_codegen.toolchain.elf import Elf
from qpsnn_codegen.toolchain.image_sizes import measure
from qpsnn_codegen.toolchain.make import CROSS, compiler_version

_LINE = 200
BASE = "image"
"""The model in the image that is measured whole."""

NETWORKS: Mapping[str, Callable[[], Network]] = {
    **MODELS,
    **{f"{name} (example)": partial(lambda name: example(name).network, name) for name in EXAMPLES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a build for a board shows.

    Attributes:
        functions: of its core: everything in the runtime and the libraries.
        run: of its core: bytes of a model's own functions, as a constant and an amount per stage.
        code, ram: of an image without the model and its kernels.
        has: what of ``functions`` that image holds.
    """

    functions: Functions
    run: tuple[float, float]
    code: int
    ram: int
    has: list[str]


@cache
def compiled(name: str) -> Compilation:
    """One of the models."""
    return compile_model(NETWORKS[name](), name="net")


@cache
def struct_sizes() -> dict[str, int]:
    """``sizeof`` of every constant struct of the runtime; the same on all cores."""
    runtime = resources.firmware_dir() / "runtime"
    headers = sorted(runtime.glob("*.h"))
    declared = "\n".join(path.read_text(encoding="utf-8") for path in headers)
    names = sorted(set(re.findall(r"^\} (qps_\w+_t);$", declared, re.MULTILINE)))
    lines = [f'#include "{path.name}"' for path in headers]
    lines += [f"char size_of_{name}[sizeof({name})];" for name in names]
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "sizes.o"
        command = [f"{CROSS}gcc", "-mcpu=cortex-m0", "-mthumb", f"-I{runtime}", "-xc", "-c", "-", "-o", str(target)]
        subprocess.run(command, input="\n".join(lines), text=True, check=True)
        return {symbol.name.removeprefix("size_of_"): symbol.size for symbol in Elf(target).symbols}


def measure_board(board: Board, mode: str) -> Measurement:
    """Build for one board, and read sizes from objects and images."""
    with tempfile.TemporaryDirectory(prefix="qpsnn-code-size-") as scratch:
        run = _run_line(Path(scratch), board, mode)
        folder = Path(scratch) / BASE
        plan = compiled(BASE).plan
        path = _make(folder, board, mode, "net.elf")
        image = Elf(path)
        sizes = measure(image, board, needs_of(plan))
        parts = {item.relative_to(path.parent).as_posix(): Elf(item) for item in sorted(path.parent.rglob("*.o"))}
        runtime = {name: part for name, part in parts.items() if name.startswith("objects/runtime/")}
        path.unlink()
        wanted = [f"-Wl,-u,{symbol.name}" for part in runtime.values() for symbol in part.symbols if not symbol.source]
        everything = Elf(_make(folder, board, mode, "net.elf", f"LDFLAGS={' '.join(wanted)}"))
        functions = {**_library(everything, parts.values()), **_sections(runtime)}

    application = [part for name, part in parts.items() if name not in runtime and not name.startswith("objects/net")]
    has, _ = closure(_references(application, image) & functions.keys(), functions)
    needs = needs_of(plan)
    reached, _ = closure(needs.functions, functions, has)
    model = sum(functions[name][0] for name in reached) + round(run[0] + run[1] * needs.stages)
    model += sum(aligned(struct_sizes()[ctype]) for ctype in needs.structs)
    return Measurement(
        functions=functions,
        run=run,
        code=sizes.code - model,
        ram=sizes.application - aligned(needs.application) - trace_bytes(needs, mode),
        has=sorted(has),
    )


def _run_line(scratch: Path, board: Board, mode: str) -> tuple[float, float]:
    """The sizes of several models' own functions, as a line over their stages."""
    stages, sizes = [], []
    for name in NETWORKS:
        compilation = compiled(name)
        write_folder({**compilation.files, **port_files([board])}, scratch / name, force=False)
        part = Elf(_make(scratch / name, board, mode, "objects/net.o"))
        stages.append(len(compilation.plan.stages))
        sizes.append(sum(aligned(section.size) for section in part.sections if section.name.startswith(".text.")))
    slope, start = np.polyfit(stages, sizes, 1)
    return round(float(start), 1), round(float(slope), 1)


def _make(folder: Path, board: Board, mode: str, target: str, *options: str) -> Path:
    path = Path("build") / board.name / target
    command = ["make", "--silent", f"BOARD={board.name}", f"TRACE={MODES.index(mode)}", *options, str(path)]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / path


def _sections(parts: Mapping[str, Elf]) -> Functions:
    """Every section that goes to flash, under the name of the function in it if there is one."""
    functions: Functions = {}
    for name, part in parts.items():
        names = {section.name: f"{Path(name).stem}{section.name}" for section in part.sections}
        names.update({symbol.section: symbol.key for symbol in part.symbols if symbol.kind == "function"})
        keys = {symbol.key: names.get(symbol.section, "") for symbol in part.symbols}
        for section in part.sections:
            if section.load is None or section.name.startswith(".ARM."):
                continue
            targets = {
                names.get(reference.target) or keys.get(reference.target) or reference.target
                for reference in part.references
                if reference.section == section.name
            }
            functions[names[section.name]] = aligned(section.size), sorted(targets - {names[section.name]})
    # What is data in RAM is nobody's code.
    defined = {symbol.key for part in parts.values() for symbol in part.symbols if symbol.kind != "function"}
    return {name: (size, [t for t in targets if t not in defined]) for name, (size, targets) in functions.items()}


def _library(image: Elf, parts: Iterable[Elf]) -> Functions:
    """The functions of an image that no object has: those of the C library and of the compiler."""
    own = {symbol.key for part in parts for symbol in part.symbols}
    addresses = {symbol.address: symbol for symbol in image.symbols if symbol.kind == "function"}
    codes = disassemble(image.path, addresses.keys())
    ends = sorted([*addresses, max(s.address + s.size for s in image.sections if s.name == ".text")])
    functions: Functions = {}
    for symbol in image.symbols:
        if symbol.kind == "function" and symbol.key not in own:
            size = symbol.size or next(end for end in ends if end > symbol.address) - symbol.address
            calls = sorted(addresses[call].key for call in codes[symbol.address].calls)
            # Several names of one function count once.
            first = addresses[symbol.address].key
            functions[symbol.key] = (aligned(size), calls) if symbol.key == first else (0, [first])
    return functions


def _references(parts: Iterable[Elf], image: Elf) -> set[str]:
    """What the objects' sections that are in the image refer to."""
    kept = {symbol.key for symbol in image.symbols}
    names = set()
    for part in parts:
        gone = {symbol.section for symbol in part.symbols if symbol.kind == "function" and symbol.key not in kept}
        names |= {reference.target for reference in part.references if reference.section not in gone}
    return names


def make_table() -> dict[str, object]:
    """The whole table: of every core what a board with it shows, of every board its image without a model."""
    cases = [(board, mode) for board in all_boards() for mode in MODES]
    for name in NETWORKS:
        compiled(name)
    with ThreadPoolExecutor(max_workers=2) as pool:
        measured = list(pool.map(lambda case: measure_board(*case), cases))
    cores: dict[str, object] = {}
    boards: dict[str, dict[str, object]] = {}
    for (board, mode), result in zip(cases, measured, strict=True):
        cores.setdefault(f"{board.core} {mode}", {"run": result.run, "functions": result.functions})
        base = {"code": result.code, "ram": result.ram, "has": result.has}
        boards.setdefault(board.name, {})[mode] = base
    return {
        "compiler": f"{CROSS}gcc {compiler_version()}",
        "structs": struct_sizes(),
        "cores": cores,
        "boards": boards,
    }


def text(table: object) -> str:
    """JSON with one function or board on a line."""
    line = json.dumps(table, sort_keys=True)
    if isinstance(table, dict) and len(line) > _LINE:
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {text(value)}" for key, value in sorted(table.items())) + "\n}"
    return line


def main() -> None:
    """Write the table."""
    TABLE.write_text(text(make_table()) + "\n", encoding="utf-8")
    print(f"wrote {TABLE.name}")


if __name__ == "__main__":
    main()
