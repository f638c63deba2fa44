"""The checkpoint file ``model.pt`` (``docs/checkpoint.md``): writing it, reading what nobody vouches for."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from qpsnn_codegen.errors import ModelFileError, UsageError
from qpsnn_codegen.files import atomic_file
from qpsnn_codegen.nn.archive import read_torch_file
from qpsnn_codegen.nn.fields import Check, check_fields, integer, number, one_of, optional, shorten
from qpsnn_codegen.nn.network import INPUT_KINDS, InputKind, SpikingNetwork
from qpsnn_codegen.nn.schema import (
    KINDS,
    MAX_CHANNELS,
    MAX_ELEMENTS,
    MAX_FEATURES,
    MAX_NODES,
    MAX_SIDE,
    MAX_TIMESTEPS,
    Node,
    Problem,
    Shape,
    TensorSpec,
    check_nodes,
)
from qpsnn_codegen.nn.structure import GraphBody, tensors_of

FORMAT = "qpsnn-checkpoint"
VERSION = 1
MAX_PLAIN_ITEMS = 200_000
MAX_PLAIN_DEPTH = 8

REMEDY_FILE = "give a model.pt written by qpsnn_codegen.nn.save"
_REMEDY_CONTENT = "save the model again with qpsnn_codegen.nn.save"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """How raw input becomes x = (p/divisor - mean)/std; ``shape`` is (C, H, W)."""

    kind: InputKind
    shape: tuple[int, int, int]
    divisor: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    max_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A validated checkpoint: everything in it has the documented type, shape and range.

    ``tensors`` maps ``"<node>.<tensor>"`` to contiguous CPU tensors (float32, codes uint8); ``shapes`` maps
    node names to output shapes without batch and time.
    """

    path: str
    timesteps: int
    input: InputSpec
    class_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    training: Mapping[str, Any]
    shapes: Mapping[str, Shape]


# --- writing


def save(model: SpikingNetwork, path: str | os.PathLike[str], *, training: Mapping[str, object] | None = None) -> None:
    """Write a model file; an existing one is replaced at once or not at all.

    Args:
        model: any :class:`SpikingNetwork`, one's own body included. Frozen layers are stored with their
            codes, others with the codes of their present weights.
        path: by convention ``*.pt``.
        training: plain data for people (numbers, strings, lists, dicts).

    Raises:
        UnsupportedError: a layer or option the format has no words for.
        UsageError: ``training`` is not plain data, or the model breaks the format's limits (NaN weights, for
            one).
        OutputError: the file cannot be written.
    """
    if not isinstance(model, SpikingNetwork):
        raise UsageError(
            "save",
            f"the model is a {type(model).__name__}",
            "wrap it: SpikingNetwork(body, timesteps=..., ...)",
        )
    content: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "timesteps": model.timesteps,
        "input": {
            "kind": model.input_kind,
            "shape": list(model.input_shape),
            "divisor": model.divisor,
            "mean": None if model.mean is None else list(model.mean),
            "std": None if model.std is None else list(model.std),
            "max_value": model.max_value,
        },
        "class_names": list(model.class_names),
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "inputs": list(node.inputs),
                "attributes": {
                    key: list(value) if isinstance(value, tuple) else value for key, value in node.attributes.items()
                },
            }
            for node in model.nodes()
        ],
        "tensors": tensors_of(model.steps()),
        "training": dict(training or {}),
    }
    # What is written must be readable: the reader's own checks are the definition of the format.
    try:
        check_content(str(path), content)
    except ModelFileError as error:
        raise UsageError("save", error.what, "repair the model before saving it") from None
    buffer = io.BytesIO()
    # Pickle writes an object it has met before as a reference: equal strings have to be one object
    # everywhere, or saving a loaded model would give other bytes.
    content = _with_shared_strings(content, {})
    # Through memory: torch writes the file's own name into a file it opens, which would not be reproducible.
    torch.save(content, buffer)
    with atomic_file(Path(path)) as stream:
        stream.write(buffer.getvalue())


def _with_shared_strings(item: Any, met: dict[str, str]) -> Any:
    if type(item) is dict:
        return {_with_shared_strings(key, met): _with_shared_strings(value, met) for key, value in item.items()}
    if type(item) is list or type(item) is tuple:
        return [_with_shared_strings(entry, met) for entry in item]
    if type(item) is str:
        # Built anew: an interned constant of the program must not be shared with pickle's own words.
        return met.setdefault(item, "".join(list(item)))
    return item


