"""A training run on disk: the state to resume from, and the log of its epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qpsnn_codegen.errors import ModelFileError
from qpsnn_codegen.files import atomic_file
from qpsnn_codegen.nn.training_options import TrainingOptions

STATE_FORMAT = "qpsnn-training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch gave, on the training images as they were shown.

    Attributes:
        number: from 1.
        loss: mean, the penalty on spikes included.
        accuracy: in [0, 1].
        operations: mean synaptic operations relative to dense, in [0, 1].
        learning_rate: of this epoch.
        seconds: it took; of no account when epochs are compared.
    """

    number: int
    loss: float
    accuracy: float
    operations: float
    learning_rate: float
    seconds: float = field(default=0.0, compare=False)


def write_log(path: Path, history: Sequence[Epoch]) -> None:
    """All epochs as CSV, a line each under the names of :class:`Epoch`'s attributes; replaces the file as a whole."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [entry.name for entry in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    with atomic_file(path) as stream:
        stream.write(text.getvalue().encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What changes while training: all of it goes into the state file."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    options: TrainingOptions
    history: list[Epoch]

    def store(self, path: Path) -> None:
        """Write the state file, whole or not at all; raises :class:`~qpsnn_codegen.errors.OutputError`."""
        buffer = io.BytesIO()
        torch.save(
            {
                "format": STATE_FORMAT,
                "options": asdict(self.options),
                "history": [asdict(epoch) for epoch in self.history],
                "model": dict(self.model.state_dict()),
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
                "torch": torch.get_rng_state(),
            },
            buffer,
        )
        with atomic_file(path) as stream:
            stream.write(buffer.getvalue())

    def restore(self, path: Path) -> None:
        """Continue where a state file ends.

        Raises:
            ModelFileError: it is damaged, or belongs to another run.
        """
        remedy = "delete it to start over"
        try:
            state: Any = torch.load(path, weights_only=True, map_location="cpu")
            if not isinstance(state, Mapping) or state.get("format") != STATE_FORMAT:
                raise ModelFileError(str(path), "this is no training state", remedy)
            if state["options"] != asdict(self.options):
                raise ModelFileError(str(path), "it was made with other training options", "repeat them, or " + remedy)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
            torch.set_rng_state(state["torch"])
            self.history[:] = [Epoch(**epoch) for epoch in state["history"]]
        except ModelFileError:
            raise
        except Exception as error:  # torch.load and load_state_dict raise many kinds, all meaning the same here
            raise ModelFileError(str(path), f"it cannot be resumed ({type(error).__name__})", remedy) from error
