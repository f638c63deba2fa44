"""The size columns of the paper's tables, and what the same networks take of flash here; writes table1_sizes.md.

python experiments/table1_sizes.py [PRESET ...]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from qpsnn_codegen import nn
from qpsnn_codegen.boards import find_board
from qpsnn_codegen.footprint import Footprint, needs_of, predict
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.nn.zoo import enlivened
from qpsnn_codegen.nn.zoo_presets import PRESETS, Preset
from qpsnn_codegen.pipeline import load
from qpsnn_codegen.planning.plan import make_plan

TARGET = Path(__file__).with_suffix(".md")
BOARD = "mps2-an386"
MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A preset at one bit width; ``counted``: MB by the paper's convention."""

    preset: Preset
    bits: int
    parameters: int
    counted: float
    footprint: Footprint


def counted(model: nn.SpikingNetwork, bits: int, *, bias: bool) -> tuple[int, float]:
    """Parameters and MB as the paper counts: quantized convs at b bits, all else at 32, no running statistics.

    Args:
        bias: whether the paper's first conv has one, which ours leaves to the batch-norm.
    """
    first, *inner = (module for module in model.modules() if isinstance(module, nn.QuantConv2d))
    quantized = sum(conv.weight.numel() for conv in inner)
    plain = sum(parameter.numel() for parameter in model.parameters()) - quantized + (first.out_channels if bias else 0)
    return quantized + plain, (quantized * bits / 8 + 4 * plain) / MB


def measure(preset: Preset, bits: int, scratch: Path) -> Row:
    """Build the pruned network with random weights, and plan it for a Cortex-M4."""
    model = enlivened(nn.build(preset.arch, bits=bits, prune=preset.ratios, **preset.options))
    parameters, size = counted(model, bits, bias=preset.arch.startswith("vgg"))
    nn.save(model, scratch / "model.pt")
    plan = make_plan(lower(load(scratch / "model.pt")), "net")
    footprint = predict(needs_of(plan), find_board(BOARD), trace=False)
    return Row(preset=preset, bits=bits, parameters=parameters, counted=size, footprint=footprint)


def table(rows: list[Row]) -> list[str]:
    """The rows as Markdown."""
    lines = [
        "| network | bits | parameters | MB, paper | MB, counted | flash here, MB | weights | constants | code |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        used = row.footprint
        flash = used.weights + used.constants + used.code
        lines.append(
            f"| {row.preset.name} | {row.bits} | {row.parameters:,} | {row.preset.sizes[row.bits]:.2f} "
            f"| {row.counted:.3f} | {flash / MB:.3f} | {used.weights:,} | {used.constants:,} | {used.code:,} |"
        )
    return lines


def main() -> None:
    """Measure all presets, or those named, and write the table."""
    torch.set_num_threads(1)
    chosen = [PRESETS[name] for name in sys.argv[1:]] or list(PRESETS.values())
    jobs = [(preset, bits) for preset in chosen for bits in preset.sizes]
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measure(preset, bits, Path(scratch)) for preset, bits in tqdm(jobs, unit="network", disable=None)]
    furthest = max(abs(row.counted - row.preset.sizes[row.bits]) for row in rows)
    lines = [
        "# Sizes of the paper's networks",
        "",
        "Written by `python experiments/table1_sizes.py`.",
        "",
        "*Counted* is the paper's convention: MB = 10^6 bytes, quantized convolutions at b bits; first convolution",
        "(of the VGGs with bias), batch-norms (two values per channel) and last layer at 32 bits. The largest distance",
        f"from the published figure is {furthest:.4f} MB.",
        "",
        "*Flash here* is everything in the image but the trace hooks, for a Cortex-M4: weights with the first and last",
        "layer at 8 bits and rows filled up to bytes, what is left of the batch-norms (two constants per channel),",
        "and the code of kernels, serial application and startup, in bytes. Weights are random; widths, and so sizes,",
        "are those of the pruned networks. Channels that never spike would be left out.",
        "",
        *table(rows),
    ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
