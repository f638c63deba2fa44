"""The kernel of the first layer on an image against the reference, at the ends of its sums, blocks and offsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from host_tests.support.agreement import case_of, check_c, kernels_of, of_network
from host_tests.support.layers import BITS, WINDOWS, Layers, all_kinds_of_inputs, changed, tuned, with_neuron
from qpsnn_codegen.integer_network import INT32_MAX
from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.input import Lookup
from qpsnn_codegen.kinds.neuron import IntegerNeuron
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.kernels import image

pytestmark = pytest.mark.slow

AROUND = Window(kernel=(3, 3), padding=(1, 1))


@pytest.mark.parametrize("channels", [1, 3, 7, 8, 9, 31, 32, 33, 35, 64, 65, 100])
def test_any_number_of_channels(channels: int) -> None:
    """Blocks of 8, words of 32; every width of codes and number of inputs in turn."""
    bits = BITS[channels % 3]
    layers = Layers(seed=channels).image(1 + channels % 4, 5, 4)
    layers.layer(channels, bits, AROUND, symmetric=channels % 2 == 0, fraction_bits=channels % 5, rest=channels * 10)
    check_c(case_of(layers), ["image"])


@pytest.mark.parametrize("decay_shift", [0, 1, 2])
@pytest.mark.parametrize("timesteps", [1, 2, 4, 5, 9])
def test_any_number_of_timesteps(timesteps: int, decay_shift: int) -> None:
    layers = Layers(seed=timesteps, timesteps=timesteps).image(2, 6, 5)
    layers.layer(35, 4, AROUND, decay_shift=decay_shift, fraction_bits=4, rest=5000).pool(2, 2).layer(33, 4)
    check_c(case_of(layers), ["image", "events"])


@pytest.mark.parametrize("window", WINDOWS)
def test_any_window(window: str) -> None:
    layers = Layers(seed=3).image(3, 7, 6).layer(9, 8, WINDOWS[window], fraction_bits=3, symmetric=True)
    check_c(case_of(layers), ["image"])


@pytest.mark.parametrize("pool", [(2, 2), (3, 3), (1, 2), (3, 1), (4, 3)], ids=str)
def test_fused_pools(pool: tuple[int, int]) -> None:
    """Also where it leaves rows and columns over."""
    layers = Layers(seed=5, timesteps=3).image(2, 7, 8).layer(35, 2, AROUND).pool(*pool).layer(6, 4)
    check_c(case_of(layers), ["image", "events"])


@pytest.mark.parametrize("most", [1, 2, 255])
def test_images_of_any_range(most: int) -> None:
    """Also of zeros and ones, which are no spikes because they do not change."""
    layers = Layers(seed=most).image(3, 5, 5, most=most).layer(10, 4, AROUND, fraction_bits=6)
    check_c(case_of(layers), ["image"])


def test_sums_that_fill_24_bits() -> None:
    """Two sums share 64 bits: the lower one must stay below 2^24."""
    for inputs in (258, 259):
        layers = Layers(seed=1, timesteps=2).image(inputs, 1, 1).layer(10, 8, fraction_bits=0)
        if inputs * 255 * 255 < 2**24:
            check_c(case_of(layers), ["image"])
        else:
            check_c(case_of(layers), ["image_bytes"])


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_as_many_codes_as_offsets_reach(channels: int) -> None:
    """Rows are filled up to 8 channels; with one channel and many rows, offsets of 16 bits once ran over."""
    for rows in (2048, 2049, 6400):
        layers = Layers(seed=1, timesteps=2).image(1, 1, rows)
        layers.layer(channels, 2, Window(kernel=(1, rows)), fraction_bits=0)
        # The last row alone, which is the farthest.
        inputs = np.concatenate([all_kinds_of_inputs(layers.network()), np.zeros((1, 1, 1, rows), dtype=np.uint8)])
        inputs[-1, ..., -1] = 255
        check_c(case_of(layers, inputs), ["image" if rows == 2048 else "image_packed"])


# --- pixels in chunks: a byte per code, or packed ones


def in_chunks(bits: int) -> str:
    return "image_bytes" if bits == 8 else "image_packed"


@pytest.fixture
def only_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small layers, too, take a byte per code."""
    monkeypatch.setattr(image, "_MAX_CODES", 0)


@pytest.mark.usefixtures("only_bytes")
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("channels", [1, 3, 7, 8, 9, 16, 23, 24, 31, 32, 33, 65])
def test_any_number_of_channels_of_bytes(channels: int, bits: int) -> None:
    layers = Layers(seed=channels).image(1 + channels % 4, 5, 4)
    layers.layer(channels, bits, AROUND, symmetric=channels % 2 == 0, fraction_bits=channels % 5, rest=channels * 10)
    check_c(case_of(layers), [in_chunks(bits)])


