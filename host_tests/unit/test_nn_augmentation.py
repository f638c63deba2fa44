"""Random changes of images, by amounts of our choosing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
import torch
from torch import Tensor

from qpsnn_codegen import nn
from qpsnn_codegen.nn.augmentation import augmented, draw
from qpsnn_codegen.nn.autoaugment import autoaugmented
from qpsnn_codegen.nn.training_options import PolicyName

POLICIES = get_args(PolicyName)


def images(*shape: int) -> Tensor:
    return torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def shift(image: Tensor, down: int, right: int) -> Tensor:
    """Image content moved up by ``down`` and left by ``right``; zeros come in."""
    moved = torch.zeros_like(image)
    height, width = image.shape[-2:]
    rows, columns = range(max(0, -down), min(height, height - down)), range(max(0, -right), min(width, width - right))
    for y in rows:
        for x in columns:
            moved[..., y, x] = image[..., y + down, x + right]
    return moved


def test_crop_cuts_whole_pixels_out_of_a_border_of_zeros() -> None:
    given = images(4, 3, 6, 5)
    amounts = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [0.999, -1.0], [1.0, 1.0]])
    cut = augmented(given, nn.TrainingOptions(crop=2), {"crop": amounts})
    assert cut.dtype == torch.uint8
    for image, result, place in zip(given, cut, ((-2, -2), (0, 0), (2, -2), (2, 2)), strict=True):
        assert torch.equal(result, shift(image, *place))


def test_every_place_of_a_crop_is_as_likely() -> None:
    options = nn.TrainingOptions(crop=1)
    given = torch.zeros(9000, 1, 3, 3, dtype=torch.uint8)
    given[:, :, 1, 1] = 1
    cut = augmented(given, options, draw(9000, options, torch.Generator().manual_seed(1)))
    counts = cut.sum(0).flatten()
    assert int(counts.sum()) == 9000
    assert counts.min() > 850
    assert counts.max() < 1150


def test_flip_mirrors_about_half_of_the_images() -> None:
    given, options = images(200, 2, 3, 4), nn.TrainingOptions(flip=True)
    amounts = draw(200, options, torch.Generator().manual_seed(2))
    result = augmented(given, options, amounts)
    mirrored = amounts["flip"].flatten() > 0
    assert 70 < int(mirrored.sum()) < 130
    assert torch.equal(result[mirrored], given[mirrored].flip(-1))
    assert torch.equal(result[~mirrored], given[~mirrored])


@pytest.mark.parametrize(("place", "zeros"), [((0.0, 0.0), 9), ((-1.0, -1.0), 4), ((-1.0, 0.0), 6), ((1.0, 1.0), 4)])
def test_cutout_clears_a_square_around_a_pixel(place: tuple[float, float], zeros: int) -> None:
    given = images(1, 2, 7, 7)
    result = augmented(given, nn.TrainingOptions(cutout=3), {"cutout": torch.tensor([place])})
    cleared = result[0, 0] == 0
    assert int(cleared.sum()) == zeros
    assert torch.equal(cleared, result[0, 1] == 0), "all channels alike"
    assert torch.equal(result[:, :, ~cleared], given[:, :, ~cleared])
    if zeros == 9:
        assert cleared[2:5, 2:5].all()


def test_frames_of_a_recording_are_changed_alike() -> None:
    options = nn.TrainingOptions(crop=2, flip=True, cutout=2)
    one = images(6, 1, 2, 8, 8)
    amounts = draw(6, options, torch.Generator().manual_seed(3))
    three = augmented(one.repeat(1, 3, 1, 1, 1), options, amounts)
    assert three.shape == (6, 3, 2, 8, 8)
    assert torch.equal(three, augmented(one, options, amounts).repeat(1, 3, 1, 1, 1))
    assert not torch.equal(three[:, :1], one)


def test_a_part_of_a_batch_is_changed_as_in_the_whole() -> None:
    options = nn.TrainingOptions(crop=2, flip=True, cutout=2, shift=1.0, rotate=9.0, zoom=0.1)
    given = images(8, 2, 6, 6)
    amounts = draw(8, options, torch.Generator().manual_seed(4))
    assert set(amounts) == {"affine", "crop", "flip", "cutout"}
    whole = augmented(given, options, amounts)
    part = augmented(given[1::3], options, {name: drawn[1::3] for name, drawn in amounts.items()})
    assert torch.equal(part, whole[1::3])


# --- AutoAugment


def pairs(policy: PolicyName) -> list[Callable[[Tensor], Tensor]]:
    """kornia's 25 pairs of operations, each drawing for itself."""
    return list(pytest.importorskip("kornia.augmentation.auto").AutoAugment(policy).children())


