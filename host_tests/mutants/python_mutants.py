"""Deliberately broken Python: one replacement in the source of a function, put in its place for a test."""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pytest

from qpsnn_codegen.emit import c_model
from qpsnn_codegen.kinds import add, conv, input, neuron, pools, readout, shortcut, wide_conv, windows  # noqa: A004 - the kind
from qpsnn_codegen.planning import layouts
from qpsnn_codegen.planning.kernels import lanes
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.kernels.fusing import LayerKernel
from qpsnn_codegen.planning.kernels.image import ImageKernel, ImageLayerKernel


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonMutant:
    """``old`` becomes ``new`` in the function ``name`` of ``owner`` (a class or module)."""

    title: str
    owner: Any
    name: str
    old: str
    new: str

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the broken function everywhere the right one is; fails loudly if there is nothing to break."""
        function = inspect.unwrap(getattr(self.owner, self.name))
        assert isinstance(function, FunctionType)
        text = textwrap.dedent(inspect.getsource(function))
        assert text.count(self.old) == 1, f"mutant {self.title}: its text occurs {text.count(self.old)} times"
        namespace: dict[str, Any] = dict(function.__globals__)
        exec(compile(text.replace(self.old, self.new), f"<{self.title}>", "exec"), namespace)  # noqa: S102 - our own
        broken = namespace[self.name]
        monkeypatch.setattr(self.owner, self.name, broken)
        for name, module in list(sys.modules.items()):
            if name.startswith("qpsnn_codegen.") and getattr(module, self.name, None) is function:
                monkeypatch.setattr(module, self.name, broken)


def _mutants(owner: Any, name: str, *changes: tuple[str, str, str]) -> tuple[PythonMutant, ...]:
    return tuple(PythonMutant(title=title, owner=owner, name=name, old=old, new=new) for title, old, new in changes)


REFERENCE_MUTANTS: tuple[PythonMutant, ...] = (
    *_mutants(
        neuron.IntegerNeuron,
        "trajectory",
        ("spike at the threshold", "charged > _column(self.threshold)", "charged >= _column(self.threshold)"),
        ("decay missed", "self.decay.apply(membrane)", "membrane"),
        ("fraction bits ignored", "<< self.fraction_bits", "<< 0"),
        ("bias dropped", "charged + _column(self.bias)", "charged"),
        ("gain dropped", "_column(self.gain) * _at", "_at"),
        ("hard reset to 0", "np.where(fired, _column(self.rest), charged)", "np.where(fired, 0, charged)"),
        ("soft reset left out", "charged - np.where(fired, _column(self.drop), 0)", "charged"),
        ("first timestep only", "_at(current, t)", "_at(current, 0)"),
        ("membrane starts at 0", "np.broadcast_to(_column(self.rest)", "np.broadcast_to(0 * _column(self.rest)"),
    ),
    *_mutants(
        neuron.Decay,
        "apply",
        ("decay truncates", "membrane >> self.shift", "np.trunc(membrane / 2.0**self.shift).astype(np.int64)"),
        ("decay not rounded", "self.multiplier + self.rounding", "self.multiplier"),
    ),
    *_mutants(
        conv.IntegerConv,
        "execute",
        ("zero point dropped", " - self.zero_point", ""),
        ("multiplier dropped", "self.multiplier * ", ""),
    ),
    *_mutants(
        wide_conv.WideConv,
        "execute",
        ("wide sum rounded down", " + self.half", ""),
        ("wide sum shifted once more", ">> self.shift", ">> self.shift + 1"),
    ),
    *_mutants(
        windows,
        "convolve",
        ("groups in the wrong order", "part = frames[", "part = np.roll(frames, group_inputs, axis=1)["),
    ),
    *_mutants(
        windows.Window,
        "view",
        ("stride from the end", "[..., ::sh,", "[..., (windows.shape[-4] - 1) % sh :: sh,"),
        ("dilation ignored", "::dh, ::dw]", ": self.kernel[0], ::dw]"),
        ("padding on one side", "[(ph, ph), (pw, pw)]", "[(2 * ph, 0), (pw, pw)]"),
    ),
    *_mutants(
        pools,
        "_pool",
        ("pool is AND", "view.max(axis=(-2, -1))", "view.min(axis=(-2, -1))"),
        ("sum is maximum", 'view.sum(axis=(-2, -1)) if mode == "sum" else ', ""),
        ("border counts as 0", "else _LOWEST", "else 0"),
    ),
    *_mutants(
        pools.CurrentPool,
        "execute",
        ("minimum ignored", "np.where(self.minimum, -1, 1)", "np.where(self.minimum, 1, 1)"),
    ),
    *_mutants(add.AddMaps, "execute", ("sum is the left", "inputs[0] + inputs[1]", "inputs[0]")),
    *_mutants(
        input.Lookup,
        "execute",
        ("table of the first channel", "self.table[channel, raw]", "self.table[0 * channel, raw]"),
    ),
    *_mutants(
        shortcut.ChannelMap,
        "execute",
        ("shortcut padded on the other side", "(self.pad_before, self.pad_after)", "(self.pad_after, self.pad_before)"),
        ("shortcut takes other pixels", ":: self.stride, :: self.stride]", "-1 :: -self.stride, :: self.stride]"),
    ),
    *_mutants(readout.SumReadout, "execute", ("static current once", "values[:, 0] * timesteps", "values[:, 0]")),
    *_mutants(
        readout.Rescale,
        "apply",
        ("offset dropped", "values + self.offset[:, None, None]", "values"),
        ("rescale truncates", " + 2 ** (RESCALE_SHIFT - 1)", ""),
    ),
    *_mutants(readout.LastReadout, "execute", ("potentials not rescaled", "self.rescale.apply(", "np.asarray(")),
)
"""Changes of what the integers mean: the reference then disagrees with the C that ships."""

EMITTER_MUTANTS: tuple[PythonMutant, ...] = (
    *_mutants(
        layouts,
        "pack_rows",
        ("codes packed from the top", "(bits * np.arange(per_byte, ", "(bits * np.arange(per_byte)[::-1].astype("),
        ("rows by input first", ".transpose(3, 4, 0, 2, 1)", ".transpose(4, 3, 0, 2, 1)"),
    ),
    *_mutants(c_model.CModel, "static", ("everything is static", "int(self._types[name].static)", "1")),
    *_mutants(
        c_model.CModel,
        "trace",
        ("traces in the wrong place", "self._trace[name]", "(self._trace[name] + 1) % len(self._trace)"),
    ),
    *_mutants(
        neuron.IntegerNeuron,
        "c_fields",
        ("rest and threshold exchanged", '"int32_t", self.rest,', '"int32_t", self.threshold,'),
        ("reset by another name", "QPS_RESET_{self.reset.upper()}", "QPS_RESET_NONE"),
    ),
    *_mutants(
        lanes,
        "lane_channels",
        ("halves of a group exchanged", "2 * pairs : 2] = lower", "2 * pairs : 2] = lower[::-1]"),
        ("upper channels begin one early", "- pairs] + pairs", "- pairs] + pairs - 1"),
    ),
    *_mutants(
        lanes,
        "pack_blocks",
        ("rows by row first", ".transpose(3, 2, 1, 0)", ".transpose(2, 3, 1, 0)"),
        ("codes of a byte from the top", "(bits * np.arange(8 // bits))", "(bits * np.arange(8 // bits)[::-1])"),
        (
            "blocks one after another in a row",
            "for start, size in _parts(width, bits)",
            "for start, size in [(0, width)]",
        ),
    ),
    *_mutants(
        lanes,
        "_parts",
        ("blocks as halves and words", "(BLOCK_BYTES[bits], *_PIECES)", "_PIECES"),
    ),
    *_mutants(
        lanes,
        "_places",
        ("two last codes side by side", "codes[-2], codes[-3]", "codes[-3], codes[-2]"),
    ),
    *_mutants(
        lanes,
        "_part_codes",
        ("bytes of a word in their order", "((0, 2), (1, 3))", "((0, 1), (2, 3))"),
        ("even and odd codes exchanged", "+ share\n", "+ (shares - 1 - share)\n"),
        (
            "words of a block one by one",
            "for word in range(size // 4)\n        for share in range(shares)",
            "for share in range(shares)\n        for word in range(size // 4)",
        ),
    ),
    *_mutants(
        EventsKernel,
        "_constants",
        ("constants in the order of channels", "self.neuron.rest])[:, lanes]", "self.neuron.rest])[:, np.sort(lanes)]"),
        (
            "rest before threshold",
            "[self.neuron.threshold, self.neuron.rest]",
            "[self.neuron.rest, self.neuron.threshold]",
        ),
    ),
    *_mutants(
        EventsKernel,
        "_lif",
        ("multiplier of the codes left out", "neuron.fraction_bits + conv.multiplier - 1", "neuron.fraction_bits"),
        ("zero point without fraction bits", '"fraction_bits": f"{neuron.fraction_bits}U"', '"fraction_bits": "0U"'),
    ),
    *_mutants(
        LayerKernel,
        "_fields",
        ("tile turned around", "tile = _tile_of(self.pool)", "tile = _tile_of(self.pool)[::-1]"),
    ),
    *_mutants(
        ImageLayerKernel,
        "_filled_rows",
        ("rows of an image by column first", ".transpose(1, 2, 3, 0)", ".transpose(1, 3, 2, 0)"),
    ),
    *_mutants(
        ImageKernel,
        "_packed",
        ("second code too low", "<< np.uint32(24)", "<< np.uint32(23)"),
    ),
    *_mutants(
        ImageKernel,
        "quiet",
        ("quiet one too far", "return low", "return low + 1"),
        ("first timestep decides", "range(self.candidate.timesteps)", "range(1)"),
    ),
)
"""Changes of what is written: the C then disagrees with the reference."""
