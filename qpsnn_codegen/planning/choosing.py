"""Kernels by predicted cost: where the order of ``KERNELS`` is not that of the instructions, as in tiny layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.packing import packing_for
from qpsnn_codegen.planning.ways import Layer, layers_of
from qpsnn_codegen.planning.work import Work

WORTH = 0.02
"""Of all instructions of a network, what another kernel must save at least: its code takes flash."""


def fastest(network: IntegerNetwork, options: PlanOptions, work: Work, cores: Collection[str]) -> PlanOptions:
    """The options that also name the layers for which another kernel than the first that fits is worth it.

    It must be on every one of the cores. Layers that the options name already stay as they are. Spikes are packed as
    these cores like it, where the options leave that open.

    Args:
        cores: of ``cost.CORES``, one at least.

    Raises:
        UsageError: a kernel of the options cannot be.
    """
    packed = replace(options, packing=packing_for(options.packing, cores))
    return named(packed, fast_kernels(layers_of(network, options, work), cores))


def fast_kernels(layers: Collection[Layer], cores: Collection[str]) -> dict[str, str]:
    """The kernels of those layers, by name."""
    total = {core: sum(layer.ways[0].instructions[core] for layer in layers) for core in cores}
    chosen = {}
    for layer in layers:
        first, *others = layer.ways
        saved = {
            way.kernel: min((first.instructions[core] - way.instructions[core]) / total[core] for core in cores)
            for way in others
        }
        best = max(saved, key=saved.__getitem__, default=first.kernel)
        if saved.get(best, 0.0) >= WORTH:
            chosen[layer.name] = best
    return chosen


def named(options: PlanOptions, kernels: Mapping[str, str]) -> PlanOptions:
    """Options with these kernels besides their own."""
    return replace(options, kernels=tuple(sorted({**kernels, **dict(options.kernels)}.items())))
