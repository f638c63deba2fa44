"""Data sets, training loops, resuming, architectures."""

from __future__ import annotations

import dataclasses
import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from qpsnn_codegen import nn
from qpsnn_codegen.errors import DataError, ModelFileError, UsageError
from qpsnn_codegen.nn.augmentation import augmented, draw


def layer(network: nn.SpikingNetwork, name: str) -> Any:
    return network.body.get_submodule(name)


def tiny(**changes: Any) -> nn.Dataset:
    """Two classes told apart by the brighter half."""
    generator = np.random.default_rng(0)
    labels = np.arange(80, dtype=np.int64) % 2
    images = generator.integers(0, 8, (80, 1, 4, 4), dtype=np.uint8)
    images[labels == 0, :, :2] += 8
    images[labels == 1, :, 2:] += 8
    given: dict[str, Any] = {
        "name": "tiny", "train_images": images[:60], "train_labels": labels[:60], "test_images": images[60:],
        "test_labels": labels[60:], "class_names": ("top", "bottom"), "divisor": 16.0,
    }  # fmt: skip
    return nn.Dataset(**{**given, **changes})


def model(seed: int = 0) -> nn.SpikingNetwork:
    return nn.build("cnn", seed=seed, layout=(6, 8), input_shape=(1, 4, 4), classes=2, divisor=16.0)


OPTIONS = nn.TrainingOptions(epochs=6, batch=16, learning_rate=1e-2, shift=0.5, rotate=5.0, zoom=0.1, seed=3)


def test_training_learns_and_a_seed_fixes_the_result() -> None:
    data = tiny()
    first, second, other = model(), model(), model()
    history = nn.train(first, data, OPTIONS)
    assert history == nn.train(second, data, OPTIONS)
    assert nn.evaluate(first, data) >= 0.9
    assert history[-1].loss < history[0].loss
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    nn.train(other, data, nn.TrainingOptions(epochs=6, batch=16, learning_rate=1e-2, seed=4))
    assert not torch.equal(layer(first, "conv1").weight, layer(other, "conv1").weight)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resuming_gives_the_same_as_not_stopping(tmp_path: Path, optimizer: Any) -> None:
    data = tiny()
    options = nn.TrainingOptions(epochs=5, batch=16, learning_rate=1e-2, shift=1.0, optimizer=optimizer, seed=1)
    straight, stopped, resumed = model(), model(), model(seed=9)
    expected = nn.train(straight, data, options)
    state = tmp_path / "run.state"
    seen: list[int] = []
    nn.train(stopped, data, options, state=state, stop_after=2)
    torch.manual_seed(12345)  # another process
    actual = nn.train(
        resumed, data, options, state=state, resume=True, progress=lambda epoch: seen.append(epoch.number)
    )
    assert seen == [3, 4, 5]
    assert actual == expected
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_resuming_under_autoaugment_and_what_the_file_says_of_it(tmp_path: Path) -> None:
    pytest.importorskip("kornia")
    grey = tiny()
    parts = {f"{name}_images": getattr(grey, f"{name}_images").repeat(3, 1) * 15 for name in ("train", "test")}
    data = tiny(**parts, divisor=255.0)
    options = nn.TrainingOptions(epochs=3, batch=16, crop=1, flip=True, autoaugment="cifar10", cutout=1, seed=1)
    networks = [
        nn.build("cnn", seed=seed, layout=(4,), input_shape=(3, 4, 4), classes=2, divisor=255.0) for seed in (0, 0, 9)
    ]
    expected = nn.train(networks[0], data, options)
    state, path = tmp_path / "run.state", tmp_path / "a.pt"
    nn.train(networks[1], data, options, state=state, stop_after=1)
    torch.manual_seed(12345)  # another process
    assert nn.train(networks[2], data, options, state=state, resume=True) == expected
    assert torch.equal(layer(networks[0], "conv1").weight, layer(networks[2], "conv1").weight)
    nn.save(networks[2], path, training=nn.training_record(data, options, expected, accuracy=0.5, command="train"))
    kept = nn.read_checkpoint(path).training["options"]
    assert isinstance(kept, dict)
    assert nn.TrainingOptions(**kept) == options
    other = nn.build("cnn", seed=0, layout=(4,), input_shape=(3, 4, 4), classes=2, divisor=255.0)
    assert nn.train(other, data, dataclasses.replace(options, autoaugment=None)) != expected


