"""Linear layers: a convolution whose window is the whole map it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.kinds.conv import Codes, Grid, lower_synapses
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import Draft, Signal
from qpsnn_codegen.network import Floats, Node, Shape


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
        (shape,) = inputs
        features = self.codes.shape[1]
        if shape != (features, 1, 1):
            raise self.refuse(
                f"expects {features} features, gets {'x'.join(map(str, shape))}",
                "flatten the map and check the sizes",
            )
        return len(self.codes), 1, 1

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        features = inputs[0].reshape(*inputs[0].shape[:2], -1)
        currents = features @ self.grid.values(self.codes).T + self.bias
        return np.asarray(currents[..., None, None])

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        channels, height, width = draft.types[signal.node].shape
        kernels = self.codes.reshape(len(self.codes), channels, height, width)
        return lower_synapses(self, draft, signal, kernels, self.grid, self.bias, Window(kernel=(height, width)), 1)
