"""A network that needs every request of the protocol in several parts, and has channels the firmware leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host_tests.support.examples import Parts
from host_tests.support.networks import network_of
from qpsnn_codegen.kinds import Flatten, Readout
from qpsnn_codegen.kinds.conv import Grid
from qpsnn_codegen.network import Network, Node

SILENT = (0, 3, 39)
"""Channels of layer ``wide`` that never spike."""
DEPTH = 31
CLASSES = 70
_REPEAT = np.array([255, 127, 127, 255], dtype=np.uint8).reshape(2, 2, 1, 1)


def long_answers() -> Network:
    """Input of 256 bytes, a layer of 2 words per pixel, 33 stages, 64 digests, 70 classes."""
    parts = Parts(7)
    wide = parts.conv("wide_conv", "input", 4, 40, 4)
    codes = wide.codes.copy()
    codes[list(SILENT)] = 0
    bias = wide.bias.copy()
    bias[list(SILENT)] = -1.0
    nodes: list[Node] = [
        parts.image((4, 8, 8)),
        replace(wide, codes=codes, bias=bias),
        parts.neuron("wide", "wide_conv"),
        replace(parts.conv("deep_conv0", "wide", 40, 2, 8, kernel=1), bias=np.full(2, 0.4)),
        parts.neuron("deep0", "deep_conv0"),
    ]
    for index in range(1, DEPTH):
        repeat = parts.conv(f"deep_conv{index}", f"deep{index - 1}", 2, 2, 8, kernel=1)
        nodes += [
            # Each channel repeats that of the layer before, so that the spikes get through to the end.
            replace(repeat, codes=_REPEAT, bias=np.zeros(2), grid=Grid.rescaw(8, np.full(2, 2.0))),
            parts.neuron(f"deep{index}", f"deep_conv{index}", "soft"),
        ]
    nodes += [
        Flatten(name="flatten", inputs=(f"deep{DEPTH - 1}",)),
        parts.linear("head", "flatten", 2 * 64, CLASSES),
        Readout(name="readout", inputs=("head",), mode="mean"),
    ]
    return network_of(nodes, 2, CLASSES)
