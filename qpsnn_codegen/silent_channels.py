"""Channels proven never to spike are removed, together with the weights that read them (docs/numerics.md).

Nothing observable changes: a trace still shows such a channel, as zeros.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qpsnn_codegen.integer_network import IntegerNode, Integers


def remove_silent(nodes: Iterable[IntegerNode]) -> tuple[IntegerNode, ...]:
    """The same network without its silent channels, where every node around them can do without."""
    network = {node.name: node for node in nodes}
    for name in list(network):
        silent = network[name].silent
        if silent is None or not silent.any():
            continue
        keep = np.flatnonzero(~silent)
        # A map needs a channel, even a silent one.
        changed = _without(network, name, keep if len(keep) else np.zeros(1, dtype=np.int64))
        network.update(changed or {})
    return tuple(network.values())


def _without(network: dict[str, IntegerNode], name: str, keep: Integers) -> dict[str, IntegerNode] | None:
    """The nodes that change when only these channels of a neuron stay, or ``None`` if one of them cannot."""
    changed: dict[str, IntegerNode | None] = {name: network[name].select_outputs(keep)}
    _follow_down(network, name, keep, changed)
    _follow_up(network, name, keep, changed)
    return None if None in changed.values() else {key: node for key, node in changed.items() if node is not None}


def _follow_down(
    network: dict[str, IntegerNode], name: str, keep: Integers, changed: dict[str, IntegerNode | None]
) -> None:
    """Everything that reads the channels loses them: channel-wise nodes pass that on, weights end it."""
    for reader in network.values():
        if name not in reader.inputs:
            continue
        if reader.channelwise:
            changed[reader.name] = reader.select_outputs(keep)
            _follow_down(network, reader.name, keep, changed)
        else:
            changed[reader.name] = reader.select_inputs(keep)


def _follow_up(
    network: dict[str, IntegerNode], name: str, keep: Integers, changed: dict[str, IntegerNode | None]
) -> None:
    """The currents of the channels are not needed, back to the weights that make them."""
    while True:
        name = network[name].inputs[0]
        readers = sum(name in node.inputs for node in network.values())
        node = network[name]
        changed[name] = node.select_outputs(keep) if readers == 1 and not node.stored else None
        if not node.channelwise or changed[name] is None:
            return
