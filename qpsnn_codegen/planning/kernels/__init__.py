"""Kernels: the ways a stage can be run. The planner asks them in order; the first that can run a stage gets it."""

from __future__ import annotations

from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.kernels.generic import GenericKernel
from qpsnn_codegen.planning.kernels.image import ImageKernel

KERNELS: tuple[type[Kernel], ...] = (EventsKernel, ImageKernel, GenericKernel)
"""In order of preference; the last can run every stage."""


def choose(candidate: Candidate) -> Kernel:
    """The kernel that will run a stage."""
    return special(candidate) or GenericKernel(candidate=candidate)


def special(candidate: Candidate) -> Kernel | None:
    """The same, but none where only the generic kernel could: for parts that need not be one stage."""
    fits = (kernel.fit(candidate) for kernel in KERNELS[:-1])
    return next((kernel for kernel in fits if kernel is not None), None)


__all__ = ["KERNELS", "Candidate", "Kernel", "choose", "special"]
