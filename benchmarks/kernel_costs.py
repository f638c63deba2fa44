"""Measure what kernels cost, core by core: writes qpsnn_codegen/kernel_costs.json (``make kernel-costs``).

Small networks of many shapes, bits and spike rates run on emulated cores, stage by stage. The constants of each kernel
are those, none below zero, whose predictions are nearest to what was counted, in proportion. Where every neuron spikes
at every timestep and every input is there, the worst case, a margin is added that makes of predictions a bound.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

# Run as a script, Python looks beside it only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.on_cores import BOARDS, Job, stage_instructions, toolchain
from host_tests.support.examples import EXAMPLES, example
from host_tests.support.layers import Layers, membranes, restless, with_neuron
from qpsnn_codegen import nn
from qpsnn_codegen.calibration import measure_work
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.neuron import Decay, IntegerNeuron
from qpsnn_codegen.kinds.pools import CurrentPool
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import LoweringOptions, lower
from qpsnn_codegen.pipeline import load
from qpsnn_codegen.planning.cost import TABLE, stage_features
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.planning.work import worst_work

RATES = (0.0, 0.01, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
DENSITIES = (0.0, 0.2, 0.6, 1.0)
_BUSY = 0.12
"""Of the membranes, those above their threshold."""
_SUM = 100_000
_SPARE = 0.02
"""Of margins, for shapes that are not among the samples."""
_NOISE = 1000.0
"""Instructions below which a stage counts for little: clocks tick once in 20 to 50 instructions."""

SAME = Window(kernel=(3, 3), padding=(1, 1))
POINT = Window(kernel=(1, 1))
CORNER = Window(kernel=(3, 3))
WIDE = Window(kernel=(5, 5), padding=(2, 2))

EVENTS = (
    (16, 6, SAME, 32),
    (32, 6, SAME, 64),
    (64, 5, SAME, 51),
    (35, 5, SAME, 70),
    (64, 3, CORNER, 10),
    (20, 4, POINT, 128),
    (102, 3, SAME, 102),
    (130, 3, SAME, 33),
    (256, 2, SAME, 256),
    (8, 7, WIDE, 16),
    (300, 1, POINT, 40),
    (24, 5, SAME, 60),
    (12, 6, SAME, 6),
    (16, 5, SAME, 24),
    (20, 5, SAME, 14),
    (16, 8, POINT, 12),
    (48, 9, SAME, 32),
)
"""Input channels, size of the map, window, output channels."""
IMAGES = (
    (1, 12, SAME, 16),
    (3, 8, SAME, 32),
    (3, 9, SAME, 35),
    (1, 8, WIDE, 8),
    (4, 7, POINT, 64),
    (3, 8, SAME, 70),
    (5, 8, SAME, 24),
    (3, 9, WIDE, 40),
    (1, 9, Window(kernel=(9, 9)), 128),
)
LARGE_IMAGES = (
    (1, 14, Window(kernel=(14, 14)), 128),
    (3, 9, Window(kernel=(9, 9)), 70),
    (8, 8, WIDE, 96),
    (64, 3, SAME, 40),
)
"""The same, with more codes than take two bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One stage in one run: which kernel, what it did, the instructions that took, and whether it can never do more."""

    kernel: str
    features: Mapping[str, float]
    instructions: float
    worst: bool


def networks() -> Iterator[IntegerNetwork]:
    """Networks that together do everything the kernels are charged for."""
    for index, (channels, size, window, outputs) in enumerate(EVENTS):
        for bits in (2, 4, 8):
            fraction_bits = (2, 4, 12 - bits)[(index + bits) % 3]
            layers = Layers(seed=index).events(channels, size, size)
            shape = (outputs, channels, *window.kernel)
            # Sums stay within 16 bits, as the fast kernels want it.
            top = min(2**bits, _SUM // int(np.prod(shape[1:])))
            codes = layers.rng.integers(0, top, shape).astype(np.uint8)
            layers.layer(outputs, bits, window, codes=codes, fraction_bits=fraction_bits, rest=20)
            if size == 5:
                layers.pool(2, 2)
            yield layers.network()
    for bits, timesteps in ((2, 2), (4, 3), (4, 6), (8, 8), (4, 1)):
        yield Layers(seed=bits, timesteps=timesteps).events(40, 5, 5).layer(72, bits, SAME).network()
        yield Layers(seed=bits, timesteps=timesteps).events(8, 6, 6).layer(20, bits, POINT).network()
    for channels, size, window, outputs in IMAGES:
        yield Layers(seed=size).image(channels, size, size).layer(outputs, 8, window, fraction_bits=2).network()
    for channels, size, window, outputs in LARGE_IMAGES:
        for bits in (2, 4, 8):
            yield Layers(seed=size).image(channels, size, size).layer(outputs, bits, window, fraction_bits=2).network()
    for timesteps in (1, 6):
        for channels, size, outputs in ((1, 10, 24), (6, 8, 16), (24, 6, 80)):
            layers = Layers(seed=timesteps, timesteps=timesteps).image(channels, size, size)
            yield layers.layer(outputs, 8, SAME, fraction_bits=2).pool(2, 2).network()
    yield from deep_networks()
    yield from long_networks()
    yield from generic_networks()


def deep_networks() -> Iterator[IntegerNetwork]:
    """Maps in bytes, which only layers hand to each other."""
    for bits in (2, 4, 8):
        yield Layers(seed=bits).events(16, 8, 8).layer(24, bits, SAME).layer(40, bits, SAME).network()
        layers = Layers(seed=bits).events(20, 6, 6).layer(16, bits).layer(48, bits).layer(8, bits, SAME)
        yield layers.layer(12, bits).network()
        layers = Layers(seed=bits).image(1, 12, 12).layer(16, 8, SAME).pool(2, 2).layer(32, bits, SAME).pool(2, 2)
        yield layers.layer(64, bits, SAME).network()
        layers = Layers(seed=bits, timesteps=6).image(3, 6, 6).layer(24, 8, SAME).layer(16, bits, SAME)
        yield layers.layer(40, bits).network()


def long_networks() -> Iterator[IntegerNetwork]:
    """What the kernel of events computes timestep by timestep: long sums, other neurons, shortcuts."""
    for timesteps in (3, 4, 6):
        yield Layers(seed=1, timesteps=timesteps).events(600, 1, 1).layer(70, 8).network()
        yield Layers(seed=2, timesteps=timesteps).events(80, 5, 5).layer(40, 8, SAME).network()
    multiplied = Decay(multiplier=3, rounding=0, shift=2)
    for bits in (2, 4, 8):
        yield Layers(seed=bits).events(40, 5, 5).layer(64, bits, SAME).neurons("soft").network()
        yield Layers(seed=bits).events(16, 7, 7).layer(70, bits, POINT).neurons("soft", bias=3).network()
        yield Layers(seed=bits).events(70, 4, 4).layer(33, bits, SAME).neurons(decay=multiplied).network()
        shortcut = Layers(seed=bits).events(40, 5, 5).layer(40, 4, SAME).layer(40, bits, SAME)
        yield shortcut.neurons(gain=40, shortcut="neuron0").network()
    counts = Layers(seed=3).events(64, 4, 4).layer(64, 4, SAME).add("input", "neuron0").layer(64, 4, after="neuron0")
    yield counts.neurons(gain=40, shortcut="input + neuron0").network()


def generic_networks() -> Iterator[IntegerNetwork]:
    """What only the generic kernel runs: groups, pools of currents, counts."""
    for bits in (2, 4, 8):
        yield _grouped(Layers(seed=bits).events(40, 5, 5).layer(24, bits, SAME))
        yield _grouped(Layers(seed=bits).events(16, 7, 7).layer(70, bits, POINT))
    yield _pooled(Layers(seed=1).events(24, 6, 6), Window(kernel=(2, 2), stride=(2, 2)))
    yield _pooled(Layers(seed=2).events(40, 6, 6), Window(kernel=(3, 3), padding=(1, 1)))
    yield _pooled(Layers(seed=5).events(70, 4, 4), Window(kernel=(2, 2), stride=(2, 2)))
    yield _pooled(Layers(seed=6).events(5, 8, 8), Window(kernel=(2, 2), stride=(2, 2)))
    yield Layers(seed=3).events(70, 6, 6).pool_by(Window(kernel=(3, 3), padding=(1, 1))).network()
    sums = Layers(seed=4).events(48, 5, 5).layer(48, 4, SAME)
    yield sums.add("input", "neuron0").network()


def slow_networks() -> Iterator[IntegerNetwork]:
    """What the generic kernel is for where flash is short: layers that others would run."""
    for bits in (2, 4, 8):
        yield Layers(seed=bits).image(1, 24, 24).layer(90, bits, Window(kernel=(24, 24))).network()
        yield Layers(seed=bits).image(3, 8, 8).layer(24, bits, SAME).network()
        for timesteps in (1, 4):
            yield Layers(seed=bits, timesteps=timesteps).events(24, 5, 5).layer(20, bits, SAME).network()
            yield Layers(seed=bits, timesteps=timesteps).events(8, 8, 8).layer(6, bits, POINT).network()


def readouts() -> Iterator[IntegerNetwork]:
    """Linear readouts of spikes and of pooled ones."""
    for bits in (2, 4, 8):
        for classes in (2, 10, 35):
            yield Layers(seed=bits).events(300, 1, 1).network(classes, bits)
            yield Layers(seed=bits, timesteps=3).events(40, 4, 3).network(classes, bits)
            yield Layers(seed=bits).events(96, 4, 4).sums(2, 2).network(classes, bits)
        yield Layers(seed=bits, timesteps=8).events(64, 3, 3).network(10, bits)
        yield Layers(seed=bits, timesteps=1).events(40, 6, 6).network(10, bits)


def _grouped(layers: Layers) -> IntegerNetwork:
    """With the first layer in two groups."""
    network = layers.network()
    first, conv, *others = network.nodes
    if not isinstance(conv, IntegerConv):
        raise TypeError("the beginning of a network has changed")
    conv = replace(conv, codes=conv.codes[:, : conv.codes.shape[1] // 2], groups=2)
    return replace(network, nodes=(first, conv, *others))


def _pooled(layers: Layers, window: Window) -> IntegerNetwork:
    """A pool between the sums and the neurons."""
    channels = layers.shape[0]
    *_, conv, neuron = layers.layer(channels, 4, SAME).nodes
    minimum = np.zeros(channels, dtype=bool)
    pool = CurrentPool(name="pool", inputs=(conv.name,), window=window, mode="max", minimum=minimum)
    height, width = window.output_size(layers.shape[1:])
    layers.nodes.pop()
    shape = (channels, height, width)
    return layers.append(pool, shape).append(replace(neuron, inputs=("pool",)), shape).network()


def inputs_of(network: IntegerNetwork) -> NDArray[np.uint8]:
    """Random inputs, one for each rate or density of what is not zero."""
    kind = network.nodes[0].output_type()
    rng = np.random.default_rng(5)
    frames = () if kind.static else (network.timesteps,)
    shape = (*frames, *kind.shape)
    values = rng.integers(1, int(kind.high.max()) + 1, shape)
    rates = DENSITIES if kind.static else RATES
    return np.stack([values * (rng.random(shape) < rate) for rate in rates]).astype(np.uint8)


def tamed(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> IntegerNetwork:
    """Thresholds such that neurons spike now and then."""
    for node in network.nodes:
        if isinstance(node, IntegerNeuron):
            seen = membranes(network, inputs, node.name, spiking=False)
            border = np.quantile(seen, 1 - _BUSY, axis=(0, 1, 3, 4)).astype(np.int64)
            network = with_neuron(network, node.name, threshold=border)
    return network


def whole_networks() -> Iterator[IntegerNetwork]:
    """Networks with nodes of every kind, as they come from training: shortcuts, additions, normalized images."""
    for name in EXAMPLES:
        case = example(name)
        yield lower(case.network, case.options)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.pt"
        nn.save(nn.build("resnet", widths=(16, 16, 40), blocks=1, input_shape=(3, 10, 10), timesteps=4), model)
        network = load(model)
    yield lower(network)
    image, *others = network.nodes
    normalized = replace(image, mean=np.full(3, 0.4), std=np.full(3, 0.3))
    for bits in (8, 16):
        yield lower(replace(network, nodes=(normalized, *others)), LoweringOptions(input_bits=bits))


def jobs() -> list[Job]:
    """Every network with its inputs."""
    plain = [(network, inputs_of(network)) for network in networks()]
    result = [Job(network=tamed(network, inputs), inputs=inputs) for network, inputs in plain]
    result += [
        Job(network=tamed(network, inputs), inputs=inputs, kernels=(("conv0", "generic"),))
        for network in slow_networks()
        for inputs in [inputs_of(network)]
    ]
    result += [Job(network=restless(network, few), inputs=few) for network, inputs in plain for few in [inputs[::-3]]]
    result += [
        Job(network=network, inputs=inputs_of(network), kernels=(("classes", kernel),))
        for network in readouts()
        for kernel in ("counts", "generic")
    ]
    return result + [Job(network=network, inputs=inputs_of(network)) for network in whole_networks()]


def samples(core: str, measured: Sequence[Job]) -> list[Sample]:
    """Every stage of every run."""
    result = []
    for job, counted in zip(measured, stage_instructions(core, measured), strict=True):
        plan = make_plan(job.network, "net", PlanOptions(kernels=job.kernels))
        most = stage_features(plan, worst_work(job.network))
        for run, counts in zip(job.inputs, counted, strict=True):
            work = measure_work(job.network, run[None])
            result += [
                Sample(kernel=stage.kernel.name, features=done, instructions=float(count), worst=done == worst)
                for stage, done, count, worst in zip(plan.stages, stage_features(plan, work), counts, most, strict=True)
            ]
    return result


def fit(found: Sequence[Sample]) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Constants by feature, and the errors of their predictions in proportion."""
    names = sorted({name for sample in found for name in sample.features})
    amounts = np.array([[sample.features.get(name, 0.0) for name in names] for sample in found])
    counts = np.array([sample.instructions for sample in found])
    weights = 1 / (counts + _NOISE)
    sizes = np.maximum(np.abs(amounts * weights[:, None]).max(axis=0), 1e-12)
    solution, _ = nnls(amounts * weights[:, None] / sizes, counts * weights, maxiter=100 * len(names))
    constants = solution / sizes
    errors = (amounts @ constants - counts) * weights
    return {name: float(f"{value:.4g}") for name, value in zip(names, constants, strict=True) if value > 0}, errors


