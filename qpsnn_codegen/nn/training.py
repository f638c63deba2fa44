"""Training, fine-tuning and evaluation (QP-SNN, section "Implementation details").

Cross-entropy on the logits averaged over time; SGD or Adam with a cosine schedule. Everything random comes
from one generator, so a seed fixes the result, and a run that was stopped and resumed ends like one that was
not.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from qpsnn_codegen.errors import DataError, UsageError
from qpsnn_codegen.nn.augmentation import augmented, draw
from qpsnn_codegen.nn.autoaugment import check_policy
from qpsnn_codegen.nn.datasets import Bytes, Dataset, Labels
from qpsnn_codegen.nn.distributed import Team
from qpsnn_codegen.nn.economy import Operations, count_operations
from qpsnn_codegen.nn.network import SpikingNetwork, inference
from qpsnn_codegen.nn.training_options import TrainingOptions
from qpsnn_codegen.nn.training_state import Epoch, Run, write_log

Progress = Callable[[Epoch], None]


def training_record(
    data: Dataset, options: TrainingOptions, history: Sequence[Epoch], *, accuracy: float, command: str
) -> dict[str, object]:
    """What a checkpoint's ``training`` entry says about a run, as plain data."""
    epochs = [asdict(epoch) for epoch in history]
    for epoch in epochs:
        # The same seed gives the same file, on a slower machine too.
        del epoch["seconds"]
    return {
        "data": data.name,
        "accuracy": accuracy,
        "command": command,
        "options": asdict(options),
        "history": epochs,
    }


def check_fits(model: SpikingNetwork, data: Dataset) -> None:
    """Refuse data a network cannot take.

    Raises:
        DataError: other input shape or kind, number of classes, timesteps, divisor or largest value.
    """
    for what, has, wants in (
        ("images of shape", data.shape, model.input_shape),
        ("inputs that are", data.input_kind, model.input_kind),
        ("a number of frames of", data.frames or model.timesteps, model.timesteps),
        ("a number of classes of", len(data.class_names), len(model.class_names)),
        ("a divisor of", float(data.divisor), model.divisor),
        ("a largest value of", max(data.max_value, model.max_value), model.max_value),
    ):
        if has != wants:
            raise DataError(data.name, f"it has {what} {has}, the model takes {wants}", "use the model's own data set")


def fitted(model: SpikingNetwork, data: Dataset) -> SpikingNetwork:
    """The model, or its layers as a network that takes event streams, where the data set has those and it does not."""
    if model.input_kind == data.input_kind:
        return model
    return SpikingNetwork(
        model.body,
        timesteps=data.frames or model.timesteps,
        input_shape=data.shape,
        input_kind=data.input_kind,
        divisor=data.divisor,
        class_names=data.class_names,
        max_value=data.max_value,
    )


