"""What a planner is told: how stages take turns, how spikes are packed, which kernels run which layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Schedule = Literal["auto", "window", "rows"]
"""Stages in turns, row by row: where that saves RAM, never, wherever it can be."""
Packing = Literal["auto", "words", "bytes"]
"""Spikes of a pixel in whole bytes: where that costs no time or the arena gets smaller, never, wherever it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The same network and options give the same plan.

    Attributes:
        kernels: by layer, the kernel that must run it; any node of a stage names it.
    """

    schedule: Schedule = "auto"
    packing: Packing = "auto"
    kernels: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> list[str]:
        """The options of the command line that give them, where they are not the defaults."""
        given = {"--schedule": self.schedule, "--packing": self.packing}
        texts = [f"{option} {value}" for option, value in given.items() if value != "auto"]
        return texts + [f"--kernel {layer}={kernel}" for layer, kernel in self.kernels]

    def report(self) -> dict[str, Any]:
        """What ``report.json`` holds of them."""
        return {"schedule": self.schedule, "packing": self.packing, "kernels": dict(self.kernels)}

    @staticmethod
    def of_report(data: Any) -> PlanOptions:
        """The reverse.

        Raises:
            ValueError: it is something else.
        """
        if not isinstance(data, dict) or set(data) != {"schedule", "packing", "kernels"}:
            raise ValueError("no options of a plan")
        kernels = data["kernels"]
        known = data["schedule"] in get_args(Schedule) and data["packing"] in get_args(Packing)
        texts = isinstance(kernels, dict) and all(isinstance(name, str) for pair in kernels.items() for name in pair)
        if not known or not texts:
            raise ValueError("no options of a plan")
        return PlanOptions(schedule=data["schedule"], packing=data["packing"], kernels=tuple(sorted(kernels.items())))
