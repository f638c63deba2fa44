"""The data of experiments: a part of a data set, and the command to show beside what came out of it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import torch

from qpsnn_codegen import nn


def part(data: nn.Dataset, count: int) -> nn.Dataset:
    """The data set with ``count`` of its training images, drawn the same way every time (files may be sorted)."""
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))[:count].numpy()
    return replace(data, train_images=data.train_images[order], train_labels=data.train_labels[order])


def command(data: str) -> str:
    """What was typed, without the folder that the value of ``--data`` lies in: that is nobody's business."""
    kind, _, path = data.partition(":")
    words = [f"{kind}:{Path(path).name}" if path and word == data else word for word in sys.argv[1:]]
    return shlex.join(["python", f"experiments/{Path(sys.argv[0]).name}", *words])
