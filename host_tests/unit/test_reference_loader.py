"""Files in the format of the authors' code that are damaged, foreign, or contradict themselves: one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from host_tests.errors.command import call
from host_tests.support.authors import State, resnet_file, vgg_file
from qpsnn_codegen import nn
from qpsnn_codegen.errors import ModelFileError, UsageError
from qpsnn_codegen.kinds import Conv, Input, MaxPool, RealConv, Shortcut
from qpsnn_codegen.loaders.base import LoadOptions
from qpsnn_codegen.loaders.bit_widths import contradiction
from qpsnn_codegen.loaders.files import load_file
from qpsnn_codegen.nn.quantizers import rescaw

Change = Callable[[State], object]
VGG, RESNET = "features.convbn1.", "layer2.0."


def vgg() -> dict[str, Any]:
    return vgg_file((4, 5, "M", 6), side=8)


def resnet() -> dict[str, Any]:
    return resnet_file(3, (((4, 5),), ((4, 8),)))


def load(content: object, path: Path, **options: Any) -> Any:
    torch.save(content, path / "model.pth.tar")
    return load_file(path / "model.pth.tar", LoadOptions(**options))


def put(state: State, key: str, value: Any) -> None:
    """Everywhere the tensor appears."""
    same = [name for name, tensor in state.items() if tensor is state[key]]
    state.update(dict.fromkeys(same, value))


BROKEN: dict[str, tuple[Callable[[], dict[str, Any]], Change, str]] = {
    "tensor_missing": (vgg, lambda s: s.pop(VGG + "layer.module.weight"), "is missing"),
    "norm_missing": (resnet, lambda s: [s.pop(k) for k in list(s) if "2.0" in k and "running_var" in k], "is missing"),
    "doubled_norm_differs": (
        vgg,
        lambda s: s.update({VGG + "bn.seqbn.module.weight": torch.ones(5)}),
        "should be one tensor, but differ",
    ),
    "doubled_conv_differs": (
        resnet,
        lambda s: s.update({RESNET + "conv1_s.layer.module.weight": torch.ones(4, 5, 3, 3)}),
        "should be one tensor, but differ",
    ),
    "not_finite": (vgg, lambda s: s[VGG + "layer.module.weight"].view(-1)[0].fill_(torch.nan), "not finite"),
    "integers": (vgg, lambda s: put(s, VGG + "layer.module.weight", torch.ones(5, 4, 3, 3).int()), "not of floats"),
    "no_tensor": (vgg, lambda s: s.update({"extra": cast("torch.Tensor", 3)}), "no tensor under a name"),
    "empty_tensor": (vgg, lambda s: put(s, VGG + "layer.module.weight", torch.ones(0, 4, 3, 3)), "has shape (0,"),
    "widths_that_disagree": (
        vgg,
        lambda s: put(s, VGG + "layer.module.weight", torch.ones(5, 9, 3, 3)),
        "has shape (5, 9, 3, 3), where any x 4 x 3 x 3 is wanted",
    ),
    "kernel_of_5": (
        vgg,
        lambda s: put(s, "features.convbn0.layer.module.weight", torch.ones(4, 3, 5, 5)),
        "where any x any x 3 x 3 is wanted",
    ),
    "a_layer_nobody_knows": (vgg, lambda s: s.update({"attention.weight": torch.ones(2)}), "'attention.weight'"),
    "negative_variance": (resnet, lambda s: put(s, "bn1.bn.running_var", -torch.ones(3)), "negative values"),
    "one_input_channel": (
        vgg,
        lambda s: put(s, "features.convbn0.layer.module.weight", torch.ones(4, 1, 3, 3)),
        "reads 1 channels",
    ),
    "head_of_no_square_map": (
        vgg,
        lambda s: put(s, "classifier.linear1.module.weight", torch.ones(10, 18)),
        "no square map",
    ),
    "block_that_narrows": (
        lambda: resnet_file(9, (((4, 10),), ((4, 8),))),
        lambda s: None,
        "narrows 10 channels to 8",
    ),
    "a_block_that_is_not_there": (
        lambda: resnet_file(4, (((4, 4), (5, 4), (3, 4)),)),
        lambda s: [s.pop(key) for key in list(s) if key.startswith("layer1.1.")],
        "their blocks [0, 2]",
    ),
    "another_architecture": (
        lambda: {"state_dict": {"conv.weight": torch.ones(2, 3, 3, 3)}},
        lambda s: None,
        "neither those of the authors' VGG",
    ),
    "no_state_at_all": (lambda: {"state_dict": {}}, lambda s: None, "neither those"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, change, says = BROKEN[name]
    content = make()
    change(content["state_dict"])
    with pytest.raises(ModelFileError) as caught:
        load(content, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'model.pth.tar'}: ")
    assert says in message
    assert "\n" not in message
    result = call(tmp_path / "model.pth.tar", "-o", tmp_path / "out")
    assert (result.code, result.out, result.err) == (2, "", f"qpsnn-codegen: {message}\n")
    assert not (tmp_path / "out").exists()


def test_architecture_and_widths_are_read_off_the_file(tmp_path: Path) -> None:
    network = load(vgg_file((4, 5, "M", 6, "M", 7), side=48, channels=2, classes=3), tmp_path).network
    assert network.timesteps == 10
    assert network.class_names == ("0", "1", "2")
    events = network.nodes[0]
    assert isinstance(events, Input)
    assert (events.shape, events.spikes) == ((2, 48, 48), True)
    assert [node.name for node in network.nodes if isinstance(node, MaxPool)] == ["pool2", "pool4"]
    assert [len(node.codes) for node in network.nodes if isinstance(node, Conv)] == [5, 6, 7]

    content = resnet()
    network = load(content, tmp_path).network
    assert network.timesteps == 2
    shortcuts = [node for node in network.nodes if isinstance(node, Shortcut)]
    assert [(node.stride, node.pad_before, node.pad_after) for node in shortcuts] == [(1, 1, 1), (2, 1, 2)]
    stem = next(node for node in network.nodes if isinstance(node, RealConv))
    assert np.array_equal(stem.weights, content["state_dict"]["conv1.weight"].double().numpy())


def test_options(tmp_path: Path) -> None:
    four, two = load(vgg(), tmp_path), load(vgg(), tmp_path, bits=2, timesteps=7)
    assert (four.network.timesteps, two.network.timesteps) == (4, 7)
    assert [{n.grid.bits for n in x.network.nodes if isinstance(n, Conv)} for x in (four, two)] == [{4}, {2}]
    wrong: tuple[dict[str, Any], ...] = ({"bits": 3}, {"timesteps": 0}, {"ends": "int8"})
    for options in wrong:
        with pytest.raises(UsageError, match=r"choose|give"):
            LoadOptions(**options)
    nn.save(nn.build("cnn", layout=(2,), input_shape=(1, 4, 4)), tmp_path / "own.pt")
    for option, value in (("--bits", "4"), ("--ends", "8bit")):
        result = call("inspect", tmp_path / "own.pt", option, value)
        assert result.code == 2
        assert result.err.startswith(f"qpsnn-codegen: {option}: {value} for a file that says it itself; ")


def test_ends_without_a_positive_weight(tmp_path: Path) -> None:
    content = vgg()
    content["state_dict"]["features.convbn0.layer.module.weight"].abs_().neg_()
    load(content, tmp_path)
    with pytest.raises(ModelFileError, match="no positive weight"):
        load(content, tmp_path, ends="8bit")


@pytest.mark.parametrize("trained", [2, 4, 8])
def test_the_batch_norms_tell_the_bit_width(trained: int) -> None:
    """Running means as training leaves them: what the quantized weights make of some mean input, a little off."""
    generator = torch.Generator().manual_seed(trained)
    weights = torch.randn(96, 24, 3, 3, generator=generator)
    quantizer = rescaw(trained)
    codes, scale = quantizer.codes(weights)
    rates = torch.rand(24, generator=generator) * 0.4
    means = quantizer.dequantize(codes, scale, torch.float32).sum((2, 3)) @ rates
    means *= 1 + 0.001 * torch.randn(96, generator=generator)
    assert contradiction([(weights, means)], trained) == ()
    for other in {2, 4, 8} - {trained}:
        (note,) = contradiction([(weights, means)], other)
        assert f"--bits {trained}" in note
    # As many inputs as outputs explain everything; statistics that were never taken say nothing.
    assert contradiction([(weights[:24], means[:24]), (weights, torch.zeros(96))], trained) == ()
