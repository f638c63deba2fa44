"""The integer network in a file: the same value back, and one kind of error for everything else."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tests.golden.models import MODELS
from qpsnn_codegen import storage
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import InternalError, ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.reference import run_reference


@cache
def integers(model: str) -> IntegerNetwork:
    return lower(MODELS[model]())


def same(left: Any, right: Any) -> bool:
    """Whether two frozen values are equal, arrays element by element and type by type."""
    if is_dataclass(left) and not isinstance(left, type):
        return type(left) is type(right) and all(
            same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left)
        )
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, tuple):
        return isinstance(right, tuple) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize("model", MODELS)
class TestRoundTrip:
    def test_equal(self, model: str, tmp_path: Path) -> None:
        network = integers(model)
        (tmp_path / "network.npz").write_bytes(storage.dump(network))
        loaded = storage.load(tmp_path / "network.npz")
        assert same(network, loaded)
        assert storage.dump(loaded) == storage.dump(network)
        inputs = random_inputs(network, 4, seed=1)
        assert np.array_equal(run_reference(loaded, inputs).logits, run_reference(network, inputs).logits)

    def test_arrays_are_read_only(self, model: str, tmp_path: Path) -> None:
        (tmp_path / "network.npz").write_bytes(storage.dump(integers(model)))
        loaded = storage.load(tmp_path / "network.npz")
        for node in loaded.nodes:
            for field in fields(node):
                value = getattr(node, field.name)
                assert not isinstance(value, np.ndarray) or not value.flags.writeable


def rewritten(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """A stored network with its document or arrays changed."""
    with np.load(io.BytesIO(storage.dump(integers("image")))) as archive:
        arrays = {name: archive[name] for name in archive.files}
    document = json.loads(arrays.pop("structure").tobytes())
    change(document, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, structure=np.frombuffer(json.dumps(document).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def node(document: dict[str, Any], index: int) -> dict[str, Any]:
    found: dict[str, Any] = document["network"]["fields"]["nodes"][index]["fields"]
    return found


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "no format": lambda document, arrays: document.pop("format"),
    "another class": lambda document, arrays: document["network"].update({"class": "Popen"}),
    "a builtin": lambda document, arrays: document["network"].update({"class": "eval"}),
    "a field too many": lambda document, arrays: node(document, 0).update(extra=1),
    "a field too few": lambda document, arrays: node(document, 0).pop("shape"),
    "no network": lambda document, arrays: document.update(network=3),
    "a text for a network": lambda document, arrays: document.update(network="x"),
    "nodes of nothing": lambda document, arrays: document["network"]["fields"].update(nodes=[None]),
    "no nodes": lambda document, arrays: document["network"]["fields"].update(nodes=[]),
    "a missing array": lambda document, arrays: arrays.pop("a0"),
    "an array of another shape": lambda document, arrays: arrays.update(a0=arrays["a0"][:1]),
    "an array of texts": lambda document, arrays: arrays.update(a0=np.array(["x"])),
    "an input nobody made": lambda document, arrays: node(document, 1).update(inputs=["elsewhere"]),
    "two of one name": lambda document, arrays: node(document, 1).update(name="input"),
    "a shape of text": lambda document, arrays: node(document, 0).update(shape=["a", "b", "c"]),
    "a scale of zero": lambda document, arrays: document["network"]["fields"].update(logit_scale=0.0),
    "no certificates": lambda document, arrays: document["network"]["fields"].update(certificates=[]),
    "no timesteps": lambda document, arrays: document["network"]["fields"].update(timesteps="4"),
}


class TestRefusal:
    def load(self, path: Path) -> ModelFileError:
        with pytest.raises(ModelFileError) as error:
            storage.load(path)
        assert error.value.where == str(path)
        assert "\n" not in str(error.value)
        return error.value

    def test_missing(self, tmp_path: Path) -> None:
        assert "No such file" in self.load(tmp_path / "network.npz").what

    def test_a_folder(self, tmp_path: Path) -> None:
        self.load(tmp_path)

    @pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"hello", b"\x93NUMPY", b"\0" * 1000])
    def test_foreign(self, data: bytes, tmp_path: Path) -> None:
        path = tmp_path / "network.npz"
        path.write_bytes(data)
        self.load(path)

    def test_foreign_arrays(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "network.npz", weights=np.zeros(3))
        self.load(tmp_path / "network.npz")
        np.save(tmp_path / "one.npy", np.zeros(3))
        self.load(tmp_path / "one.npy")

    @pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, part: float, tmp_path: Path) -> None:
        data = storage.dump(integers("image"))
        path = tmp_path / "network.npz"
        path.write_bytes(data[: int(len(data) * part)])
        self.load(path)

    def test_damaged_anywhere(self, tmp_path: Path) -> None:
        """One byte wrong: refused with our error, or, in what nothing reads (a date), of no consequence."""
        network = integers("image")
        data = storage.dump(network)
        path = tmp_path / "network.npz"
        refused = 0
        for index in range(0, len(data), 7):
            path.write_bytes(data[:index] + bytes([data[index] ^ (1 << (index % 8))]) + data[index + 1 :])
            try:
                assert same(storage.load(path), network), f"byte {index} changed the network"
            except ModelFileError:
                refused += 1
        assert refused > len(data) // 7 // 2

    @pytest.mark.parametrize("change", CHANGES)
    def test_contradictions(self, change: str, tmp_path: Path) -> None:
        path = tmp_path / "network.npz"
        path.write_bytes(rewritten(CHANGES[change]))
        self.load(path)

    def test_another_version(self, tmp_path: Path) -> None:
        path = tmp_path / "network.npz"
        path.write_bytes(rewritten(lambda document, arrays: document.update(format="qpsnn-integer-network 99")))
        error = self.load(path)
        assert "'qpsnn-integer-network 99'" in error.what
        assert storage.FORMAT in error.remedy

    def test_deep_nesting(self, tmp_path: Path) -> None:
        path = tmp_path / "network.npz"
        text = ("[" * 100_000).encode()
        np.savez(path, structure=np.frombuffer(text, dtype=np.uint8))
        self.load(path)

    def test_a_pickle_is_not_executed(self, tmp_path: Path) -> None:
        mark = tmp_path / "executed"

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(mark),)

        trap = np.empty(1, dtype=object)
        trap[0] = Trap()
        for change in (
            lambda document, arrays: arrays.update(a0=trap),
            lambda document, arrays: arrays.update(unused=trap),
        ):
            path = tmp_path / "network.npz"
            path.write_bytes(rewritten(change))
            self.load(path)
        (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap()))
        self.load(tmp_path / "plain.pkl")
        with zipfile.ZipFile(tmp_path / "named.npz", "w") as archive:
            archive.writestr("structure", pickle.dumps(Trap()))
        self.load(tmp_path / "named.npz")
        assert not mark.exists()

    def test_what_cannot_be_stored_is_a_defect(self) -> None:
        network = integers("image")
        broken = IntegerNetwork(
            nodes=network.nodes,
            timesteps=network.timesteps,
            class_names=network.class_names,
            digest=b"bytes",  # type: ignore[arg-type]
            logit_scale=network.logit_scale,
            certificates=network.certificates,
        )
        with pytest.raises(InternalError, match="bytes, which cannot be stored"):
            storage.dump(broken)