# --- reading


def load(path: str | os.PathLike[str]) -> SpikingNetwork:
    """Read a model file as a network: in evaluation mode, frozen to the stored codes.

    Raises:
        ModelFileError: see :func:`read_checkpoint`.
    """
    checkpoint = read_checkpoint(path)
    body = GraphBody(checkpoint.nodes, checkpoint.shapes, checkpoint.tensors)
    spec = checkpoint.input
    model = SpikingNetwork(
        body,
        timesteps=checkpoint.timesteps,
        input_shape=spec.shape,
        input_kind=spec.kind,
        divisor=spec.divisor,
        mean=spec.mean,
        std=spec.std,
        class_names=checkpoint.class_names,
        max_value=spec.max_value,
    )
    # Not eval() after a train(): stored codes would be lost.
    model.eval()
    return model


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read and validate a model file; nothing in it is executed, and nothing in it is believed.

    Raises:
        ModelFileError: not a file, not a torch file, other format or version, or contents that are missing,
            superfluous, of wrong type, out of range, not finite or at odds with each other; the message says
            which.
    """
    where = str(path)
    return check_content(where, read_torch_file(where, Path(path), REMEDY_FILE))


def _floats(least: float, most: float, *, open_below: bool = False) -> Check:
    item = number(least, most, open_below=open_below)

    def check(value: object) -> object:
        if type(value) is not list or len(value) > MAX_CHANNELS:
            raise ValueError("wants a list of floats")
        return tuple(item(entry) for entry in value)

    return check


def _strings(value: object) -> object:
    if type(value) is not list or not all(type(entry) is str and len(entry) <= 200 for entry in value):
        raise ValueError("wants a list of strings")
    if not 1 <= len(value) <= MAX_FEATURES:
        raise ValueError("wants at least one string")
    return tuple(value)


def _input_shape(value: object) -> object:
    if type(value) is not list or len(value) != 3:
        raise ValueError("wants [C, H, W]")
    limits = (MAX_CHANNELS, MAX_SIDE, MAX_SIDE)
    return tuple(integer(1, limit)(entry) for entry, limit in zip(value, limits, strict=True))


def _plain(value: object) -> object:
    budget = MAX_PLAIN_ITEMS
    pending: list[tuple[object, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        budget -= 1
        if budget < 0 or depth > MAX_PLAIN_DEPTH:
            raise ValueError("wants less data")
        if type(item) is dict:
            if not all(type(key) is str for key in item):
                raise ValueError("wants strings as keys")
            pending.extend((inner, depth + 1) for inner in item.values())
        elif type(item) is list or type(item) is tuple:
            pending.extend((inner, depth + 1) for inner in item)
        elif not (item is None or type(item) in (bool, int, float, str)):
            raise ValueError("wants plain data: numbers, strings, lists and dictionaries")
    if type(value) is not dict:
        raise ValueError("wants a dictionary")
    return value


def _dictionary(value: object) -> object:
    if type(value) is not dict or not all(type(key) is str for key in value):
        raise ValueError("wants a dictionary with string keys")
    return value


def _list(value: object) -> object:
    if type(value) is not list:
        raise ValueError("wants a list")
    if len(value) > MAX_NODES:
        raise ValueError(f"wants at most {MAX_NODES} nodes")
    return value


_INPUT: Mapping[str, Check] = {
    "kind": one_of(INPUT_KINDS),
    "shape": _input_shape,
    "divisor": number(0.0, 1e30, open_below=True),
    "mean": optional(_floats(-1e30, 1e30)),
    "std": optional(_floats(0.0, 1e30, open_below=True)),
    "max_value": integer(1, 255),
}

_TOP: Mapping[str, Check] = {
    "format": one_of((FORMAT,)),
    "version": one_of((VERSION,)),
    "timesteps": integer(1, MAX_TIMESTEPS),
    "input": _dictionary,
    "class_names": _strings,
    "nodes": _list,
    "tensors": _dictionary,
    "training": _plain,
}


def check_content(where: str, content: object) -> Checkpoint:
    """Validate what a torch file held; ``where`` is its name. Raises as :func:`read_checkpoint`."""
    if type(content) is not dict or content.get("format") != FORMAT:
        raise ModelFileError(where, f"a torch file, but its format is not {FORMAT!r}", REMEDY_FILE)
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        raise ModelFileError(
            where, f"format version {shorten(version)}, this program reads {VERSION}", "update qpsnn-codegen"
        )
    node = ""
    try:
        top: Any = check_fields(content, _TOP)
        node = "input: "
        spec: Any = InputSpec(**check_fields(top["input"], _INPUT))  # type: ignore[arg-type]
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            if values is not None and len(values) != spec.shape[0]:
                raise ValueError(f"{name} has {len(values)} entries for {spec.shape[0]} channels")
        nodes = []
        for position, entry in enumerate(top["nodes"]):
            node = f"node {position}: "
            if type(entry) is dict and type(entry.get("name")) is str:
                node = f"node {shorten(entry['name'])}: "
            nodes.append(_node(entry))
        node = ""
        shapes = check_nodes(nodes, spec.shape)
        classes = shapes[nodes[-1].name][0]
        if len(top["class_names"]) != classes:
            raise ValueError(f"{len(top['class_names'])} class names for {classes} logits")
        tensors = _tensors(nodes, top["tensors"])
    except Problem as problem:
        raise ModelFileError(where, f"node {problem.node!r}: {problem.what}", _REMEDY_CONTENT) from None
    except ValueError as error:
        raise ModelFileError(where, f"{node}{error}", _REMEDY_CONTENT) from None
    return Checkpoint(
        path=where,
        timesteps=top["timesteps"],
        input=spec,
        class_names=top["class_names"],
        nodes=tuple(nodes),
        tensors=MappingProxyType(tensors),
        training=MappingProxyType(top["training"]),
        shapes=MappingProxyType(shapes),
    )


def _node(entry: object) -> Node:
    fields: Mapping[str, Check] = {
        "name": _text,
        "kind": _text,
        "inputs": lambda value: () if value == [] else _strings(value),
        "attributes": _dictionary,
    }
    if type(entry) is not dict:
        raise ValueError("wants a dictionary with " + ", ".join(fields))
    checked: Any = check_fields(entry, fields)
    kind = checked["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown kind {shorten(kind)} (supported: {', '.join(KINDS)})")
    attributes = check_fields(checked["attributes"], KINDS[kind].fields)
    return Node(name=checked["name"], kind=kind, inputs=checked["inputs"], attributes=MappingProxyType(attributes))


def _text(value: object) -> object:
    if type(value) is not str:
        raise ValueError("wants a string")
    return value


def _tensors(nodes: list[Node], found: Mapping[str, object]) -> dict[str, Tensor]:
    specs = {
        f"{node.name}.{name}": spec
        for node in nodes
        for name, spec in KINDS[node.kind].tensors(node.attributes).items()
    }
    unknown = [key for key in found if key not in specs]
    if unknown:
        raise ValueError(f"tensor {shorten(unknown[0])} belongs to no node")
    # Sizes come from the attributes, so this bounds memory before any tensor is touched.
    if sum(math.prod(spec.shape) for key, spec in specs.items() if key in found) > 2 * MAX_ELEMENTS:
        raise ValueError("the tensors together are too large")
    checked = {}
    for key, spec in specs.items():
        if key in found:
            checked[key] = _tensor(key, found[key], spec)
        elif spec.required:
            raise ValueError(f"tensor {key!r} is missing")
    return checked


def _tensor(key: str, value: object, spec: TensorSpec) -> Tensor:
    label = f"tensor {key!r}"
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        raise ValueError(f"{label} is {shorten(value)}, not an ordinary tensor")
    if value.dtype != spec.dtype:
        raise ValueError(f"{label} is {value.dtype}, it must be {spec.dtype}")
    if tuple(value.shape) != spec.shape:
        raise ValueError(f"{label} has shape {list(value.shape)}, its node says {list(spec.shape)}")
    tensor = value.detach().clone(memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{label} holds NaN or infinity")
    low, high = float(tensor.min()), float(tensor.max())
    if low < spec.least or high > spec.most or (spec.above and low == spec.least):
        sign = "above" if spec.above else "from"
        raise ValueError(f"{label} runs from {low:g} to {high:g}, it must lie {sign} {spec.least:g} to {spec.most:g}")
    return tensor
