"""Train the benchmark networks A and B on MNIST, with few spikes: writes benchmarks/models/.

python benchmarks/train_mnist.py mnist.npz

A is trained at 4 bits on the first 30,000 images; at 8 and 2 bits it goes on from there. Its first and last layer have
8 bits. B has no others, so all of B has 8 bits, and 4 or 2 where it goes on from there.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
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
    options = replace(OPTIONS, spike_penalty=0.5)
    wide = nn.build("mlp", hidden=(128,), input_shape=(1, 28, 28))
    _train("B_8bit", wide, everything, options)
    for bits in (4, 2):
        _train(f"B_{bits}bit", _learned(_linear(bits), wide), everything, replace(options, learning_rate=1e-3))
    model = _convolutions(4)
    _train("A_4bit", model, few, OPTIONS)
    for bits in (8, 2):
        other = _learned(_convolutions(bits), model)
        _train(f"A_{bits}bit", other, few, replace(OPTIONS, epochs=1, learning_rate=1e-3))


def _convolutions(bits: int) -> nn.SpikingNetwork:
    return nn.build("cnn", layout=LAYOUT, input_shape=(1, 28, 28), bits=bits)


def _linear(bits: int) -> nn.SpikingNetwork:
    """The layers of ``mlp``, the first and the last of few bits too."""
    few = nn.Quantizer(grid="rescaw", bits=bits)
    layers = {
        "flatten": torch.nn.Flatten(1),
        "linear1": nn.QuantLinear(28 * 28, 128, quantizer=few, bias=False),
        "norm1": torch.nn.BatchNorm1d(128),
        "neuron1": nn.LIF(),
        "head": nn.QuantLinear(128, 10, quantizer=few),
    }
    return nn.SpikingNetwork(torch.nn.Sequential(OrderedDict(layers)), timesteps=4, input_shape=(1, 28, 28))


def _learned(model: nn.SpikingNetwork, other: nn.SpikingNetwork) -> nn.SpikingNetwork:
    """The model with what another of its shape has learned."""
    learned = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    kept = {name: learned[name].detach().clone() for name in model.state_dict() if name in learned}
    model.load_state_dict(kept, strict=False)
    return model


def _train(name: str, model: nn.SpikingNetwork, data: nn.Dataset, options: nn.TrainingOptions) -> None:
    history = nn.train(model, data, options, progress=lambda epoch: print(name, epoch, file=sys.stderr, flush=True))
    accuracy = nn.evaluate(model, data)
    command = "python benchmarks/train_mnist.py mnist.npz"
    record = nn.training_record(data, options, history, accuracy=accuracy, command=command)
    nn.save(model, MODELS / f"{name}.pt", training=record)
    print(f"{name}: {accuracy:.2%} of {len(data.test_images):,} test images")


if __name__ == "__main__":
    main()
