"""Checkpoints of the QP-SNN authors' code (``*.pth.tar``) as a Network.

The architecture follows from the names in the file, pruned widths from the shapes; docs/reference_checkpoints.md says
what the file leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpsnn_codegen.kinds.add import Add
from qpsnn_codegen.kinds.batch_norm import BatchNorm
from qpsnn_codegen.kinds.conv import Conv, Grid
from qpsnn_codegen.kinds.flatten import Flatten
from qpsnn_codegen.kinds.input import Input
from qpsnn_codegen.kinds.linear import Linear
from qpsnn_codegen.kinds.neuron import Neuron
from qpsnn_codegen.kinds.pools import AveragePool, MaxPool
from qpsnn_codegen.kinds.readout import Readout
from qpsnn_codegen.kinds.real_weights import RealConv, RealLinear
from qpsnn_codegen.kinds.shortcut import Shortcut
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.loaders.base import Ends, Loaded, Loader, Source
from qpsnn_codegen.loaders.bit_widths import contradiction
from qpsnn_codegen.loaders.state_dict import StateDict, side_of
from qpsnn_codegen.network import Network, Node, frozen_array
from qpsnn_codegen.nn.quantizers import SMALLEST_SCALE, rescaw

DEFAULT_BITS = 4
EPS = 1e-5
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)
EVENT_CHANNELS = 2
_BATCH = 32
_HALF = Window(kernel=(2, 2), stride=(2, 2))


class _Builder:
    """Nodes, one after another; each reads the one before unless told otherwise."""

    def __init__(self, state: StateDict, bits: int, ends: Ends) -> None:
        self.state = state
        self.bits = bits
        self.ends = ends
        self.nodes: list[Node] = []
        self.inner: list[tuple[Tensor, Tensor]] = []
        """Weights of the quantized layers with the running means of their batch-norms."""
        self.classes = 0

    @property
    def last(self) -> str:
        """The name of the node before."""
        return self.nodes[-1].name

    def add(self, make: Callable[..., Node], name: str, **fields: Any) -> str:
        fields.setdefault("inputs", (self.last,) if self.nodes else ())
        self.nodes.append(make(name=name, **fields))
        return name

    def input(self, channels: int, side: int) -> None:
        """Images normalized as CIFAR's, or frames of events."""
        events = channels == EVENT_CHANNELS
        if not events and channels != len(CIFAR_MEAN):
            raise self.state.refuse(
                f"its first layer reads {channels} channels, neither an image's 3 nor events of 2 polarities",
                "convert the model with qpsnn_codegen.nn, which takes any input",
            )
        self.add(
            Input,
            "input",
            shape=(channels, side, side),
            spikes=events,
            max_value=255,
            divisor=1.0 if events else 255.0,
            mean=frozen_array([0.0] * channels if events else CIFAR_MEAN, np.float64),
            std=frozen_array([1.0] * channels if events else CIFAR_STD, np.float64),
        )

    def conv(self, name: str, key: str, norm: str, channels: int, stride: int = 1, *, first: bool = False) -> int:
        """3×3 convolution and batch-norm; returns how many channels they give."""
        weights = self.state.read(f"{key}.weight", (None, channels, 3, 3))
        outputs = len(weights)
        bias = self.state.read(f"{key}.bias", (outputs,)) if self.state.has(f"{key}.bias") else torch.zeros(outputs)
        fields = {"bias": _reals(bias), "window": Window(kernel=(3, 3), stride=(stride, stride), padding=(1, 1))}
        statistics = {
            field: self.state.read(f"{norm}.bn.{part}", (outputs,))
            for field, part in (
                ("weight", "weight"),
                ("bias", "bias"),
                ("mean", "running_mean"),
                ("variance", "running_var"),
            )
        }
        if bool((statistics["variance"] < 0).any()):
            raise self.state.refuse(f"{norm}.bn.running_var has negative values", "train again")
        if first:
            self._end(Conv, RealConv, name, weights, fields)
        else:
            self.inner.append((weights, statistics["mean"]))
            codes, scale = rescaw(self.bits).codes(weights)
            grid = Grid.rescaw(self.bits, _reals(scale))
            self.add(Conv, name, codes=frozen_array(codes.numpy(), np.uint8), grid=grid, **fields)
        self.add(BatchNorm, norm, eps=EPS, **{field: _reals(value) for field, value in statistics.items()})
        return outputs

    def neuron(self, name: str) -> str:
        return self.add(Neuron, name, decay=0.5, threshold=1.0, strict=True, reset="hard", reset_potential=0.0)

    def head(self, key: str, features: int) -> None:
        """Flatten, the last layer and the readout."""
        weights = self.state.read(f"{key}.weight", (None, features))
        bias = self.state.read(f"{key}.bias", (len(weights),))
        self.add(Flatten, "flatten")
        self._end(Linear, RealLinear, "head", weights, {"bias": _reals(bias)})
        self.add(Readout, "readout", mode="mean")
        self.classes = len(weights)

    def _end(self, coded: type[Node], real: type[Node], name: str, weights: Tensor, fields: Mapping[str, Any]) -> None:
        """The first or the last layer, as it was trained."""
        if self.ends == "float":
            self.add(real, name, weights=_reals(weights), **fields)
            return
        # One scale for all, that of the largest weight, which need not be the largest magnitude: codes may pass -127.
        scale = weights.max() / 127
        if not bool(scale > SMALLEST_SCALE):
            raise self.state.refuse(f"{name} has no positive weight, so no 8-bit scale", "give --ends float")
        levels = torch.round(weights / scale).to(torch.float64)
        reach = int(levels.abs().max())
        if reach >= 2**15:
            raise self.state.refuse(f"{name} needs weight codes up to {reach}, beyond 16 bits", "give --ends float")
        bits = 8 if reach <= 127 else 16
        codes = frozen_array(levels.numpy() + 2 ** (bits - 1), np.uint8 if bits == 8 else np.uint16)
        self.add(coded, name, codes=codes, grid=Grid.symmetric(bits, np.full(len(weights), float(scale))), **fields)