def test_states_that_cannot_be_resumed(tmp_path: Path) -> None:
    data, state = tiny(), tmp_path / "run.state"
    nn.train(model(), data, OPTIONS, state=state, stop_after=1)
    longer = nn.TrainingOptions(epochs=7)
    with pytest.raises(ModelFileError, match="other training options"):
        nn.train(model(), data, longer, state=state, resume=True)
    smaller = nn.build("cnn", layout=(3,), input_shape=(1, 4, 4), classes=2, divisor=16.0)
    with pytest.raises(ModelFileError, match="cannot be resumed"):
        nn.train(smaller, data, OPTIONS, state=state, resume=True)
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(ModelFileError, match="cannot be resumed"):
        nn.train(model(), data, OPTIONS, state=state, resume=True)


def test_fine_tuning_a_pruned_network(tmp_path: Path) -> None:
    data = tiny()
    whole = model()
    nn.train(whole, data, OPTIONS)
    smaller, _ = nn.prune(whole, torch.from_numpy(data.train_images.copy()), 0.5)
    nn.train(smaller, data, OPTIONS)
    assert nn.evaluate(smaller, data) >= 0.9
    nn.save(smaller, tmp_path / "a.pt")
    assert nn.evaluate(nn.load(tmp_path / "a.pt"), data) == nn.evaluate(smaller, data)


def test_evaluate_counts_right_answers_and_keeps_the_mode() -> None:
    data = tiny()
    net = model().train()
    with torch.no_grad():
        layer(net, "head").weight.zero_()
        layer(net, "head").bias.copy_(torch.tensor([0.0, 1.0]))
    assert nn.evaluate(net, data) == float((data.test_labels == 1).mean())
    assert net.training
    assert layer(net, "norm1").training
    frozen = net.freeze()
    nn.evaluate(frozen, data)
    assert layer(frozen, "conv1").codes is not None


def test_jitter_is_the_identity_at_zero_and_bounded() -> None:
    images = torch.from_numpy(tiny().train_images.copy())
    assert draw(60, nn.TrainingOptions(), torch.Generator()) == {}
    assert torch.equal(augmented(images, nn.TrainingOptions(), {}), images)
    moved = augmented(images, nn.TrainingOptions(shift=1.0), {"affine": torch.ones(60, 5)})
    assert torch.allclose(moved[:, :, :-1, :-1], images[:, :, 1:, 1:].float(), atol=1e-4)
    assert float(moved[:, :, -1].abs().max()) < 1e-4


@pytest.mark.parametrize(
    "options",
    [{"epochs": 0}, {"batch": 1}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"shift": -1.0},
     {"zoom": 1.0}, {"smoothing": 1.0}, {"optimizer": "lion"}, {"seed": -1}, {"weight_decay": -1.0},
     {"autoaugment": "cifar100"}, {"autoaugment": True}, {"autoaugment": ""}],
)  # fmt: skip
def test_training_options_refuse(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        nn.TrainingOptions(**options)


def test_data_that_does_not_fit_the_model() -> None:
    with pytest.raises(DataError, match="divisor"):
        nn.evaluate(model(), tiny(divisor=255.0))
    with pytest.raises(DataError, match="classes"):
        nn.evaluate(model(), tiny(class_names=("a", "b", "c")))
    with pytest.raises(DataError, match="shape"):
        nn.train(model(), nn.digits(), OPTIONS)


# --- data sets


def test_digits_are_the_documented_split() -> None:
    data = nn.digits()
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.test_images.shape == (360, 1, 8, 8)
    assert data.train_images.max() == 16
    assert data.divisor == 16.0
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(1)).numpy()
    assert (data.test_labels == load_digits().target[order[-360:]]).all()
    with pytest.raises(ValueError, match="read-only"):
        data.test_images[0] = 0


def arrays() -> dict[str, Any]:
    generator = np.random.default_rng(1)
    return {
        "x_train": generator.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 9, 4, 5], dtype=np.uint8),
        "x_test": generator.integers(0, 256, (3, 5, 4), dtype=np.uint8),
        "y_test": np.array([7, 8, 9], dtype=np.uint8),
    }


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    content = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


