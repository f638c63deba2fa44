"""What a network costs, for pruning down to a limit: ``COSTS`` lists the units a target may have.

Flash is asked of the compiler itself, which is why this stands above both it and ``nn/``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from qpsnn_codegen.lowering import lower
from qpsnn_codegen.nn.checkpoint import save
from qpsnn_codegen.nn.economy import measure_operations
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.pruning import count_parameters
from qpsnn_codegen.pipeline import load
from qpsnn_codegen.planning.plan import make_plan


def parameters(network: SpikingNetwork, images: Tensor) -> float:
    """Weights and biases."""
    return float(count_parameters(network))


def operations(network: SpikingNetwork, images: Tensor) -> float:
    """Synaptic operations per inference, the mean over the images: what ``compile --calibrate`` counts."""
    return float(sum(count.item() for count in measure_operations(network, images).counts.values()))


def flash(network: SpikingNetwork, images: Tensor) -> float:
    """Bytes of weights and constants in the generated C; code is not counted."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.pt"
        save(network, path)
        plan = make_plan(lower(load(path)), "model")
    return float(plan.weight_bytes + plan.constant_bytes)


COSTS: Mapping[str, Callable[[SpikingNetwork, Tensor], float]] = {
    "parameters": parameters,
    "flash": flash,
    "operations": operations,
}
