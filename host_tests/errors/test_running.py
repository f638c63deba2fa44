"""Compilers that are missing, folders that are not ours or damaged, inputs and data that do not fit."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.errors.command import Workplace, call, call_ok, run
from qpsnn_codegen.errors import DataError
from qpsnn_codegen.verification import verify_folder

MARKER = "executed"


class Hostile:
    """Unpickling this makes a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (Path(MARKER),))


def images(count: int = 1) -> NDArray[np.uint8]:
    return np.zeros((count, 1, 8, 8), dtype=np.uint8)


# --- no compiler


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "FOLDER"),
        ("simulate", "FOLDER", "inputs.npy", "-o", "out.npz"),
        ("evaluate", "MODEL", "--data", "digits", "--limit", "1"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_compiler(arguments: tuple[str, ...], workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("inputs.npy", images())
    places = {"MODEL": str(workplace.model()), "FOLDER": str(workplace.firmware())}
    words = [places.get(argument, argument) for argument in arguments]
    Path("bin").mkdir()
    Path("bin/cc").write_text("#!/bin/sh\necho some other compiler\n")
    Path("bin/cc").chmod(0o755)
    with monkeypatch.context() as context:
        context.setenv("PATH", str(workplace.folder / "bin"))
        workplace.refuses(*words, says=("gcc: ", "no such C compiler", "apt-get install gcc"))
        workplace.refuses(*words, "--cc", "clang", says=("clang: ", "apt-get install clang"))
        workplace.refuses(*words, "--cc", "bin/cc", says=("bin/cc: ", "neither gcc nor clang"))
    workplace.refuses(*words, "--cc", "nonsense", says=("nonsense: ", "no such C compiler", "apt-get install gcc"))
    workplace.refuses(*words, "--cc", "", says=("--cc: ",))
    workplace.refuses(*words, "--cc", "/bin/false", says=("/bin/false: ",))
    workplace.refuses(*words, "--cc", str(workplace.folder), says=("no such C compiler",))


def test_no_compiler_in_a_process_of_its_own(workplace: Workplace) -> None:
    folder = workplace.firmware()
    environment = {"PATH": str(workplace.folder)}
    workplace.refuses(
        "verify", folder, says=("apt-get install gcc",), runner=lambda *a: run(*a, environment=environment)
    )


def test_compiling_wants_no_compiler(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    model = workplace.model()
    monkeypatch.setenv("PATH", str(workplace.folder))
    call_ok(model, "-o", "out")
    call_ok("inspect", model)


# --- folders

Damage = Callable[[Path], object]


def edit_npz(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez_compressed(path, **arrays)


def edit_network(old: str, new: str) -> Damage:
    """Another text in the stored network's structure."""

    def damage(folder: Path) -> None:
        def change(arrays: dict[str, Any]) -> None:
            text = arrays["structure"].tobytes().decode()
            assert old in text
            arrays["structure"] = np.frombuffer(text.replace(old, new).encode(), dtype=np.uint8)

        edit_npz(folder / "golden" / "network.npz", change)

    return damage


def golden(change: Callable[[dict[str, Any]], object]) -> Damage:
    return lambda folder: edit_npz(folder / "golden" / "vectors.npz", change)


def network(change: Callable[[dict[str, Any]], object]) -> Damage:
    return lambda folder: edit_npz(folder / "golden" / "network.npz", change)


def overwrite(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def shorten(name: str) -> Damage:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def hostile_array(name: str, key: str) -> Damage:
    def change(arrays: dict[str, Any]) -> None:
        arrays[key] = np.array([Hostile()], dtype=object)

    return lambda folder: edit_npz(folder / "golden" / name, change)


def npz_with_header(header: bytes) -> bytes:
    """An archive whose one array has this header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("structure.npy", npy_with_header(header))
    return buffer.getvalue()


def npy_with_header(header: bytes) -> bytes:
    line = header + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + bytes(64)


NETWORK = "golden/network.npz"
VECTORS = "golden/vectors.npz"
UNBALANCED = b"{'descr': ('u1', ((((, 'shape': (3,)"

FOLDERS: dict[str, tuple[Damage, str]] = {
    "no_report": (lambda folder: (folder / "report.json").unlink(), "no folder of generated firmware"),
    "report_is_rubbish": (overwrite("report.json", b"{"), "no folder of generated firmware"),
    "report_of_another_tool": (overwrite("report.json", b'{"generator": "npm"}'), "no folder of generated firmware"),
    "no_network": (lambda folder: (folder / NETWORK).unlink(), NETWORK),
    "network_empty": (overwrite(NETWORK, b""), NETWORK),
    "network_truncated": (shorten(NETWORK), NETWORK),
    "network_is_text": (overwrite(NETWORK, b"hello"), NETWORK),
    "network_is_a_pickle": (overwrite(NETWORK, pickle.dumps(Hostile())), NETWORK),
    "network_is_an_array": (
        overwrite(NETWORK, npy_with_header(b"{'descr':'|u1','fortran_order':False,'shape':(64,)}")),
        NETWORK,
    ),
    "network_has_a_broken_array": (overwrite(NETWORK, npz_with_header(UNBALANCED)), NETWORK),
    "network_holds_a_pickle": (hostile_array("network.npz", "a0"), NETWORK),
    "network_lacks_an_array": (network(lambda arrays: arrays.pop("a0")), NETWORK),
    "network_lacks_its_structure": (network(lambda arrays: arrays.pop("structure")), NETWORK),
    "network_of_another_version": (edit_network("integer-network 1", "integer-network 9"), "integer-network 9"),
    "network_of_another_class": (edit_network('"class": "IntegerNetwork"', '"class": "Popen"'), NETWORK),
    "network_of_an_unknown_kind": (edit_network('"class": "IntegerConv"', '"class": "Gru"'), NETWORK),
    "network_without_timesteps": (edit_network('"timesteps": 2', '"timesteps": "2"'), NETWORK),
    "network_with_huge_numbers": (edit_network('"timesteps": 2', '"timesteps": 1e999'), NETWORK),
    "network_nested_without_end": (
        network(lambda a: a.update(structure=np.frombuffer(b"[" * 100_000, dtype=np.uint8))),
        NETWORK,
    ),
    "no_vectors": (lambda folder: (folder / VECTORS).unlink(), VECTORS),
    "vectors_truncated": (shorten(VECTORS), VECTORS),
    "vectors_have_a_broken_array": (overwrite(VECTORS, npz_with_header(UNBALANCED)), VECTORS),
    "vectors_hold_a_pickle": (hostile_array("vectors.npz", "logits"), VECTORS),
    "vectors_lack_logits": (golden(lambda arrays: arrays.pop("logits")), VECTORS),
    "vectors_with_another_logit": (golden(lambda a: a["logits"].__iadd__(1)), "not what its network gives"),
    "vectors_with_another_checksum": (golden(lambda a: a["checksums"].__iadd__(1)), "not what its network gives"),
    "vectors_with_another_input": (golden(lambda a: a["inputs"].__ixor__(255)), "not what its network gives"),
    "vectors_of_another_shape": (golden(lambda a: a.update(inputs=images()[..., :4])), ""),
    "vectors_without_inputs": (golden(lambda a: a.update(inputs=images(0))), ""),
    "no_source": (lambda folder: (folder / "small.c").unlink(), "firmware/small.c: is missing"),
    "no_runtime": (
        lambda folder: (folder / "runtime" / "qps_readout.c").unlink(),
        "firmware/runtime/qps_readout.c: is missing; generate the folder again",
    ),
    "report_is_cut_down": (overwrite("report.json", b'{"generator": "qpsnn-codegen"}'), "report.json: is damaged"),
    "source_is_rubbish": (overwrite("small.c", b"int main(\n\xff"), "small.c"),
    "source_with_a_warning": (
        lambda folder: (folder / "small.c").write_text((folder / "small.c").read_text() + "\nstatic int idle;\n"),
        "small.c",
    ),
    "program_that_fails": (overwrite("app/host_main.c", b"int main(void) { return 3; }\n"), "exit status 3"),
    "program_that_is_silent": (overwrite("app/host_main.c", b"int main(void) { return 0; }\n"), ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FOLDERS)
def test_folder(case: str, workplace: Workplace) -> None:
    damage, says = FOLDERS[case]
    folder = workplace.firmware()
    damage(folder)
    workplace.refuses("verify", folder, says=(says,))
    np.save("inputs.npy", images())
    workplace.refuses("verify", folder, "--inputs", "inputs.npy", says=(says,))
    if not case.startswith(("no_vectors", "vectors")):
        workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", says=(says,))
    assert not Path(MARKER).exists()


def test_folder_that_is_none(workplace: Workplace) -> None:
    np.save("inputs.npy", images())
    Path("empty").mkdir()
    Path("npm").mkdir()
    Path("npm/report.json").write_text(json.dumps({"generator": "npm"}))
    for folder in ("none", "empty", "npm", "inputs.npy", str(workplace.model())):
        says = (f"{folder}: ", "no folder of generated firmware")
        workplace.refuses("verify", folder, says=says)
        workplace.refuses("verify", folder, "--inputs", "inputs.npy", says=(folder,))
        workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", says=says)


# --- inputs


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def encrypted(archive: bytes) -> bytes:
    """The flag of an encrypted member set in the directory and before the member."""
    return archive.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01").replace(
        b"PK\x01\x02\x2d\x03\x2d\x00\x00", b"PK\x01\x02\x2d\x03\x2d\x00\x01"
    )


def header(text: str) -> bytes:
    return npy_with_header(text.encode())


INPUTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty_file": (b"", ("inputs.npy: ",)),
    "text": (b"1,2,3\n", ("inputs.npy: ", "numpy.save")),
    "truncated": (npy(images(4))[:200], ("inputs.npy: ",)),
    "truncated_header": (npy(images(4))[:20], ("inputs.npy: ",)),
    "truncated_npz": (npz(inputs=images(4))[:200], ("inputs.npy: ",)),
    "encrypted_npz": (encrypted(npz(inputs=images(4))), ("inputs.npy: ",)),
    "pickle": (pickle.dumps(Hostile()), ("inputs.npy: ",)),
    "object_array": (npy(np.array([Hostile()], dtype=object)), ("inputs.npy: ",)),
    "object_array_in_npz": (npz(inputs=np.array([Hostile()], dtype=object)), ("inputs.npy: ",)),
    "unknown_name_in_npz": (npz(pictures=images()), ("inputs.npy: ", "pictures", "name it inputs")),
    "empty_npz": (npz(), ("inputs.npy: ",)),
    "header_unbalanced": (header("(" * 50), ("inputs.npy: ",)),
    "header_nested": (header("-" * 9000 + "1"), ()),
    "header_of_numbers_too_large": (
        header(f"{{'descr':'|u1','fortran_order':False,'shape':({10**30},)}}"),
        ("inputs.npy: ",),
    ),
    "header_of_truths": (header("{'descr':'|u1','fortran_order':False,'shape':(True,)}"), ("inputs.npy: ",)),
    "header_of_petabytes": (header(f"{{'descr':'|u1','fortran_order':False,'shape':({10**15},)}}"), ("memory",)),
    "height": (npy(images()[:, :, :7]), ("inputs.npy: ", "[1, 1, 7, 8]", "[N, 1, 8, 8]")),
    "channels": (npy(np.zeros((1, 3, 8, 8), np.uint8)), ("[1, 3, 8, 8]", "[N, 1, 8, 8]")),
    "flat": (npy(np.zeros((1, 64), np.uint8)), ("[1, 64]", "[N, 1, 8, 8]")),
    "no_sample_axis": (npy(np.zeros((8, 8), np.uint8)), ("[8, 8]",)),
    "with_time": (npy(np.zeros((1, 2, 1, 8, 8), np.uint8)), ("[N, 1, 8, 8]",)),
    "scalar": (npy(np.array(1, np.uint8)), ("single value",)),
    "floats": (npy(np.zeros((1, 1, 8, 8), np.float32)), ("inputs.npy: the values are float32", "integers")),
    "floats_of_another_shape": (npy(np.zeros((1, 64), np.float32)), ("inputs.npy: the values are float32", "integers")),
    "complex_numbers": (npy(np.zeros((1, 1, 8, 8), np.complex64)), ("complex64",)),
    "texts": (npy(np.full((1, 1, 8, 8), "a")), ("<U1",)),
    "dates": (npy(np.zeros((1, 1, 8, 8), "datetime64[s]")), ("datetime64",)),
    "records": (npy(np.zeros((1, 1, 8, 8), [("a", "u1")])), ("integers",)),
    "above_range": (npy(np.full((1, 1, 8, 8), 256, np.int32)), ("256", "0 ... 255")),
    "below_range": (npy(np.full((1, 1, 8, 8), -1, np.int8)), ("-1", "0 ... 255")),
    "far_above_range": (npy(np.full((1, 1, 8, 8), 2**64 - 1, np.uint64)), ("18446744073709551615",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", INPUTS)
def test_inputs(case: str, workplace: Workplace) -> None:
    content, says = INPUTS[case]
    folder = workplace.firmware()
    Path("inputs.npy").write_bytes(content)
    workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", says=says)
    if case in ("object_array", "floats", "height", "header_unbalanced"):
        workplace.refuses("verify", folder, "--inputs", "inputs.npy", says=says)
        workplace.refuses(workplace.model(), "-o", "out", "--calibrate", "inputs.npy", says=says)
    assert not Path(MARKER).exists()


def test_verifying_inputs_that_do_not_fit_in_python(workplace: Workplace) -> None:
    with pytest.raises(DataError, match=r"\[N, 1, 8, 8\]"):
        verify_folder(workplace.firmware(), inputs=images()[..., :7])


def test_inputs_that_are_missing(workplace: Workplace) -> None:
    folder = workplace.firmware()
    for name in ("none.npy", "firmware", "firmware/report.json/inputs.npy"):
        says = (f"{name}: ", "cannot be read", "give an .npy or .npz file, digits, or KIND:PATH")
        workplace.refuses("simulate", folder, name, "-o", "out.npz", says=says)
        workplace.refuses("verify", folder, "--inputs", name, says=says)
        workplace.refuses(workplace.model(), "-o", "out", "--calibrate", name, says=says)


def test_inputs_in_a_process_of_its_own(workplace: Workplace) -> None:
    folder = workplace.firmware()
    Path("inputs.npy").write_bytes(INPUTS["object_array"][0])
    workplace.refuses("simulate", folder, "inputs.npy", "-o", "out.npz", says=("inputs.npy: ",), runner=run)
    assert not Path(MARKER).exists()


def test_no_inputs_at_all_are_fine(workplace: Workplace) -> None:
    folder = workplace.firmware()
    np.save("inputs.npy", images(0))
    call_ok("simulate", folder, "inputs.npy", "-o", "out.npz", "--trace")
    with np.load("out.npz") as archive:
        assert {name: archive[name].shape for name in archive.files} == {
            "logits": (0, 10),
            "logits_real": (0, 10),
            "prediction": (0,),
            "spikes/neuron1": (0, 2, 4, 8, 8),
            "spikes/neuron2": (0, 2, 6, 4, 4),
        }


def test_no_calibration_samples(workplace: Workplace) -> None:
    np.save("inputs.npy", images(0))
    workplace.refuses(
        workplace.model(), "-o", "out", "--calibrate", "inputs.npy", says=("inputs.npy: holds no inputs",)
    )


# --- data sets


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_unknown_data_set(workplace: Workplace) -> None:
    model = workplace.model()
    for data in ("cifar", "digits:x", "mnist", "mnist:", "npz:", "none.pt"):
        workplace.refuses("evaluate", model, "--data", data, says=("no such data set", "give digits, mnist:PATH"))
    workplace.refuses("train", "--data", "cifar", "-o", "new.pt", says=("cifar: ", "no such data set"))


@pytest.mark.parametrize("kind", ["mnist", "npz"])
def test_data_file(kind: str, workplace: Workplace) -> None:
    model = workplace.model()
    labels = np.zeros(2, np.int64)
    good = npz(x_train=images(2), y_train=labels, x_test=images(2), y_test=labels)
    cases: dict[str, tuple[bytes, str]] = {
        "empty": (b"", ""),
        "truncated": (good[: len(good) // 2], ""),
        "text": (b"hello", ""),
        "array": (npy(images()), "x_train"),
        "pickle": (pickle.dumps(Hostile()), ""),
        "object_array": (npz(x_train=np.array([Hostile()], dtype=object)), ""),
        "broken_header": (npz_with_header(UNBALANCED), ""),
        "no_y_test": (npz(x_train=images(2), y_train=labels, x_test=images(2)), "no y_test"),
        "labels": (npz(x_train=images(2), y_train=labels, x_test=images(2), y_test=labels[:1]), "label"),
        "floats": (npz(x_train=images(2) / 1.0, y_train=labels, x_test=images(2), y_test=labels), "float64"),
        "shape": (npz(x_train=images(2), y_train=labels, x_test=images(2)[..., :7], y_test=labels), "shape"),
    }
    for case, (content, says) in cases.items():
        Path("data.npz").write_bytes(content)
        for command in (("evaluate", model), ("train", "-o", "new.pt")):
            workplace.refuses(*command, "--data", f"{kind}:data.npz", says=("data.npz: ", says))
        assert not Path(MARKER).exists(), case
    Path("data.npz").unlink()
    workplace.refuses("evaluate", model, "--data", f"{kind}:data.npz", says=("data.npz: ", "no such file"))


def test_data_that_does_not_fit_the_model(workplace: Workplace) -> None:
    model = workplace.model()
    wide = np.zeros((2, 1, 8, 9), np.uint8)
    labels = np.zeros(2, np.int64)
    np.savez("wide.npz", x_train=wide, y_train=labels, x_test=wide, y_test=labels)
    says = ("mnist:wide.npz: ", "[2, 1, 8, 9]", "[N, 1, 8, 8]")
    workplace.refuses("evaluate", model, "--data", "mnist:wide.npz", says=says)
    workplace.refuses(model, "-o", "out", "--calibrate", "mnist:wide.npz", says=says)
    workplace.refuses("simulate", workplace.firmware(), "mnist:wide.npz", "-o", "out.npz", says=says)
    fits = ("(1, 8, 9)", "(1, 8, 8)")
    workplace.refuses("finetune", model, "--data", "mnist:wide.npz", "-o", "new.pt", says=fits)
    workplace.refuses("prune", model, "--data", "mnist:wide.npz", "--ratio", "0", "-o", "new.pt", says=fits)


def test_idx_folder(workplace: Workplace) -> None:
    model = workplace.model()
    Path("mnist").mkdir()
    files = {
        "train-images-idx3-ubyte": idx(images(2)[:, 0]),
        "train-labels-idx1-ubyte": idx(np.zeros(2, np.uint8)),
        "t10k-images-idx3-ubyte": idx(images(2)[:, 0]),
        "t10k-labels-idx1-ubyte": idx(np.zeros(2, np.uint8)),
    }
    evaluate = ("evaluate", model, "--data", "mnist:mnist")
    for name, content in files.items():
        workplace.refuses(*evaluate, says=("mnist: ", name))
        for broken in (b"", content[:3], content[:-1], content + b"x", b"\x1f\x8b" + content):
            Path("mnist", name).write_bytes(broken)
            workplace.refuses(*evaluate, says=("mnist",))
        Path("mnist", name).unlink()
        packed = gzip.compress(content)
        Path("mnist", f"{name}.gz").write_bytes(packed[:-5])
        workplace.refuses(*evaluate, says=("mnist",))
        Path("mnist", f"{name}.gz").write_bytes(packed)
    assert call(*evaluate).code == 0
