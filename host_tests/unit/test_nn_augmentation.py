"""Random changes of images, by amounts of our choosing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from qpsnn_codegen import nn
from qpsnn_codegen.nn.augmentation import augmented, draw


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
