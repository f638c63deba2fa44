"""Train the benchmark networks A and B on MNIST, with few spikes: writes benchmarks/models/.

python benchmarks/train_mnist.py mnist.npz

A is trained at 4 bits on the first 30,000 images; at 8 and 2 bits it goes on from there. B has 8 bits everywhere.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from qpsnn_codegen import nn

MODELS = Path(__file__).with_name("models")
IMAGES = 30_000
OPTIONS = nn.TrainingOptions(
    epochs=5, batch=64, learning_rate=5e-3, shift=1.0, rotate=8.0, zoom=0.1, spike_penalty=2.5, seed=0
)
LAYOUT = (16, "M", 32, "M", 64, "M")


def main() -> None:
    """Train and save all of them."""
    torch.set_num_threads(1)
    everything = nn.mnist(sys.argv[1])
    few = replace(
        everything, train_images=everything.train_images[:IMAGES], train_labels=everything.train_labels[:IMAGES]
    )
    _train(
        "B",
        nn.build("mlp", hidden=(128,), input_shape=(1, 28, 28), bits=8),
        everything,
        replace(OPTIONS, spike_penalty=0.5),
    )
    model = _convolutions(4)
    _train("A_4bit", model, few, OPTIONS)
    for bits in (8, 2):
        other = _convolutions(bits)
        learned = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        kept = {name: learned[name].detach().clone() for name in other.state_dict() if name in learned}
        other.load_state_dict(kept, strict=False)
        _train(f"A_{bits}bit", other, few, replace(OPTIONS, epochs=1, learning_rate=1e-3))


def _convolutions(bits: int) -> nn.SpikingNetwork:
    return nn.build("cnn", layout=LAYOUT, input_shape=(1, 28, 28), bits=bits)


def _train(name: str, model: nn.SpikingNetwork, data: nn.Dataset, options: nn.TrainingOptions) -> None:
    history = nn.train(model, data, options, progress=lambda epoch: print(name, epoch, file=sys.stderr, flush=True))
    accuracy = nn.evaluate(model, data)
    command = "python benchmarks/train_mnist.py mnist.npz"
    record = nn.training_record(data, options, history, accuracy=accuracy, command=command)
    nn.save(model, MODELS / f"{name}.pt", training=record)
    print(f"{name}: {accuracy:.2%} of {len(data.test_images):,} test images")


if __name__ == "__main__":
    main()
