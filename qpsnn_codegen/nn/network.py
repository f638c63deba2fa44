"""The network as a whole: normalization, timesteps, body, readout; and a window on its spikes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from qpsnn_codegen.errors import UnsupportedError, UsageError
from qpsnn_codegen.nn.layers import QuantWeights
from qpsnn_codegen.nn.neurons import LIF, Readout, Temporal
from qpsnn_codegen.nn.schema import MAX_TIMESTEPS, Node, Problem, Shape, check_nodes
from qpsnn_codegen.nn.structure import Step, describe, trace

InputKind = Literal["image", "spikes"]
INPUT_KINDS: tuple[InputKind, ...] = ("image", "spikes")


class SpikingNetwork(nn.Module):
    """A body of supported layers together with what its input and its time axis mean.

    Args:
        body: takes [T*N, C, H, W] (timestep outermost), made of the layers of this package and of torch.nn.
            If it ends in a linear or conv layer, ``Readout("mean")`` is put behind it.
        timesteps: T, 1 to 4096.
        input_shape: (C, H, W).
        input_kind: ``"image"`` (the same bytes at every timestep) or ``"spikes"`` (one frame per timestep).
        divisor: raw values are divided by it; 255 for images and 1 for spikes unless given.
        mean, std: per-channel normalization after the division, or None.
        class_names: one per logit; ``"0"``, ``"1"``, ... unless given.
        max_value: largest raw value; 255 for images and 1 for spikes unless given.

    Shape: raw values [N, C, H, W] (image) or [N, T, C, H, W] (spikes), uint8 or float, to logits [N, K] in
    the dtype of the parameters.

    Raises:
        UnsupportedError: a body with layers or options that do not translate.
        UsageError: numbers that do not fit together.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        timesteps: int,
        input_shape: Sequence[int],
        input_kind: InputKind = "image",
        divisor: float | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        max_value: int | None = None,
    ) -> None:
        super().__init__()
        if type(timesteps) is not int or not 1 <= timesteps <= MAX_TIMESTEPS:
            raise UsageError("timesteps", f"it is {timesteps!r}", f"give an integer from 1 to {MAX_TIMESTEPS}")
        if input_kind not in INPUT_KINDS:
            raise UsageError("input_kind", f"it is {input_kind!r}", "choose image or spikes")
        image = input_kind == "image"
        self.body = body
        self.timesteps = timesteps
        self.input_kind: InputKind = input_kind
        self.input_shape = _input_shape(input_shape)
        self.divisor = float(divisor) if divisor is not None else (255.0 if image else 1.0)
        self.max_value = max_value if max_value is not None else (255 if image else 1)
        if not (math.isfinite(self.divisor) and self.divisor > 0.0):
            raise UsageError("divisor", f"it is {divisor!r}", "give a positive number")
        if not 1 <= self.max_value <= 255:
            raise UsageError("max_value", f"it is {max_value!r}", "raw values are bytes: give 1 to 255")
        self.mean = _per_channel("mean", mean, self.input_shape[0])
        self.std = _per_channel("std", std, self.input_shape[0])
        if self.std is not None and min(self.std) <= 0.0:
            raise UsageError("std", f"it is {list(self.std)}", "give positive numbers")
        steps = trace(body)
        self.readout: Readout | None = None
        if steps[-1].kind != "readout":
            if steps[-1].kind not in ("linear", "conv"):
                raise UnsupportedError(
                    f"layer {steps[-1].name}",
                    f"the network ends in {steps[-1].kind}, which is no logits",
                    "end with QuantLinear or with a Readout",
                )
            self.readout = Readout("mean")
        classes = self.shapes()[self.nodes()[-1].name][0]
        self.class_names = tuple(class_names) if class_names is not None else tuple(map(str, range(classes)))
        if len(self.class_names) != classes or not all(type(name) is str for name in self.class_names):
            raise UsageError(
                "class_names",
                f"{len(self.class_names)} names for {classes} logits",
                f"give {classes} strings",
            )

    def steps(self) -> list[Step]:
        """The graph with its modules, the input first and the readout last."""
        steps = trace(self.body)
        if self.readout is not None:
            taken = {step.name for step in steps}
            name = next(name for name in ("readout", *(f"readout_{i}" for i in range(len(taken)))) if name not in taken)
            steps.append(Step(name, "readout", (steps[-1].name,), self.readout))
        return steps

    def nodes(self) -> tuple[Node, ...]:
        """The graph as plain data (``docs/checkpoint.md``)."""
        return describe(self.steps())

    def shapes(self) -> dict[str, Shape]:
        """Node name to output shape without batch and time.

        Raises:
            UsageError: layers that do not fit together, named.
        """
        try:
            return check_nodes(self.nodes(), self.input_shape)
        except Problem as problem:
            raise UsageError(f"layer {problem.node}", problem.what, "make the layers' sizes agree") from None

    def freeze(self) -> SpikingNetwork:
        """Store every layer's codes and switch to evaluation; see :class:`QuantWeights`."""
        self.eval()
        for module in self.modules():
            if isinstance(module, QuantWeights):
                module.freeze()
        return self

    def dtype(self) -> torch.dtype:
        return next((parameter.dtype for parameter in self.parameters()), torch.get_default_dtype())

    def device(self) -> torch.device:
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def normalize(self, raw: Tensor) -> Tensor:
        """x = (p/divisor - mean)/std along the third axis from the end, in the module's dtype."""
        x = raw.to(self.dtype()) / self.divisor
        # The statistics stay Python floats, so that a float64 network sees them unrounded.
        for statistic, apply in ((self.mean, torch.sub), (self.std, torch.div)):
            if statistic is not None:
                x = apply(x, torch.tensor(statistic, dtype=x.dtype, device=x.device).reshape(-1, 1, 1))
        return x

    def forward(self, raw: Tensor) -> Tensor:
        image = self.input_kind == "image"
        expected = self.input_shape if image else (self.timesteps, *self.input_shape)
        if raw.dim() != len(expected) + 1 or tuple(raw.shape[1:]) != expected:
            raise UsageError("input", f"shape {list(raw.shape)}", f"this network takes [N, {str(list(expected))[1:]}")
        x = self.normalize(raw)
        # Time outermost: a timestep is then a contiguous block, and T a mere factor of the batch.
        x = x.repeat(self.timesteps, 1, 1, 1) if image else x.transpose(0, 1).reshape(-1, *self.input_shape)
        for module in self.modules():
            if isinstance(module, Temporal):
                module.timesteps = self.timesteps
        logits: Tensor = self.body(x)
        return self.readout(logits) if self.readout is not None else logits


