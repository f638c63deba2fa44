"""Training, fine-tuning and evaluation (QP-SNN, section "Implementation details").

Cross-entropy on the logits averaged over time; SGD or Adam with a cosine schedule. Everything random comes
from one generator, so a seed fixes the result, and a run that was stopped and resumed ends like one that was
not.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from qpsnn_codegen.errors import DataError, ModelFileError, UsageError
from qpsnn_codegen.files import atomic_file
from qpsnn_codegen.nn.datasets import Bytes, Dataset, Labels
from qpsnn_codegen.nn.economy import Operations, count_operations
from qpsnn_codegen.nn.network import SpikingNetwork, inference

OptimizerName = Literal["adam", "sgd"]
STATE_FORMAT = "qpsnn-training"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Args:
        epochs: passes over the training images.
        batch: images per step.
        optimizer: ``"adam"`` or ``"sgd"`` (momentum 0.9).
        learning_rate: at the start; it falls to zero along a cosine, epoch by epoch.
        weight_decay: L2 penalty.
        shift: images are moved by up to this many pixels along each axis (zeros come in), fractions included.
        rotate: and turned by up to this many degrees.
        zoom: and scaled by up to this fraction, up or down, each axis for itself.
        smoothing: label smoothing of the cross-entropy, 0 to below 1.
        spike_penalty: weight of a second term of the loss, the synaptic operations relative to dense
            (:mod:`qpsnn_codegen.nn.economy`); about 1 to 10 saves spikes, 0 leaves them alone.
        seed: of shuffling and shifting.

    Raises:
        UsageError: a number outside its range.
    """

    epochs: int = 60
    batch: int = 64
    optimizer: OptimizerName = "adam"
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    smoothing: float = 0.0
    spike_penalty: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "sgd"):
            raise UsageError("optimizer", f"{self.optimizer!r} is unknown", "choose adam or sgd")
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 2),
            ("seed", self.seed, 0),
        ):
            if type(value) is not int or value < least:
                raise UsageError(name, f"it is {value!r}", f"give an integer of at least {least}")
        for name, number, limit in (
            ("learning_rate", self.learning_rate, math.inf),
            ("weight_decay", self.weight_decay, math.inf),
            ("shift", self.shift, math.inf),
            ("rotate", self.rotate, math.inf),
            ("zoom", self.zoom, 1.0),
            ("smoothing", self.smoothing, 1.0),
            ("spike_penalty", self.spike_penalty, math.inf),
        ):
            if not 0.0 <= number < limit:
                raise UsageError(name, f"it is {number!r}", f"give a number from 0 to below {limit:g}")
        if self.learning_rate == 0.0:
            raise UsageError("learning_rate", "it is 0", "give a positive number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch gave, on the training images as they were shown.

    Attributes:
        number: from 1.
        loss: mean, the penalty on spikes included.
        accuracy: in [0, 1].
        operations: mean synaptic operations relative to dense, in [0, 1].
        learning_rate: of this epoch.
    """

    number: int
    loss: float
    accuracy: float
    operations: float
    learning_rate: float


Progress = Callable[[Epoch], None]


def training_record(
    data: Dataset, options: TrainingOptions, history: Sequence[Epoch], *, accuracy: float, command: str
) -> dict[str, object]:
    """What a checkpoint's ``training`` entry says about a run, as plain data."""
    return {
        "data": data.name,
        "accuracy": accuracy,
        "command": command,
        "options": asdict(options),
        "history": [asdict(epoch) for epoch in history],
    }


def check_fits(model: SpikingNetwork, data: Dataset) -> None:
    """Refuse data a network cannot take.

    Raises:
        DataError: other image shape, number of classes or divisor.
    """
    for what, has, wants in (
        ("images of shape", data.shape, model.input_shape),
        ("a number of classes of", len(data.class_names), len(model.class_names)),
        ("a divisor of", float(data.divisor), model.divisor),
    ):
        if has != wants:
            raise DataError(data.name, f"it has {what} {has}, the model takes {wants}", "use the model's own data set")


def train(
    model: SpikingNetwork,
    data: Dataset,
    options: TrainingOptions,
    *,
    progress: Progress | None = None,
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
    stop_after: int | None = None,
) -> list[Epoch]:
    """Train in place; the model is left frozen, in evaluation mode.

    Fine-tuning is the same on a model that was loaded or pruned.

    Args:
        model: takes the data's images.
        data: its training part is used.
        options: see :class:`TrainingOptions`.
        progress: called after every epoch.
        state: file that receives model, optimizer and random state after every epoch.
        resume: continue from ``state`` if it exists.
        stop_after: leave after this many epochs in all, as an interruption would (for tests and time limits).

    Returns:
        All epochs, resumed ones included.

    Raises:
        DataError: images that do not fit, or a loss that is not finite (named epoch).
        ModelFileError: a state file that is damaged or belongs to another run.
    """
    check_fits(model, data)
    images = torch.from_numpy(data.train_images.copy())
    labels = torch.from_numpy(data.train_labels.copy())
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = _optimizer(model, options)
    history: list[Epoch] = []
    model.train()
    if resume and state is not None and Path(state).exists():
        history = _restore(Path(state), model, optimizer, generator, options)
    with count_operations(model) as counted:
        for number in range(len(history) + 1, options.epochs + 1):
            if stop_after is not None and number > stop_after:
                break
            rate = options.learning_rate * (1.0 + math.cos(math.pi * (number - 1) / options.epochs)) / 2.0
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss, accuracy, operations = _one_epoch(model, optimizer, counted, images, labels, generator, options)
            if not math.isfinite(loss):
                raise DataError(data.name, f"the loss is not finite in epoch {number}", "lower the learning rate")
            epoch = Epoch(number=number, loss=loss, accuracy=accuracy, operations=operations, learning_rate=rate)
            history.append(epoch)
            if state is not None:
                _store(Path(state), model, optimizer, generator, options, history)
            if progress is not None:
                progress(epoch)
    model.freeze()
    return history


def evaluate(model: SpikingNetwork, data: Dataset, *, batch: int = 256) -> float:
    """Accuracy in [0, 1] on the held-out images; the model's mode is restored."""
    check_fits(model, data)
    return float((predict(model, data.test_images, batch=batch) == data.test_labels).mean())


def predict(model: SpikingNetwork, images: Bytes, *, batch: int = 256) -> Labels:
    """Class of each raw image uint8 [N, C, H, W], as int64 [N]: the first maximum of the logits."""
    with inference(model):
        parts = torch.from_numpy(images.copy()).split(batch)
        return torch.cat([model(part).argmax(1) for part in parts]).numpy()


def _optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    if options.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    return torch.optim.SGD(
        model.parameters(), lr=options.learning_rate, momentum=0.9, weight_decay=options.weight_decay
    )


def _one_epoch(
    model: SpikingNetwork,
    optimizer: torch.optim.Optimizer,
    counted: Operations,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    options: TrainingOptions,
) -> tuple[float, float, float]:
    order = torch.randperm(len(images), generator=generator)
    total = spent = 0.0
    right = seen = 0
    for indices in order.split(options.batch):
        if len(indices) < 2:
            continue  # batch-norm cannot estimate a variance from one image
        inputs, targets = jittered(images[indices], options, generator), labels[indices]
        logits = model(inputs)
        loss = functional.cross_entropy(logits, targets, label_smoothing=options.smoothing)
        share = counted.share()
        if options.spike_penalty > 0.0:
            loss = loss + options.spike_penalty * share
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(indices)
        spent += share.item() * len(indices)
        right += int((logits.argmax(1) == targets).sum())
        seen += len(indices)
    return total / seen, right / seen, spent / seen


def jittered(images: Tensor, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """Move, turn and scale each image by its own random amounts, bilinearly; zeros come in.

    Args:
        images: [N, C, H, W].
        options: ``shift``, ``rotate`` and ``zoom``; all zero returns the images unchanged.
        generator: source of the amounts.

    Returns:
        float32 of the same shape.
    """
    if options.shift == options.rotate == options.zoom == 0.0:
        return images
    count, _, height, width = images.shape
    turn, down, right, tall, wide = (2.0 * torch.rand(5, count, generator=generator) - 1.0).unbind(0)
    angle = turn * math.radians(options.rotate)
    tall, wide = 1.0 + tall * options.zoom, 1.0 + wide * options.zoom
    # affine_grid's coordinates run from -1 to 1: a pixel is 2/width.
    rows = [
        torch.stack((wide * angle.cos(), -tall * angle.sin(), right * options.shift * 2.0 / width), 1),
        torch.stack((wide * angle.sin(), tall * angle.cos(), down * options.shift * 2.0 / height), 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images.to(torch.float32), grid, align_corners=False)


def _store(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    options: TrainingOptions,
    history: list[Epoch],
) -> None:
    buffer = io.BytesIO()
    torch.save(
        {
            "format": STATE_FORMAT,
            "options": asdict(options),
            "history": [asdict(epoch) for epoch in history],
            "model": dict(model.state_dict()),
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
            "torch": torch.get_rng_state(),
        },
        buffer,
    )
    with atomic_file(path) as stream:
        stream.write(buffer.getvalue())


def _restore(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    options: TrainingOptions,
) -> list[Epoch]:
    remedy = "delete it to start over"
    try:
        state: Any = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
            raise ModelFileError(str(path), "this is no training state", remedy)
        if state["options"] != asdict(options):
            raise ModelFileError(str(path), "it was made with other training options", "repeat them, or " + remedy)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        return [Epoch(**epoch) for epoch in state["history"]]
    except ModelFileError:
        raise
    except Exception as error:  # torch.load and load_state_dict raise many kinds, all meaning the same here
        raise ModelFileError(str(path), f"it cannot be resumed ({type(error).__name__})", remedy) from error
