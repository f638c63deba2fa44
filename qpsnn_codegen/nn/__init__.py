"""The QP-SNN method on torch: quantized layers, pruning, training, data sets, the checkpoint format."""

from __future__ import annotations

from qpsnn_codegen.nn.checkpoint import Checkpoint, InputSpec, load, read_checkpoint, save
from qpsnn_codegen.nn.datasets import Dataset, digits, from_npz, mnist, open_dataset
from qpsnn_codegen.nn.layers import QuantConv2d, QuantLinear, Shortcut, float_weights
from qpsnn_codegen.nn.network import SpikingNetwork, record_potentials, record_spikes
from qpsnn_codegen.nn.neurons import IF, LIF, LeakyIntegrator, Readout
from qpsnn_codegen.nn.pruning import PruningReport, prune, prune_to
from qpsnn_codegen.nn.pruning_scores import layer_scores, sca_scores, svs_scores
from qpsnn_codegen.nn.quantizers import Quantizer, rescaw, symmetric, vanilla
from qpsnn_codegen.nn.schema import Node
from qpsnn_codegen.nn.training import evaluate, predict, train, training_record
from qpsnn_codegen.nn.training_options import TrainingOptions
from qpsnn_codegen.nn.training_state import Epoch
from qpsnn_codegen.nn.zoo import ARCHITECTURES, build
from qpsnn_codegen.nn.zoo_presets import PRESETS, Preset, find_preset

__all__ = [
    "ARCHITECTURES",
    "IF",
    "LIF",
    "PRESETS",
    "Checkpoint",
    "Dataset",
    "Epoch",
    "InputSpec",
    "LeakyIntegrator",
    "Node",
    "Preset",
    "PruningReport",
    "QuantConv2d",
    "QuantLinear",
    "Quantizer",
    "Readout",
    "Shortcut",
    "SpikingNetwork",
    "TrainingOptions",
    "build",
    "digits",
    "evaluate",
    "find_preset",
    "float_weights",
    "from_npz",
    "layer_scores",
    "load",
    "mnist",
    "open_dataset",
    "predict",
    "prune",
    "prune_to",
    "read_checkpoint",
    "record_potentials",
    "record_spikes",
    "rescaw",
    "save",
    "sca_scores",
    "svs_scores",
    "symmetric",
    "train",
    "training_record",
    "vanilla",
]