def scenes(count: int, height: int, width: int) -> Tensor:
    """Colour images of bytes, 1 to 254, smooth enough that every operation leaves a mark of its own."""
    generator = torch.Generator().manual_seed(9)
    coarse = torch.rand(count, 3, 3, 3, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    return (1.0 + 253.0 * smooth).to(torch.uint8)


def constant(value: float, *size: int | tuple[int, ...], **_: object) -> Tensor:
    """In place of ``torch.rand``."""
    return torch.full(torch.Size(size[0]) if isinstance(size[0], tuple) else size, value)  # type: ignore[arg-type]


def chosen(pair: int, *amounts: float) -> Tensor:
    """Amounts [1, 5] for one pair; the others are given from 0 to 1."""
    return 2.0 * torch.tensor([[(pair + 0.5) / 25, *amounts]]) - 1.0


@pytest.mark.parametrize("policy", POLICIES)
def test_autoaugment_is_kornias_with_other_numbers_drawn(policy: PolicyName, monkeypatch: pytest.MonkeyPatch) -> None:
    given = scenes(1, 12, 10)
    for number, pair in enumerate(pairs(policy)):
        for share in (0.0, 0.15, 0.55, 0.95):
            with monkeypatch.context() as patched:
                # Whatever kornia draws, gates and magnitudes, is this number.
                patched.setattr(torch, "rand", partial(constant, share))
                wanted = (pair(given / 255) * 255).round().to(torch.uint8)
            result = autoaugmented(given, policy, chosen(number, share, share, share, share))
            assert torch.equal(result, wanted), (number, share)


def test_each_image_gets_a_pair_of_its_own() -> None:
    pairs("cifar10")
    options = nn.TrainingOptions(autoaugment="cifar10")
    given = scenes(1, 16, 16).repeat(200, 1, 1, 1)
    result = augmented(given, options, draw(200, options, torch.Generator().manual_seed(5)))
    assert (result.dtype, result.shape) == (torch.uint8, given.shape)
    assert len(result.flatten(1).unique(dim=0)) > 100, "one pair for all would give a handful"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_image_is_changed_the_same_in_any_company(policy: PolicyName) -> None:
    pairs(policy)
    options = nn.TrainingOptions(autoaugment=policy)
    given = scenes(150, 9, 14)
    amounts = draw(150, options, torch.Generator().manual_seed(6))["autoaugment"]
    whole = augmented(given, options, {"autoaugment": amounts})
    for size in (1, 2, 3, 64):
        for first in range(size if size > 1 else 60):
            step = slice(first, None, size) if size > 1 else slice(first, first + 1)
            assert torch.equal(augmented(given[step], options, {"autoaugment": amounts[step]}), whole[step])


def test_autoaugment_leaves_the_global_generator_alone() -> None:
    pairs("svhn")
    before = torch.get_rng_state()
    first = autoaugmented(scenes(40, 8, 8), "svhn", torch.linspace(-1, 1, 200).reshape(40, 5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    assert torch.equal(autoaugmented(scenes(40, 8, 8), "svhn", torch.linspace(-1, 1, 200).reshape(40, 5)), first)


def test_autoaugment_keeps_bytes_and_their_floats() -> None:
    pairs("cifar10")
    given = scenes(60, 8, 8)
    amounts = draw(60, nn.TrainingOptions(autoaugment="cifar10"), torch.Generator().manual_seed(7))["autoaugment"]
    real = autoaugmented(given.to(torch.float32), "cifar10", amounts)
    assert real.dtype == torch.float32
    assert real.min() == 0.0
    assert real.max() == 255.0
    assert torch.equal(real.round().to(torch.uint8), autoaugmented(given, "cifar10", amounts))
    # Pair 0 inverts in one of ten, and raises the contrast in two.
    assert torch.equal(autoaugmented(given[:1], "cifar10", chosen(0, 0.11, 0.0, 0.21, 0.0)), given[:1])
    assert torch.equal(autoaugmented(given[:1], "cifar10", chosen(0, 0.09, 0.0, 0.21, 0.0)), 255 - given[:1])


def test_frames_go_through_one_pair() -> None:
    pairs("imagenet")
    options = nn.TrainingOptions(autoaugment="imagenet", crop=1, cutout=2)
    frames = scenes(30, 8, 8).repeat_interleave(3, 0).reshape(30, 3, 3, 8, 8)
    amounts = draw(30, options, torch.Generator().manual_seed(8))
    result = augmented(frames, options, amounts)
    assert result.shape == frames.shape
    assert torch.equal(result, augmented(frames[:, :1], options, amounts).repeat(1, 3, 1, 1, 1))
    assert torch.equal(result[:, 0], augmented(frames[:, 0], options, amounts))


def test_what_is_cut_out_stays_zero_under_autoaugment() -> None:
    """The order is the paper's: inverting or brightening comes before."""
    pairs("cifar10")
    options = nn.TrainingOptions(autoaugment="cifar10", cutout=4)
    amounts = {"autoaugment": chosen(0, 0.0, 0.0, 1.0, 0.0), "cutout": torch.zeros(1, 2)}
    result = augmented(scenes(1, 8, 8), options, amounts)
    assert int((result == 0).all(1).sum()) == 16
    assert torch.equal(result[result > 0], (255 - scenes(1, 8, 8))[result > 0])
