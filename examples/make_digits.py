"""Make the shipped digits models: train, prune by half with SVS, fine-tune; at 8, 4 and 2 bits.

    python examples/make_digits.py --bits 4                 both 4-bit models, into examples/
    python examples/make_digits.py --bits 4 --out /tmp      elsewhere

One bit width takes about three minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from qpsnn_codegen import nn

LAYOUT = (24, "M", 48, 48, "M")
SEED = 0
TRAINING = nn.TrainingOptions(
    epochs=120, learning_rate=1e-2, shift=1.0, rotate=12.0, zoom=0.15, smoothing=0.05, seed=SEED
)
# The 8-bit network recovers better in smaller steps.
FINETUNING = {
    8: replace(TRAINING, learning_rate=5e-3, weight_decay=1e-4),
    4: TRAINING,
    2: TRAINING,
}
RATIO = 0.5
SCORED_IMAGES = 256


def make(bits: int, folder: Path) -> None:
    """Write both models of one bit width into ``folder``."""
    data = nn.digits()
    command = f"python examples/make_digits.py --bits {bits}"

    def store(model: nn.SpikingNetwork, name: str, options: nn.TrainingOptions, history: list[nn.Epoch]) -> None:
        accuracy = nn.evaluate(model, data)
        record = nn.training_record(data, options, history, accuracy=accuracy, command=command)
        nn.save(model, folder / name, training=record)
        print(f"{name}: {100 * accuracy:.2f} % of {len(data.test_images)} held-out digits")

    model = nn.build(
        "cnn",
        seed=SEED,
        layout=LAYOUT,
        bits=bits,
        timesteps=4,
        input_shape=data.shape,
        divisor=data.divisor,
        class_names=data.class_names,
    )
    store(model, f"digits_{bits}bit.pt", TRAINING, nn.train(model, data, TRAINING))
    images = torch.from_numpy(data.train_images[:SCORED_IMAGES].copy())
    smaller, report = nn.prune(model, images, RATIO)
    finetuning = FINETUNING[bits]
    print(f"pruned from {report.parameters_before} to {report.parameters_after} parameters")
    store(smaller, f"digits_{bits}bit_pruned.pt", finetuning, nn.train(smaller, data, finetuning))


def main() -> None:
    """Read the command line and make the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, choices=(8, 4, 2), action="append", help="default: all three")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the models")
    arguments = parser.parse_args()
    # More threads sum in another order, and training amplifies the last bit: another model would come out.
    torch.set_num_threads(1)
    for bits in arguments.bits or (8, 4, 2):
        make(bits, arguments.out)


if __name__ == "__main__":
    main()
