"""What all architectures share: how layers are made, which channels are left out, how a network is wrapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.nn.layers import QuantConv2d, QuantLinear
from qpsnn_codegen.nn.network import InputKind, SpikingNetwork
from qpsnn_codegen.nn.neurons import LIF, Compare, Reset
from qpsnn_codegen.nn.quantizers import Gamma, Quantizer, symmetric

Layers = list[tuple[str, nn.Module]]


class Recipe:
    """The choices every architecture shares.

    First conv on the 8-bit symmetric grid per channel, last linear on the 8-bit symmetric grid with one scale,
    everything between on the ReScaW grid.

    Args:
        bits, gamma, percentile: of the layers between the first and the last.
        compare, reset: of the neurons.
        width: factor on all channel counts.
        prune: share of the kernels to leave out, by the name of the conv; of n kernels int(n·(1 - r)) stay, as
            in the paper's code.
        timesteps, classes, input_shape, input_kind, divisor, max_value, class_names: as
            :class:`~qpsnn_codegen.nn.network.SpikingNetwork`.
    """

    def __init__(
        self,
        *,
        timesteps: int,
        classes: int,
        input_shape: Sequence[int],
        input_kind: InputKind = "image",
        divisor: float | None = None,
        max_value: int | None = None,
        class_names: Sequence[str] | None = None,
        width: float = 1.0,
        prune: Mapping[str, float] | None = None,
        bits: int = 4,
        gamma: Gamma = "mean",
        percentile: float = 95.0,
        compare: Compare = ">",
        reset: Reset = "hard",
    ) -> None:
        if not 0.0 < width <= 64.0:
            raise UsageError("width", f"it is {width!r}", "give a factor on the channel counts, such as 0.5")
        wrong = [f"{name}: {ratio!r}" for name, ratio in (prune or {}).items() if not 0.0 <= ratio < 1.0]
        if wrong:
            raise UsageError("prune", wrong[0], "give shares from 0 to below 1")
        self.inner = Quantizer(grid="rescaw", bits=bits, gamma=gamma, percentile=percentile)
        self.compare = compare
        self.reset = reset
        self.factor = width
        self.ratios = dict(prune or {})
        self.timesteps = timesteps
        self.classes = classes
        self.input_shape = tuple(input_shape)
        self.input_kind = input_kind
        self.divisor = divisor
        self.max_value = max_value
        self.class_names = class_names
        self.convs: set[str] = set()

    def neuron(self) -> LIF:
        return LIF(compare=self.compare, reset=self.reset)

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        *,
        first: bool = False,
        stride: int = 1,
        kernel: int = 3,
    ) -> QuantConv2d:
        """A conv that keeps the map's size, but for the stride."""
        return QuantConv2d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            quantizer=symmetric(8) if first else self.inner,
        )

    def head(self, in_features: int) -> QuantLinear:
        return QuantLinear(in_features, self.classes, quantizer=symmetric(8, per="layer"))

    def kept(self, conv: str, channels: int) -> int:
        """How many of an architecture's kernels the conv of that name has."""
        self.convs.add(conv)
        full = max(1, int(channels * self.factor))
        return max(1, int(full * (1 - self.ratios.get(conv, 0.0))))

    def network(self, layers: Layers) -> SpikingNetwork:
        """The layers, one after another, as a network.

        Raises:
            UsageError: ``prune`` names a conv that there is not, or the sizes do not fit together.
        """
        unknown = [name for name in self.ratios if name not in self.convs]
        if unknown:
            raise UsageError("prune", f"{unknown[0]!r} is no conv", f"the convs are {', '.join(sorted(self.convs))}")
        body = nn.Sequential()
        for name, layer in layers:
            body.add_module(name, layer)
        return SpikingNetwork(
            body,
            timesteps=self.timesteps,
            input_shape=self.input_shape,
            input_kind=self.input_kind,
            divisor=self.divisor,
            max_value=self.max_value,
            class_names=self.class_names,
        )
