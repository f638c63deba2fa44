"""What docs/c_api.md promises of the generated C beyond its spikes: freestanding, constant, shareable, no warnings."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.golden.models import MODELS
from qpsnn_codegen import Compilation
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.host import WARNINGS
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import compare, verify_folder

COMPILERS = ("gcc", "clang")
# Without what distributions add of their own: position independence moves constants, the protector calls libc.
PLAIN = ("-std=c11", "-fno-pie", "-fno-pic", "-fno-stack-protector")
HELPER = re.compile(r"__(aeabi_\w+|\w+[sd]i[23])|_GLOBAL_OFFSET_TABLE_")
"""What a compiler may call of its own library on a machine without some instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A written folder and the compilation it came from."""

    name: str
    folder: Path
    compilation: Compilation

    @property
    def units(self) -> list[str]:
        """Its own C and the runtime's: everything that goes into a product."""
        return [f"{self.name}.c", f"{self.name}_weights.c", *runtime_units(self.folder)]

    def samples(self, count: int, seed: int) -> NDArray[np.uint8]:
        return random_inputs(self.compilation.integers, count, seed=seed)

    def logits(self, samples: NDArray[np.uint8]) -> NDArray[np.int32]:
        return run_reference(self.compilation.integers, samples).logits

    def packed(self, sample: NDArray[np.uint8]) -> bytes:
        """What the C reads for a sample ``[1, ...]``."""
        frames = sample[0] if sample.ndim == 5 else sample
        return self.compilation.plan.input_layout.pack(frames)


def runtime_units(folder: Path) -> list[str]:
    return sorted(f"runtime/{path.name}" for path in (folder / "runtime").glob("*.c"))


def write(folder: Path, model: str, weights_in: Literal["c", "binary"] = "c", name: str = "") -> Firmware:
    prefix = name or f"{model}_net"
    compilation = compile_model(MODELS[model](), name=prefix, weights_in=weights_in)
    compilation.write(folder)
    return Firmware(name=prefix, folder=folder, compilation=compilation)


@pytest.fixture(scope="module")
def firmwares(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Firmware]:
    root = tmp_path_factory.mktemp("firmware")
    return {model: write(root / model, model) for model in MODELS}


def call(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, arguments)), cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def must(*arguments: str | Path, cwd: Path) -> str:
    result = call(*arguments, cwd=cwd)
    assert result.returncode == 0, f"{' '.join(map(str, arguments))}\n{result.stdout}{result.stderr}"
    return result.stdout


def objects(firmware: Firmware, target: Path, units: Sequence[str], *options: str, cc: str = "gcc") -> list[Path]:
    """Compile units of a folder into ``target``, which the folder's name keeps apart from another's."""
    place = target / f"{firmware.name}-objects"
    place.mkdir(parents=True, exist_ok=True)
    made = {unit: place / f"{Path(unit).stem}.o" for unit in units}
    for unit, path in made.items():
        must(cc, *PLAIN, *options, "-I.", "-c", unit, "-o", path, cwd=firmware.folder)
    return list(made.values())


def symbols(files: Sequence[Path]) -> list[tuple[str, str]]:
    """(type, name) of every symbol, as nm gives them."""
    lines = must("nm", "-P", *files, cwd=files[0].parent).splitlines()
    return [(parts[1], parts[0]) for line in lines if len(parts := line.split()) >= 2]


def code(text: str) -> str:
    """C without comments and texts."""
    without = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r'"(\\.|[^"\\])*"', '""', without)


