"""The networks of the paper's classification tables: architecture, data set's shape, and how much was pruned where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.suggestions import choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One row, which the paper has at 8, 4 and 2 bits.

    Attributes:
        arch: a key of :data:`~qpsnn_codegen.nn.zoo.ARCHITECTURES`.
        options: of the architecture.
        ratios: share of the kernels that is pruned, by the name of the conv; others are left whole.
        sizes, accuracies: bits to MB (10^6 bytes, first and last layer at 32 bits) and to %, as published.
    """

    name: str
    arch: str
    options: Mapping[str, Any]
    ratios: Mapping[str, float]
    sizes: Mapping[int, float]
    accuracies: Mapping[int, float]


def _chain(*shares: tuple[float, int]) -> dict[str, float]:
    """Shares for so many convs each, of a network whose convs are numbered; the last is left whole."""
    each = [share for share, count in shares for _ in range(count)]
    return {f"conv{number}": share for number, share in enumerate(each, start=1)}


def _vgg16(early: float, late: float) -> dict[str, float]:
    """Shares of the first seven convs and of the next five."""
    return _chain((early, 7), (late, 5))


def _vggsnn(early: float, late: float) -> dict[str, float]:
    """Shares of the first three convs and of the next four."""
    return _chain((early, 3), (late, 4))


def _resnet20(stem: float, outputs: float, first: float, inner: float) -> dict[str, float]:
    """Shares of the stem, of the outputs of stages 1 and 2, of the first block's first conv, of the others'."""
    ratios = {"conv1": stem}
    for stage in (1, 2, 3):
        for block in range(3):
            ratios[f"stage{stage}.{block}.conv1"] = first if (stage, block) == (1, 0) else inner
            if stage < 3:
                ratios[f"stage{stage}.{block}.conv2"] = outputs
    return ratios


_CIFAR10: Mapping[str, Any] = {"classes": 10, "input_shape": (3, 32, 32)}
_CIFAR100: Mapping[str, Any] = {"classes": 100, "input_shape": (3, 32, 32)}
_TINY: Mapping[str, Any] = {"classes": 200, "input_shape": (3, 64, 64)}
_DVS: Mapping[str, Any] = {"classes": 10, "input_shape": (2, 48, 48)}
_IMAGENET: Mapping[str, Any] = {"classes": 1000, "input_shape": (3, 224, 224)}

_RESNET_LARGE = _resnet20(0.1, 0.3, 0.3, 0.6)
_RESNET_SMALL = _resnet20(0.1, 0.35, 0.35, 0.75)

_Row = tuple[str, str, Mapping[str, Any], Mapping[str, float], Sequence[float], Sequence[float]]
# Name, architecture, options, ratios; sizes and accuracies at 8, 4 and 2 bits, as far as there are any.
_ROWS: tuple[_Row, ...] = (
    ("cifar10-resnet20-6.22M", "resnet20", _CIFAR10, _RESNET_LARGE, (6.27, 3.16, 1.61), (95.12, 95.41, 95.06)),
    ("cifar10-resnet20-3.87M", "resnet20", _CIFAR10, _RESNET_SMALL, (3.92, 1.98, 1.02), (94.56, 94.65, 94.44)),
    ("cifar10-vgg16-4.25M", "vgg16", _CIFAR10, _vgg16(0.45, 0.51), (4.28, 2.16, 1.10), (91.98, 91.90, 91.61)),
    ("cifar10-vgg16-1.42M", "vgg16", _CIFAR10, _vgg16(0.49, 0.8), (1.45, 0.74, 0.39), (91.30, 91.19, 90.59)),
    ("cifar100-resnet20-6.22M", "resnet20", _CIFAR100, _RESNET_LARGE, (6.45, 3.35, 1.79), (75.29, 75.77, 75.13)),
    ("cifar100-resnet20-3.87M", "resnet20", _CIFAR100, _RESNET_SMALL, (4.10, 2.17, 1.20), (74.78, 74.73, 73.89)),
    (
        "cifar100-vgg16-2.31M",
        "vgg16",
        _CIFAR100,
        _vgg16(0.45, 0.7),
        (2.48, 1.35, 0.79),
        (66.69, 66.21, 65.69),
    ),
    (
        "cifar100-vgg16-1.68M",
        "vgg16",
        _CIFAR100,
        _vgg16(0.45, 0.78),
        (1.85, 1.04, 0.63),
        (64.70, 64.22, 63.08),
    ),
    (
        "tinyimagenet-vgg16-4.65M",
        "vgg16",
        _TINY,
        _vgg16(0.45, 0.51),
        (5.90, 3.78, 2.72),
        (53.32, 53.11, 53.07),
    ),
    (
        "tinyimagenet-vgg16-3.43M",
        "vgg16",
        _TINY,
        _vgg16(0.45, 0.62),
        (4.67, 3.17, 2.41),
        (51.99, 51.78, 51.67),
    ),
    ("dvscifar10-vggsnn-1.46M", "vggsnn", _DVS, _vggsnn(0.5, 0.7), (1.61, 0.90, 0.55), (82.10, 81.80, 81.30)),
    ("dvscifar10-vggsnn-0.9M", "vggsnn", _DVS, _vggsnn(0.5, 0.8), (1.05, 0.62, 0.41), (81.50, 80.90, 80.50)),
    (
        "dvscifar10-vggsnn-0.25M",
        "vggsnn",
        _DVS,
        _vggsnn(0.82, 0.93),
        (0.40, 0.29, 0.24),
        (75.90, 75.40, 74.90),
    ),
    ("imagenet-sew_resnet18", "sew_resnet18", _IMAGENET, {}, (13.28, 7.71), (61.36, 58.06)),
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        name: Preset(
            name=name,
            arch=arch,
            options=options,
            ratios=ratios,
            sizes=dict(zip((8, 4, 2), sizes, strict=False)),
            accuracies=dict(zip((8, 4, 2), accuracies, strict=False)),
        )
        for name, arch, options, ratios, sizes, accuracies in _ROWS
    }
)


def find_preset(name: str) -> Preset:
    """The preset of that name; raises :class:`UsageError` if there is none."""
    if name not in PRESETS:
        raise UsageError("preset", f"{name!r} is unknown", choose(name, PRESETS))
    return PRESETS[name]
