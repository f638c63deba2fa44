"""Each supported module type and the checkpoint node it is: module to attributes, attributes to module.

Supporting another layer means one entry in each of the two tables here and one in
:mod:`qpsnn_codegen.nn.schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qpsnn_codegen.errors import UnsupportedError
from qpsnn_codegen.nn.layers import Pair, QuantConv2d, QuantLinear, QuantWeights, Shortcut
from qpsnn_codegen.nn.neurons import LIF, Readout
from qpsnn_codegen.nn.quantizers import Quantizer
from qpsnn_codegen.nn.schema import Attributes, Shape

SUPPORTED = (
    "QuantConv2d, QuantLinear, BatchNorm1d/2d, LIF, IF, LeakyIntegrator, MaxPool2d, AvgPool2d, "
    "AdaptiveAvgPool2d(1), Flatten, Shortcut, Readout, Dropout, Identity, + and torch.flatten(x, 1)"
)


class RefusedOption(Exception):
    """An option of a supported layer that does not translate: what it is, and what to use instead."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what)


def _as_pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _quantizer_attributes(quantizer: Quantizer) -> dict[str, object]:
    return {
        "grid": quantizer.grid,
        "bits": quantizer.bits,
        "gamma": quantizer.gamma,
        "percentile": float(quantizer.percentile),
        "per": quantizer.per,
    }


# --- module to attributes, one function per module type


def _describe_conv(module: QuantConv2d) -> dict[str, object]:
    return {
        "in_channels": module.in_channels,
        "out_channels": module.out_channels,
        "kernel": module.kernel_size,
        "stride": module.stride,
        "padding": module.padding,
        "dilation": module.dilation,
        "groups": module.groups,
        "quantizer": _quantizer_attributes(module.quantizer),
    }


def _describe_linear(module: QuantLinear) -> dict[str, object]:
    return {
        "in_features": module.in_features,
        "out_features": module.out_features,
        "quantizer": _quantizer_attributes(module.quantizer),
    }


def _describe_norm(module: nn.BatchNorm2d) -> dict[str, object]:
    if module.running_mean is None or module.running_var is None:
        raise RefusedOption("batch-norm without running statistics", "use track_running_stats=True")
    return {"channels": module.num_features, "eps": float(module.eps)}


def _describe_neuron(module: LIF) -> dict[str, object]:
    return {
        "decay": module.decay,
        "threshold": module.threshold,
        "compare": module.compare,
        "reset": module.reset,
        "reset_potential": module.reset_potential,
    }


def _describe_max_pool(module: nn.MaxPool2d) -> dict[str, object]:
    if module.ceil_mode:
        raise RefusedOption("ceil_mode=True", "use ceil_mode=False")
    if _as_pair(module.dilation) != (1, 1):
        raise RefusedOption(f"dilation {module.dilation}", "use dilation=1")
    if module.return_indices:
        raise RefusedOption("return_indices=True", "use return_indices=False")
    return _window_attributes(module)


def _describe_avg_pool(module: nn.AvgPool2d) -> dict[str, object]:
    if module.ceil_mode:
        raise RefusedOption("ceil_mode=True", "use ceil_mode=False")
    if module.divisor_override is not None:
        raise RefusedOption(f"divisor_override={module.divisor_override}", "use divisor_override=None")
    if not module.count_include_pad and _as_pair(module.padding) != (0, 0):
        raise RefusedOption("count_include_pad=False with padding", "use count_include_pad=True or padding=0")
    return _window_attributes(module)


def _window_attributes(module: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, object]:
    return {
        "kernel": _as_pair(module.kernel_size),
        "stride": _as_pair(module.stride),
        "padding": _as_pair(module.padding),
    }


def _describe_global_pool(module: nn.AdaptiveAvgPool2d) -> dict[str, object]:
    if module.output_size not in (1, (1, 1)):
        raise RefusedOption(f"output size {module.output_size}", "use AdaptiveAvgPool2d(1) or AvgPool2d")
    return {"kernel": None, "stride": (1, 1), "padding": (0, 0)}


def _describe_flatten(module: nn.Flatten) -> dict[str, object]:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise RefusedOption(f"dimensions {module.start_dim} to {module.end_dim}", "use Flatten(1)")
    return {}


