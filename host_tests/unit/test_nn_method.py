"""The commands train, prune and finetune, on a data set small enough for seconds."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from qpsnn_codegen import nn
from qpsnn_codegen.cli.method import finetune, train
from qpsnn_codegen.cli.pruning import prune
from qpsnn_codegen.errors import DataError, ModelFileError, OutputError, QpsnnError, UsageError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two classes told apart by the brighter half, as an npz; the commands may set the number of threads."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = generator.integers(0, 100, (60, 4, 4), dtype=np.uint8)
    images[labels == 0, :2] += 100
    np.savez(
        tmp_path / "data.npz",
        x_train=images[:40],
        y_train=labels[:40],
        x_test=images[40:],
        y_test=labels[40:],
    )
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    return f"npz:{tmp_path / 'data.npz'}"


def run(command: click.Command, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_train_prune_finetune(tmp_path: Path, data: str) -> None:
    whole, half, tuned = tmp_path / "a.pt", tmp_path / "half.pt", tmp_path / "tuned.pt"
    shared = ("--data", data, "--epochs", 2, "--batch", 8)
    output = run(train, *shared, "--layout", "6,8", "--bits", 2, "--seed", 3, "-T", 2, "-o", whole)
    assert "accuracy: " in output
    assert "20 held-out" in output
    model = nn.read_checkpoint(whole)
    assert model.timesteps == 2
    assert model.training["options"]["seed"] == 3
    assert len(model.training["history"]) == 2
    assert f"{100 * model.training['accuracy']:.2f} %" in output

    output = run(prune, whole, "--data", data, "--ratio", "0.5", "-o", half)
    assert "conv1: 3 channels kept" in output
    assert "conv2: left whole" in output
    assert nn.read_checkpoint(half).tensors["conv2.weight"].shape == (8, 3, 3, 3)

    run(finetune, half, *shared, "-o", tuned)
    assert nn.read_checkpoint(tuned).tensors["conv2.weight"].shape == (8, 3, 3, 3)
    assert not torch.equal(
        nn.read_checkpoint(tuned).tensors["conv2.weight"], nn.read_checkpoint(half).tensors["conv2.weight"]
    )


def test_nothing_is_overwritten_without_force(tmp_path: Path, data: str) -> None:
    out = tmp_path / "a.pt"
    out.write_bytes(b"precious")
    arguments = ("--data", data, "--epochs", 1, "--layout", "3", "-o", out)
    with pytest.raises(OutputError, match="--force"):
        run(train, *arguments)
    assert out.read_bytes() == b"precious"
    run(train, *arguments, "--force")
    assert nn.read_checkpoint(out).timesteps == 4


def test_state_and_resume(tmp_path: Path, data: str) -> None:
    state = tmp_path / "run.state"
    arguments = ("--data", data, "--epochs", 1, "--layout", "3")
    run(train, *arguments, "--state", state, "-o", tmp_path / "a.pt")
    with pytest.raises(OutputError, match="--resume"):
        run(train, *arguments, "--state", state, "-o", tmp_path / "b.pt")
    run(train, *arguments, "--state", state, "--resume", "-o", tmp_path / "b.pt")
    first, second = nn.read_checkpoint(tmp_path / "a.pt"), nn.read_checkpoint(tmp_path / "b.pt")
    assert all(torch.equal(tensor, second.tensors[key]) for key, tensor in first.tensors.items())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--data", "nothing"), DataError),
        (("--bits", "3"), UsageError),
        (("--arch", "transformer"), UsageError),
        (("--layout", "8,x"), UsageError),
        (("--layout", "-8"), UsageError),
        (("--timesteps", "0"), UsageError),
        (("--epochs", "0"), UsageError),
        (("--lr", "nan"), UsageError),
        (("--resume",), UsageError),
        (("--out", f"{__file__}/a.pt"), OutputError),
    ],
)
def test_train_refuses_before_it_trains(
    tmp_path: Path, data: str, arguments: tuple[str, ...], error: type[QpsnnError]
) -> None:
    out = tmp_path / "a.pt"
    with pytest.raises(error):
        run(train, "--data", data, "--epochs", 1, "-o", out, *arguments)
    assert not out.exists()


def test_prune_refuses(tmp_path: Path, data: str) -> None:
    whole, out = tmp_path / "a.pt", tmp_path / "b.pt"
    run(train, "--data", data, "--epochs", 1, "--layout", "4,4", "-o", whole)
    for ratio in ("half", "1.0", "-0.5", "0.5,0.5,0.5", ""):
        with pytest.raises(UsageError):
            run(prune, whole, "--data", data, f"--ratio={ratio}", "-o", out)
    with pytest.raises(DataError):
        run(prune, whole, "--data", "digits", "--ratio", "0.5", "-o", out)
    with pytest.raises(ModelFileError):
        run(prune, tmp_path / "data.npz", "--data", data, "--ratio", "0.5", "-o", out)
    assert not out.exists()


@pytest.mark.parametrize("command", [train, prune, finetune])
def test_help_teaches_by_example(command: click.Command) -> None:
    output = run(command, "--help")
    assert "Examples:" in output
    assert f"qpsnn-codegen {command.name} " in output
