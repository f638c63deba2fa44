"""Several processes training one network: what ``torchrun`` starts, seen as a team.

Each process holds the whole network and takes its part of every batch; gradients are averaged
(DistributedDataParallel). A single process is a team of one, and nothing below then does anything.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch

# Defaults of its functions name the process group that exists when it is first imported, which DistributedDataParallel
# does if nobody did before. Such a group outlives its end, and its threads abort a process that exits meanwhile.
import torch.distributed.nn.functional
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from qpsnn_codegen.errors import UsageError

_PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """This process among ``size`` of them; ``rank`` counts from 0, which is the one that writes and prints."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def part(self, values: Tensor) -> Tensor:
        """This process's part of a batch: every ``size``-th, from the ``rank``-th."""
        return values[self.rank :: self.size]

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over the team."""
        if self.size == 1:
            return model
        with warnings.catch_warnings():
            # Deprecated for a name that older torch, which is served too, does not know.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            # Buffers are not copied from rank 0 at every step: share_statistics uses what all have seen.
            return DistributedDataParallel(model, broadcast_buffers=False)

    def total(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """Each number summed over the team."""
        if self.size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64, device=device)
        distributed.all_reduce(summed)
        return [float(number) for number in summed]

    def share_statistics(self, model: nn.Module) -> None:
        """Set the running statistics of every batch-norm to the team's mean."""
        if self.size == 1:
            return
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for statistic in (module.running_mean, module.running_var):
                    if statistic is not None:
                        distributed.all_reduce(statistic)
                        statistic.div_(self.size)


@contextmanager
def torchrun_team(device: torch.device) -> Iterator[Team]:
    """The team that ``torchrun`` started this process in; a team of one without it.

    Args:
        device: of the training; on CUDA, the processes of one machine take its devices in turn.

    Raises:
        UsageError: torchrun's environment is not whole, or the others do not answer.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1":
        yield Team()
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError("torchrun", f"WORLD_SIZE is {size} but the processes do not meet ({reason})", "start the "
                         "command with torchrun, or unset WORLD_SIZE") from error  # fmt: skip
    try:
        yield Team(rank=distributed.get_rank(), size=distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
