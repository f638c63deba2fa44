"""Every architecture of the zoo, tiny, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen import nn
from qpsnn_codegen.nn.zoo import enlivened

TINY: Mapping[str, dict[str, Any]] = {
    "cnn": {"layout": (5, "M", 9)},
    "mlp": {"hidden": (20, 12)},
    "micro_cnn": {"input_shape": (1, 16, 16)},
    "event_cnn": {"input_shape": (2, 16, 16), "timesteps": 4, "max_value": 3},
    "micro_resnet": {"input_shape": (3, 12, 12), "bits": 2},
    "resnet": {"widths": (4, 5, 9), "blocks": 2, "input_shape": (3, 9, 9), "timesteps": 4},
    "vgg16": {"width": 1 / 16},
    "resnet20": {"width": 1 / 16, "input_shape": (3, 12, 12), "bits": 8},
    "vggsnn": {"width": 1 / 16, "input_shape": (2, 16, 16), "bits": 2},
    # 72 pixels still start with the large kernel and the pool.
    "sew_resnet18": {"width": 1 / 16, "input_shape": (3, 72, 72), "classes": 6, "timesteps": 2},
    "sew_resnet18 for small images": {"width": 1 / 16, "input_shape": (3, 16, 16), "classes": 6},
}
"""What to call it, the architecture's name first, and its options."""


def tiny(name: str) -> nn.SpikingNetwork:
    """The network of that name, frozen, in float32."""
    return enlivened(nn.build(name.split(" ", maxsplit=1)[0], seed=3, **TINY[name]), seed=4)


def inputs_for(model: nn.SpikingNetwork, count: int) -> NDArray[np.uint8]:
    """Raw inputs: images of noise, or events that are few."""
    generator = np.random.default_rng(6)
    frames = () if model.input_kind == "image" else (model.timesteps,)
    values = generator.integers(0, model.max_value + 1, (count, *frames, *model.input_shape))
    return np.where(generator.random(values.shape) < (0.2 if frames else 1.0), values, 0).astype(np.uint8)
