"""Synaptic operations: what a network's spikes cost on a core, counted so that training can lower it.

A core that computes event by event adds one row of weights per spike and kernel position, so a layer's time follows
the spikes at its input times their fan-out. That product, over what it would be if every input were active, is the
penalty that :attr:`~qpsnn_codegen.nn.training.TrainingOptions.spike_penalty` scales.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from qpsnn_codegen.nn.layers import QuantConv2d, QuantLinear
from qpsnn_codegen.nn.network import SpikingNetwork, inference


@dataclass(slots=True, kw_only=True)
class Operations:
    """Synaptic operations of the last forward, per inference (all timesteps): an active input times a weight.

    Only layers whose input changes with spikes are counted: what reads the image itself costs the same whatever
    the spikes (``image_macs`` of a compilation's report).

    Attributes:
        counts: layer of weights -> float tensor [], the mean over the batch. Its gradient is that of the layer's
            inputs times their fan-out, taken through the neurons' surrogate.
        dense: layer -> the count if every input were active at every timestep.
    """

    counts: dict[str, Tensor] = field(default_factory=dict)
    dense: dict[str, int] = field(default_factory=dict)

    def share(self) -> Tensor:
        """Operations relative to dense, float tensor [] from 0 to 1; 0 for a network without counted layers."""
        if not self.counts:
            return torch.zeros(())
        return torch.stack(list(self.counts.values())).sum() / sum(self.dense.values())


@contextmanager
def count_operations(model: SpikingNetwork) -> Iterator[Operations]:
    """Count the operations of forwards inside the context; a later forward replaces an earlier one's counts.

    The counts are those of ``compile --calibrate``, for the network's present weights.
    """
    counted = Operations()
    static = static_nodes(model)
    sources = {node.name: node.inputs for node in model.nodes()}
    handles = [
        step.module.register_forward_pre_hook(_counter(counted, step.name, model.timesteps))
        for step in model.steps()
        if isinstance(step.module, QuantConv2d | QuantLinear) and not static.issuperset(sources[step.name])
    ]
    try:
        yield counted
    finally:
        for handle in handles:
            handle.remove()


def static_nodes(model: SpikingNetwork) -> frozenset[str]:
    """Names of the nodes whose output is the same at every timestep: all in front of an image's first neurons."""
    if model.input_kind != "image":
        return frozenset()
    static: set[str] = set()
    for node in model.nodes():
        if node.kind != "neuron" and static.issuperset(node.inputs):
            static.add(node.name)
    return frozenset(static)


def _counter(counted: Operations, name: str, timesteps: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def count(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0]
        if isinstance(module, QuantConv2d):
            outputs = module.out_channels // module.groups
            reach = fan_out(module, values.shape[2:]).to(values.device)
        elif isinstance(module, QuantLinear):
            outputs, reach = module.out_features, torch.ones(1, 1, dtype=torch.int64, device=values.device)
            values = values[..., None, None]
        else:
            raise TypeError(f"{name} is a {type(module).__name__}")
        inferences = values.shape[0] // timesteps
        # Integers: the sum is exact, however large the batch.
        events = (values.detach() != 0).sum((0, 1))
        total = ((events * reach).sum() * outputs).to(values.dtype)
        if values.requires_grad:
            slope = (values * reach).sum() * outputs
            # The difference is exactly zero: it adds the gradient and nothing else.
            total = total + (slope - slope.detach())
        counted.counts[name] = total / inferences
        counted.dense[name] = int(reach.sum()) * values.shape[1] * outputs * timesteps

    return count


def fan_out(conv: QuantConv2d, size: Sequence[int]) -> Tensor:
    """How many kernel positions read each input pixel: int64 [H, W], for a map of ``size`` (H, W)."""
    rows, columns = (
        _fan_out(*axis) for axis in zip(size, conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True)
    )
    return rows[:, None] * columns


def _fan_out(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """The same along one axis: int64 [size]."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    read = torch.arange(outputs)[:, None] * stride + torch.arange(kernel) * dilation - padding
    return torch.bincount(read[(read >= 0) & (read < size)], minlength=size)


def measure_operations(model: SpikingNetwork, images: Tensor, *, batch: int = 64) -> Operations:
    """Mean operations over many inputs, without gradients, as the model is (frozen or not); its mode is restored.

    Args:
        images: raw inputs, [N, C, H, W] or [N, T, C, H, W].
        batch: inputs per forward.
    """
    total = Operations()
    with inference(model), count_operations(model) as counted:
        for part in images.split(batch):
            model(part)
            for name, count in counted.counts.items():
                weighted = count.to(torch.float64) * (len(part) / len(images))
                total.counts[name] = total.counts[name] + weighted if name in total.counts else weighted
    total.dense = dict(counted.dense)
    return total
