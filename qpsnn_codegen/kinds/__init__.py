"""Node kinds: one module each, from real numbers to the call in C.

Adding a kind is one module here, one kernel pair in ``firmware/runtime`` and one line in :data:`NODE_KINDS`; see
docs/adding_a_layer.md.
"""

from __future__ import annotations

from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.kinds.add import Add, AddMaps
from qpsnn_codegen.kinds.batch_norm import BatchNorm
from qpsnn_codegen.kinds.conv import Conv, IntegerConv
from qpsnn_codegen.kinds.flatten import Flatten
from qpsnn_codegen.kinds.input import Input, IntegerInput, Lookup
from qpsnn_codegen.kinds.linear import Linear
from qpsnn_codegen.kinds.neuron import IntegerNeuron, Neuron
from qpsnn_codegen.kinds.pools import AveragePool, CurrentPool, MapPool, MaxPool
from qpsnn_codegen.kinds.readout import LastReadout, Readout, SumReadout
from qpsnn_codegen.kinds.real_weights import RealConv, RealLinear
from qpsnn_codegen.kinds.shortcut import ChannelMap, Shortcut
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.network import Node

__all__ = [
    "NODE_KINDS",
    "Add",
    "AveragePool",
    "BatchNorm",
    "Conv",
    "Flatten",
    "Input",
    "Linear",
    "MaxPool",
    "Neuron",
    "Readout",
    "RealConv",
    "RealLinear",
    "Shortcut",
]

NODE_KINDS: tuple[tuple[type[Node], tuple[type[IntegerNode], ...]], ...] = (
    (Input, (IntegerInput, Lookup)),
    (Conv, (IntegerConv,)),
    (Linear, ()),
    (RealConv, (WideConv,)),
    (RealLinear, ()),
    (BatchNorm, ()),
    (Neuron, (IntegerNeuron,)),
    (MaxPool, (MapPool, CurrentPool)),
    (AveragePool, ()),
    (Flatten, ()),
    (Add, (AddMaps,)),
    (Shortcut, (ChannelMap,)),
    (Readout, (SumReadout, LastReadout)),
)
"""Every kind of node, with the integer nodes it introduces."""
