"""What a checkpoint graph may contain: per node kind its attributes, its tensors and its shape rule.

Plain data only, no torch modules: the same table judges a user's traced network and a hostile file. The
format is ``docs/checkpoint.md``. Shapes are without batch: (C, H, W) for maps, (F,) for vectors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from qpsnn_codegen.nn.fields import Check, integer, number, one_of, optional, pair, record, shorten
from qpsnn_codegen.nn.neurons import COMPARES, READOUT_MODES, RESETS
from qpsnn_codegen.nn.quantizers import BITS, GAMMAS, GRIDS, PERS

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]

# Far above any microcontroller network, far below what exhausts memory.
MAX_NODES = 4096
MAX_CHANNELS = 2**16
MAX_SIDE = 2**12
MAX_FEATURES = 2**20
MAX_WINDOW = 2**8
MAX_ELEMENTS = 2**27
MAX_TIMESTEPS = 4096

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
MAX_NAME = 200


class Problem(Exception):
    """What is wrong with one node; callers turn it into the error of their context.

    Args:
        node: its name (or a description, where it has none).
        what: what is wrong, one clause.
    """

    def __init__(self, node: str, what: str) -> None:
        self.node = node
        self.what = what
        super().__init__(f"{node}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the graph.

    ``inputs`` are names of earlier nodes; pairs in ``attributes`` are tuples (height, width), ``quantizer``
    is a dict.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Attributes


# --- tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """What one tensor of a node must be; its values lie from ``least`` (``above``: above it) to ``most``."""

    shape: Shape
    dtype: torch.dtype = torch.float32
    required: bool = True
    least: float = -math.inf
    most: float = math.inf
    above: bool = False


_QUANTIZER: Mapping[str, Check] = {
    "grid": one_of(GRIDS),
    "bits": one_of(BITS),
    "gamma": one_of(GAMMAS),
    "percentile": number(0.0, 100.0, open_below=True),
    "per": one_of(PERS),
}


def _quantized(weight: Shape, attributes: Attributes) -> dict[str, TensorSpec]:
    quantizer = attributes["quantizer"]
    lowest = 0 if quantizer["grid"] == "rescaw" else 1
    highest = 2 ** quantizer["bits"] - 1
    scales = weight[0] if quantizer["per"] == "channel" else 1
    return {
        "weight": TensorSpec(shape=weight),
        "bias": TensorSpec(shape=(weight[0],), required=False),
        "codes": TensorSpec(shape=weight, dtype=torch.uint8, least=lowest, most=highest),
        "scale": TensorSpec(shape=(scales,), least=0.0, above=True),
    }


def _conv_tensors(a: Attributes) -> dict[str, TensorSpec]:
    return _quantized((a["out_channels"], a["in_channels"] // a["groups"], *a["kernel"]), a)


def _linear_tensors(a: Attributes) -> dict[str, TensorSpec]:
    return _quantized((a["out_features"], a["in_features"]), a)


def _norm_tensors(a: Attributes) -> dict[str, TensorSpec]:
    each = TensorSpec(shape=(a["channels"],))
    variance = TensorSpec(shape=(a["channels"],), least=0.0)
    return {"weight": each, "bias": each, "running_mean": each, "running_var": variance}


def _no_tensors(a: Attributes) -> dict[str, TensorSpec]:
    return {}


# --- shape rules: raise ValueError with what does not fit


def _map_shape(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"wants a map [C, H, W] but receives a vector of {shape[0]}")
    return shape[0], shape[1], shape[2]


def _windows(shape: Shape, a: Attributes, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    sides = []
    for side, size, stride, padding, spread in zip(shape[1:], kernel, a["stride"], a["padding"], dilation, strict=True):
        room = side + 2 * padding - spread * (size - 1) - 1
        if room < 0:
            raise ValueError(f"a kernel of {size} (dilation {spread}) exceeds the padded side of {side + 2 * padding}")
        sides.append(room // stride + 1)
    return sides[0], sides[1]


def _conv_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    channels = _map_shape(inputs[0])[0]
    if channels != a["in_channels"]:
        raise ValueError(f"in_channels is {a['in_channels']} but it receives {channels}")
    if a["in_channels"] % a["groups"] or a["out_channels"] % a["groups"]:
        raise ValueError(f"{a['groups']} groups do not divide {a['in_channels']} and {a['out_channels']} channels")
    return (a["out_channels"], *_windows(inputs[0], a, a["kernel"], a["dilation"]))


def _linear_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    if len(inputs[0]) != 1:
        raise ValueError(f"wants a vector but receives a map {list(inputs[0])}: flatten it first")
    if inputs[0][0] != a["in_features"]:
        raise ValueError(f"in_features is {a['in_features']} but it receives {inputs[0][0]}")
    return (a["out_features"],)


def _norm_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    if inputs[0][0] != a["channels"]:
        raise ValueError(f"channels is {a['channels']} but it receives {inputs[0][0]}")
    return inputs[0]


def _same_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    return inputs[0]


def _pool_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    channels = _map_shape(inputs[0])[0]
    kernel = a["kernel"]
    if kernel is None:
        if a["stride"] != (1, 1) or a["padding"] != (0, 0):
            raise ValueError("pooling the whole map wants stride [1, 1] and padding [0, 0]")
        return (channels, 1, 1)
    if any(2 * padding > size for padding, size in zip(a["padding"], kernel, strict=True)):
        raise ValueError(f"padding {list(a['padding'])} exceeds half the kernel {list(kernel)}")
    return (channels, *_windows(inputs[0], a, kernel, (1, 1)))


def _flatten_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    return (math.prod(inputs[0]),)


def _add_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    if inputs[0] != inputs[1]:
        raise ValueError(f"adds shapes {list(inputs[0])} and {list(inputs[1])}")
    return inputs[0]


def _shortcut_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = _map_shape(inputs[0])
    stride = a["stride"]
    return (a["pad_before"] + channels + a["pad_after"], -(-height // stride), -(-width // stride))


def _readout_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    if len(inputs[0]) == 3 and inputs[0][1:] != (1, 1):
        raise ValueError(f"receives a map {list(inputs[0])}: pool or flatten it first")
    return inputs[0][:1]


def _input_shape(a: Attributes, inputs: Sequence[Shape]) -> Shape:
    raise AssertionError("the input's shape is given, not computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSchema:
    """One node kind: number of inputs, attribute table, shape rule, tensors."""

    shape: Callable[[Attributes, Sequence[Shape]], Shape]
    inputs: int = 1
    fields: Mapping[str, Check]
    tensors: Callable[[Attributes], dict[str, TensorSpec]] = _no_tensors


_CHANNELS = integer(1, MAX_CHANNELS)
_FEATURES = integer(1, MAX_FEATURES)
_WINDOW = pair(1, MAX_WINDOW)
_PADDING = pair(0, MAX_WINDOW)
_FINITE = 1e30

KINDS: Mapping[str, KindSchema] = {
    "input": KindSchema(inputs=0, fields={}, shape=_input_shape),
    "conv": KindSchema(
        fields={
            "in_channels": _CHANNELS,
            "out_channels": _CHANNELS,
            "kernel": _WINDOW,
            "stride": _WINDOW,
            "padding": _PADDING,
            "dilation": _WINDOW,
            "groups": _CHANNELS,
            "quantizer": record(_QUANTIZER),
        },
        shape=_conv_shape,
        tensors=_conv_tensors,
    ),
    "linear": KindSchema(
        fields={"in_features": _FEATURES, "out_features": _FEATURES, "quantizer": record(_QUANTIZER)},
        shape=_linear_shape,
        tensors=_linear_tensors,
    ),
    "batch_norm": KindSchema(
        fields={"channels": _FEATURES, "eps": number(0.0, 1.0, open_below=True)},
        shape=_norm_shape,
        tensors=_norm_tensors,
    ),
    "neuron": KindSchema(
        fields={
            "decay": number(0.0, 1.0),
            "threshold": number(0.0, math.inf, open_below=True),
            "compare": one_of(COMPARES),
            "reset": one_of(RESETS),
            "reset_potential": number(-_FINITE, _FINITE),
        },
        shape=_same_shape,
    ),
    "max_pool": KindSchema(fields={"kernel": _WINDOW, "stride": _WINDOW, "padding": _PADDING}, shape=_pool_shape),
    "avg_pool": KindSchema(
        fields={"kernel": optional(_WINDOW), "stride": _WINDOW, "padding": _PADDING}, shape=_pool_shape
    ),
    "flatten": KindSchema(fields={}, shape=_flatten_shape),
    "add": KindSchema(inputs=2, fields={}, shape=_add_shape),
    "shortcut": KindSchema(
        fields={
            "stride": integer(1, MAX_WINDOW),
            "pad_before": integer(0, MAX_CHANNELS),
            "pad_after": integer(0, MAX_CHANNELS),
        },
        shape=_shortcut_shape,
    ),
    "readout": KindSchema(fields={"mode": one_of(READOUT_MODES)}, shape=_readout_shape),
}


def check_nodes(nodes: Sequence[Node], input_shape: Shape) -> dict[str, Shape]:
    """Check names, order and wiring of a graph whose attributes are checked, and compute every node's shape.

    Args:
        nodes: in topological order, the input first and the readout last.
        input_shape: (C, H, W).

    Returns:
        node name to shape without batch.

    Raises:
        Problem: the first node that does not fit.
    """
    if not 2 <= len(nodes) <= MAX_NODES:
        raise Problem("nodes", f"{len(nodes)} nodes, from 2 to {MAX_NODES} are possible")
    shapes: dict[str, Shape] = {}
    kinds: dict[str, str] = {}
    read: set[str] = set()
    for position, node in enumerate(nodes):
        _check_place(node, position, len(nodes), shapes)
        try:
            shape = (
                input_shape
                if position == 0
                else KINDS[node.kind].shape(node.attributes, [shapes[name] for name in node.inputs])
            )
            _check_size(shape)
            if node.kind == "readout" and node.attributes["mode"] != "mean":
                before = kinds[node.inputs[0]]
                if before != "neuron":
                    raise ValueError(f"mode {node.attributes['mode']!r} reads a neuron, but {before} precedes it")
            if node.kind == "neuron":
                _check_reset(node.attributes)
            _check_weight_count(node)
        except ValueError as error:
            raise Problem(node.name, str(error)) from None
        shapes[node.name] = shape
        kinds[node.name] = node.kind
        read.update(node.inputs)
    for name in shapes:
        parents = name.split(".")[:-1]
        inside = [".".join(parents[: depth + 1]) for depth in range(len(parents))]
        if any(parent in shapes for parent in inside):
            raise Problem(name, "its name lies inside another node's name")
    unread = [node.name for node in nodes[:-1] if node.name not in read]
    if unread:
        raise Problem(unread[0], "dangling: no node reads it")
    return shapes


def _check_place(node: Node, position: int, count: int, earlier: Mapping[str, Shape]) -> None:
    if len(node.name) > MAX_NAME or not _NAME.fullmatch(node.name):
        raise Problem(shorten(node.name), "a name is made of letters, digits, underscores and single dots")
    if node.name in earlier:
        raise Problem(node.name, "duplicate name")
    for kind, place in (("input", 0), ("readout", count - 1)):
        if (node.kind == kind) != (position == place):
            where = "first" if kind == "input" else "last"
            raise Problem(node.name, f"the {where} node, and only it, has kind {kind!r}")
    wanted = KINDS[node.kind].inputs
    if len(node.inputs) != wanted:
        raise Problem(node.name, f"{len(node.inputs)} inputs, {node.kind} takes {wanted}")
    for name in node.inputs:
        if name not in earlier:
            raise Problem(node.name, f"dangling input {shorten(name)}: no earlier node has this name")


def _check_reset(attributes: Attributes) -> None:
    if math.isinf(attributes["threshold"]) and attributes["reset"] != "none":
        raise ValueError("an infinite threshold wants reset 'none'")


def _check_size(shape: Shape) -> None:
    channels = shape[0]
    limit = MAX_CHANNELS if len(shape) == 3 else MAX_FEATURES
    if channels > limit or any(side > MAX_SIDE for side in shape[1:]) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"shape {list(shape)} is too large")


def _check_weight_count(node: Node) -> None:
    for name, spec in KINDS[node.kind].tensors(node.attributes).items():
        if math.prod(spec.shape) > MAX_ELEMENTS:
            raise ValueError(f"{name} of shape {list(spec.shape)} is too large")
