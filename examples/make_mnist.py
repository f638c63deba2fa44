"""Make the shipped MNIST model for the smallest microcontrollers: train at 4 bits, prune with SVS, fine-tune.

    python examples/make_mnist.py --data mnist.npz               examples/mnist_4bit_pruned.pt
    python examples/make_mnist.py --data mnist.npz --out /tmp    elsewhere

Takes about half an hour on one core. An interrupted run continues from the states it leaves in ``--states``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from qpsnn_codegen import nn

NAME = "mnist_4bit_pruned.pt"
LAYOUT = (12, "M", 28, "M", 40, "M")
RATIOS = (0.25, 0.29, 0.0)
SEED = 0
TRAINING = nn.TrainingOptions(
    epochs=5,
    batch=100,
    learning_rate=5e-3,
    shift=1.0,
    rotate=8.0,
    zoom=0.1,
    smoothing=0.05,
    spike_penalty=0.1,
    seed=SEED,
)
FINETUNING = replace(TRAINING, epochs=15)
SCORED_IMAGES = 256


def make(data: nn.Dataset, folder: Path, states: Path | None = None) -> None:
    """Write the model into ``folder``; every epoch's state into ``states``."""

    def fit(model: nn.SpikingNetwork, options: nn.TrainingOptions, name: str) -> list[nn.Epoch]:
        state = None if states is None else states / f"{name}.state"
        return nn.train(model, data, options, progress=_say, state=state, resume=True)

    model = nn.build(
        "cnn",
        seed=SEED,
        layout=LAYOUT,
        bits=4,
        timesteps=4,
        input_shape=data.shape,
        divisor=data.divisor,
        class_names=data.class_names,
    )
    fit(model, TRAINING, "whole")
    print(f"unpruned: {100 * nn.evaluate(model, data):.2f} % of {len(data.test_images)} held-out images", flush=True)
    images = torch.from_numpy(data.train_images[:SCORED_IMAGES].copy())
    smaller, report = nn.prune(model, images, RATIOS)
    print(f"pruned from {report.parameters_before} to {report.parameters_after} parameters", flush=True)
    history = fit(smaller, FINETUNING, "pruned")
    accuracy = nn.evaluate(smaller, data)
    command = "python examples/make_mnist.py --data mnist.npz"
    record = nn.training_record(data, FINETUNING, history, accuracy=accuracy, command=command)
    nn.save(smaller, folder / NAME, training=record)
    print(f"{NAME}: {100 * accuracy:.2f} % of {len(data.test_images)} held-out images")


def _say(epoch: nn.Epoch) -> None:
    print(
        f"epoch {epoch.number}: loss {epoch.loss:.4f}, {100 * epoch.accuracy:.2f} % of the training images, "
        f"{100 * epoch.operations:.1f} % of the dense operations, {epoch.seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    """Read the command line and make the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder of MNIST's idx files")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the model")
    parser.add_argument("--states", type=Path, help="folder for the states an interrupted run continues from")
    arguments = parser.parse_args()
    # More threads sum in another order, and training amplifies the last bit: another model would come out.
    torch.set_num_threads(1)
    make(nn.mnist(arguments.data), arguments.out, arguments.states)


if __name__ == "__main__":
    main()