def _input_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    sizes = tuple(shape)
    if len(sizes) != 3 or not all(type(size) is int and size >= 1 for size in sizes):
        raise UsageError("input_shape", f"it is {shape!r}", "give three positive integers C, H, W")
    return sizes[0], sizes[1], sizes[2]


def _per_channel(name: str, values: Sequence[float] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    numbers = tuple(float(value) for value in values)
    if len(numbers) != channels or not all(math.isfinite(value) for value in numbers):
        raise UsageError(name, f"it is {list(values)}", f"give {channels} finite numbers, one per channel")
    return numbers


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients inside the context; every module's mode is restored, and stored codes kept."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        # Setting the flags, not train(): that would drop stored codes.
        for module in training:
            module.training = True


@contextmanager
def record_spikes(model: SpikingNetwork) -> Iterator[dict[str, Tensor]]:
    """Collect every neuron's spikes during forwards inside the context.

    Yields:
        A dict filled by each forward: node name to [N, T, C, H, W] (H = W = 1 for vectors), 0.0 or 1.0,
        before any pooling. A later forward replaces an earlier one's.
    """
    with _observe(model, potentials=False) as collected:
        yield collected


@contextmanager
def record_potentials(model: SpikingNetwork) -> Iterator[dict[str, Tensor]]:
    """Like :func:`record_spikes`, for the membrane potentials Ũ before the reset."""
    with _observe(model, potentials=True) as collected:
        yield collected


@contextmanager
def _observe(model: SpikingNetwork, *, potentials: bool) -> Iterator[dict[str, Tensor]]:
    collected: dict[str, Tensor] = {}

    attached = []
    for step in model.steps():
        if isinstance(step.module, LIF):

            def collect(spikes: Tensor, charged: Tensor, name: str = step.name) -> None:
                value = (charged if potentials else spikes).detach().transpose(0, 1)
                collected[name] = value if value.dim() == 5 else value[..., None, None]

            step.module.observers.append(collect)
            attached.append((step.module, collect))
    try:
        yield collected
    finally:
        for module, collect in attached:
            module.observers.remove(collect)