@pytest.mark.usefixtures("only_bytes")
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("window", WINDOWS)
def test_any_window_of_bytes(window: str, bits: int) -> None:
    layers = Layers(seed=3).image(3, 7, 6).layer(9, bits, WINDOWS[window], fraction_bits=3, symmetric=True)
    check_c(case_of(layers), [in_chunks(bits)])


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(300, 1, 1), (1, 300, 1), (1, 1, 300), (3, 10, 10)], ids=str)
def test_chunks_end_anywhere(shape: tuple[int, int, int], bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many pixels as fill a list, one more, one less, and a multiple of that; in planes, lines and columns."""
    monkeypatch.setattr(image, "_MAX_CODES", 0)
    layers = Layers(seed=shape[1], timesteps=2).image(*shape).layer(20, bits, Window(kernel=shape[1:]), fraction_bits=0)
    counts = (0, 1, 2, *(n * image.CHUNK + more for n in (1, 2, 3, 4) for more in (-1, 0, 1)), 300)
    inputs = np.zeros((3 * len(counts), 300), dtype=np.uint8)
    for row, count in zip(inputs, np.repeat(counts, 3), strict=True):
        row[layers.rng.choice(300, count, replace=False)] = layers.rng.integers(1, 256, count)
    # The first pixels, and the last.
    for k, count in enumerate(counts):
        inputs[3 * k + 1] = np.where(np.arange(300) < count, 255, 0)
        inputs[3 * k + 2] = inputs[3 * k + 1, ::-1]
    check_c(case_of(layers, inputs.reshape(-1, *shape)), [in_chunks(bits)])


def test_sums_of_bytes_beyond_24_bits() -> None:
    layers = Layers(seed=1, timesteps=2).image(1, 28, 28).layer(30, 8, Window(kernel=(28, 28)), fraction_bits=0)
    assert int(layers.network().types()["conv0"].high.max()) > 2**25
    check_c(case_of(layers), ["image_bytes"])


def test_rows_that_would_be_filled_with_zeros() -> None:
    """One channel takes a row of eight bytes: not for long."""
    for rows, kernel in ((2340, "image_bytes"), (2341, "generic")):
        layers = Layers(seed=1, timesteps=2).image(1, 1, rows).layer(1, 8, Window(kernel=(1, rows)), fraction_bits=0)
        assert kernels_of(layers.network())[0] == kernel


def test_neurons_that_always_and_never_spike() -> None:
    layers = Layers(seed=3).image(2, 5, 5).layer(67, 4, AROUND, fraction_bits=3)
    inputs = all_kinds_of_inputs(layers.network())
    network = tuned(layers.network(), inputs)
    (neuron,) = (node for node in network.nodes if isinstance(node, IntegerNeuron))
    threshold = neuron.threshold.copy()
    threshold[0::4], threshold[1::4] = -(2**31), INT32_MAX
    case = of_network(with_neuron(network, "neuron0", threshold=threshold), inputs)
    spikes = case.expected.spikes["neuron0"]
    assert spikes[:, :, 0::4].all()
    assert not spikes[:, :, 1::4].any()
    check_c(case, ["image"])


def test_image_by_table() -> None:
    """What normalization makes of an image is one, if it is never negative."""
    layers = Layers(seed=4).image(2, 5, 5)
    table = (np.arange(256) // np.array([[2], [3]]) + 1).astype(np.int16)
    layers.append(Lookup(name="table", inputs=("input",), table=table, bits=8), (2, 5, 5)).layer(9, 4, AROUND)
    check_c(case_of(layers), ["generic", "image"])
    signed = changed(layers.network(), "table", table=table - np.int16(100))
    assert kernels_of(signed) == ["generic", "generic", "counts"]


def test_what_the_kernel_leaves_to_others() -> None:
    network = Layers(seed=1).image(4, 6, 6).layer(6, 4, AROUND).network()
    conv, neuron = network.nodes[1], network.nodes[2]
    assert isinstance(conv, IntegerConv)
    assert isinstance(neuron, IntegerNeuron)
    assert kernels_of(network)[0] == "image"
    others = {
        "groups": changed(network, "conv0", groups=2, codes=conv.codes[:, :2]),
        "no reset": changed(network, "neuron0", reset="none"),
        "bias": changed(network, "neuron0", bias=np.ones(6, dtype=np.int64)),
        "decay by multiplication": changed(network, "neuron0", decay=replace(neuron.decay, multiplier=3, shift=2)),
        "more than bytes": changed(network, "input", max_value=256),
        "counts that change": changed(network, "input", static=False),
    }
    assert {why: kernels_of(other)[0] for why, other in others.items()} == dict.fromkeys(others, "generic")
