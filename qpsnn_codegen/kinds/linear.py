"""Linear layers: a convolution whose window is the whole map it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.kinds.conv import Codes, Grid, lower_synapses
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import Draft, Signal
from qpsnn_codegen.network import Floats, Node, Shape


def linear_shape(node: Node, weights: NDArray[Any], shape: Shape) -> Shape:
    """The shape of ``node``'s output with ``weights [O, I]``; raises if ``shape`` is not that of I features."""
    outputs, features = weights.shape
    if shape != (features, 1, 1):
        raise node.refuse(
            f"expects {features} features, gets {'x'.join(map(str, shape))}",
            "flatten the map and check the sizes",
        )
    return outputs, 1, 1


def linear_currents(values: Floats, weights: Floats, bias: Floats) -> Floats:
    """``values [N, T, I, 1, 1]`` times ``weights [O, I]``, plus ``bias [O]``."""
    features = values.reshape(*values.shape[:2], -1)
    return np.asarray((features @ weights.T + bias)[..., None, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Node):
    """Fully connected layer.

    ``codes`` ``[O, I]``, features in channel, row, column order; ``bias`` float64 [O].
    """

    kind: ClassVar[str] = "linear"

    codes: Codes
    grid: Grid
    bias: NDArray[np.float64]

    def output_shape(self, *inputs: Shape) -> Shape:
        return linear_shape(self, self.codes, *inputs)

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return linear_currents(inputs[0], self.grid.values(self.codes), self.bias)

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        channels, height, width = draft.types[signal.node].shape
        kernels = self.codes.reshape(len(self.codes), channels, height, width)
        return lower_synapses(self, draft, signal, kernels, self.grid, self.bias, Window(kernel=(height, width)), 1)