def train(
    model: SpikingNetwork,
    data: Dataset,
    options: TrainingOptions,
    *,
    begin: Callable[[float, int], None] | None = None,
    progress: Progress | None = None,
    log: str | os.PathLike[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    team: Team | None = None,
) -> list[Epoch]:
    """Train in place, on the device the model is on; the model is left frozen, in evaluation mode.

    Fine-tuning is the same on a model that was loaded or pruned.

    Args:
        model: takes the data's images.
        data: its training part is used.
        options: see :class:`TrainingOptions`.
        begin: called before the first epoch with the seconds that one will take (:func:`estimate`) and how many are
            left.
        progress: called after every epoch.
        log: file that receives a line per epoch, resumed ones included (CSV).
        state: file that receives model, optimizer and random state after every epoch.
        resume: continue from ``state`` if it exists.
        stop_after: leave after this many epochs in all, as an interruption would (for tests and time limits).
        team: processes that share every batch; each calls this alike.

    Returns:
        All epochs, resumed ones included.

    Raises:
        DataError: images that do not fit.
        UsageError: AutoAugment of images it is not for, or without kornia; or a learning rate with which the loss, a
            parameter or a statistic is not finite after an epoch (it is named).
        ModelFileError: a state file that is damaged or belongs to another run.
    """
    team = team or Team()
    _check_size(data, options, team)
    check_fits(model, data)
    check_policy(options.autoaugment, data)
    images = torch.from_numpy(data.train_images.copy())
    labels = torch.from_numpy(data.train_labels.copy())
    generator = torch.Generator().manual_seed(options.seed)
    model.train()
    optimizer = _optimizer(model, options)
    run = Run(model=model, optimizer=optimizer, generator=generator, options=options, history=[])
    if resume and state is not None and Path(state).exists():
        run.restore(Path(state))
    left = options.epochs - len(run.history)
    if begin is not None and left:
        begin(estimate(model, data, options, team=team), left)
    with count_operations(model) as counted:
        loop = _Loop(run, team, counted, images, labels)
        for number in range(len(run.history) + 1, options.epochs + 1):
            if stop_after is not None and number > stop_after:
                break
            epoch = loop.epoch(number)
            _check_finite(model, epoch, options)
            run.history.append(epoch)
            if state is not None and team.leads:
                run.store(Path(state))
            if log is not None and team.leads:
                write_log(Path(log), run.history)
            if progress is not None:
                progress(epoch)
    model.freeze()
    return run.history


def estimate(model: SpikingNetwork, data: Dataset, options: TrainingOptions, *, team: Team | None = None) -> float:
    """Seconds an epoch will take, by a few steps on a copy of the model; nothing is changed."""
    team = team or Team()
    _check_size(data, options, team)
    check_fits(model, data)
    check_policy(options.autoaugment, data)
    count = min(options.batch, len(data.train_images))
    images = torch.from_numpy(data.train_images[:count].copy())
    labels = torch.from_numpy(data.train_labels[:count].copy())
    trial = copy.deepcopy(model).train()
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = _optimizer(trial, options)
    run = Run(model=trial, optimizer=optimizer, generator=generator, options=options, history=[])
    with torch.random.fork_rng(devices=[]), count_operations(trial) as counted:
        # Alone: the others have steps of their own to time.
        loop = _Loop(run, Team(), counted, team.part(images), team.part(labels))
        times = [loop.epoch(1).seconds for _ in range(_TRIAL_STEPS)]
    # The first step pays for memory and lazy imports.
    return min(times) * math.ceil(len(data.train_images) / options.batch)


_TRIAL_STEPS = 3


def evaluate(model: SpikingNetwork, data: Dataset, *, batch: int = 256) -> float:
    """Accuracy in [0, 1] on the held-out images; the model's mode is restored."""
    check_fits(model, data)
    return float((predict(model, data.test_images, batch=batch) == data.test_labels).mean())


def predict(model: SpikingNetwork, images: Bytes, *, batch: int = 256) -> Labels:
    """Class of each raw input uint8 [N, ...], as int64 [N]: the first maximum of the logits."""
    with inference(model):
        parts = torch.from_numpy(images.copy()).split(batch)
        return torch.cat([model(part.to(model.device())).argmax(1).cpu() for part in parts]).numpy()


def _check_finite(model: nn.Module, epoch: Epoch, options: TrainingOptions) -> None:
    # Statistics overflow while the loss of the batches still looks well.
    state = [("loss", math.isfinite(epoch.loss))]
    state += [(name, bool(torch.isfinite(values).all())) for name, values in model.state_dict().items()]
    for name, finite in state:
        if not finite:
            what = f"training diverged in epoch {epoch.number}: {name} is not finite"
            raise UsageError("learning_rate", what, f"give less than {options.learning_rate:g}")


def _check_size(data: Dataset, options: TrainingOptions, team: Team) -> None:
    # Batch-norm needs two images in each process's part of a batch.
    least = 2 * team.size
    if options.batch < least:
        raise UsageError("batch", f"{options.batch} images for {team.size} processes", f"give at least {least}")
    if len(data.train_images) < least:
        raise DataError(data.name, f"{len(data.train_images)} training images", f"give at least {least}")


def _optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    settings: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    if options.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), **settings)
    return torch.optim.SGD(model.parameters(), momentum=0.9, **settings)


class _Loop:
    """Epochs over one set of images."""

    def __init__(self, run: Run, team: Team, counted: Operations, images: Tensor, labels: Tensor) -> None:
        self._run = run
        self._team = team
        self._counted = counted
        self._images = images
        self._labels = labels
        self._device = next(run.model.parameters()).device
        self._forward = team.wrap(run.model)

    def epoch(self, number: int) -> Epoch:
        options = self._run.options
        start = time.monotonic()
        rate = options.learning_rate * (1.0 + math.cos(math.pi * (number - 1) / options.epochs)) / 2.0
        for group in self._run.optimizer.param_groups:
            group["lr"] = rate
        order = torch.randperm(len(self._images), generator=self._run.generator)
        sums = [0.0, 0.0, 0.0, 0.0]
        for indices in order.split(options.batch):
            if len(indices) < 2 * self._team.size:
                continue  # batch-norm cannot estimate a variance from one image
            # Drawn for the whole batch, so that a batch is the same however many processes share it.
            amounts = draw(len(indices), options, self._run.generator)
            mine = self._team.part(indices)
            shown = augmented(self._images[mine], options, {k: self._team.part(v) for k, v in amounts.items()})
            step = self._step(shown.to(self._device), self._labels[mine].to(self._device), len(indices))
            sums = [total + value for total, value in zip(sums, step, strict=True)]
        self._team.share_statistics(self._run.model)
        loss, right, spent, seen = self._team.total(sums, self._device)
        return Epoch(
            number=number,
            loss=loss / seen,
            accuracy=right / seen,
            operations=spent / seen,
            learning_rate=rate,
            seconds=time.monotonic() - start,
        )

    def _step(self, inputs: Tensor, targets: Tensor, batch: int) -> tuple[float, float, float, float]:
        """Loss, right answers, share of dense operations (all summed over the images) and images."""
        options, optimizer = self._run.options, self._run.optimizer
        logits = self._forward(inputs)
        loss = functional.cross_entropy(logits, targets, label_smoothing=options.smoothing)
        share = self._counted.share()
        if options.spike_penalty > 0.0:
            loss = loss + options.spike_penalty * share
        optimizer.zero_grad(set_to_none=True)
        # The team's gradients are averaged, as if all had equal parts; this makes it the mean over the batch.
        weight = len(inputs) * self._team.size / batch
        (loss if weight == 1.0 else loss * weight).backward()
        optimizer.step()
        count = len(inputs)
        right = float((logits.argmax(1) == targets).sum())
        return loss.item() * count, right, share.item() * count, float(count)
