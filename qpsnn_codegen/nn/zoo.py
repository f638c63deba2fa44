"""Ready-made architectures by name; :mod:`qpsnn_codegen.nn.zoo_recipe` has the options they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.zoo_chains import cnn, event_cnn, micro_cnn, mlp, vgg16, vggsnn
from qpsnn_codegen.nn.zoo_residual import micro_resnet, resnet, resnet20, sew_resnet18
from qpsnn_codegen.suggestions import choose

ARCHITECTURES: Mapping[str, Callable[..., SpikingNetwork]] = {
    "cnn": cnn,
    "mlp": mlp,
    "micro_cnn": micro_cnn,
    "event_cnn": event_cnn,
    "micro_resnet": micro_resnet,
    "resnet": resnet,
    "vgg16": vgg16,
    "resnet20": resnet20,
    "vggsnn": vggsnn,
    "sew_resnet18": sew_resnet18,
}

_EVENT_RATE = 0.1


def build(arch: str, *, seed: int = 0, **options: Any) -> SpikingNetwork:
    """Build an architecture with reproducible initial weights; the global random state is left as it was.

    Args:
        arch: a key of :data:`ARCHITECTURES`.
        seed: of the initial weights.
        options: those of the architecture, and of :class:`~qpsnn_codegen.nn.zoo_recipe.Recipe`.

    Raises:
        UsageError: an unknown architecture, or an option it does not take.
    """
    if arch not in ARCHITECTURES:
        raise UsageError("arch", f"{arch!r} is unknown", choose(arch, ARCHITECTURES))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return ARCHITECTURES[arch](**options)
        except TypeError as error:
            raise UsageError("arch", f"{arch}: {error}", "see help(qpsnn_codegen.nn.zoo)") from error


def enlivened(model: SpikingNetwork, seed: int = 0) -> SpikingNetwork:
    """The model with batch-norm statistics as after training, frozen.

    A fresh network hardly spikes: its batch-norms divide by 1 whatever arrives. Each gets the mean and variance that
    some inputs really cause, gains around 1 and biases above 0.
    """
    generator = torch.Generator().manual_seed(seed)
    frames = () if model.input_kind == "image" else (model.timesteps,)
    shape = (4, *frames, *model.input_shape)
    # Images are noise of all brightnesses; events are few.
    inputs = torch.rand(shape, generator=generator) * model.max_value
    if frames:
        inputs = inputs.ceil() * (torch.rand(shape, generator=generator) < _EVENT_RATE)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # the mean of all batches, of which there is one
            norm.reset_running_stats()
            norm.weight.copy_(0.8 + 0.4 * torch.rand(norm.num_features, generator=generator))
            norm.bias.copy_(0.3 + 0.4 * torch.rand(norm.num_features, generator=generator))
        model.train()
        model(inputs.floor())
        for norm in norms:
            norm.momentum = 0.1
    return model.freeze()
