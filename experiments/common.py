"""What experiments share: a part of a data set, a small network for it, and how results are written."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from qpsnn_codegen import nn

TIMESTEPS = 4
"""Of the networks that :func:`small_network` makes."""


def part(data: nn.Dataset, count: int) -> nn.Dataset:
    """The data set with ``count`` of its training images, drawn the same way every time (files may be sorted)."""
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))[:count].numpy()
    return replace(data, train_images=data.train_images[order], train_labels=data.train_labels[order])


def small_network(data: nn.Dataset, layout: str, bits: int, seed: int) -> nn.SpikingNetwork:
    """A plain convolutional network for a data set; layout: channels and pools, as in ``12,M,24,M``."""
    return nn.build(
        "cnn",
        seed=seed,
        layout=[entry if entry == "M" else int(entry) for entry in layout.split(",")],
        bits=bits,
        timesteps=TIMESTEPS,
        input_shape=data.shape,
        divisor=data.divisor,
        class_names=data.class_names,
    )


def add_states(parser: argparse.ArgumentParser) -> None:
    """The option ``--states`` of experiments that train for long."""
    parser.add_argument("--states", type=Path, help="folder for the states a stopped run continues from")


def state_of(folder: Path | None, name: str) -> Path | None:
    """The file in it for one training run."""
    return None if folder is None else folder / f"{name}.state"


def report(path: Path, title: str, data: str, lines: Iterable[str]) -> None:
    """Write and print Markdown: a title, the command that was typed, then lines. data: the argument that names it."""
    text = "\n".join([f"# {title}", "", f"`{_command(data)}`:", *lines])
    path.write_text(f"{text}\n")
    print(text)


def _command(data: str) -> str:
    """Without the folders that data and states lie in: those are nobody's business."""
    kind, colon, path = data.rpartition(":")
    words = [f"{kind}{colon}{Path(path).name}" if word == data else word for word in sys.argv[1:]]
    if "--states" in words:
        at = words.index("--states")
        del words[at : at + 2]
    return shlex.join(["python", f"experiments/{Path(sys.argv[0]).name}", *words])