def _describe_shortcut(module: Shortcut) -> dict[str, object]:
    return {"stride": module.stride, "pad_before": module.pad_before, "pad_after": module.pad_after}


def _describe_readout(module: Readout) -> dict[str, object]:
    return {"mode": module.mode}


_DESCRIBE: tuple[tuple[type[nn.Module], str, Callable[[Any], dict[str, object]]], ...] = (
    (QuantConv2d, "conv", _describe_conv),
    (QuantLinear, "linear", _describe_linear),
    (nn.BatchNorm2d, "batch_norm", _describe_norm),
    (nn.BatchNorm1d, "batch_norm", _describe_norm),
    (LIF, "neuron", _describe_neuron),
    (nn.MaxPool2d, "max_pool", _describe_max_pool),
    (nn.AvgPool2d, "avg_pool", _describe_avg_pool),
    (nn.AdaptiveAvgPool2d, "avg_pool", _describe_global_pool),
    (nn.Flatten, "flatten", _describe_flatten),
    (Shortcut, "shortcut", _describe_shortcut),
    (Readout, "readout", _describe_readout),
)
ELIDED = (nn.Dropout, nn.Dropout2d, nn.Identity)
OWN = (QuantWeights, LIF, Shortcut, Readout)


def rule_for(name: str, module: nn.Module) -> tuple[str, Callable[[Any], dict[str, object]]]:
    """Node kind and attribute function of a module.

    Raises:
        UnsupportedError: no supported layer, named with its path.
    """
    for known, kind, describe in _DESCRIBE:
        # A subclass that computes something else must not pass for its base.
        if isinstance(module, known) and type(module).forward is known.forward:
            return kind, describe
    if isinstance(module, nn.Conv2d | nn.Linear):
        raise UnsupportedError(
            f"layer {name}", f"a plain {type(module).__name__} has no codes", "use QuantConv2d/QuantLinear"
        )
    raise UnsupportedError(f"layer {name}", f"{type(module).__name__} is not supported", f"supported: {SUPPORTED}")


# --- attributes to module


def fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Copy a node's tensors into its module; quantized layers are frozen to their codes."""
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            if name in tensors:
                getattr(module, name).copy_(tensors[name])
    if isinstance(module, QuantWeights):
        module.freeze(tensors["codes"], tensors["scale"])
    return module


def _build_conv(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return QuantConv2d(
        a["in_channels"],
        a["out_channels"],
        a["kernel"],
        quantizer=Quantizer(**a["quantizer"]),
        stride=a["stride"],
        padding=a["padding"],
        dilation=a["dilation"],
        groups=a["groups"],
        bias="bias" in tensors,
    )


def _build_linear(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return QuantLinear(
        a["in_features"], a["out_features"], quantizer=Quantizer(**a["quantizer"]), bias="bias" in tensors
    )


def _build_norm(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return norm(a["channels"], eps=a["eps"])


def _build_neuron(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return LIF(
        a["decay"],
        a["threshold"],
        compare=a["compare"],
        reset=a["reset"],
        reset_potential=a["reset_potential"],
    )


def _build_max_pool(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return nn.MaxPool2d(a["kernel"], a["stride"], a["padding"])


def _build_avg_pool(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    if a["kernel"] is None:
        return nn.AdaptiveAvgPool2d(1)
    return nn.AvgPool2d(a["kernel"], a["stride"], a["padding"])


def _build_flatten(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return nn.Flatten(1)


def _build_shortcut(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return Shortcut(a["stride"], pad_before=a["pad_before"], pad_after=a["pad_after"])


def _build_readout(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return Readout(a["mode"])


BUILDERS: Mapping[str, Callable[[Attributes, Shape, Mapping[str, Tensor]], nn.Module]] = {
    "conv": _build_conv,
    "linear": _build_linear,
    "batch_norm": _build_norm,
    "neuron": _build_neuron,
    "max_pool": _build_max_pool,
    "avg_pool": _build_avg_pool,
    "flatten": _build_flatten,
    "shortcut": _build_shortcut,
    "readout": _build_readout,
}
