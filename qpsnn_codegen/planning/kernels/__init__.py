"""Kernels: the ways a stage can be run. The planner asks them in order; the first that can run a stage gets it."""

from __future__ import annotations

from collections.abc import Mapping

from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.kernels.counts import CountsKernel
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.kernels.generic import GenericKernel
from qpsnn_codegen.planning.kernels.image import ImageBytesKernel, ImageKernel, ImagePackedKernel

KERNELS: tuple[type[Kernel], ...] = (
    EventsKernel,
    ImageKernel,
    ImageBytesKernel,
    ImagePackedKernel,
    CountsKernel,
    GenericKernel,
)
"""In order of preference; the last can run every stage."""


def choose(candidate: Candidate, wanted: Mapping[str, str]) -> Kernel:
    """The kernel that will run a stage; ``wanted``: by node, the one that is to be it."""
    return special(candidate, wanted) or GenericKernel(candidate=candidate)


def special(candidate: Candidate, wanted: Mapping[str, str]) -> Kernel | None:
    """The same, but none where only the generic kernel could: for parts that need not be one stage."""
    names = {wanted[part.name] for part in candidate.parts if part.name in wanted}
    fits = (kernel.fit(candidate) for kernel in KERNELS[:-1] if names <= {kernel.name})
    return next((kernel for kernel in fits if kernel is not None), None)


__all__ = ["KERNELS", "Candidate", "GenericKernel", "Kernel", "choose", "special"]
