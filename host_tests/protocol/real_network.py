"""Compiled networks as the oracle wants them: every result from the integer reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host_tests.protocol.oracle import Result
from qpsnn_codegen.integer_network import Integers
from qpsnn_codegen.kinds.pools import CurrentPool
from qpsnn_codegen.pipeline import Compilation
from qpsnn_codegen.planning.layouts import layout_of, pack_spikes
from qpsnn_codegen.reference import run_reference


class RealNetwork:
    """The device's view of a compilation, for some raw inputs uint8 ``[N, ...]`` and the input of zeros."""

    def __init__(self, compilation: Compilation, samples: NDArray[Any]) -> None:
        plan = compilation.plan
        network = plan.network
        first = network.nodes[0]
        layout = layout_of(first, first.output_type(), network.timesteps)
        self.compilation = compilation
        self.name = plan.name
        self.version = str(compilation.report["tool_version"])
        self.digest = network.digest
        self.input_bytes = layout.size
        self.classes = len(network.class_names)
        self.timesteps = network.timesteps
        self.stages = len(plan.stages)
        self.turns = tuple(
            group.first + turn for group in plan.groups for turn in group.order or range(len(group.stages))
        )
        self.layers = len(network.spiking())
        self.sizes = (plan.arena_bytes, plan.weight_bytes, plan.constant_bytes)
        raw = [np.zeros_like(samples[0]), *samples]
        static = first.output_type().static
        self.inputs = [layout.pack(sample[None] if static else sample) for sample in raw]
        self._results = {data: self._reference(sample[None]) for data, sample in zip(self.inputs, raw, strict=True)}

    def run(self, data: bytes) -> Result:
        return self._results[data]

    def _reference(self, sample: NDArray[Any]) -> Result:
        """One sample; spikes as the firmware has them, without the channels that were left out as silent."""
        network = self.compilation.plan.network
        nodes = {node.name: node for node in network.nodes}
        spiking = [node.name for node in network.spiking()]
        spikes: dict[str, NDArray[np.uint32]] = {}
        operations: dict[str, Integers] = {}

        def observe(name: str, arguments: tuple[Integers, ...], result: Integers) -> None:
            node = nodes[name]
            synapses = node.synapses()
            if synapses is not None:
                active = synapses.window.view(arguments[0] != 0).sum(axis=(0, 2, -2, -1))
                operations[name] = active * (len(synapses.codes) // synapses.groups)
            if isinstance(node, CurrentPool):
                # It asks for a pixel's currents once for every window the pixel is in.
                [source] = node.inputs
                operations[name] = node.window.view(operations.pop(source)).sum(axis=(-2, -1))
            if name in spiking:
                train = node.spike_train(result, *arguments, timesteps=network.timesteps)[0]
                words = pack_spikes(train.transpose(0, 2, 3, 1))
                spikes[name] = words.reshape(network.timesteps, -1, words.shape[-1])

        outcome = run_reference(network, sample, observe=observe)
        stages = self.compilation.plan.stages
        return Result(
            logits=tuple(outcome.logits[0].tolist()),
            operations=tuple(
                sum(int(operations[part].sum()) for part in stage.parts if part in operations) for stage in stages
            ),
            spikes=tuple(spikes[name] for name in spiking),
        )