@pytest.mark.parametrize("model", MODELS)
class TestObjects:
    @pytest.mark.parametrize("optimize", ["-O0", "-O2"])
    def test_nothing_is_needed_but_memcpy_and_memset(
        self, model: str, optimize: str, firmwares: dict[str, Firmware], tmp_path: Path
    ) -> None:
        firmware = firmwares[model]
        found = symbols(objects(firmware, tmp_path, firmware.units, optimize))
        defined = {name for kind, name in found if kind != "U"}
        needed = {name for kind, name in found if kind == "U"} - defined
        assert {name for name in needed if not HELPER.fullmatch(name)} <= {"memcpy", "memset"}
        assert f"{firmware.name}_run" in defined

    def test_everything_is_constant(self, model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        firmware = firmwares[model]
        for file in objects(firmware, tmp_path, firmware.units, "-O2"):
            kinds = {kind for kind, _ in symbols([file])}
            assert kinds <= set("TtRrU"), f"{file.name} has symbols of type {sorted(kinds)}"
            for line in must("size", "-A", file, cwd=tmp_path).splitlines():
                section = re.match(r"(\.(?:data|bss|tdata|tbss)\S*)\s+(\d+)", line)
                assert section is None or section[2] == "0", f"{file.name}: {line}"

    def test_public_symbols_have_the_prefix(self, model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        firmware = firmwares[model]
        found = symbols(objects(firmware, tmp_path, firmware.units))
        public = {name for kind, name in found if kind.isupper() and kind != "U"}
        assert {name for name in public if not name.startswith((f"{firmware.name}_", "qps_"))} == set()

    def test_weights_are_as_large_as_said(self, model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        firmware = firmwares[model]
        section = '-DQPS_WEIGHTS_SECTION=__attribute__((section(".external")))'
        (weights,) = objects(firmware, tmp_path, [f"{firmware.name}_weights.c"], section, "-fno-common")
        sizes = [int(line.split()[3], 16) for line in must("nm", "-P", weights, cwd=tmp_path).splitlines()]
        assert sum(sizes) == firmware.compilation.plan.weight_bytes
        lines = must("size", "-A", weights, cwd=tmp_path).splitlines()
        (external,) = [int(line.split()[1]) for line in lines if line.startswith(".external")]
        assert sum(sizes) <= external < sum(sizes) + 32 * len(sizes)
        assert not any(line.startswith(".rodata") for line in lines)

    def test_the_trace_is_compiled_out(self, model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        firmware = firmwares[model]
        for option, wanted in (("-DQPS_TRACE=0", False), ("-DQPS_OTHER", False), ("-DQPS_TRACE=1", True)):
            found = symbols(objects(firmware, tmp_path, firmware.units, option))
            assert ("qps_trace_sink" in {name for _, name in found}) == wanted

    def test_no_floating_point_is_compiled(self, model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        firmware = firmwares[model]
        # On x86 and 64-bit ARM alike: an error for every value in a vector or floating-point register.
        assert len(objects(firmware, tmp_path, firmware.units, "-O2", "-mgeneral-regs-only")) == len(firmware.units)


def test_the_check_for_floating_point_can_fail(tmp_path: Path) -> None:
    (tmp_path / "half.c").write_text("double half(double x) { return x / 2; }\n")
    assert call("gcc", "-mgeneral-regs-only", "-c", "half.c", cwd=tmp_path).returncode != 0


@pytest.mark.parametrize("model", MODELS)
def test_no_floating_point_or_allocation_in_the_text(model: str, firmwares: dict[str, Firmware]) -> None:
    firmware = firmwares[model]
    paths = [*firmware.folder.glob("*.[ch]"), *firmware.folder.glob("runtime/*.[ch]")]
    assert len(paths) > 20
    for path in paths:
        text = re.sub(r"#define \w+_LOGIT_SCALE .*", "", code(path.read_text()))
        assert re.findall(r"\b(?:float|double|malloc|calloc|alloca|printf|goto|setjmp)\b", text) == [], path.name
        assert re.findall(r"\b\d+\.\d|\b\d+[eE][-+]?\d", text) == [], path.name
        includes = re.findall(r"#include <(\S+)>", text)
        assert set(includes) <= {"stddef.h", "stdint.h", "string.h"} | (
            {"arm_mve.h"} if "helium" in path.name else set()
        ), path.name


@pytest.mark.slow
@pytest.mark.parametrize("optimize", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("cc", COMPILERS)
def test_no_warnings(cc: str, optimize: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
    for model, firmware in firmwares.items():
        units = firmware.units if model == "image" else firmware.units[:2]
        for trace in ("-DQPS_TRACE=0", "-DQPS_TRACE=1"):
            objects(firmware, tmp_path, [*units, "app/host_main.c"], optimize, *WARNINGS, trace, cc=cc)


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
@pytest.mark.parametrize("model", MODELS)
def test_headers_are_cpp_too(model: str, standard: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
    firmware = firmwares[model]
    headers = [f"{firmware.name}.h", f"{firmware.name}_internal.h"]
    headers += sorted(f"runtime/{path.name}" for path in firmware.folder.glob("runtime/*.h"))
    flags = (f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{firmware.folder}")
    for number, header in enumerate(headers):
        # Each alone, and twice: guarded, and including what it needs.
        (tmp_path / f"only{number}.cpp").write_text(f'#include "{header}"\n#include "{header}"\n')
    must("g++", *flags, "-c", *(f"only{number}.cpp" for number in range(len(headers))), cwd=tmp_path)
    name, upper = firmware.name, firmware.name.upper()
    element = "uint32_t" if firmware.compilation.plan.input_layout.format == "SPIKES" else "uint8_t"
    (tmp_path / "main.cpp").write_text(
        f'#include "{name}.h"\nstatic {name}_t net;\nstatic {element} input[{upper}_INPUT_SIZE];\n'
        f"int main() {{\n    int32_t logits[{upper}_CLASSES];\n    {name}_init(&net);\n"
        f"    return {name}_run(&net, input, logits) == QPS_OK && {upper}_LOGIT_SCALE > 0 ? 0 : 1;\n}}\n"
    )
    own = objects(firmware, tmp_path, firmware.units)
    must("g++", *flags, "-fno-pie", "-no-pie", "main.cpp", *own, "-o", "main", cwd=tmp_path)
    must(tmp_path / "main", cwd=tmp_path)


class TestTwoNetworks:
    MAIN = """
    #include <stdio.h>
    #include <string.h>
    #include "image_net.h"
    #include "residual_net.h"

    #define GUARD 0xA5A5A5A5U
    typedef struct { uint32_t before; image_net_t net; uint32_t after; } guarded_image_t;
    typedef struct { uint32_t before; residual_net_t net; uint32_t after; } guarded_residual_t;
    static guarded_image_t one, two;
    static guarded_residual_t other;
    static const uint8_t images[2][IMAGE_NET_INPUT_SIZE] = {%(images)s};
    static const uint8_t others[2][RESIDUAL_NET_INPUT_SIZE] = {%(others)s};

    static void show(const int32_t *logits, unsigned count)
    {
        for (unsigned k = 0; k < count; k++) { printf("%%ld ", (long)logits[k]); }
        printf("\\n");
    }

    int main(void)
    {
        int32_t first[IMAGE_NET_CLASSES + 1], second[IMAGE_NET_CLASSES + 1], third[RESIDUAL_NET_CLASSES + 1];
        memset(&one, 0xA5, sizeof one);
        memset(&two, 0xA5, sizeof two);
        memset(&other, 0xA5, sizeof other);
        image_net_init(&one.net);
        residual_net_init(&other.net);
        image_net_init(&two.net);
        for (unsigned round = 0; round < 4; round++) {
            const unsigned n = round %% 2;
            first[IMAGE_NET_CLASSES] = second[IMAGE_NET_CLASSES] = third[RESIDUAL_NET_CLASSES] = 77;
            if (image_net_run(&one.net, images[n], first) != QPS_OK) { return 1; }
            if (residual_net_run(&other.net, others[n], third) != QPS_OK) { return 2; }
            if (image_net_run(&two.net, images[1 - n], second) != QPS_OK) { return 3; }
            show(first, IMAGE_NET_CLASSES);
            show(second, IMAGE_NET_CLASSES);
            show(third, RESIDUAL_NET_CLASSES);
            if (first[IMAGE_NET_CLASSES] != 77 || second[IMAGE_NET_CLASSES] != 77) { return 4; }
            if (third[RESIDUAL_NET_CLASSES] != 77) { return 5; }
        }
        if (one.before != GUARD || one.after != GUARD || two.before != GUARD || two.after != GUARD) { return 6; }
        if (other.before != GUARD || other.after != GUARD) { return 7; }
        image_net_init(NULL);
        if (image_net_run(NULL, images[0], first) != QPS_ERROR_NULL) { return 8; }
        if (image_net_run(&one.net, NULL, first) != QPS_ERROR_NULL) { return 9; }
        if (image_net_run(&one.net, images[0], NULL) != QPS_ERROR_NULL) { return 10; }
        if (strcmp(qps_status_string(QPS_OK), "ok") != 0) { return 11; }
        if (strcmp(qps_status_string(QPS_ERROR_NULL), "null pointer argument") != 0) { return 12; }
        if (strcmp(qps_status_string(QPS_STATUS_COUNT), "unknown status") != 0) { return 13; }
        return 0;
    }
    """

    def main_source(self, image: Firmware, residual: Firmware) -> tuple[str, list[list[int]]]:
        """The program, and the lines it must print."""
        images, others = image.samples(2, seed=5), residual.samples(2, seed=6)

        def text(firmware: Firmware, samples: NDArray[np.uint8]) -> str:
            rows = [", ".join(map(str, firmware.packed(samples[n : n + 1]))) for n in range(2)]
            return ", ".join(f"{{{row}}}" for row in rows)

        expected: list[list[int]] = []
        for n in (0, 1, 0, 1):
            expected.append(image.logits(images)[n].tolist())
            expected.append(image.logits(images)[1 - n].tolist())
            expected.append(residual.logits(others)[n].tolist())
        return self.MAIN % {"images": text(image, images), "others": text(residual, others)}, expected

    def check(self, output: str, expected: list[list[int]]) -> None:
        assert [list(map(int, line.split())) for line in output.splitlines()] == expected
        assert expected[0] != expected[1]

    def test_side_by_side_with_one_runtime(self, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        image, residual = firmwares["image"], firmwares["residual"]
        source, expected = self.main_source(image, residual)
        (tmp_path / "main.c").write_text(source)
        files = [*objects(image, tmp_path, image.units), *objects(residual, tmp_path, residual.units[:2])]
        includes = (f"-I{image.folder}", f"-I{residual.folder}")
        must("gcc", *PLAIN, "-no-pie", *includes, "main.c", *files, "-o", "main", cwd=tmp_path)
        self.check(must(tmp_path / "main", cwd=tmp_path), expected)

    def test_side_by_side_with_cmake(self, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        image, residual = firmwares["image"], firmwares["residual"]
        source, expected = self.main_source(image, residual)
        project = tmp_path / "project"
        project.mkdir()
        for firmware in (image, residual):
            shutil.copytree(firmware.folder, project / firmware.name)
        (project / "main.c").write_text(source)
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.16)\nproject(both LANGUAGES C ASM)\n"
            "add_subdirectory(image_net)\nadd_subdirectory(residual_net)\n"
            "add_executable(both main.c)\ntarget_link_libraries(both PRIVATE image_net residual_net)\n"
        )
        must("cmake", "-S", project, "-B", tmp_path / "build", cwd=tmp_path)
        must("cmake", "--build", tmp_path / "build", cwd=tmp_path)
        self.check(must(tmp_path / "build" / "both", cwd=tmp_path), expected)


@pytest.fixture(scope="module", params=["c", "binary"])
def firmware(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return write(tmp_path_factory.mktemp("builds") / "folder with spaces", "events", request.param)


class TestBuilds:
    """The folder's own build files, for weights in C and in a binary file, from another working directory."""

    def run(self, firmware: Firmware, executable: Path, *, trace: bool = False) -> None:
        """The program must write the reference's logits, and as many words of trace as the report says."""
        samples = firmware.samples(5, seed=7)
        packed = b"".join(firmware.packed(samples[n : n + 1]) for n in range(len(samples)))
        result = subprocess.run([executable], input=packed, capture_output=True, check=True)
        values = np.frombuffer(result.stdout, dtype=np.int32).reshape(5, -1)
        logits = firmware.logits(samples)
        assert values[:, : logits.shape[1]].tolist() == logits.tolist()
        words = firmware.compilation.report["trace_words"] if trace else 0
        assert values.shape[1] == logits.shape[1] + words

    def test_the_product_builds_it(self, firmware: Firmware) -> None:
        verdict = verify_folder(firmware.folder)
        assert verdict.mismatches == 0
        assert verdict.spikes > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("cc", COMPILERS)
    def test_make(self, firmware: Firmware, cc: str, tmp_path: Path) -> None:
        folder = tmp_path / "copy"
        shutil.copytree(firmware.folder, folder)
        must("make", "-C", folder, f"CC={cc}", "all", "trace", cwd=tmp_path)
        self.run(firmware, folder / "build" / "host")
        self.run(firmware, folder / "build" / "host-trace", trace=True)
        assert "up to date" in must("make", "-C", folder, f"CC={cc}", "build/host", cwd=tmp_path)
        must("make", "-C", folder, "clean", cwd=tmp_path)
        assert not (folder / "build").exists()

    def test_cmake(self, firmware: Firmware, tmp_path: Path) -> None:
        build = tmp_path / "build"
        must("cmake", "-S", firmware.folder, "-B", build, cwd=tmp_path)
        must("cmake", "--build", build, cwd=tmp_path)
        self.run(firmware, build / f"{firmware.name}_host")

    def test_input_that_is_cut_short(self, firmware: Firmware, tmp_path: Path) -> None:
        folder = tmp_path / "copy"
        shutil.copytree(firmware.folder, folder)
        must("make", "-C", folder, cwd=tmp_path)
        program = folder / "build" / "host"
        result = subprocess.run([program], input=b"abc", capture_output=True, check=False)
        assert result.returncode == 1
        assert result.stderr.decode() == f"{firmware.name}: the last input is cut short\n"
        assert subprocess.run([program], input=b"", capture_output=True, check=False).returncode == 0


def test_both_forms_of_weights_are_the_same_bytes(tmp_path: Path) -> None:
    in_c, in_binary = (write(tmp_path / form, "image", form) for form in ("c", "binary"))
    samples = in_c.samples(8, seed=3)
    outcomes = []
    for firmware in (in_c, in_binary):
        with HostModel(firmware.folder, trace=True) as model:
            outcomes.append(model.run(samples))
    verdict = compare(outcomes[0], outcomes[1])
    assert (verdict.mismatches, verdict.inputs) == (0, 8)
    text = (in_c.folder / "image_net_weights.c").read_text()
    octets = bytes(int(octet, 16) for octet in re.findall(r"0x([0-9a-f]{2}),", text))
    assert octets == (in_binary.folder / "image_net_weights.bin").read_bytes()
    assert len(octets) == in_c.compilation.plan.weight_bytes


def test_binary_weights_can_be_placed(tmp_path: Path) -> None:
    firmware = write(tmp_path / "folder", "image", "binary")
    options = ("-DQPS_WEIGHTS_SECTION_NAME=.external", "-Wa,-I.", "-c", "image_net_weights.S", "-o", tmp_path / "w.o")
    must("gcc", *options, cwd=firmware.folder)
    assert re.search(r"^\.external\s+[1-9]", must("size", "-A", tmp_path / "w.o", cwd=tmp_path), re.MULTILINE)


class TestAssertions:
    """What does not belong together does not compile."""

    def compile(self, firmware: Firmware, tmp_path: Path, path: str, old: str, new: str) -> str:
        folder = tmp_path / "changed"
        shutil.copytree(firmware.folder, folder)
        text = (folder / path).read_text()
        assert text.count(old) == 1
        (folder / path).write_text(text.replace(old, new))
        result = call("gcc", "-std=c11", "-I.", "-fsyntax-only", f"{firmware.name}.c", cwd=folder)
        assert result.returncode != 0
        return result.stderr

    def test_another_runtime(self, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        version = re.search(
            r"#define QPS_RUNTIME_VERSION (\d+)", (firmwares["image"].folder / "runtime/qps_types.h").read_text()
        )
        assert version is not None
        other = f"#define QPS_RUNTIME_VERSION {int(version[1]) + 1}"
        messages = self.compile(firmwares["image"], tmp_path, "runtime/qps_types.h", version[0], other)
        assert "image_net was generated for another runtime" in messages

    def test_another_arena(self, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
        words = firmwares["image"].compilation.plan.arena_bytes // 4
        messages = self.compile(firmwares["image"], tmp_path, "image_net.h", f"arena[{words}]", f"arena[{words + 1}]")
        assert "the state of image_net is not what was planned" in messages


# `model` is what a file called model.pt is named after, and what the application's own header is called.
@pytest.mark.parametrize("name", ["model", "app", "net", "input", "logits", "image", "host_main", "runtime", "trace"])
def test_awkward_names_build(name: str, tmp_path: Path) -> None:
    firmware = write(tmp_path / "folder", "image", name=name)
    objects(firmware, tmp_path, [*firmware.units[:2], "app/host_main.c"], *WARNINGS, "-DQPS_TRACE=1")
    (tmp_path / "both.cpp").write_text(f'#include "{name}.h"\n#include "app/model.h"\n')
    must("g++", "-std=c++11", "-Werror", f"-I{firmware.folder}", "-fsyntax-only", "both.cpp", cwd=tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_the_header_says_what_the_report_says(model: str, firmwares: dict[str, Firmware], tmp_path: Path) -> None:
    firmware = firmwares[model]
    report: dict[str, Any] = firmware.compilation.report
    upper = firmware.name.upper()
    names = ("TIMESTEPS", "CLASSES", "INPUT_CHANNELS", "INPUT_HEIGHT", "INPUT_WIDTH", "ARENA_BYTES", "WEIGHT_BYTES")
    prints = "".join(f'printf("%ld ", (long){upper}_{name});' for name in names)
    state = f'printf("%ld %.17g", (long)sizeof({firmware.name}_t), {upper}_LOGIT_SCALE);'
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "{firmware.name}.h"\nint main(void) {{ {prints}{state} return 0; }}\n'
    )
    must("gcc", f"-I{firmware.folder}", "main.c", "-o", "main", cwd=tmp_path)
    *numbers, size, scale = must(tmp_path / "main", cwd=tmp_path).split()
    expected = [report["timesteps"], len(report["class_names"]), *report["input"]["shape"]]
    assert list(map(int, numbers)) == [*expected, report["arena_bytes"], report["weight_bytes"]]
    assert int(size) == report["arena_bytes"]
    assert float(scale) == report["logit_scale"]
