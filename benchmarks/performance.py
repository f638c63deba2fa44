"""Run the benchmarks and write docs/performance.md.

python benchmarks/performance.py [mnist.npz]
"""

from __future__ import annotations

import os
import platform
import sys
import textwrap
from pathlib import Path

from tqdm import tqdm

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import compile_vgg16, cores, flags, kernels, operations, schedules, simulate_mnist, widths
from benchmarks.networks import IMAGES, accuracies, chosen, image_source
from benchmarks.on_cores import emulator, toolchain
from qpsnn_codegen.toolchain.host import find_host_compiler

TARGET = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


ON_CORES = """
Instructions per image: {emulator}, `-icount shift=0`; {toolchain}, the flags of the generated Makefile (below), no
trace hooks. Instructions are not cycles: memories that wait, dual issue and beats of Helium are not in them. Code for
the Cortex-M0 is built with `-mcpu=cortex-m0` and runs on the board of the M3, where unaligned accesses are made faults.
Weights that a board's flash has no room for lie in its external memory (PSRAM).

The shapes are A (28x28x1: 16-32-64 convolutions and pools, 10 classes), B (784-128-10), C (VGG-16 of the QP-SNN paper
for 32x32x3, head 512-10), D and E (C, pruned as there); T = 4, the first and the last layer have 8 bits. B has no other
layers: both have as many bits as the table says. A and B are trained on MNIST (`benchmarks/train_mnist.py`; accuracy on
its test images: {accuracies}) and run on {count} images ({images}). The others have random codes, and biases calibrated
such that hidden layers spike at a rate: C to E as in the paper, `A at 15 %` at that. Their images are made, and all
pixels of them are non-zero.

`predicted` is what the compiler's report says without running anything (`kernel_costs.json`, made by `make
kernel-costs`); `worst case` likewise, if every neuron spiked at every timestep and every pixel were non-zero. int8 and
int4 are CMSIS-NN (commit 99f736a6, -Ofast) with networks of the same shapes, counted the same way; the last column is
how many times our instructions the int8 one takes. CMSIS-NN's figures of the M7 and the M33 are those of the M4, from
which theirs differ by at most 0.4 %.
"""

SLOWER = """
Which networks take longer with fewer bits? A is trained on at each width, so its layers spike differently; `A at 15 %`
spikes alike at all of them. Nearly all of B is its first layer, which has more codes than may take two bytes each: of
8 bits they are multiplied as they are, of 4 and 2 bits they are unpacked first, and so take longer than 8, for a
half and a quarter of the flash.
"""

OPERATIONS = """
What networks have to do per image, over all timesteps and on average (`python benchmarks/operations.py`). A synaptic
operation is one spike times one weight. Padding is left out, and so is the first layer, whose inputs are pixels: it
multiplies those that are not zero, once for all timesteps, and its share is of both together. `wanted` is what the
paper says of C and E; `of all possible` compares with every neuron always spiking; `rate` is spikes per neuron and
timestep; `channels` are those that ever spike, and the compiler takes out the others. A was trained with a penalty on
spikes (2.5), which is why it spikes so little, B with a smaller one (0.5); `A at 15 %` has the shape of A without
either. A pool passes on a spike if one of four pixels spiked, so layers behind it meet more than the rate.
"""

FLASH = """
Bytes of flash: weights, constants and code, the startup and the serial application included; in parentheses how far off
the compiler's prediction is (`footprint.py`). It knows no board with a Cortex-M0 and that memory, and takes the code
around the kernels from the M3's.
"""

RAM = """
Bytes of RAM: arena, which holds maps and scratch, and stack; counted, and the most that can be: the arena as planned
(the built one is equal, or `build` refuses it) and the bound on the stack. Input and logits belong to the caller and
are left out, as is what the serial application has. CMSIS-NN's figures are arena, scratch and stack.
"""

KERNELS = """
Bytes of code of a network's kernels, from the linker's map: what it kept of `runtime/`, and the network's own
functions. The goal is {goal:,}; CMSIS-NN takes 14 to 17 KB. What exceeds it has two widths of codes beside each other
(8 bits in sums of any size), or loops for Helium.
"""

SCHEDULES = """
What the planner can be told (`--schedule`, `--packing`), with 4 bits on the Cortex-M4: bytes, and instructions per
image (`python benchmarks/schedules.py`). In turns, stages keep only the rows that the next one needs. `rows` is as many
stages in turns as can be, `auto` those that save RAM.
"""