def margin(found: Sequence[Sample], constants: Mapping[str, float]) -> float:
    """What predictions must be multiplied with, so that none of the worst cases took more."""
    predicted = [sum(constants.get(name, 0.0) * amount for name, amount in each.features.items()) for each in found]
    factors = [each.instructions / most for each, most in zip(found, predicted, strict=True) if each.worst]
    return float(f"{max(1.0, *factors) + _SPARE:.3f}")


def measure(cores: Sequence[str] = tuple(BOARDS)) -> dict[str, object]:
    """The table."""
    everything = jobs()
    constants: dict[str, dict[str, dict[str, float]]] = {}
    margins: dict[str, dict[str, float]] = {}
    errors: dict[str, dict[str, str]] = {}
    for core in cores:
        found = samples(core, everything)
        name = f"cortex-{core.lower()}"
        constants[name], margins[name], errors[name] = {}, {}, {}
        for kernel in sorted({sample.kernel for sample in found}):
            those = [sample for sample in found if sample.kernel == kernel]
            constants[name][kernel], off = fit(those)
            margins[name][kernel] = margin(those, constants[name][kernel])
            text = f"{len(off)} stages, {np.sqrt(np.mean(off**2)):.1%} off in the mean, {np.abs(off).max():.1%} at most"
            errors[name][kernel] = text
            print(f"{core} {kernel}: {text}; worst cases times {margins[name][kernel]}")
    return {"compiler": toolchain(), "cores": constants, "margins": margins, "errors": errors}


def main() -> None:
    """Write the table."""
    TABLE.write_text(json.dumps(measure(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {TABLE.name}")


if __name__ == "__main__":
    main()