IDX = {"x_train": "train-images-idx3-ubyte", "y_train": "train-labels-idx1-ubyte.gz",
       "x_test": "t10k-images.idx3-ubyte", "y_test": "t10k-labels-idx1-ubyte"}  # fmt: skip


def test_mnist_from_npz_and_from_idx_is_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", **arrays())
    for key, name in IDX.items():
        write_idx(tmp_path / name, arrays()[key])
    for source in (tmp_path / "mnist.npz", tmp_path):
        data = nn.open_dataset(f"mnist:{source}")
        assert data.shape == (1, 5, 4)
        assert (data.train_images[:, 0] == arrays()["x_train"]).all()
        assert data.test_labels.tolist() == [7, 8, 9]
        assert len(data.class_names) == 10
        assert data.divisor == 255.0


def test_generic_npz(tmp_path: Path) -> None:
    given = {**arrays(), "class_names": np.array([f"c{i}" for i in range(10)]), "divisor": np.array(2.0)}
    given["x_train"] = np.stack([given["x_train"]] * 3, 1)
    given["x_test"] = np.stack([given["x_test"]] * 3, 1)
    np.savez(tmp_path / "a.npz", **given)
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}")
    assert data.shape == (3, 5, 4)
    assert data.class_names[9] == "c9"
    assert data.divisor == 2.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_test": None}, "x_test"),
        ({"y_test": np.array([1, 2])}, "labels of shape"),
        ({"y_test": np.array([1, 2, 10])}, "run from 1 to 10"),
        ({"y_test": np.array([1, 2, -1])}, "run from -1"),
        ({"y_test": np.array([1.0, 2.0, 3.0])}, "float64"),
        ({"x_train": np.zeros((6, 5, 4))}, "float64"),
        ({"x_train": np.zeros((6, 20), np.uint8)}, "x_train"),
        ({"x_train": np.zeros((6, 4, 5), np.uint8)}, "test images"),
        ({"x_test": np.zeros((0, 5, 4), np.uint8), "y_test": np.zeros(0, int)}, "test images are"),
        ({"y_train": np.array([{}] * 6)}, "cannot be read"),
        ({"divisor": np.array(0.0)}, "divisor"),
    ],
)
def test_npz_that_is_none(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    given = {key: value for key, value in {**arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "a.npz", **given)
    with pytest.raises(DataError, match=says):
        nn.mnist(tmp_path / "a.npz")


def test_files_that_are_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        nn.mnist(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("text.npz", "single.npy"):
        with pytest.raises(DataError):
            nn.from_npz(tmp_path / name)
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        nn.mnist(tmp_path)
    for key, name in IDX.items():
        write_idx(tmp_path / name, arrays()[key])
    images = tmp_path / IDX["x_train"]
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match="announces"):
        nn.mnist(tmp_path)
    (tmp_path / IDX["y_train"]).write_bytes(b"\x1f\x8bgarbage")
    write_idx(images, arrays()["x_train"])
    with pytest.raises(DataError, match="cannot be read"):
        nn.mnist(tmp_path)
    for source in ("digits:x", "mnist", "cifar:here", ""):
        with pytest.raises(DataError, match="no such data set"):
            nn.open_dataset(source)


# --- architectures


def test_vgg16_is_the_papers() -> None:
    network = nn.build("vgg16", classes=10)
    widths = [node.attributes["out_channels"] for node in network.nodes() if node.kind == "conv"]
    assert widths == [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    shapes = network.shapes()
    assert shapes["flatten"] == (512,)
    assert network.timesteps == 4
    quantizers = [node.attributes["quantizer"] for node in network.nodes() if "quantizer" in node.attributes]
    assert [q["grid"] for q in quantizers] == ["symmetric", *["rescaw"] * 12, "symmetric"]
    assert [quantizers[0]["per"], quantizers[-1]["per"]] == ["channel", "layer"]


def test_build_is_reproducible_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(layer(model(1), "conv1").weight, layer(model(1), "conv1").weight)
    assert not torch.equal(layer(model(1), "conv1").weight, layer(model(2), "conv1").weight)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("arch", "options"),
    [("transformer", {}), ("cnn", {"colour": 1}), ("cnn", {"layout": ("M",) * 5}), ("cnn", {"bits": 3}),
     ("resnet", {"widths": (8, 4)})],
)  # fmt: skip
def test_build_refuses(arch: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        nn.build(arch, **options)
