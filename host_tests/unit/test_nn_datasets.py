"""Data sets by a line: every kind read from files written here, and refused when damaged or hostile."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from host_tests.support.shared import shared_file
from qpsnn_codegen import nn
from qpsnn_codegen.errors import DataError
from qpsnn_codegen.nn.datasets.dataset import hold_out
from qpsnn_codegen.nn.datasets.events import Binning
from qpsnn_codegen.nn.datasets.pickles import read_pickle
from qpsnn_codegen.nn.training import fitted


def numbers(*shape: int, high: int = 256, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


# --- the line


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("cifar10", "no such data set"), ("digits?x=1", "no such data set"), ("digits:?a=1&a=2", "each once"),
        ("npz:a.npz?x=x&y=", "cannot read its option 'y='"), ("npz:a.npz?=3", "cannot read"),
        ("events:E?frames=0", "frames is '0'"), ("events:E?frames=1e3", "frames is"), ("events:E?by=x", "choose time"),
        ("events:E?max=256", "max is"), ("events:E?size=99", "larger than the sensor"),
        ("events:E?frames=9999999999999999999999", "frames is"), ("events:E?holdout=1", "holdout is"),
        ("events:E?colour=1", "no option 'colour'"), ("cifar10:nowhere", "no test_batch"),
        ("events:nowhere", "no such folder"), ("folder:nowhere", "no such folder"), ("folder:E?size=0", "size is"),
        ("folder:E?size=3x", "size is"), ("folder:E?channels=2", "choose 3 or 1"), ("mnist:E?frames=2", "no file"),
    ],
)  # fmt: skip
def test_lines_that_name_nothing(source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        (tmp_path / "E" / "a").mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / "E" / "a" / f"{number}.npz", x=[1, 2], y=[0, 1], p=[0, 1], t=[5, 6])
    source = source.replace("?size=99", "?size=99&sensor=50")
    with pytest.raises(DataError, match=says):
        nn.open_dataset(source)


def test_a_path_may_hold_a_question_mark(tmp_path: Path) -> None:
    four = {"x_train": numbers(4, 3, 3), "y_train": [0, 1, 0, 1], "x_test": numbers(2, 3, 3), "y_test": [0, 1]}
    np.savez(tmp_path / "what?.npz", **four)  # type: ignore[arg-type]
    assert nn.open_dataset(f"npz:{tmp_path / 'what?.npz'}").shape == (1, 3, 3)


def test_the_last_of_each_class_are_held_out() -> None:
    labels = np.array([0, 1, 0, 1, 0, 2, 0, 0])
    assert np.flatnonzero(hold_out(labels, 0.4)).tolist() == [3, 5, 6, 7]


# --- CIFAR


def cifar(records: int, high: int = 10, seed: int = 0) -> tuple[NDArray[np.uint8], list[int]]:
    labels = np.random.default_rng(seed).integers(0, high, records).tolist()
    return numbers(records, 3072, seed=seed), labels


def test_cifar10_in_all_forms_is_the_same(tmp_path: Path) -> None:
    for form in ("python", "binary", "npz"):
        (tmp_path / form).mkdir()
    train = [cifar(4, seed=number) for number in range(1, 6)]
    for name, (data, labels) in {**{f"data_batch_{n}": part for n, part in enumerate(train, 1)},
                                 "test_batch": cifar(3, seed=9)}.items():  # fmt: skip
        batch = {b"data": data, b"labels": labels, b"batch_label": b"one of 5"}
        (tmp_path / "python" / name).write_bytes(pickle.dumps(batch, protocol=2))
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1)
        (tmp_path / "binary" / f"{name}.bin").write_bytes(rows.tobytes())
    images = np.concatenate([data for data, _ in train]).reshape(-1, 3, 32, 32)
    answers = np.concatenate([part for _, part in train])
    test_images, test_labels = cifar(3, seed=9)
    np.savez(tmp_path / "npz" / "cifar10_train.npz", x_train=images, y_train=answers[:, None])
    np.savez(tmp_path / "npz" / "cifar10_test.npz", x_test=test_images.reshape(-1, 3, 32, 32), y_test=test_labels)
    for form in ("python", "binary", "npz"):
        done: list[int] = []
        read = nn.open_dataset(f"cifar10:{tmp_path / form}", done.append)
        assert np.array_equal(read.train_images, images)
        assert np.array_equal(read.train_labels, answers)
        assert np.array_equal(read.test_images, test_images.reshape(-1, 3, 32, 32))
        assert read.test_labels.tolist() == test_labels
        assert read.class_names[3] == "cat"
        assert sum(done) == (0 if form == "npz" else 6)


def test_cifar100_takes_the_fine_labels(tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "binary").mkdir()
    for name, count in (("train", 6), ("test", 2)):
        data, labels = cifar(count, high=100, seed=count)
        entries = {"data": data, "fine_labels": labels, "coarse_labels": [0] * count}
        (tmp_path / "python" / name).write_bytes(pickle.dumps(entries))
        rows = np.concatenate([np.zeros((count, 1), np.uint8), np.array(labels, np.uint8)[:, None], data], axis=1)
        (tmp_path / "binary" / f"{name}.bin").write_bytes(rows.tobytes())
    for form in ("python", "binary"):
        data_set = nn.open_dataset(f"cifar100:{tmp_path / form}")
        assert data_set.train_labels.tolist() == cifar(6, high=100, seed=6)[1]
        assert len(data_set.class_names) == 100
    (tmp_path / "binary" / "test.bin").write_bytes(rows.tobytes()[:-1])
    with pytest.raises(DataError, match="no records of 3074"):
        nn.open_dataset(f"cifar100:{tmp_path / 'binary'}")


# As Python 2 wrote CIFAR's batches: protocol 2, numpy's old module name, byte strings as they are.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
    b"\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89U\x06abcdefq\x08tbU\x06labelsq\t]q\n(K\x06K\x07eu."
)


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(PYTHON_2)
    found = read_pickle(tmp_path / "old")
    assert found[b"data"].tolist() == [[97, 98, 99], [100, 101, 102]]
    assert found[b"labels"] == [6, 7]


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, ("hacked",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Hostile()), pickle.dumps({b"data": Hostile()}), pickle.dumps({b"data": np.array([Hostile()])}),
        pickle.dumps({b"data": np.zeros((2, 2))}), pickle.dumps({b"data": np.zeros((1, 2, 2), np.uint8)}),
        pickle.dumps([1]), pickle.dumps({3: np.dtype("u1")})[:-5], b"", b"hello", b"cos\nsystem\n.",
        PYTHON_2.replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"), PYTHON_2.replace(b"K\x02K\x03\x86", b"K\xffK\xff\x86"),
        PYTHON_2.replace(b"U\x02u1", b"U\x02O8"), b"\x80\x02U\x01aQ.",
    ],
)  # fmt: skip
def test_pickles_that_ask_for_more(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(DataError, match="p: "):
        read_pickle(tmp_path / "p")
    assert not (tmp_path / "hacked").exists()


def test_every_cut_and_every_changed_byte_of_a_pickle_is_survived(tmp_path: Path) -> None:
    path = tmp_path / "p"
    generator = np.random.default_rng(5)
    cuts = [PYTHON_2[:end] for end in range(len(PYTHON_2))]
    changed = []
    for _ in range(600):
        text = bytearray(PYTHON_2)
        text[generator.integers(len(text))] = generator.integers(256)
        changed.append(bytes(text))
    refused = 0
    for content in (*cuts, *changed):
        path.write_bytes(content)
        try:
            read_pickle(path)
        except DataError:
            refused += 1
    assert refused >= len(cuts) + 200


# --- events

EVENTS: dict[str, Any] = {
    "x": np.array([0, 3, 3, 1]),
    "y": np.array([0, 0, 0, 3]),
    "p": np.array([0, 1, 1, 1]),
    "t": np.array([100, 120, 121, 199]),
}


def binning(**changes: Any) -> Binning:
    return Binning(**{"frames": 2, "sensor": 4, "size": 4, "by": "time", "most": 255, **changes})


def filled(frames: NDArray[np.uint8]) -> dict[tuple[int, ...], int]:
    return {tuple(map(int, place)): int(frames[tuple(place)]) for place in np.argwhere(frames)}


def test_events_are_binned_by_time_or_number() -> None:
    by_time = binning().frame("r", EVENTS)
    assert by_time.shape == (2, 2, 4, 4)
    assert filled(by_time) == {(0, 0, 0, 0): 1, (0, 1, 0, 3): 2, (1, 1, 3, 1): 1}
    by_number = filled(binning(by="number").frame("r", EVENTS))
    assert by_number == {(0, 0, 0, 0): 1, (0, 1, 0, 3): 1, (1, 1, 0, 3): 1, (1, 1, 3, 1): 1}
    smaller = filled(binning(size=2, most=1).frame("r", EVENTS))
    assert smaller == {(0, 0, 0, 0): 1, (0, 1, 0, 1): 1, (1, 1, 1, 0): 1}
    assert not binning().frame("r", {name: values[:0] for name, values in EVENTS.items()}).any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x": np.array([0, 1, 2, 4])}, "x runs from 0 to 4"), ({"y": np.array([0, -1, 2, 3])}, "y runs from -1"),
        ({"p": np.array([0, 1, 2, 1])}, "p runs from 0 to 2"), ({"t": np.array([0.0, 1.0, np.nan, 2.0])}, "t is float"),
        ({"t": np.array([0, 2**62, 1, 2])}, "times span"), ({"p": np.array([0, 1])}, "p is int64"),
        ({"x": np.array(["a"] * 4)}, "x is <U1"),
    ],
)  # fmt: skip
def test_events_that_are_none(changes: dict[str, NDArray[Any]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        binning().frame("r", {**EVENTS, **changes})


def test_recordings_in_folders(tmp_path: Path) -> None:
    # Names without leading zeros, as unpacked: 10 comes after 9, and the last of each class is held out.
    for label, name in enumerate(("airplane", "bird")):
        (tmp_path / "flat" / name).mkdir(parents=True)
        for number in range(11):
            place: dict[str, Any] = {**EVENTS, "x": EVENTS["x"] * 0 + number + label}
            np.savez(tmp_path / "flat" / name / f"{number}.npz", **place)
    data = nn.open_dataset(f"events:{tmp_path / 'flat'}?frames=3&sensor=16&size=16&max=15")
    assert data.train_images.shape == (20, 3, 2, 16, 16)
    assert data.class_names == ("airplane", "bird")
    assert [int(image.sum((0, 1, 2)).argmax()) for image in data.test_images] == [10, 11]
    assert (data.frames, data.input_kind, data.max_value, data.divisor) == (3, "spikes", 15, 1.0)
    (tmp_path / "split").mkdir()
    for part in ("train", "test"):
        (tmp_path / "flat").rename(tmp_path / "split" / part)
        if part == "train":
            (tmp_path / "flat" / "airplane").mkdir(parents=True)
            (tmp_path / "flat" / "bird").mkdir()
            for name in ("airplane", "bird"):
                np.savez(tmp_path / "flat" / name / "0.npz", **EVENTS)
    data = nn.open_dataset(f"events:{tmp_path / 'split'}?frames=3")
    assert (len(data.train_images), len(data.test_images)) == (22, 2)
    assert data.shape == (2, 128, 128)
    (tmp_path / "split" / "test" / "bird" / "0.npz").unlink()
    with pytest.raises(DataError, match="holds no"):
        nn.open_dataset(f"events:{tmp_path / 'split'}")


def flat_events(**changes: Any) -> dict[str, Any]:
    part = {**EVENTS, "offsets": np.array([0, 1, 4]), "label": np.array([0, 1])}
    return {f"{name}_{half}": values for half in ("train", "test") for name, values in part.items()} | changes


def test_recordings_behind_each_other(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **flat_events())
    data = nn.open_dataset(f"events:{tmp_path / 'a.npz'}?frames=2&max=255")
    assert data.shape == (2, 4, 4)
    assert filled(data.train_images[1]) == {(0, 1, 0, 3): 2, (1, 1, 3, 1): 1}
    steps = {f"dt_{half}": np.array([0, 0, 1, 78]) for half in ("train", "test")}
    np.savez(tmp_path / "b.npz", **{k: v for k, v in (flat_events() | steps).items() if not k.startswith("t_")})
    other = nn.open_dataset(f"events:{tmp_path / 'b.npz'}?frames=2&max=255")
    assert np.array_equal(other.train_images, data.train_images)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"offsets_train": np.array([0, 5, 4])}, "offsets_train do not run"),
        ({"offsets_test": np.array([0, 1, 3])}, "offsets_test do not run"),
        ({"offsets_test": np.array([0.0, 1.0, 4.0])}, "offsets_test do not run"),
        ({"label_train": np.array([0])}, "3 offsets_train for labels"),
        ({"label_train": np.array([0, 7])[:, None]}, "offsets_train for labels"),
        ({"x_train": np.array([0, 3, 3])}, "offsets_train do not run from 0 to 3"),
        ({"y_train": np.array([0, 3, 3])}, "y is int64"),
    ],
)  # fmt: skip
def test_recordings_that_are_none(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **flat_events(**changes))
    with pytest.raises(DataError, match=says):
        nn.open_dataset(f"events:{tmp_path / 'a.npz'}?frames=2")


def test_frames_that_would_not_fit_memory_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **flat_events())
    with pytest.raises(DataError, match="give fewer frames"):
        nn.open_dataset(f"events:{tmp_path / 'a.npz'}?frames=4096&sensor=4096")


def test_n_mnist_trains_a_network_of_spikes() -> None:
    data = nn.open_dataset(f"events:{shared_file('data/nmnist_small.npz')}?frames=4&size=17&by=number")
    assert data.train_images.shape == (1000, 4, 2, 17, 17)
    model = fitted(nn.build("cnn", layout=(6, "M", 8), input_shape=data.shape, timesteps=4, divisor=1.0), data)
    assert model.input_kind == "spikes"
    nn.train(model, data, nn.TrainingOptions(epochs=2, batch=50, learning_rate=1e-2))
    assert nn.evaluate(model, data) > 0.4


# --- any npz by a line


def test_one_array_of_samples_and_its_layout(tmp_path: Path) -> None:
    samples = numbers(10, 5, 4, 3)
    labels = np.arange(10) % 2
    np.savez(tmp_path / "a.npz", pictures=samples, answers=labels, classes=np.array(["no", "yes"]))
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}?x=pictures&y=answers&layout=NHWC&holdout=0.2&divisor=100")
    assert (data.shape, data.divisor, data.class_names) == ((3, 5, 4), 100.0, ("no", "yes"))
    assert np.array_equal(data.test_images, samples[[8, 9]].transpose(0, 3, 1, 2))
    assert np.array_equal(data.train_images, samples[:8].transpose(0, 3, 1, 2))


def test_a_time_axis_becomes_frames(tmp_path: Path) -> None:
    samples = numbers(8, 6, 3, high=2).astype(bool)
    np.savez(tmp_path / "a.npz", x=samples, y=np.arange(8) % 2)
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}?x=x&layout=NTC&frames=2&holdout=0.5")
    assert data.train_images.shape == (4, 2, 3, 1, 1)
    summed = samples[:4].reshape(4, 2, 3, 3).sum(2)
    assert np.array_equal(data.train_images[..., 0, 0], summed)
    assert data.max_value == summed.max() == 3
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}?x=x&layout=NTC&frames=2&holdout=0.5&max=1")
    assert np.array_equal(data.train_images[..., 0, 0], summed > 0)
    assert data.max_value == 1


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("x=z&y=y", "has no z"), ("x=x&y=x", "one integer label"), ("x=x&y=y&layout=NCHW", "no layout"),
        ("x=x&y=y&layout=NNT", "no layout"), ("x=x&y=y&layout=NTZ", "no layout"), ("x=x&y=y&frames=2", "of a T axis"),
        ("x=x&y=y&layout=NTC&frames=9", "make no 9 frames"), ("x=f&y=y&layout=NTC", "not all bytes"),
        ("x=x&y=y&layout=TNC", "for 6 samples"), ("x=x&y=y&max=1", "no option 'max'"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_their_line(query: str, says: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=numbers(8, 6, 3), y=np.arange(8) % 2, f=numbers(8, 6, 3) / 2)
    with pytest.raises(DataError, match=says):
        nn.open_dataset(f"npz:{tmp_path / 'a.npz'}?{query}")


def test_four_arrays_of_frames(tmp_path: Path) -> None:
    arrays = {"x_train": numbers(4, 3, 2, 5, 5, high=4), "x_test": numbers(2, 3, 2, 5, 5, high=2)}
    np.savez(tmp_path / "a.npz", **arrays, y_train=[0, 1, 0, 1], y_test=[0, 1])  # type: ignore[arg-type]
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}")
    assert (data.frames, data.shape, data.max_value, data.divisor) == (3, (2, 5, 5), 3, 1.0)


def test_samples_grouped_by_class_are_mixed(tmp_path: Path) -> None:
    images, labels = numbers(40, 3, 3), np.repeat(np.arange(4), 10)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    data = nn.open_dataset(f"npz:{tmp_path / 'a.npz'}")
    assert len(set(data.train_labels[:10].tolist())) > 2
    order = [int(np.flatnonzero((images == image[0]).all((1, 2)))[0]) for image in data.train_images]
    assert sorted(order) == list(range(40))
    assert np.array_equal(labels[order], data.train_labels)
    assert np.array_equal(data.test_labels, labels), "the held-out part keeps its order"


# --- folders of pictures


def test_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = {name: numbers(5, 4, 6, 3, seed=seed) for seed, name in enumerate(("cat", "dog"))}
    for name, several in pictures.items():
        (tmp_path / name).mkdir()
        for number, picture in enumerate(several):
            image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    data = nn.open_dataset(f"folder:{tmp_path}")
    assert (data.shape, data.class_names) == ((3, 4, 6), ("cat", "dog"))
    assert np.array_equal(data.test_images, np.stack([pictures[n][4].transpose(2, 0, 1) for n in ("cat", "dog")]))
    assert nn.open_dataset(f"folder:{tmp_path}?size=5x3&channels=1").shape == (1, 5, 3)
    image.fromarray(pictures["cat"][0][:3]).save(tmp_path / "cat" / "0.png")
    with pytest.raises(DataError, match="size=N"):
        nn.open_dataset(f"folder:{tmp_path}")
    assert nn.open_dataset(f"folder:{tmp_path}?size=4").shape == (3, 4, 4)
    (tmp_path / "dog" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    with pytest.raises(DataError, match="no readable picture"):
        nn.open_dataset(f"folder:{tmp_path}?size=4")


def test_a_model_of_spikes_wants_its_frames() -> None:
    labels = np.arange(4, dtype=np.int64) % 2
    given = {"train_labels": labels, "test_labels": labels, "class_names": ("a", "b"), "divisor": 1.0}
    frames = numbers(4, 3, 1, 4, 4, high=3)
    data = nn.Dataset(name="f", train_images=frames, test_images=frames, max_value=2, **given)  # type: ignore[arg-type]
    model = fitted(nn.build("cnn", layout=(2,), classes=2, input_shape=(1, 4, 4), timesteps=3, divisor=1.0), data)
    assert nn.evaluate(model, data) >= 0.0
    for changes, says in (({"train_images": frames[:, :2], "test_images": frames[:, :2]}, "number of frames"),
                          ({"train_images": frames[:, 0], "test_images": frames[:, 0]}, "inputs that are image"),
                          ({"max_value": 9}, "largest value")):  # fmt: skip
        fields = {"name": "f", "train_images": frames, "test_images": frames, "max_value": 2, **given, **changes}
        with pytest.raises(DataError, match=says):
            nn.evaluate(model, nn.Dataset(**fields))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="hold 2, more than 1"):
        nn.Dataset(name="f", train_images=frames, test_images=frames, max_value=1, **given)  # type: ignore[arg-type]