def _reals(values: Tensor) -> NDArray[np.float64]:
    return frozen_array(values.numpy(), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Architecture:
    """``mark``: a name only its files have. ``build`` returns the timesteps of the authors' configuration."""

    mark: str
    build: Callable[[_Builder], int]


def _vgg(b: _Builder) -> int:
    """Convs in a row, numbered together with the 2×2 max-pools between them, which therefore show as gaps."""
    state = b.state
    places = state.indices(r"features\.convbn(\d+)\.")
    if len(places) > 64 or places[0] != 0 or places[-1] > 2 * len(places):
        raise state.refuse(f"its convs are numbered {places[:20]}", "give a checkpoint of the authors' VGG")
    gaps = [place for place in range(places[-1]) if place not in places]
    first = state.read("features.convbn0.layer.module.weight", (None, None, 3, 3))
    outputs = len(state.read(f"features.convbn{places[-1]}.layer.module.weight", (None, None, 3, 3)))
    features = state.read("classifier.linear1.module.weight", (None, None)).shape[1]
    # Before the last layer the map is halved once more, by averaging.
    side = side_of(features // outputs) * 2 ** (len(gaps) + 1)
    if features % outputs or not 0 < side <= 1024:
        raise state.refuse(
            f"classifier.linear1 reads {features} features of {outputs} channels, which is no square map",
            "give a checkpoint of the authors' VGG",
        )
    channels = int(first.shape[1])
    b.input(channels, side)
    for place in range(places[-1] + 1):
        if place in gaps:
            b.add(MaxPool, f"pool{place}", window=_HALF)
            continue
        key = f"features.convbn{place}"
        channels = b.conv(f"convbn{place}", f"{key}.layer.module", f"{key}.bn", channels, first=place == 0)
        b.neuron(f"lif{place}")
    b.add(AveragePool, "average", window=_HALF)
    b.head("classifier.linear1.module", features)
    return 10 if first.shape[1] == EVENT_CHANNELS else 4


def _resnet(b: _Builder) -> int:
    """Basic blocks with option-A shortcuts; every stage but the first halves the map."""
    state = b.state
    first = state.read("conv1.weight", (None, None, 3, 3))
    b.input(int(first.shape[1]), 32)
    channels = b.conv("conv1", "conv1", "bn1", int(first.shape[1]), first=True)
    source = b.neuron("lif1")
    stages = state.indices(r"layer(\d+)\.")
    for number, stage in enumerate(stages, start=1):
        blocks = state.indices(rf"layer{stage}\.(\d+)\.")
        if stage != number or blocks != list(range(len(blocks))):
            raise state.refuse(f"its stages are {stages}, their blocks {blocks}", "give all of the ResNet's layers")
        for block in blocks:
            stride = 2 if block == 0 and stage > 1 else 1
            source, channels = _block(b, f"layer{stage}.{block}", source, channels, stride)
    b.add(AveragePool, "average", window=None)
    b.head("fc.module", channels)
    return 2


def _block(b: _Builder, key: str, source: str, channels: int, stride: int) -> tuple[str, int]:
    """One basic block: its output's name and channels."""
    between = b.conv(f"{key}.conv1", f"{key}.conv1", f"{key}.bn1", channels, stride)
    b.neuron(f"{key}.lif1")
    outputs = b.conv(f"{key}.conv2", f"{key}.conv2", f"{key}.bn2", between)
    current, missing = b.last, outputs - channels
    if missing < 0:
        raise b.state.refuse(
            f"{key} narrows {channels} channels to {outputs}, which its shortcut cannot", "prune the blocks alike"
        )
    branch = source
    if missing or stride > 1:
        before = missing // 2
        branch = b.add(
            Shortcut,
            f"{key}.shortcut",
            inputs=(source,),
            stride=stride,
            pad_before=before,
            pad_after=missing - before,
        )
    b.add(Add, f"{key}.add", inputs=(current, branch))
    return b.neuron(f"{key}.lif2"), outputs


_ARCHITECTURES = (
    _Architecture(mark="features.convbn0.layer.module.weight", build=_vgg),
    _Architecture(mark="layer1.0.conv1.weight", build=_resnet),
)


def load_reference(source: Source) -> Loaded:
    """Read a checkpoint of the authors' code.

    Raises:
        ModelFileError: an architecture nobody knows, or tensors that do not fit together.
    """
    where, options = str(source.path), source.options
    content: Any = source.content
    state = StateDict(where, content["state_dict"])
    architecture = next((a for a in _ARCHITECTURES if state.has(a.mark)), None)
    if architecture is None:
        raise state.refuse(
            "its layers are neither those of the authors' VGG nor of their ResNet-20",
            "rebuild the model with qpsnn_codegen.nn and save it there",
        )
    builder = _Builder(state, options.bits or DEFAULT_BITS, options.ends or "float")
    timesteps = architecture.build(builder)
    state.finish()
    network = Network(
        nodes=tuple(builder.nodes),
        timesteps=options.timesteps or timesteps,
        class_names=tuple(map(str, range(builder.classes))),
        digest=source.digest,
    )
    return Loaded(
        network=network,
        predict=lambda inputs: _predict(network, inputs),
        trained="real-number model (numpy, float64)",
        about={key: content[key] for key in ("epoch", "best_top1_acc") if type(content.get(key)) in (int, float)},
        notes=contradiction(builder.inner, builder.bits),
    )


def _predict(network: Network, inputs: NDArray[Any]) -> NDArray[Any]:
    parts = [network.run(inputs[start : start + _BATCH])[0].argmax(axis=1) for start in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts)


def _recognizes(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("state_dict"), dict)


LOADER = Loader(recognizes=_recognizes, load=load_reference)
