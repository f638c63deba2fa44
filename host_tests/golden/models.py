"""The three tiny models whose C is checked in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from host_tests.golden.handmade import Sketch
from qpsnn_codegen import Compilation
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import Network

CHECKED_IN = ("{name}.h", "{name}.c", "{name}_internal.h", "{name}_weights.c", "report.json")
"""The files of a folder that are kept, with the model's name."""

NOT_CHECKED_IN = ("CMakeLists.txt", "Makefile", "README.md", "app/model.h", "golden/network.npz", "golden/vectors.npz")
"""What follows from the same values, plainly or as binary; the shipped C is compared with firmware/ itself."""


def image() -> Network:
    """An image through 8-, 4- and 2-bit layers, a pool of spikes, and the mean of the currents."""
    sketch = Sketch(seed=1, timesteps=4)
    sketch.image((1, 6, 6))
    sketch.conv("conv1", 6, 8, rescaw=False, gain=2.0)
    sketch.norm("norm1")
    sketch.neuron("lif1")
    sketch.max_pool("pool1", Window(kernel=(2, 2), stride=(2, 2)))
    sketch.conv("conv2", 7, 4)
    sketch.norm("norm2")
    sketch.neuron("lif2")
    sketch.conv("conv3", 5, 2, (1, 1), padding=(0, 0))
    sketch.neuron("lif3")
    sketch.flatten()
    sketch.linear("fc", 4)
    sketch.readout("mean")
    return sketch.network(("zero", "one", 'two "2"', "three */ int x; /*"))


def events() -> Network:
    """Events of 34 channels through grouped, dilated and strided windows, soft reset, counted spikes."""
    sketch = Sketch(seed=2, timesteps=3, reset="soft", strict=False)
    sketch.events((34, 5, 4))
    sketch.conv("conv1", 6, 4, (3, 3), stride=(2, 1), padding=(1, 1), groups=2)
    sketch.neuron("lif1")
    sketch.conv("conv2", 5, 2, (2, 2), padding=(0, 1), dilation=(1, 2), bias=True)
    sketch.norm("norm2")
    sketch.max_pool("pool2", Window(kernel=(2, 2), padding=(1, 1)))
    sketch.neuron("lif2", decay=0.9)
    sketch.average_pool("average")
    sketch.flatten()
    sketch.linear("fc", 3, 4, rescaw=True)
    sketch.neuron("lif3")
    sketch.readout("count")
    return sketch.network()


def residual() -> Network:
    """A normalized image, integrate-and-fire, a shortcut with padding, and the last potentials."""
    sketch = Sketch(seed=3, timesteps=4, decay=1.0)
    sketch.image((2, 4, 4), normalized=True)
    sketch.conv("stem", 4, 8, rescaw=False)
    sketch.norm("stem_norm")
    spikes = sketch.neuron("stem_if")
    branch = sketch.shortcut("shortcut", 2, 1, 1, source=spikes)
    sketch.conv("conv", 6, 4, stride=(2, 2), after=spikes)
    current = sketch.norm("conv_norm")
    sketch.add("sum", current, branch)
    sketch.neuron("if")
    sketch.average_pool("average")
    sketch.flatten()
    sketch.linear("fc", 3)
    sketch.readout("last", decay=0.5, threshold=float("inf"), reset="none")
    return sketch.network()


MODELS: Mapping[str, Callable[[], Network]] = {"image": image, "events": events, "residual": residual}


def compiled(model: str) -> Compilation:
    """The model, compiled as its checked-in C was."""
    return compile_model(MODELS[model](), name=f"golden_{model}")


def texts(model: str) -> dict[str, str]:
    """The files that are checked in, by name."""
    files = compiled(model).files
    names = [pattern.format(name=f"golden_{model}") for pattern in CHECKED_IN]
    return {name: text for name in names if isinstance(text := files[name], str)}
