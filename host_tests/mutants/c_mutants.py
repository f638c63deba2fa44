"""Deliberately broken kernels: each replaces one piece of text of the shipped runtime.

``old`` must occur exactly once, so that a mutant cannot silently stop being one when a kernel is rewritten. The fast
kernels have theirs in ``fast_mutants.py``, code for one kind of core in ``host_tests/target/test_kernels_on_cores.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CMutant:
    """``old`` becomes ``new`` in ``runtime/<file>``."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, files: Mapping[str, str | bytes]) -> dict[str, str]:
        """The runtime's text with the defect; fails loudly if there is nothing to break."""
        path = f"runtime/{self.file}"
        text = files.get(path)
        assert isinstance(text, str), f"mutant {self.name}: there is no {path}"
        assert text.count(self.old) == 1, f"mutant {self.name}: {path} has its text {text.count(self.old)} times"
        assert self.old != self.new
        return {**runtime_of(files), path: text.replace(self.old, self.new)}


def runtime_of(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """The shipped runtime among the files of a folder."""
    return {path: text for path, text in files.items() if path.startswith("runtime/") and isinstance(text, str)}


def mutants_of(file: str, *changes: tuple[str, str, str]) -> tuple[CMutant, ...]:
    """Mutants of one file, each by its name and what becomes of which text."""
    return tuple(CMutant(name=name, file=file, old=old, new=new) for name, old, new in changes)


_TAPS_FIRST = "while (taps.first < taps.last && taps.origin + (int32_t)(taps.first * dilation) < 0)"
_TAPS_LAST = "taps.origin + (int32_t)((taps.last - 1U) * dilation) >= (int32_t)size"

_WIDE_SHIFT = "inline int64_t qps_shift_right_64(int64_t value, uint32_t bits)\n{\n    "
_SUM_STEP = (
    " t++) {\n        if (t == 0U || layer->static_current == 0U) {\n"
    "            layer->source.fill(layer->source.layer, input, t, 0U, 0U, scratch);"
)

GENERIC_MUTANTS: tuple[CMutant, ...] = (
    *mutants_of(
        "qps_neuron.c",
        ("spike at the threshold", "if (w > neuron->threshold[c])", "if (w >= neuron->threshold[c])"),
        ("spike one above", "if (w > neuron->threshold[c])", "if (w > neuron->threshold[c] + 1)"),
        ("spike bit in the wrong word", "words[c / 32U] |=", "words[c / 33U] |="),
        ("spike bit in the wrong lane", "UINT32_C(1) << (c % 32U)", "UINT32_C(1) << (31U - c % 32U)"),
        ("shortcut left out", "if (neuron->gain != NULL)", "if (neuron->gain != NULL && c > channels)"),
        ("shortcut's gain left out", "w += neuron->gain[c] * qps_map_value", "w += qps_map_value"),
        ("shortcut of the first timestep", "shortcut, t, y, x, c);", "shortcut, 0U, y, x, c);"),
        ("membrane not kept", "        membrane[c] = w;", "        membrane[c] = w > 0 ? w : 0;"),
        ("membrane starts at 0", "memcpy(membrane, layer->neuron.rest,", "memset(membrane, 0,"),
        ("current filled once", "t == 0U || layer->static_current == 0U", "t == 0U"),
        ("static current never filled", "t == 0U || layer->static_current == 0U", "layer->static_current == 0U"),
        ("output not cleared", "    qps_map_clear(map, output);", "    memset(output, 0, sizeof *output);"),
        ("membranes and currents overlap", "scratch + map->channels;", "scratch + map->channels - 1;"),
    ),
    *mutants_of(
        "qps_neuron.h",
        ("decay missed", "return qps_shift_right(membrane, neuron->decay_shift);", "return membrane;"),
        (
            "decay truncates",
            "qps_shift_right(membrane, neuron->decay_shift)",
            "(membrane / (1 << neuron->decay_shift))",
        ),
        (
            "rounding of the decay left out",
            "* neuron->decay_multiplier + neuron->decay_rounding",
            "* neuron->decay_multiplier",
        ),
        (
            "decay by one bit more",
            "qps_shift_right_64(product, neuron->decay_shift)",
            "qps_shift_right_64(product, neuron->decay_shift + 1U)",
        ),
        ("fraction bits ignored", "qps_scale_up(current, neuron->fraction_bits)", "current"),
        ("bias dropped", "charged += neuron->bias[c];", "charged += 0 * neuron->bias[c];"),
        ("hard reset to 0", "return neuron->rest[c];", "return 0;"),
        (
            "hard reset as none",
            "if (neuron->reset == QPS_RESET_HARD)",
            "if (neuron->reset == QPS_RESET_HARD && c > 1000U)",
        ),
        ("soft reset as hard", "membrane - neuron->drop[c] : membrane", "neuron->rest[c] : membrane"),
        ("soft reset as none", "membrane - neuron->drop[c] : membrane", "membrane : membrane"),
        ("no reset as hard", "membrane - neuron->drop[c] : membrane", "membrane - neuron->drop[c] : neuron->rest[c]"),
    ),
    *mutants_of(
        "qps_wide.c",
        ("wide weight without its value", "(int64_t)value * (int16_t)weight", "(int64_t)(int16_t)weight"),
        ("wide weights without a sign", "(int64_t)value * (int16_t)weight", "(int64_t)value * weight"),
        ("wide weights of the block before", "2U * (size_t)first;", "0U * (size_t)first;"),
        ("wide weights of the wrong row", "{(tap + view->c) * row_bytes,", "{(tap + view->c) * 2U,"),
        (
            "wide sums of 32 bits",
            "current[first + k] = (int32_t)qps",
            "sums[k] = (int32_t)sums[k], current[first + k] = (int32_t)qps",
        ),
        ("wide sums rounded down", "{half, half, half, half}", "{0, 0, 0, 0}"),
        ("wide sums not shifted", "(sums[k], wide->shift)", "(sums[k], 0U)"),
        (
            "wide rows and columns swapped",
            "view->ky * window->kernel_width + view->kx)",
            "view->kx * window->kernel_height + view->ky)",
        ),
        ("wide dilation ignored", "(int32_t)(view->kx * window->dilation_width)", "(int32_t)view->kx"),
        ("wide outputs left over left out", "for (; first < wide->outputs; first++)", "for (; 0;)"),
        ("wide list with one too many", "view->count == QPS_WIDE_LIST) {", "view->count > QPS_WIDE_LIST) {"),
        ("wide list only once", "while (view->count == QPS_WIDE_LIST);", "while (0);"),
        ("wide list not begun anew", "        qps_wide_begin(view);\n        do", "        do"),
        ("wide list as if it were whole", "whole = view.count < QPS_WIDE_LIST", "whole = 1"),
        ("wide list from the first channel on", "view->kx++, view->c = 0U)", "view->kx++)"),
        ("wide list from the first column on", "view->ky++, view->kx = view->columns.first)", "view->ky++)"),
        ("wide planes mixed", "((size_t)c * map->height + y)", "((size_t)c * map->width + y)"),
    ),
    *mutants_of(
        "qps_conv.c",
        ("upper and lower nibble swapped", "sums[o] += row[o / 2U] & 0x0F;", "sums[o] += row[o / 2U] >> 4;"),
        ("byte of a row's rest", "row[(o * bits) / 8U]", "row[o / 2U]"),
        ("wrong 2-bit lane", "(codes >> 4) & 0x03", "(codes >> 5) & 0x03"),
        ("odd rest of a row", "(1U << bits) - 1U);\n    }\n}", "(1U << bits) - 1U) + 1;\n    }\n}"),
        ("row of 8-bit codes as 7-bit", "            sums[o] += row[o];", "            sums[o] += row[o] & 0x7F;"),
        ("scaled rows by wrong lane", "row[first / 8U] >> (first % 8U)", "row[first / 8U] >> (first % 4U)"),
        ("scaled rows as spikes", "sums[o] += value * (int32_t)", "sums[o] += (int32_t)"),
        ("group's first bits", "word &= UINT32_MAX << (first - base);", "word &= UINT32_MAX << (first - base + 1U);"),
        ("group's last bits", "word &= ~(UINT32_MAX << (end - base));", "word &= UINT32_MAX;"),
        ("mask off by one word", "word = spikes[base / 32U]", "word = spikes[base / 33U]"),
        ("only the first word", "base < end; base += 32U", "base < end && base < 32U; base += 32U"),
        (
            "events counted per word",
            "            events++;\n        }",
            "        }\n        events += spikes[base / 32U] != 0U;",
        ),
        ("group offset of the sums", "(size_t)group * conv->group_outputs;", "(size_t)group * conv->group_inputs;"),
        ("group offset of the inputs", "first = group * conv->group_inputs;", "first = 0U * group;"),
        ("rows and columns swapped", "ky * window->kernel_width + kx", "kx * window->kernel_height + ky"),
        ("dilation ignored", "rows.origin + (int32_t)(ky * window->dilation_height)", "rows.origin + (int32_t)ky"),
        ("zero point dropped", " - (int32_t)conv->zero_point * total", " - 0 * total"),
        ("multiplier dropped", "(int32_t)conv->multiplier * sums[o]", "sums[o]"),
        ("zero point counts spikes of all values", "            total += value;", "            total += 1;"),
        ("sums not cleared", "memset(sums, 0, conv->group_outputs * sizeof *sums);", "sums[0] = 0;"),
    ),
    *mutants_of(
        "qps_map.h",
        (
            "padding off by one",
            "(int32_t)(position * stride) - (int32_t)padding;",
            "(int32_t)(position * stride) - (int32_t)padding + 1;",
        ),
        (
            "padding ignored",
            "(int32_t)(position * stride) - (int32_t)padding;",
            "(int32_t)(position * stride) - 0 * (int32_t)padding;",
        ),
        ("stride ignored", "(int32_t)(position * stride)", "(int32_t)(position + 0U * stride)"),
        ("upper border one too far", _TAPS_LAST, _TAPS_LAST.replace(">=", ">")),
        ("first row and column left out", _TAPS_FIRST, _TAPS_FIRST.replace("< 0)", "<= 0)")),
        ("frames ignored", "map->timesteps > 1U ? t : 0U", "map->timesteps > 1U ? 0U * t : 0U"),
        ("width for height", "(frame * map->height + y) * map->width + x", "(frame * map->width + y) * map->width + x"),
        (
            "planes by width",
            "((size_t)c * map->height + y) * map->width + x",
            "((size_t)c * map->width + y) * map->width + x",
        ),
        ("bit of a spike", "[c / 32U] >> (c % 32U)) & 1U)", "[c / 32U] >> (c % 31U)) & 1U)"),
        (
            "bytes unsigned",
            "memcpy(&byte, &bytes[planar], sizeof byte);\n        value = byte;",
            "value = bytes[planar];\n        (void)byte;",
        ),
        (
            "wide counts cut to a byte",
            "value = qps_load_u16(&bytes[2U * interleaved]);",
            "value = bytes[2U * interleaved];",
        ),
        ("wide images cut to a byte", "value = half;", "value = (int8_t)half;"),
        ("stored spike in the wrong word", "words[c / 32U] |= value", "words[0U * c] |= value"),
        ("byte of a count", "bytes[place]++;", "bytes[place] = 1U;"),
    ),
    *mutants_of(
        "qps_types.h",
        (
            "shift of negative values truncates",
            "return value < 0 ? ~(~value >> bits) : value >> bits;\n}\n\n/* The same",
            "return value / (int32_t)(UINT32_C(1) << bits);\n}\n\n/* The same",
        ),
        (
            "wide shift of negative values truncates",
            _WIDE_SHIFT + "return value < 0 ? ~(~value >> bits) : value >> bits;",
            _WIDE_SHIFT + "return value / ((int64_t)1 << bits);",
        ),
        (
            "scaled by one bit less",
            "(int32_t)(UINT32_C(1) << bits);",
            "(int32_t)(UINT32_C(1) << (bits > 0U ? bits - 1U : 0U));",
        ),
    ),
    *mutants_of(
        "qps_pool.c",
        ("pool keeps the last", "spikes |= qps_spikes_at(", "spikes = qps_spikes_at("),
        ("sum is OR", "pooled += value;", "pooled |= value;"),
        ("largest is smallest", "} else if (value > pooled) {", "} else if (value < pooled) {"),
        ("count of the channel before", "for (uint32_t c = 32U * word; left", "for (uint32_t c = 31U * word; left"),
        ("counts not cleared", "        qps_map_clear(&layer->output, output);\n", ""),
        (
            "pool's row by its column",
            "view->rows.origin + (int32_t)(ky * view->layer->window.dilation_height)",
            "view->columns.origin + (int32_t)(ky * view->layer->window.dilation_height)",
        ),
        ("pool of the first timestep", "view.t < layer->output.timesteps; view.t++", "view.t < 1U; view.t++"),
        ("minimum as maximum", "minimum ? pixel[c] < current[c] : pixel[c] > current[c]", "pixel[c] > current[c]"),
        ("minimum's channel", "pool->minimum[c / 8U] >> (c % 8U)", "pool->minimum[c / 8U] >> (7U - c % 8U)"),
        ("border as 0", "            if (first != 0) {\n", "            if (first > 1) {\n"),
        ("average of currents keeps the last", "current[c] += pixel[c];", "current[c] = pixel[c];"),
    ),
    *mutants_of("qps_add.c", ("sum is the left", "y, x, c) + qps_map_value(", "y, x, c) + 0 * qps_map_value(")),
    *mutants_of("qps_current.c", ("current of the first channel", "t, y, x, c);", "t, y, x, 0U * c);")),
    *mutants_of(
        "qps_lookup.c",
        ("table of the first channel", "layer->table[256U * c +", "layer->table[0U * c +"),
        ("table by 255", "layer->table[256U * c +", "layer->table[255U * c +"),
    ),
    *mutants_of(
        "qps_shortcut.c",
        ("stride of the shortcut", "x * layer->stride", "x"),
        ("padding of the shortcut", "c + layer->pad_before", "c"),
        ("shortcut not cleared", "    qps_map_clear(&layer->output, output);\n", ""),
    ),
    *mutants_of(
        "qps_readout.c",
        ("offset dropped", "logits[k] += rescale->offset[k];", "logits[k] += 0 * rescale->offset[k];"),
        (
            "rescale truncates",
            "qps_shift_right_64(product + half, rescale->shift)",
            "qps_shift_right_64(product, rescale->shift)",
        ),
        (
            "one timestep too few",
            "t < layer->timesteps;" + _SUM_STEP,
            "t + 1U < layer->timesteps;" + _SUM_STEP,
        ),
        (
            "potential before the reset",
            "            logits[k] = w;",
            "            logits[k] = w > neuron->threshold[k] ? 0 : w;",
        ),
        ("last spike at the threshold", "if (w > neuron->threshold[k])", "if (w >= neuron->threshold[k])"),
        ("last reset missed", "w = qps_neuron_discharge(neuron, k, w);", "(void)qps_neuron_discharge(neuron, k, w);"),
        (
            "last potential starts at 0",
            "memcpy(logits, neuron->rest, layer->classes * sizeof *logits);",
            "memset(logits, 0, layer->classes * sizeof *logits);",
        ),
        ("last spikes' words", "scratch + words;", "scratch;"),
    ),
)
