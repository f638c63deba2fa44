"""Model files that are none, damaged, hostile, or contradict themselves."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from host_tests.errors.command import Workplace, call, contents, run
from qpsnn_codegen import nn
from qpsnn_codegen.errors import QpsnnError, UnsupportedError, UsageError

Content = dict[str, Any]
Change = Callable[[Content], None]

MARKER = "executed"


class Hostile:
    """Unpickling this makes a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (Path(MARKER),))


def torch_file(content: object, *, archive: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


def zip_file(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def compressed(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return zip_file(members, zipfile.ZIP_DEFLATED)


def flipped(content: bytes) -> bytes:
    """One bit of a tensor's data turned."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/data/0"))
        inside = content.index(archive.read(member))
    return content[:inside] + bytes([content[inside] ^ 1]) + content[inside + 1 :]


# What the file becomes, given a valid one, and what the message has to say.
FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda good: b"", "empty"),
    "text": (lambda good: b"# not a model\n" * 50, "not a torch file"),
    "random_bytes": (lambda good: torch.randint(256, (5000,), dtype=torch.uint8).numpy().tobytes(), "not a torch file"),
    "truncated_to_its_first_bytes": (lambda good: good[:3], "not a torch file"),
    "truncated_in_the_middle": (lambda good: good[: len(good) // 2], "truncated or damaged"),
    "truncated_by_one_byte": (lambda good: good[:-1], "truncated or damaged"),
    "one_bit_turned": (flipped, "checksum"),
    "zip_of_something_else": (lambda good: zip_file({"a.txt": b"hello"}), "not a torch file"),
    "zip_with_a_rubbish_pickle": (lambda good: zip_file({"x/data.pkl": b"hello"}), "damaged"),
    "zip_with_an_empty_pickle": (lambda good: zip_file({"x/data.pkl": b""}), "damaged"),
    "compressed_zip": (compressed, "not a torch file"),
    "hostile_pickle": (lambda good: pickle.dumps(Hostile()), "not a torch file"),
    "hostile_torch_file": (lambda good: torch_file(Hostile()), "nothing was executed"),
    "hostile_inside_a_checkpoint": (
        lambda good: torch_file({"format": "qpsnn-checkpoint", "version": 1, "training": Hostile()}),
        "nothing was executed",
    ),
    "hostile_old_torch_file": (lambda good: torch_file(Hostile(), archive=False), "not a torch file"),
    "old_torch_format": (lambda good: torch_file({"a": 1}, archive=False), "not a torch file"),
    "torch_file_of_a_list": (lambda good: torch_file([1, 2]), "format"),
    "bare_state_dict": (lambda good: torch_file({"conv.weight": torch.ones(2)}), "format"),
    "whole_module_pickled": (lambda good: torch_file(torch.nn.Linear(2, 2)), "nothing was executed"),
}


@pytest.mark.parametrize("case", FILES)
def test_file_that_is_no_model(case: str, workplace: Workplace) -> None:
    make, says = FILES[case]
    model = workplace.model()
    model.write_bytes(make(model.read_bytes()))
    for arguments in ((model, "-o", "out"), ("inspect", model), ("evaluate", model, "--data", "digits")):
        workplace.refuses(*arguments, says=("model.pt: ", says))
    workplace.refuses("prune", model, "--data", "digits", "--ratio", "0.5", "-o", "out.pt", says=("model.pt: ",))
    assert not Path(MARKER).exists()


@pytest.mark.parametrize("case", ["empty", "truncated_in_the_middle", "hostile_torch_file"])
def test_file_that_is_no_model_in_a_process_of_its_own(case: str, workplace: Workplace) -> None:
    make, says = FILES[case]
    model = workplace.model()
    model.write_bytes(make(model.read_bytes()))
    workplace.refuses(model, "-o", "out", says=("model.pt: ", says), runner=run)
    assert not Path(MARKER).exists()


def test_hostile_pickle_would_have_run(workplace: Workplace) -> None:
    """The marker shows what it is meant to show."""
    pickle.loads(pickle.dumps(Hostile()))  # noqa: S301 - ours
    assert Path(MARKER).exists()


def test_missing_file_folder_and_loop(workplace: Workplace) -> None:
    Path("folder.pt").mkdir()
    Path("loop.pt").symlink_to("loop.pt")
    Path("file").touch()
    workplace.refuses("none.pt", "-o", "out", says=("none.pt: ", "no such file", "check the path"))
    workplace.refuses("none.pt", "-o", "out", says=("none.pt: ", "no such file"), runner=run)
    workplace.refuses("folder.pt", "-o", "out", says=("folder.pt: ", "cannot be read"))
    workplace.refuses("loop.pt", "-o", "out", says=("loop.pt: ",))
    workplace.refuses("file/model.pt", "-o", "out", says=("file/model.pt: ", "cannot be read"))
    workplace.refuses("", "-o", "out")


# --- contents of a checkpoint


@dataclass(frozen=True)
class Case:
    change: Change
    says: tuple[str, ...]


def place_of(content: Content, path: tuple[str, ...]) -> Any:
    """What lies at a path of keys; nodes are found by name."""
    place: Any = content
    for key in path:
        place = next(entry for entry in place if entry["name"] == key) if isinstance(place, list) else place[key]
    return place


def set_key(*path: str, value: object) -> Change:
    def change(content: Content) -> None:
        place_of(content, path[:-1])[path[-1]] = value

    return change


def without(*path: str) -> Change:
    def change(content: Content) -> None:
        del place_of(content, path[:-1])[path[-1]]

    return change


def poke(tensor: str, value: float) -> Change:
    """Another last value of a tensor."""

    def change(content: Content) -> None:
        content["tensors"][tensor].view(-1)[-1] = value

    return change


def cut(tensor: str) -> Change:
    def change(content: Content) -> None:
        content["tensors"][tensor] = content["tensors"][tensor][:-1]

    return change


def swap_nodes(content: Content) -> None:
    nodes = content["nodes"]
    nodes[2], nodes[3] = nodes[3], nodes[2]


def drop_node(content: Content) -> None:
    content["nodes"] = [entry for entry in content["nodes"] if entry["name"] != "readout"]


def to_attribute(layer: str, name: str, value: object, *says: str) -> Case:
    return Case(set_key("nodes", layer, "attributes", name, value=value), (layer, name, *says))


def bits(layer: str, value: object) -> Case:
    change = set_key("nodes", layer, "attributes", "quantizer", "bits", value=value)
    return Case(change, (layer, "bits", "2, 4, 8"))


TOP_KEYS = ("version", "timesteps", "input", "class_names", "nodes", "tensors", "training")
INPUT_KEYS = ("kind", "shape", "divisor", "mean", "std", "max_value")
NODE_KEYS = ("name", "kind", "inputs", "attributes")
CONV_KEYS = ("in_channels", "out_channels", "kernel", "stride", "padding", "dilation", "groups", "quantizer")
TENSORS = (
    "conv2.weight",
    "conv2.codes",
    "conv2.scale",
    "norm1.weight",
    "norm1.bias",
    "norm1.running_mean",
    "norm1.running_var",
    "head.codes",
)
FLOATS = (*(name for name in TENSORS if not name.endswith("codes")), "head.bias", "head.weight")
WRONG_TIMESTEPS: tuple[object, ...] = (0, -1, 4097, 5000, 2.0, "4", True, None)
WRONG_BITS: tuple[object, ...] = (0, 1, 3, 5, 16, -4, 4.0, "4", None)

CONTENTS: dict[str, Case] = {
    "format_missing": Case(without("format"), ("format",)),
    "format_wrong": Case(set_key("format", value="someone-elses"), ("qpsnn-checkpoint",)),
    "version_newer": Case(set_key("version", value=2), ("version 2", "update")),
    "version_no_number": Case(set_key("version", value="1"), ("version '1'",)),
    **{f"missing_{key}": Case(without(key), (key,)) for key in TOP_KEYS},
    **{f"missing_input_{key}": Case(without("input", key), ("input", key)) for key in INPUT_KEYS},
    **{f"missing_node_{key}": Case(without("nodes", "conv2", key), (key,)) for key in NODE_KEYS},
    **{f"missing_conv_{key}": Case(without("nodes", "conv2", "attributes", key), ("conv2", key)) for key in CONV_KEYS},
    **{f"missing_tensor_{key}": Case(without("tensors", key), (key, "missing")) for key in TENSORS},
    "surplus_key": Case(set_key("extra", value=1), ("extra",)),
    "surplus_tensor": Case(set_key("tensors", "conv9.weight", value=torch.ones(1)), ("conv9.weight",)),
    "surplus_attribute": to_attribute("neuron1", "tau", 2.0),
    **{f"nan_in_{key}": Case(poke(key, float("nan")), (key, "NaN")) for key in FLOATS},
    **{f"infinity_in_{key}": Case(poke(key, float("-inf")), (key, "infinity")) for key in FLOATS},
    "variance_negative": Case(poke("norm1.running_var", -1e-3), ("norm1.running_var", "-0.001")),
    "scale_zero": Case(poke("conv2.scale", 0.0), ("conv2.scale",)),
    "scale_negative": Case(poke("conv2.scale", -1.0), ("conv2.scale",)),
    "code_above_the_4_bit_grid": Case(poke("conv2.codes", 16), ("conv2.codes", "15")),
    "code_outside_the_symmetric_grid": Case(poke("conv1.codes", 0), ("conv1.codes",)),
    **{f"shape_of_{key}": Case(cut(key), (key, "shape")) for key in TENSORS},
    "dtype_of_weights": Case(
        lambda c: c["tensors"].update({"conv2.weight": torch.ones(6, 4, 3, 3).double()}), ("conv2.weight", "float64")
    ),
    "tensor_is_no_tensor": Case(set_key("tensors", "conv2.weight", value=[1.0]), ("conv2.weight",)),
    "sparse_tensor": Case(set_key("tensors", "norm1.bias", value=torch.ones(4).to_sparse()), ("norm1.bias",)),
    "channels_disagree": to_attribute("conv2", "in_channels", 5, "4"),
    "norm_channels_disagree": to_attribute("norm1", "channels", 3, "4"),
    "features_disagree": to_attribute("head", "in_features", 23, "24"),
    "kernel_larger_than_map": to_attribute("pool2", "kernel", [9, 9]),
    "groups_do_not_divide": to_attribute("conv2", "groups", 3),
    "stride_zero": to_attribute("conv2", "stride", [0, 1]),
    "padding_negative": to_attribute("conv2", "padding", [-1, 0]),
    **{f"bits_{value!r}": bits("conv2", value) for value in WRONG_BITS},
    "grid_unknown": Case(
        set_key("nodes", "conv2", "attributes", "quantizer", "grid", value="log"), ("conv2", "rescaw")
    ),
    "kind_unknown": Case(set_key("nodes", "neuron1", "kind", value="gru"), ("neuron1", "'gru'", "supported", "neuron")),
    "kind_no_text": Case(set_key("nodes", "neuron1", "kind", value=3), ("neuron1", "kind")),
    "decay_above_one": to_attribute("neuron1", "decay", 1.5),
    "decay_nan": to_attribute("neuron1", "decay", float("nan")),
    "threshold_zero": to_attribute("neuron1", "threshold", 0.0),
    "threshold_nan": to_attribute("neuron1", "threshold", float("nan")),
    "reset_unknown": to_attribute("neuron1", "reset", "gentle", "hard"),
    "compare_unknown": to_attribute("neuron1", "compare", "<"),
    **{
        f"timesteps_{value!r}": Case(set_key("timesteps", value=value), ("timesteps", "1 to 4096"))
        for value in WRONG_TIMESTEPS
    },
    "divisor_zero": Case(set_key("input", "divisor", value=0.0), ("input", "divisor")),
    "std_zero": Case(set_key("input", "std", value=[0.0]), ("input", "std")),
    "mean_of_three_channels": Case(set_key("input", "mean", value=[0.0] * 3), ("input", "mean", "1 channels")),
    "max_value_256": Case(set_key("input", "max_value", value=256), ("input", "max_value")),
    "input_shape_empty": Case(set_key("input", "shape", value=[1, 0, 8]), ("input", "shape")),
    "input_kind_unknown": Case(set_key("input", "kind", value="sound"), ("input", "kind", "image")),
    "class_names_too_few": Case(set_key("class_names", value=["a"]), ("class names", "10")),
    "class_names_no_text": Case(set_key("class_names", value=[1] * 10), ("class_names",)),
    "nodes_empty": Case(set_key("nodes", value=[]), ("0 nodes",)),
    "nodes_no_list": Case(set_key("nodes", value={}), ("nodes",)),
    "node_is_text": Case(set_key("nodes", value=["conv"]), ("node 0",)),
    "nodes_out_of_order": Case(swap_nodes, ("dangling",)),
    "no_readout": Case(drop_node, ("readout",)),
    "input_dangling": Case(set_key("nodes", "conv2", "inputs", value=["nobody"]), ("conv2", "nobody")),
    "two_inputs": Case(set_key("nodes", "conv2", "inputs", value=["pool1", "pool1"]), ("conv2", "2 inputs")),
    "name_twice": Case(set_key("nodes", "conv2", "name", value="conv1"), ("conv1", "duplicate")),
    "name_is_code": Case(set_key("nodes", "conv2", "name", value="a*/\nint x;"), ("name",)),
    "training_no_plain_data": Case(set_key("training", value={"a": torch.ones(2)}), ("training",)),
}


@pytest.fixture(scope="module")
def valid(small_model: Path) -> Content:
    content: Content = torch.load(small_model, weights_only=True)
    return content


@pytest.mark.parametrize("case", CONTENTS)
def test_checkpoint_content(case: str, valid: Content, workplace: Workplace) -> None:
    content = copy.deepcopy(valid)
    CONTENTS[case].change(content)
    torch.save(content, "model.pt")
    says = ("model.pt: ", *CONTENTS[case].says)
    line = workplace.refuses("model.pt", "-o", "out", says=says)
    assert workplace.refuses("inspect", "model.pt") == line
    with pytest.raises(QpsnnError) as caught:
        nn.load("model.pt")
    assert line == f"qpsnn-codegen: {caught.value}\n"


def test_unchanged_content_is_accepted(valid: Content, workplace: Workplace) -> None:
    """The tables above refuse their changes, not the file around them."""
    torch.save(copy.deepcopy(valid), "model.pt")
    assert call("model.pt", "-o", "out").code == 0


# --- networks that cannot be saved

SYMMETRIC = nn.symmetric(8)


def conv(channels: int = 1, kernels: int = 2) -> nn.QuantConv2d:
    return nn.QuantConv2d(channels, kernels, 3, padding=1, quantizer=SYMMETRIC)


class Reshapes(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.QuantLinear(64, 3, quantizer=SYMMETRIC)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(x.reshape(len(x), -1))
        return logits


class Multiplies(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.QuantLinear(64, 3, quantizer=SYMMETRIC)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.flatten(x, 1) * 2)
        return logits


def chain(*layers: torch.nn.Module) -> Callable[[], torch.nn.Module]:
    return lambda: torch.nn.Sequential(*layers)


HEAD = (torch.nn.Flatten(1), nn.QuantLinear(128, 3, quantizer=SYMMETRIC))
NETWORKS: dict[str, tuple[Callable[[], torch.nn.Module], tuple[str, ...]]] = {
    "gelu": (chain(conv(), torch.nn.GELU(), *HEAD), ("layer 1", "GELU", "QuantConv2d", "MaxPool2d")),
    "plain_conv": (chain(torch.nn.Conv2d(1, 2, 3, padding=1), nn.LIF(), *HEAD), ("layer 0", "Conv2d", "QuantConv2d")),
    "layer_norm": (chain(conv(), torch.nn.LayerNorm([2, 8, 8]), nn.LIF(), *HEAD), ("layer 1", "LayerNorm")),
    "ceil_mode": (chain(conv(), nn.LIF(), torch.nn.MaxPool2d(2, ceil_mode=True), *HEAD), ("layer 2", "ceil_mode")),
    "reshape": (Reshapes, ("supported",)),
    "multiplication": (Multiplies, ("mul", "supported")),
    "ends_in_neurons": (chain(conv(), nn.LIF()), ("layer 1", "Readout")),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_network_with_a_layer_nobody_translates(case: str, workplace: Workplace) -> None:
    make, says = NETWORKS[case]
    with pytest.raises(UnsupportedError) as caught:
        nn.save(nn.SpikingNetwork(make(), timesteps=2, input_shape=(1, 8, 8)), "model.pt")
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    for text in says:
        assert text in line
    assert contents(workplace.folder) == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_network_with_weights_that_are_no_numbers(value: float, workplace: Workplace) -> None:
    model = nn.build("mlp", hidden=(4,))
    with torch.no_grad():
        model.get_parameter("body.linear1.weight")[0, 0] = value
    with pytest.raises(UsageError, match=r"linear1\.weight.*NaN or infinity"):
        nn.save(model, "model.pt")
    assert contents(workplace.folder) == {}


def test_what_is_no_network(workplace: Workplace) -> None:
    with pytest.raises(UsageError, match="SpikingNetwork"):
        nn.save(torch.nn.Linear(2, 2), "model.pt")  # type: ignore[arg-type]
    assert contents(workplace.folder) == {}
