"""Sliding windows: the geometry convolutions and pools share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Kernel, stride, padding and dilation, each (height, width)."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def output_size(self, size: Pair) -> Pair:
        """Height and width of the output; not positive when the window does not fit."""
        span = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        height, width = (
            (n + 2 * p - s) // step + 1 for n, p, s, step in zip(size, self.padding, span, self.stride, strict=True)
        )
        return height, width

    def view(self, frames: NDArray[Any], fill: float = 0) -> NDArray[Any]:
        """All windows of ``frames [..., H, W]``: a view ``[..., h, w, kh, kw]``, ``fill`` outside the map."""
        (ph, pw), (dh, dw), (sh, sw) = self.padding, self.dilation, self.stride
        if ph or pw:
            margins = [(0, 0)] * (frames.ndim - 2) + [(ph, ph), (pw, pw)]
            frames = np.pad(frames, margins, constant_values=fill)
        span = (dh * (self.kernel[0] - 1) + 1, dw * (self.kernel[1] - 1) + 1)
        windows = sliding_window_view(frames, span, axis=(-2, -1))
        return windows[..., ::sh, ::sw, ::dh, ::dw]

    def c_fields(self) -> str:
        """Initializer of a ``qps_window_t``."""
        names = ("kernel", "stride", "padding", "dilation")
        pairs = (self.kernel, self.stride, self.padding, self.dilation)
        fields = [
            f".{name}_{axis} = {value}U"
            for name, pair in zip(names, pairs, strict=True)
            for axis, value in zip(("height", "width"), pair, strict=True)
        ]
        return "{" + ", ".join(fields) + "}"


def convolve(frames: NDArray[Any], weights: NDArray[np.float64], window: Window, groups: int) -> NDArray[np.float64]:
    """``frames [B, I, H, W]`` with ``weights [O, I/groups, kh, kw]`` by matrix products, in float64.

    Sums of integers are exact as long as they stay below 2^53.
    """
    batch = len(frames)
    outputs, group_inputs = weights.shape[:2]
    group_outputs = outputs // groups
    height, width = window.output_size(frames.shape[-2:])
    result = np.empty((batch, outputs, height, width))
    for group in range(groups):
        part = frames[:, group * group_inputs : (group + 1) * group_inputs]
        kernel = weights[group * group_outputs : (group + 1) * group_outputs].reshape(group_outputs, -1)
        columns = window.view(part).transpose(0, 2, 3, 1, 4, 5).reshape(batch * height * width, -1)
        product = columns.astype(np.float64, copy=False) @ kernel.T
        result[:, group * group_outputs : (group + 1) * group_outputs] = product.reshape(
            batch, height, width, group_outputs
        ).transpose(0, 3, 1, 2)
    return result


def per_frame(values: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Apply a function of ``[B, C, H, W]`` to every timestep of ``[N, T, C, H, W]``."""
    batch, steps = values.shape[:2]
    result = function(values.reshape(batch * steps, *values.shape[2:]))
    return result.reshape(batch, steps, *result.shape[1:])
