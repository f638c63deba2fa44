"""How a network is trained: numbers, and what they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from qpsnn_codegen.errors import UsageError

OptimizerName = Literal["adam", "sgd"]
PolicyName = Literal["cifar10", "imagenet", "svhn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Args:
        epochs: passes over the training images.
        batch: images per step.
        optimizer: ``"adam"`` or ``"sgd"`` (momentum 0.9).
        learning_rate: at the start; it falls to zero along a cosine, epoch by epoch.
        weight_decay: L2 penalty.
        crop: images get a border of this many zeros, and are cut back to their size at a random place.
        flip: images are mirrored, left to right, every other time.
        autoaugment: images go through two operations each, as AutoAugment learned for this data set; needs kornia.
        cutout: a square of this many pixels, somewhere, is set to zero (parts of it may lie outside).
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
    crop: int = 0
    flip: bool = False
    autoaugment: PolicyName | None = None
    cutout: int = 0
    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    smoothing: float = 0.0
    spike_penalty: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "sgd"):
            raise UsageError("optimizer", f"{self.optimizer!r} is unknown", "choose adam or sgd")
        if self.autoaugment not in (None, *get_args(PolicyName)):
            raise UsageError("autoaugment", f"{self.autoaugment!r} is unknown", "choose cifar10, imagenet or svhn")
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 2),
            ("crop", self.crop, 0),
            ("cutout", self.cutout, 0),
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
