"""What a network costs, for pruning down to a limit: ``COSTS`` lists the units a target may have.

Flash and instructions are asked of the compiler itself, which is why this stands above both it and ``nn/``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.nn.checkpoint import save
from qpsnn_codegen.nn.economy import measure_operations
from qpsnn_codegen.nn.network import SpikingNetwork
from qpsnn_codegen.nn.pruning import count_parameters
from qpsnn_codegen.pipeline import load
from qpsnn_codegen.planning.choosing import fastest
from qpsnn_codegen.planning.cost import CORES, predicted_instructions
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, make_plan
from qpsnn_codegen.planning.work import ASSUMED_RATE, Work, assumed_work

CORE = "cortex-m4"
"""The core whose instructions are counted."""


def parameters(network: SpikingNetwork, images: Tensor) -> float:
    """Weights and biases."""
    return float(count_parameters(network))


def operations(network: SpikingNetwork, images: Tensor) -> float:
    """Synaptic operations per inference, the mean over the images: what ``compile --calibrate`` counts."""
    return float(sum(count.item() for count in measure_operations(network, images).counts.values()))


def flash(network: SpikingNetwork, images: Tensor) -> float:
    """Bytes of weights and constants in the generated C; code is not counted."""
    integers = _lowered(network)
    plan = _compiled(integers, assumed_work(integers, ASSUMED_RATE))
    return float(plan.weight_bytes + plan.constant_bytes)


def instructions(network: SpikingNetwork, images: Tensor) -> float:
    """Predicted of an inference on a Cortex-M4, the mean over the images: what ``compile --calibrate`` reports."""
    integers = _lowered(network)
    work = measure_work(integers, images.numpy())
    return sum(stage[CORE] for stage in predicted_instructions(_compiled(integers, work), work))


def _compiled(integers: IntegerNetwork, work: Work) -> Plan:
    """The plan of ``compile`` without options."""
    return make_plan(integers, "model", fastest(integers, PlanOptions(), work, CORES))


def _lowered(network: SpikingNetwork) -> IntegerNetwork:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.pt"
        save(network, path)
        return lower(load(path))


COSTS: Mapping[str, Callable[[SpikingNetwork, Tensor], float]] = {
    "parameters": parameters,
    "flash": flash,
    "operations": operations,
    "instructions": instructions,
}
