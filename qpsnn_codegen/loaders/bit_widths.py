"""Whether a bit width fits weights that were stored in float, judged by the statistics stored beside them.

The running mean of a batch-norm is the mean of what the *quantized* weights made of the layer's input: for output o
the sum over input channels i of Σ_taps Ŵ[o, i] times the mean of input i. Those means are unknown but the same for all
outputs, so a layer with more outputs than inputs tells how well each bit width explains its running means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from qpsnn_codegen.loaders.base import BITS
from qpsnn_codegen.nn.quantizers import rescaw

MORE_OUTPUTS = 1.1
"""Only layers with this many times more outputs than inputs speak."""
CLEAR = 1.05
"""What a width must explain worse than another, to be doubted."""


def contradiction(layers: Sequence[tuple[Tensor, Tensor]], bits: int) -> tuple[str, ...]:
    """A note if another bit width explains the running means clearly better than ``bits``.

    Args:
        layers: float weights [O, I, kh, kw] and running means [O] of their batch-norms.
    """
    telling = [(w, mean) for w, mean in layers if len(w) >= MORE_OUTPUTS * w.shape[1] and bool(mean.any())]
    if not telling:
        return ()
    misfit = {width: mismatch(telling, width) for width in BITS}
    best = min(misfit, key=lambda width: misfit[width])
    if misfit[bits] <= CLEAR * misfit[best]:
        return ()
    note = (
        f"the weights are taken as {bits}-bit codes, but {best}-bit ones explain the batch-norm means in the file "
        f"better ({misfit[best]:.1%} unexplained, not {misfit[bits]:.1%}); give --bits {best} if it was trained so"
    )
    return (note,)


def mismatch(layers: Sequence[tuple[Tensor, Tensor]], bits: int) -> float:
    """How much of the running means no input explains: relative residual norms, their geometric mean."""
    logs = []
    for weights, mean in layers:
        quantizer = rescaw(bits)
        codes, scale = quantizer.codes(weights)
        kernels = quantizer.dequantize(codes, scale, weights.dtype).double().sum((2, 3)).numpy()
        target = mean.double().numpy()
        inputs, *_ = np.linalg.lstsq(kernels, target, rcond=None)
        residual = np.linalg.norm(kernels @ inputs - target) / np.linalg.norm(target)
        logs.append(np.log(max(float(residual), 1e-12)))
    return float(np.exp(np.mean(logs)))
