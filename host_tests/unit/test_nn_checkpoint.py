"""Files that are no checkpoints, damaged ones, and ones that lie: one ModelFileError each, saying why."""

from __future__ import annotations

import copy
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qpsnn_codegen import nn
from qpsnn_codegen.errors import ModelFileError, OutputError, UsageError

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("good") / "model.pt"
    torch.manual_seed(0)
    nn.save(nn.build("resnet", widths=(3, 4), blocks=1, input_shape=(1, 6, 6)), path, training={"epochs": 3})
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        nn.read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    assert "\n" not in message
    assert caught.value.remedy
    return message


def refusal_of(content: dict[str, Any], edit: Edit, path: Path) -> str:
    changed = copy.deepcopy(content)
    edit(changed)
    torch.save(changed, path)
    return refusal(path)


def node(content: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in content["nodes"] if entry["name"] == name)
    return found


def test_a_good_file_is_read(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    checkpoint = nn.read_checkpoint(tmp_path / "a.pt")
    assert checkpoint.timesteps == 2
    assert checkpoint.input.shape == (1, 6, 6)
    assert checkpoint.input.divisor == 255.0
    assert checkpoint.class_names == tuple("0123456789")
    assert checkpoint.training["epochs"] == 3
    assert checkpoint.nodes[1].attributes["kernel"] == (3, 3)
    assert checkpoint.tensors["head.codes"].dtype == torch.uint8
    assert checkpoint.shapes["readout"] == (10,)


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.pt")
    assert "cannot be read" in refusal(tmp_path)
    path = tmp_path / "a.pt"
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_bytes(b"hello, I am a model")
    assert "not a torch file" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not a torch file" in refusal(path)
    torch.save([1, 2, 3], path)
    assert "format" in refusal(path)


def test_truncated_at_any_length_and_damaged_at_any_byte(content: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    whole = path.read_bytes()
    for length in [1, 10, 100, *range(1000, len(whole), 3001), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refusal(path)
    weights = whole.rindex(content["tensors"]["conv1.weight"].numpy().tobytes())
    for key, position in (("weights", weights), ("pickle", 300)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(bytes(damaged))
        assert "damaged" in refusal(path), key


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_does_not(content: dict[str, Any], tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "executed"
    path = tmp_path / "a.pt"
    hostile = {**content, "training": Bomb(target)}
    if zipped:
        torch.save(hostile, path)
    else:
        path.write_bytes(pickle.dumps(hostile))
    message = refusal(path)
    assert not target.exists()
    if zipped:
        assert "nothing was executed" in message
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())  # noqa: S301
    assert target.exists(), "the bomb is a dud: the test proves nothing"


def put(value: object, *keys: str) -> Edit:
    """Set a value at a path of keys; the second key after "nodes" is a node's name."""

    def edit(content: dict[str, Any]) -> None:
        place: Any = content
        rest = list(keys)
        if rest[0] == "nodes" and len(rest) > 1:
            place, rest = node(content, rest[1]), rest[2:]
        for key in rest[:-1]:
            place = place[key]
        place[rest[-1]] = value

    return edit


def drop(*keys: str) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        place: Any = content
        rest = list(keys)
        if rest[0] == "nodes" and len(rest) > 1:
            place, rest = node(content, rest[1]), rest[2:]
        for key in rest[:-1]:
            place = place[key]
        del place[rest[-1]]

    return edit


def fill(tensor: str, value: float) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        content["tensors"][tensor].reshape(-1)[-1] = value

    return edit


def rename(old: str, new: str) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        node(content, old)["name"] = new
        for entry in content["nodes"]:
            entry["inputs"] = [new if name == old else name for name in entry["inputs"]]

    return edit


A = "attributes"
LIES: list[tuple[Edit, str]] = [
    (put("other", "format"), "format"),
    (put(2, "version"), "version 2"),
    (put(True, "version"), "version True"),
    *[(drop(key), key) for key in ("timesteps", "input", "class_names", "nodes", "tensors", "training")],
    (put(1, "surprise"), "unknown key 'surprise'"),
    *[(put(value, "timesteps"), "timesteps") for value in (0, 4097, True, 2.0, "4", None)],
    (put("video", "input", "kind"), "input: kind"),
    *[(put(value, "input", "shape"), "shape") for value in ([1, 6], [1, 6, 0], [1, 6, 10**9], [1, 6, True], (1, 6, 6))],
    *[(put(value, "input", "divisor"), "divisor") for value in (0.0, -1.0, math.nan, math.inf, 16)],
    (put([0.1, 0.2], "input", "mean"), "mean"),
    (put([0.0], "input", "std"), "std"),
    (put([math.nan], "input", "mean"), "mean"),
    (put(256, "input", "max_value"), "max_value"),
    (put(["a"], "class_names"), "1 class names for 10 logits"),
    (put([1] * 10, "class_names"), "class_names"),
    (put({"run": torch.zeros(1)}, "training"), "training"),
    (put({1: 2}, "training"), "training"),
    (put([], "nodes"), "nodes"),
    (put("conv", "nodes"), "nodes"),
    (put([{}] * 5000, "nodes"), "nodes"),
    (put("attention", "nodes", "conv1", "kind"), "unknown kind 'attention' (supported: input, conv"),
    (drop("nodes", "conv1", "kind"), "'conv1': key 'kind'"),
    (put(1, "nodes", "conv1", "surprise"), "surprise"),
    (put([], "nodes", "conv1", "inputs"), "'conv1': 0 inputs"),
    (put(["nobody"], "nodes", "norm1", "inputs"), "dangling input 'nobody'"),
    (put(["head"], "nodes", "norm1", "inputs"), "dangling input 'head'"),
    (put(["conv1"], "nodes", "neuron1", "inputs"), "node 'norm1': dangling"),
    (put(["add"], "nodes", "norm1", "inputs"), "dangling"),
    (rename("norm1", "conv1"), "duplicate"),
    (rename("norm1", 'x"), __import__("os'), "a name is made of"),
    (rename("norm1", "conv1.inside"), "inside another"),
    (lambda content: content["nodes"].reverse(), "first node"),
    (lambda content: content["nodes"].append({**content["nodes"][-1], "name": "r2"}), "last node"),
    *[
        (put(value, "nodes", "stage1.0.conv1", A, "quantizer", "bits"), "'stage1.0.conv1': quantizer is")
        for value in (3, 16, True, 4.0)
    ],
    (put(None, "nodes", "conv1", A, "quantizer"), "'conv1': quantizer"),
    (put([3, True], "nodes", "conv1", A, "kernel"), "'conv1': kernel"),
    (put([3, 0], "nodes", "conv1", A, "stride"), "'conv1': stride"),
    (put([0, 0, 0], "nodes", "conv1", A, "padding"), "'conv1': padding"),
    (put([100, 100], "nodes", "conv1", A, "dilation"), "'conv1': a kernel of 3"),
    (put(2, "nodes", "conv1", A, "groups"), "'conv1': 2 groups"),
    (put(2, "nodes", "conv1", A, "in_channels"), "'conv1': in_channels is 2"),
    (put(10**12, "nodes", "conv1", A, "out_channels"), "'conv1': out_channels"),
    (put(60000, "nodes", "conv1", A, "out_channels"), "conv1"),
    (drop("nodes", "conv1", A, "groups"), "'conv1': key 'groups' is missing"),
    (put(7, "nodes", "conv1", A, "surprise"), "'conv1': unknown key 'surprise'"),
    (put(5, "nodes", "norm1", A, "channels"), "'norm1': channels is 5"),
    *[(put(value, "nodes", "norm1", A, "eps"), "'norm1': eps") for value in (0.0, -1.0, math.nan, 1)],
    *[(put(value, "nodes", "neuron1", A, "decay"), "'neuron1': decay") for value in (1.5, -0.1, math.nan, 1)],
    *[(put(value, "nodes", "neuron1", A, "threshold"), "'neuron1': ") for value in (0.0, math.nan, math.inf)],
    (put("<", "nodes", "neuron1", A, "compare"), "'neuron1': compare"),
    (put("soft ", "nodes", "neuron1", A, "reset"), "'neuron1': reset"),
    (put(math.inf, "nodes", "neuron1", A, "reset_potential"), "'neuron1': reset_potential"),
    (put("median", "nodes", "readout", A, "mode"), "'readout': mode"),
    (put("last", "nodes", "readout", A, "mode"), "'readout': mode 'last' reads a neuron"),
    (put([2, 2], "nodes", "pool", A, "stride"), "'pool': pooling the whole map"),
    (put(9, "nodes", "head", A, "in_features"), "'head': in_features is 9"),
    (put(40000, "nodes", "stage1.0.shortcut", A, "pad_after"), "add"),
    (drop("tensors", "conv1.codes"), "'conv1.codes' is missing"),
    (drop("tensors", "norm1.running_var"), "'norm1.running_var' is missing"),
    (put(torch.zeros(1), "tensors", "ghost.weight"), "'ghost.weight' belongs to no node"),
    (put(torch.zeros(1), "tensors", "neuron1.weight"), "belongs to no node"),
    (put([1.0], "tensors", "conv1.scale"), "'conv1.scale'"),
    (put(torch.zeros(3, 1, 3), "tensors", "conv1.weight"), "'conv1.weight' has shape [3, 1, 3]"),
    (put(torch.zeros(3, 1, 3, 3).double(), "tensors", "conv1.weight"), "float64"),
    (put(torch.zeros(3, 1, 3, 3).to_sparse(), "tensors", "conv1.weight"), "'conv1.weight'"),
    (put(torch.zeros(3, 1, 3, 3, device="meta"), "tensors", "conv1.weight"), ""),
    *[(fill("conv1.weight", value), "'conv1.weight' holds NaN or inf") for value in (math.nan, math.inf)],
    (fill("head.bias", math.nan), "'head.bias' holds NaN"),
    (fill("norm1.running_mean", -math.inf), "'norm1.running_mean' holds NaN"),
    (fill("norm1.running_var", -0.5), "'norm1.running_var' runs from -0.5"),
    (fill("conv1.scale", 0.0), "'conv1.scale' runs from 0"),
    (fill("conv1.scale", -1.0), "'conv1.scale'"),
    (fill("conv1.codes", 0), "'conv1.codes' runs from 0"),
    (fill("stage1.0.conv1.codes", 16), "'stage1.0.conv1.codes'"),
]


@pytest.mark.parametrize(("edit", "says"), LIES, ids=[f"{i}-{says}"[:60] for i, (_, says) in enumerate(LIES)])
def test_a_file_that_lies(content: dict[str, Any], tmp_path: Path, edit: Edit, says: str) -> None:
    message = refusal_of(content, edit, tmp_path / "a.pt")
    assert says in message, message


def test_a_tiny_storage_posing_as_a_huge_tensor_costs_no_memory(content: dict[str, Any], tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(60000, 60000, 9, 9)
    message = refusal_of(content, put(huge, "tensors", "conv1.weight"), tmp_path / "a.pt")
    assert "shape" in message


def test_save_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    model = nn.build("mlp", hidden=(4,))
    with pytest.raises(UsageError, match="training"):
        nn.save(model, tmp_path / "a.pt", training={"x": torch.zeros(1)})
    body: Any = model.body
    with torch.no_grad():
        body.head.bias[0] = math.nan
    with pytest.raises(UsageError, match=r"head\.bias"):
        nn.save(model, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="SpikingNetwork"):
        nn.save(body, tmp_path / "a.pt")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        nn.save(nn.build("mlp", hidden=(4,)), tmp_path / "file" / "model.pt")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_an_interrupted_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        nn.save(nn.build("mlp", hidden=(4,)), path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a.pt", b"old")]
