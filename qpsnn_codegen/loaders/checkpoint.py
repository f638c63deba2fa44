"""Our own checkpoints (docs/checkpoint.md) as a Network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen import nn
from qpsnn_codegen.errors import UnsupportedError, UsageError
from qpsnn_codegen.kinds.add import Add
from qpsnn_codegen.kinds.batch_norm import BatchNorm
from qpsnn_codegen.kinds.conv import Conv, Grid
from qpsnn_codegen.kinds.flatten import Flatten
from qpsnn_codegen.kinds.input import Input
from qpsnn_codegen.kinds.linear import Linear
from qpsnn_codegen.kinds.neuron import Neuron
from qpsnn_codegen.kinds.pools import AveragePool, MaxPool
from qpsnn_codegen.kinds.readout import Readout
from qpsnn_codegen.kinds.shortcut import Shortcut
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.loaders.base import Loaded, Loader, Source
from qpsnn_codegen.network import Network, Node, frozen_array
from qpsnn_codegen.nn.checkpoint import Checkpoint, InputSpec, check_content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One node of the file: what its builder needs."""

    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]
    input: InputSpec

    @property
    def base(self) -> dict[str, Any]:
        return {"name": self.name, "inputs": self.inputs}

    def window(self) -> Window:
        names = ("kernel", "stride", "padding", "dilation")
        return Window(**{name: tuple(self.attributes[name]) for name in names if name in self.attributes})

    def reals(self, name: str, otherwise: float = 0.0, count: int = 0) -> NDArray[np.float64]:
        """A float32 tensor as float64, exactly, or a constant where the file has none."""
        values = self.tensors.get(name, np.full(count, otherwise))
        return frozen_array(values, np.float64)


def load_checkpoint(source: Source) -> Loaded:
    """Read a ``model.pt``.

    Raises:
        ModelFileError: the file is no checkpoint, or contradicts itself.
        UnsupportedError: the network has no form here.
        UsageError: options for what a checkpoint says itself.
    """
    checkpoint = check_content(str(source.path), source.content)
    for name, value in source.options.given().items():
        raise UsageError(f"--{name}", f"{value} for a file that says it itself", f"leave --{name} out")
    network = network_of(checkpoint, source.digest)
    if source.options.timesteps is not None:
        network = replace(network, timesteps=source.options.timesteps)

    @cache  # few commands want it
    def model() -> nn.SpikingNetwork:
        trained = nn.load(source.path)
        trained.timesteps = network.timesteps
        return trained

    return Loaded(
        network=network,
        predict=lambda inputs: nn.predict(model(), inputs),
        trained="float model (torch, float32)",
        about=checkpoint.training,
    )


def network_of(checkpoint: Checkpoint, digest: str) -> Network:
    """The network a validated checkpoint describes."""
    nodes: list[Node] = []
    for entry in checkpoint.nodes:
        prefix = f"{entry.name}."
        tensors = {
            key[len(prefix) :]: value.numpy()
            for key, value in checkpoint.tensors.items()
            if key.startswith(prefix) and "." not in key[len(prefix) :]
        }
        nodes.append(
            _BUILDERS[entry.kind](
                _Entry(
                    name=entry.name,
                    inputs=entry.inputs,
                    attributes=entry.attributes,
                    tensors=tensors,
                    input=checkpoint.input,
                )
            )
        )
    return Network(
        nodes=tuple(_absorb_last_neuron(nodes)),
        timesteps=checkpoint.timesteps,
        class_names=checkpoint.class_names,
        digest=digest,
    )


def _absorb_last_neuron(nodes: list[Node]) -> list[Node]:
    """Make the neurons whose potential is read out part of the readout."""
    last = nodes[-1]
    if not isinstance(last, Readout) or last.mode != "last":
        return nodes
    neuron = next(node for node in nodes if node.name == last.inputs[0])
    readers = [node.name for node in nodes if neuron.name in node.inputs]
    if not isinstance(neuron, Neuron) or readers != [last.name]:
        raise UnsupportedError(
            f"layer {last.name} (readout)",
            "reads potentials that others read too",
            "give the readout its own neurons",
        )
    rest = [node for node in nodes if node is not neuron and node is not last]
    return [*rest, replace(last, neuron=neuron, inputs=neuron.inputs)]


def _input(e: _Entry) -> Node:
    spec = e.input
    channels = spec.shape[0]
    return Input(
        **e.base,
        shape=spec.shape,
        spikes=spec.kind == "spikes",
        max_value=spec.max_value,
        divisor=spec.divisor,
        mean=frozen_array(spec.mean or [0.0] * channels, np.float64),
        std=frozen_array(spec.std or [1.0] * channels, np.float64),
    )


def _weights(e: _Entry) -> dict[str, Any]:
    quantizer = e.attributes["quantizer"]
    codes = frozen_array(e.tensors["codes"], np.uint8)
    scale = frozen_array(np.broadcast_to(e.reals("scale"), len(codes)), np.float64)
    make = {"rescaw": Grid.rescaw, "symmetric": Grid.symmetric}[quantizer["grid"]]
    return {
        "codes": codes,
        "grid": make(quantizer["bits"], scale),
        "bias": e.reals("bias", count=len(codes)),
    }


def _neuron(e: _Entry) -> Node:
    a = e.attributes
    return Neuron(
        **e.base,
        decay=a["decay"],
        threshold=a["threshold"],
        strict=a["compare"] == ">",
        reset=a["reset"],
        reset_potential=a["reset_potential"],
    )


def _batch_norm(e: _Entry) -> Node:
    return BatchNorm(
        **e.base,
        weight=e.reals("weight"),
        bias=e.reals("bias"),
        mean=e.reals("running_mean"),
        variance=e.reals("running_var"),
        eps=e.attributes["eps"],
    )


_BUILDERS: dict[str, Callable[[_Entry], Node]] = {
    "input": _input,
    "conv": lambda e: Conv(**e.base, **_weights(e), window=e.window(), groups=e.attributes["groups"]),
    "linear": lambda e: Linear(**e.base, **_weights(e)),
    "batch_norm": _batch_norm,
    "neuron": _neuron,
    "max_pool": lambda e: MaxPool(**e.base, window=e.window()),
    "avg_pool": lambda e: AveragePool(**e.base, window=e.window() if e.attributes["kernel"] else None),
    "flatten": lambda e: Flatten(**e.base),
    "add": lambda e: Add(**e.base),
    "shortcut": lambda e: Shortcut(**e.base, **e.attributes),
    "readout": lambda e: Readout(**e.base, mode=e.attributes["mode"]),
}

LOADER = Loader(recognizes=lambda content: True, load=load_checkpoint)