FLAGS = """
Flags, read from what make would run (`python benchmarks/flags.py`); folders, definitions, warnings and notes for tools
left out.
"""

ONE_LAYER = """
Instructions per synaptic operation of a 3x3 convolution from 64 to 64 channels on an 8x8 map, T = 4, by the rate of its
random input spikes; everything the stage does is counted (`python benchmarks/kernels.py`).
"""

FEWER_BITS = """
Are fewer bits ever slower? Instructions of a 3x3 convolution from 16 channels on a 6x6 map, T = 4, 15 % of its inputs
and of its neurons spiking, by the number of its output channels (`python benchmarks/widths.py`). They are not, nor in
the table above; tests hold the signs (`test_fewer_bits.py`).
"""

SHORT_LISTS = """
Lists here have 20 events in the mean. What comes once for each list weighs more where fewer spike: the number of
channels with which fewer bits do worst, at 2 % (three events), 5 % (seven) and 15 %. That 2 bits take no longer than 4
at 2 % on M0, M3 and M4 is tested, too. Elsewhere lanes of 4 bits come apart in a step more than those of 8, and
Helium's of 2 bits in one more than those of 4.
"""

FIRST_LAYER = """
A first layer, 3x3 from 3 to 32 channels on a 16x16 image of bytes, T = 4, by the share of pixels that are not zero:
instructions for each of those times a weight. Its currents are computed once for all timesteps. `image` spends two
bytes on a code of any width, and runs layers of up to 16,384 codes.
"""

READOUT = """
A readout, linear from a 3x3 map of 64 channels to 10 classes, T = 4: instructions per synaptic operation, by the rate
of random input spikes. The kernel of counts reads the weights of an input once, however often it spikes.
"""


def paragraphs(text: str) -> list[str]:
    """Lines of Markdown, an empty one at the end."""
    return [
        line
        for part in text.strip().split("\n\n")
        for line in (*textwrap.wrap(" ".join(part.split()), 120, break_on_hyphens=False), "")
    ]


def main() -> None:
    """Measure everything, then write the tables."""
    mnist = sys.argv[1] if len(sys.argv) > 1 else None
    cases, _ = chosen([])
    rows = [row for name, bits in tqdm(cases, unit="network") for row in cores.measure(name, bits, mnist)]
    figures = compile_vgg16.measure() | simulate_mnist.measure(mnist)
    compiler = find_host_compiler()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    about = ON_CORES.format(
        emulator=emulator(),
        toolchain=toolchain(),
        accuracies=accuracies(),
        count=IMAGES,
        images=image_source(mnist),
    )
    lines = [
        "# Performance",
        "",
        "Written by `python benchmarks/performance.py [mnist.npz]`.",
        "",
        "## On emulated cores",
        "",
        *paragraphs(about),
        *cores.table(rows),
        "",
        *paragraphs(SLOWER),
        *cores.slower_with_fewer_bits(rows),
        "",
        *paragraphs(OPERATIONS),
        *operations.table(operations.count(name, bits, mnist) for name, bits in cases),
        "",
        *paragraphs(FLASH),
        *cores.flash_table(rows),
        "",
        *paragraphs(RAM),
        *cores.ram_table(rows),
        "",
        *paragraphs(KERNELS.format(goal=cores.KERNELS_GOAL)),
        *cores.kernels_table(rows),
        "",
        *paragraphs(SCHEDULES),
        *schedules.table(),
        "",
        *paragraphs(FLAGS),
        *flags.table(),
        "",
        "## One layer",
        "",
        *paragraphs(ONE_LAYER),
        *kernels.table(kernels.layers_of_spikes(), kernels.RATES),
        "",
        *paragraphs(FEWER_BITS),
        *widths.table(),
        "",
        *paragraphs(SHORT_LISTS),
        *widths.extremes(),
        "",
        *paragraphs(FIRST_LAYER),
        *kernels.table(kernels.first_layers(), kernels.DENSITIES),
        "",
        *paragraphs(READOUT),
        *kernels.table(kernels.readouts(), kernels.RATES),
        "",
        "## On the host",
        "",
        "Seconds of one run: they tell the order of magnitude, and no test asserts them.",
        "",
        f"Machine: {machine}; {compiler.family} {compiler.version}.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {figure} |" for name, figure in figures.items()),
    ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
