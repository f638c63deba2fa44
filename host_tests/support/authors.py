"""Files as the QP-SNN authors' code writes them, and what that code computes from them, in float32.

Written from the description of the format alone, with torch's own functions: it shares nothing with the loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]

MEAN = torch.tensor((0.4914, 0.4822, 0.4465)).reshape(1, 3, 1, 1)
STD = torch.tensor((0.2023, 0.1994, 0.2010)).reshape(1, 3, 1, 1)


def norm_entries(state: State, key: str, channels: int, generator: torch.Generator) -> None:
    """A batch-norm under both of its names."""
    values = {
        "weight": torch.rand(channels, generator=generator) + 0.7,
        "bias": torch.rand(channels, generator=generator) * 0.6,
        "running_mean": torch.randn(channels, generator=generator) * 0.1,
        "running_var": torch.rand(channels, generator=generator) * 0.5 + 0.2,
        "num_batches_tracked": torch.tensor(7),
    }
    for part, value in values.items():
        for name in ("bn", "seqbn.module"):
            state[f"{key}.{name}.{part}"] = value


def vgg_file(
    layout: Sequence[int | str], *, channels: int = 3, side: int = 32, classes: int = 10, seed: int = 0
) -> dict[str, Any]:
    """A checkpoint of a VGG with random weights; ``layout`` as in the paper: widths, and M for a pool."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for place, width in enumerate(layout):
        if isinstance(width, str):
            side //= 2
            continue
        key = f"features.convbn{place}"
        state[f"{key}.layer.module.weight"] = torch.randn(width, channels, 3, 3, generator=generator) * 0.4
        if place == 0:
            state[f"{key}.layer.module.bias"] = torch.randn(width, generator=generator) * 0.1
        else:
            state[f"{key}.layer.module.clip_val"] = torch.tensor([2.0])
            state[f"{key}.layer.module.zero"] = torch.tensor([0.0])
        norm_entries(state, f"{key}.bn", width, generator)
        channels = width
    features = channels * (side // 2) ** 2
    state["classifier.linear1.module.weight"] = torch.randn(classes, features, generator=generator) * 0.3
    state["classifier.linear1.module.bias"] = torch.randn(classes, generator=generator) * 0.3
    return {"epoch": 3, "state_dict": state, "best_top1_acc": 0.5, "optimizer": {"state": {}}}


def resnet_file(
    stem: int, blocks: Sequence[Sequence[tuple[int, int]]], *, classes: int = 10, seed: int = 0
) -> dict[str, Any]:
    """A checkpoint of a ResNet; ``blocks``: per stage and block the widths of its two convs."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}

    def conv(prefix: str, number: int, inputs: int, outputs: int) -> None:
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * 0.4
        state[f"{prefix}conv{number}.weight"] = weight
        state[f"{prefix}conv{number}_s.layer.module.weight"] = weight
        own: State = {}
        norm_entries(own, "x", outputs, generator)
        for key, value in own.items():
            part = key.removeprefix("x.")
            state[f"{prefix}bn{number}.{part}"] = value
            state[f"{prefix}conv{number}_s.bn.{part}"] = value

    conv("", 1, 3, stem)
    channels = stem
    for stage, widths in enumerate(blocks, start=1):
        for index, (inner, outputs) in enumerate(widths):
            conv(f"layer{stage}.{index}.", 1, channels, inner)
            conv(f"layer{stage}.{index}.", 2, inner, outputs)
            channels = outputs
    state["fc.module.weight"] = torch.randn(classes, channels, generator=generator) * 0.3
    state["fc.module.bias"] = torch.randn(classes, generator=generator) * 0.3
    return {"epoch": 3, "state_dict": state, "best_top1_acc": 0.5, "optimizer": {"state": {}}}


class Authors:
    """Their network on raw images; ``spikes`` of every layer [N, T, C, H, W], logits per timestep [N, T, K].

    ``dtype``: of everything but the weights' codes, which are taken in float32.
    """

    def __init__(
        self,
        state: State,
        *,
        bits: int,
        timesteps: int,
        eight_bit_ends: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dtype = dtype
        self.state = state
        self.bits = bits
        self.timesteps = timesteps
        self.eight_bit_ends = eight_bit_ends
        self.spikes: list[Tensor] = []

    def inner(self, weight: Tensor) -> Tensor:
        steps = 2**self.bits - 1
        gamma = weight.abs().mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
        levels = torch.round((torch.clamp(weight / gamma, -1, 1) + 1) * steps / 2)
        quantized: Tensor = gamma.to(self.dtype) * (2 * levels / steps - 1)
        return quantized

    def end(self, weight: Tensor) -> Tensor:
        if not self.eight_bit_ends:
            return weight.to(self.dtype)
        scale = weight.max() / 127
        return torch.round(weight / scale).to(self.dtype) * scale

    def parameter(self, name: str) -> Tensor:
        return self.state[name].to(self.dtype)

    def norm(self, x: Tensor, key: str) -> Tensor:
        mean, variance, weight, bias = (
            self.parameter(f"{key}.bn.{part}") for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=1e-5)

    def fire(self, current: Tensor) -> Tensor:
        """LIF over [T*N, ...]; the spikes are kept."""
        steps = current.reshape(self.timesteps, -1, *current.shape[1:])
        potential = torch.zeros_like(steps[0])
        out = []
        for step in steps:
            potential = 0.5 * potential + step
            spike = (potential - 1.0 > 0).to(potential.dtype)
            potential = potential * (1 - spike)
            out.append(spike)
        self.spikes.append(torch.stack(out, 1))
        return torch.cat(out)

    def images(self, raw: Tensor) -> Tensor:
        x = raw.to(self.dtype)
        if raw.dim() == 5:
            return x.transpose(0, 1).flatten(0, 1)
        return ((x / 255 - MEAN.to(self.dtype)) / STD.to(self.dtype)).repeat(self.timesteps, 1, 1, 1)

    def logits(self, features: Tensor, key: str) -> Tensor:
        values = functional.linear(features, self.end(self.state[f"{key}.weight"]), self.parameter(f"{key}.bias"))
        return values.reshape(self.timesteps, -1, values.shape[1]).transpose(0, 1)

    def vgg(self, raw: Tensor) -> Tensor:
        x = self.images(raw)
        places = sorted({int(key.split(".")[1][6:]) for key in self.state if key.startswith("features.")})
        for place in range(places[-1] + 1):
            if place not in places:
                x = functional.max_pool2d(x, 2)
                continue
            key = f"features.convbn{place}"
            weight = self.state[f"{key}.layer.module.weight"]
            weight = self.inner(weight) if place else self.end(weight)
            y = functional.conv2d(x, weight, None if place else self.parameter(f"{key}.layer.module.bias"), padding=1)
            x = self.fire(self.norm(y, f"{key}.bn"))
        return self.logits(functional.avg_pool2d(x, 2).flatten(1), "classifier.linear1.module")

    def resnet(self, raw: Tensor) -> Tensor:
        x = functional.conv2d(self.images(raw), self.end(self.state["conv1.weight"]), padding=1)
        x = self.fire(self.norm(x, "bn1"))
        blocks = sorted({tuple(key.split(".")[:2]) for key in self.state if key.startswith("layer")})
        for stage, index in blocks:
            prefix = f"{stage}.{index}"
            stride = 2 if index == "0" and stage != "layer1" else 1
            y = functional.conv2d(x, self.inner(self.state[f"{prefix}.conv1.weight"]), stride=stride, padding=1)
            y = self.fire(self.norm(y, f"{prefix}.bn1"))
            y = self.norm(
                functional.conv2d(y, self.inner(self.state[f"{prefix}.conv2.weight"]), padding=1), f"{prefix}.bn2"
            )
            missing = y.shape[1] - x.shape[1]
            shortcut = x[:, :, ::stride, ::stride]
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, missing // 2, missing - missing // 2))
            x = self.fire(y + shortcut)
        return self.logits(x.mean((2, 3)), "fc.module")
