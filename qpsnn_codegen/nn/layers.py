"""Layers with quantized weights, and the parameter-free shortcut of the paper's ResNet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.quantizers import Quantizer

Pair = tuple[int, int]


class QuantWeights(nn.Module):
    """A layer whose ``weight`` is used through a quantizer.

    In training the codes follow the weights at every step. :meth:`freeze` stores them; a frozen layer in
    evaluation mode computes with the stored codes and scales in the module's dtype, so ``.double()`` gives
    the exact real-number network. Going back to training drops the stored codes.
    """

    weight: Tensor
    codes: Tensor | None
    scale: Tensor | None
    use_float = False

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        if type(quantizer) is not Quantizer:
            raise UsageError(
                type(self).__name__,
                f"quantizer is a {type(quantizer).__name__}",
                "pass nn.rescaw(4), for instance",
            )
        self.quantizer = quantizer
        self.register_buffer("codes", None)
        self.register_buffer("scale", None)

    def current_codes(self) -> tuple[Tensor, Tensor]:
        """Codes (uint8, the weight's shape) and scales (float32, [O] or [1]): stored ones if frozen."""
        if self.codes is not None and self.scale is not None:
            return self.codes, self.scale.to(torch.float32)
        return self.quantizer.codes(self.weight)

    def freeze(self, codes: Tensor | None = None, scale: Tensor | None = None) -> None:
        """Store codes for evaluation: the given ones, or those of the present weights.

        Args:
            codes: uint8, the shape of ``weight``.
            scale: float32, [O] or [1].
        """
        if codes is None or scale is None:
            codes, scale = self.quantizer.codes(self.weight)
        self.codes = codes.detach().clone().to(self.weight.device)
        self.scale = scale.detach().clone().to(self.weight.device, self.weight.dtype)

    def train(self, mode: bool = True) -> QuantWeights:
        if mode:
            self.codes = None
            self.scale = None
        super().train(mode)
        return self

    def effective_weight(self) -> Tensor:
        """The weights the layer computes with, [O, ...], in the module's dtype."""
        if self.use_float:
            return self.weight
        if self.codes is None or self.scale is None:
            return self.quantizer.forward_weight(self.weight)
        return self.quantizer.dequantize(self.codes, self.scale, self.weight.dtype)


@contextmanager
def float_weights(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Inside the context, quantized layers compute with their float weights: for training first and quantizing later.

    Args:
        wanted: False does nothing, for callers that have it as an option.
    """
    layers = [module for module in model.modules() if isinstance(module, QuantWeights)] if wanted else []
    for layer in layers:
        layer.use_float = True
    try:
        yield
    finally:
        for layer in layers:
            layer.use_float = False


def _pair(value: int | Pair, name: str, least: int) -> Pair:
    pair: tuple[int, ...] = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(type(item) is not int or item < least for item in pair):
        raise UsageError("QuantConv2d", f"{name} is {value!r}", f"give one or two integers of at least {least}")
    return pair[0], pair[1]


class QuantConv2d(QuantWeights):
    """2-d convolution with quantized weights and zero padding.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as
            ``torch.nn.Conv2d`` (integers only). ``bias`` is off by default: a batch-norm follows.
        quantizer: :func:`~qpsnn_codegen.nn.quantizers.rescaw` and friends.

    Shape: [B, in_channels, H, W] to [B, out_channels, H', W'].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        *,
        quantizer: Quantizer,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(quantizer)
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise UsageError(
                "QuantConv2d",
                f"{in_channels} to {out_channels} channels in {groups} groups",
                "groups must divide both channel counts",
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size, "kernel_size", 1)
        self.stride = _pair(stride, "stride", 1)
        self.padding = _pair(padding, "padding", 0)
        self.dilation = _pair(dilation, "dilation", 1)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.effective_weight(), self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, {self.quantizer.bits}-bit {self.quantizer.grid}"
        )


class QuantLinear(QuantWeights):
    """Fully connected layer with quantized weights.

    Args:
        in_features, out_features, bias: as ``torch.nn.Linear``.
        quantizer: :func:`~qpsnn_codegen.nn.quantizers.symmetric` with ``per="layer"`` for a last layer.

    Shape: [B, in_features] to [B, out_features].
    """

    def __init__(self, in_features: int, out_features: int, *, quantizer: Quantizer, bias: bool = True) -> None:
        super().__init__(quantizer)
        if min(in_features, out_features) < 1:
            raise UsageError("QuantLinear", f"{in_features} to {out_features} features", "give positive counts")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.effective_weight(), self.bias)

    def extra_repr(self) -> str:
        quantizer = self.quantizer
        return f"{self.in_features}, {self.out_features}, {quantizer.bits}-bit {quantizer.grid}"


class Shortcut(nn.Module):
    """Option-A shortcut (QP-SNN, ResNet-20): subsample space, pad channels with zeros.

    Args:
        stride: take every ``stride``-th row and column, from the first.
        pad_before: zero channels put before the input's.
        pad_after: zero channels put after them.

    Shape: [B, C, H, W] to [B, pad_before + C + pad_after, ceil(H/stride), ceil(W/stride)].
    """

    def __init__(self, stride: int = 1, *, pad_before: int = 0, pad_after: int = 0) -> None:
        super().__init__()
        if stride < 1 or pad_before < 0 or pad_after < 0:
            raise UsageError(
                "Shortcut",
                f"stride {stride}, padding {pad_before} and {pad_after}",
                "the stride is at least 1 and the padding not negative",
            )
        self.stride = stride
        self.pad_before = pad_before
        self.pad_after = pad_after

    @classmethod
    def between(cls, in_channels: int, out_channels: int, stride: int) -> Shortcut:
        """The paper's split: (out - in)//2 channels before, the rest after."""
        missing = out_channels - in_channels
        return cls(stride, pad_before=missing // 2, pad_after=missing - missing // 2)

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, self.pad_before, self.pad_after))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, pad_before={self.pad_before}, pad_after={self.pad_after}"
