"""Two processes train as one does: the command under torchrun, and what the team shares."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from qpsnn_codegen import nn
from qpsnn_codegen.errors import DataError, UsageError
from qpsnn_codegen.nn.distributed import Team, torchrun_team
from qpsnn_codegen.nn.training import estimate

SCRIPT = """
import sys, torch
from pathlib import Path
from qpsnn_codegen import nn
from qpsnn_codegen.nn.distributed import torchrun_team

torch.set_num_threads(1)
data = nn.open_dataset(sys.argv[1])
# Without batch-norm, the mean gradient over a batch does not depend on how the batch is shared.
body = torch.nn.Sequential(torch.nn.Flatten(1), nn.QuantLinear(16, 6, quantizer=nn.symmetric(8)), nn.LIF(),
                           nn.QuantLinear(6, 2, quantizer=nn.symmetric(8)))
torch.manual_seed(0)
for layer in (body[1], body[3]):
    torch.nn.init.normal_(layer.weight)
model = nn.SpikingNetwork(body, timesteps=2, input_shape=(1, 4, 4))
options = nn.TrainingOptions(epochs=3, batch=7, learning_rate=0.1, optimizer="sgd", crop=1, flip=True,
                             spike_penalty=1.0, seed=5)
with torchrun_team(torch.device("cpu")) as team:
    history = nn.train(model, data, options, team=team)
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
Path(f"{sys.argv[2]}.{team.rank}.threads").write_text("\\n".join(threads))
if team.leads:
    torch.save({"size": team.size, "weights": [body[1].weight, body[3].weight],
                "losses": [epoch.loss for epoch in history]}, sys.argv[2])
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = generator.integers(0, 100, (60, 4, 4), dtype=np.uint8)
    images[labels == 0, :2] += 100
    np.savez(tmp_path / "data.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    return f"npz:{tmp_path / 'data.npz'}"


def torchrun(*arguments: object, processes: int = 2, cwd: Path) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path, data: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    results = []
    for processes in (1, 2):
        done = torchrun("script.py", data, f"{processes}.pt", processes=processes, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        results.append(torch.load(tmp_path / f"{processes}.pt", weights_only=True))
        for rank in range(processes):
            # A thread of the process group that outlives it aborts the process now and then, on its way out.
            threads = (tmp_path / f"{processes}.pt.{rank}.threads").read_text()
            assert threads, "there is the main one"
            assert "gloo" not in threads
    one, two = results
    assert (one["size"], two["size"]) == (1, 2)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for first, second in zip(one["weights"], two["weights"], strict=True):
        assert torch.allclose(first, second, rtol=1e-4, atol=1e-5)
    start = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(one["weights"][0], start, atol=1e-2), "it has learned something"


@pytest.mark.slow
def test_the_command_under_torchrun_logs_and_resumes(tmp_path: Path, data: str) -> None:
    shared = ("-m", "qpsnn_codegen", "train", "--data", data, "--layout", "4,6", "--epochs", 3, "--batch", 8,
              "--threads", 1, "--state", "run.state", "--csv", "run.csv")  # fmt: skip
    done = torchrun(*shared, "-o", "a.pt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy: ") == 1, "one process prints"
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == ["1", "2", "3"]
    assert all(float(row["seconds"]) > 0 for row in rows)
    saved = nn.read_checkpoint(tmp_path / "a.pt")
    assert saved.training["command"].startswith("torchrun --nproc-per-node 2 -m qpsnn-codegen")
    assert nn.evaluate(nn.load(tmp_path / "a.pt"), nn.open_dataset(data)) >= 0.8
    again = torchrun(*shared, "--resume", "-o", "b.pt", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    other = nn.read_checkpoint(tmp_path / "b.pt")
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in saved.tensors.items())


def test_parts_of_a_team_make_the_whole() -> None:
    values = torch.arange(11)
    parts = [Team(rank=rank, size=3).part(values) for rank in range(3)]
    assert sorted(torch.cat(parts).tolist()) == values.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_teams_that_do_not_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="torchrun"), torchrun_team(torch.device("cpu")):
        pass


def test_what_is_too_small_to_share(data: str) -> None:
    dataset = nn.open_dataset(data)
    model = nn.build("cnn", layout=(2,), input_shape=(1, 4, 4), classes=2)
    with pytest.raises(UsageError, match="batch"):
        nn.train(model, dataset, nn.TrainingOptions(batch=3), team=Team(rank=0, size=2))
    with pytest.raises(DataError, match="40 training images"):
        nn.train(model, dataset, nn.TrainingOptions(batch=64), team=Team(rank=0, size=32))


def test_an_estimate_changes_nothing(data: str) -> None:
    dataset = nn.open_dataset(data)
    model = nn.build("cnn", layout=(2,), input_shape=(1, 4, 4), classes=2).freeze()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    assert estimate(model, dataset, nn.TrainingOptions(batch=8)) > 0.0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert not model.training


def test_how_long_it_will_take_is_said_before_it_begins(tmp_path: Path, data: str) -> None:
    dataset, options = nn.open_dataset(data), nn.TrainingOptions(epochs=4, batch=8)
    model = nn.build("cnn", layout=(2,), input_shape=(1, 4, 4), classes=2)
    said: list[tuple[float, int] | int] = []

    def train(stop_after: int | None = None) -> None:
        nn.train(
            model, dataset, options, begin=lambda seconds, epochs: said.append((seconds, epochs)),
            progress=lambda epoch: said.append(epoch.number), state=tmp_path / "s", resume=True, stop_after=stop_after,
        )  # fmt: skip

    train(stop_after=1)
    train()
    train()
    expectations = [entry for entry in said if isinstance(entry, tuple)]
    assert [epochs for _, epochs in expectations] == [4, 3], "of a finished run nothing is left"
    assert all(0.0 < seconds < 60.0 for seconds, _ in expectations)
    assert [said.index(entry) for entry in expectations] == [0, 2]
