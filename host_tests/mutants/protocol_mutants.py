"""Deliberately broken protocol code: each replaces one piece of text of the device's sources in ``firmware/app``.

``old`` must occur exactly once, so that a mutant cannot silently stop being one when the code is rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolMutant:
    """``old`` becomes ``new`` in ``app/<file>``."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, files: Mapping[str, str]) -> dict[str, str]:
        """The device's files with the defect; fails loudly if there is nothing to break."""
        path = f"app/{self.file}"
        found = files[path].count(self.old)
        assert found == 1, f"mutant {self.name}: {path} has its text {found} times"
        assert self.old != self.new
        return {**files, path: files[path].replace(self.old, self.new)}


def _mutants(file: str, *changes: tuple[str, str, str]) -> tuple[ProtocolMutant, ...]:
    return tuple(ProtocolMutant(name=name, file=file, old=old, new=new) for name, old, new in changes)


_WRITE_CHECK = "offset > INPUT_BYTES || count > INPUT_BYTES - offset"

PROTOCOL_MUTANTS: tuple[ProtocolMutant, ...] = (
    *_mutants(
        "qps_frame.c",
        ("decoder's bound off by one", "if (frame->length < QPS_PACKET_MAX)", "if (frame->length <= QPS_PACKET_MAX)"),
        ("length wraps", "if (frame->length <= QPS_PACKET_MAX)", "if (frame->length <= 65535U)"),
        ("longest packet refused", "if (frame->length > QPS_PACKET_MAX)", "if (frame->length >= QPS_PACKET_MAX)"),
        ("CRC not checked", ": QPS_WIRE_BAD_CRC;", ": QPS_WIRE_OK;"),
        (
            "CRC of the body only",
            "qps_crc32(0U, frame->packet, covered)",
            "qps_crc32(0U, frame->packet + 4, covered - 4U)",
        ),
        ("CRC's table", "0x9B64C2B0U", "0x9B64C2B1U"),
        ("one missing byte forgiven", "if (frame->left != 0U)", "if (frame->left > 1U)"),
        ("short packets accepted", "frame->length < QPS_HEADER_BYTES + QPS_CRC_BYTES", "frame->length < QPS_CRC_BYTES"),
        ("last frame's block goes on", "        frame->left = 0U;\n", ""),
        ("last frame's zero goes on", "        frame->zero = false;\n", ""),
        ("last frame's bytes stay", "        frame->length = 0U;\n", ""),
        ("zeros are frames", "        frame->open = false;\n", ""),
        ("zero between blocks lost", "append(frame, 0U);", ";"),
        ("zero behind the last block", "start <= size; start++", "start < size; start++"),
        ("sent without a zero before", "    write(0U);\n    for", "    for"),
        ("sent without a zero behind", "    }\n    write(0U);\n", "    }\n"),
    ),
    *_mutants(
        "qps_listeners.c",
        ("operations of the first stages", "listener->stage - listener->first", "listener->stage"),
        (
            "operations unbounded",
            "if (place < listener->count) {\n        uint8_t *const value = listener->values + 8U",
            "if (place < 2000U) {\n        uint8_t *const value = listener->values + 8U",
        ),
        ("digests of the first layers", "+ t - listener->first;", "+ t;"),
        (
            "digests unbounded",
            "if (place < listener->count) {\n        uint8_t *const value = listener->values + 4U",
            "if (place < 2000U) {\n        uint8_t *const value = listener->values + 4U",
        ),
        ("digests without the place", "crc32_u32(0U, y * qps_trace_table[layer].width + x)", "crc32_u32(0U, 0U)"),
        (
            "digests by height",
            "crc32_u32(0U, y * qps_trace_table[layer].width",
            "crc32_u32(0U, y * qps_trace_table[layer].height",
        ),
        ("digests of the last pixel", "qps_load_u32(value) + crc)", "crc)"),
        ("spikes of another timestep", "layer == listener->layer && t == listener->t", "layer == listener->layer"),
        ("spikes of another layer", "layer == listener->layer && t == listener->t", "t == listener->t"),
        ("spikes unbounded", "if (start + w < listener->count)", "if (start + w < 2000U)"),
    ),
    *_mutants(
        "qps_protocol.c",
        ("WRITE unbounded", _WRITE_CHECK, "offset > UINT32_MAX - 1U && count > 300U"),
        ("WRITE's offset unbounded", _WRITE_CHECK, "count > INPUT_BYTES - offset"),
        ("WRITE's end unbounded", _WRITE_CHECK, "offset > INPUT_BYTES"),
        ("WRITE's end wraps", _WRITE_CHECK, "offset + count > INPUT_BYTES"),
        ("WRITE refuses the last byte", _WRITE_CHECK, "offset > INPUT_BYTES || count >= INPUT_BYTES - offset"),
        ("WRITE copies its offset", "body + 4, count);", "body, count);"),
        ("input not compared", "if (qps_crc32(0U, protocol->input, INPUT_BYTES) != crc)", "if (crc == 1U)"),
        ("input compared in part", "protocol->input, INPUT_BYTES) != crc", "protocol->input, INPUT_BYTES - 1U) != crc"),
        ("values beyond the last", "first < total ? total - first : 0U", "first < total ? total - first : 1U"),
        ("more than fit", "return count < most ? count : most;", "return count;"),
        ("logits of another input", " || protocol->logits_of != qps_load_u32(body)", ""),
        ("logits of no run", "!protocol->has_logits || ", ""),
        ("logits of a failed run", "protocol->has_logits = status == QPS_OK;", "protocol->has_logits = true;"),
        ("logits from the first", "protocol->logits[first + i]", "protocol->logits[i]"),
        (
            "last of equals",
            "protocol->logits[k] > protocol->logits[best]",
            "protocol->logits[k] >= protocol->logits[best]",
        ),
        ("errors of the network ignored", "status == QPS_OK ? QPS_WIRE_OK : QPS_WIRE_MODEL_ERROR", "QPS_WIRE_OK"),
        (
            "ticks of the stage before",
            "protocol->ticks[first + i]",
            "protocol->ticks[first + i - (i > 0U)]",
        ),
        ("ticks not from 0", "    memset(protocol->ticks, 0, sizeof protocol->ticks);\n", ""),
        ("operations not from 0", "qps_store_u32(body + 8U * i + 4U, 0U);", ";"),
        ("digests not from 0", "    memset(body, 0, *size);\n", ""),
        (
            "spikes of any layer",
            "qps_trace_table[known != 0U ? layer : QPS_MODEL_TRACE_LAYERS]",
            "qps_trace_table[layer % 8U]",
        ),
        ("listener stays", "    qps_trace_sink = NULL;\n", ""),
        ("version not checked", "packet[AT_VERSION] != QPS_PROTOCOL_VERSION", "packet[AT_VERSION] == 0U"),
        ("short bodies accepted", "size >= requests[i].least && ", ""),
        ("long bodies accepted", " && size <= requests[i].most", ""),
        ("answers look like faults", "packet[AT_TYPE] < QPS_REQUEST_END", "packet[AT_TYPE] <= QPS_REQUEST_END"),
        ("requests look like answers", "packet[AT_TYPE] < QPS_REQUEST_END", "packet[AT_TYPE] != QPS_REQUEST_END"),
        ("answers look like requests", "packet[AT_TYPE] |= QPS_ANSWER;", ";"),
        ("version of the request", "packet[AT_VERSION] = QPS_PROTOCOL_VERSION;", ";"),
        ("sequence of what is rejected", "packet[AT_SEQUENCE] = 0U;", ";"),
        ("errors with a body", "(status == QPS_WIRE_OK ? size : 0U)", "size"),
        ("nothing counted", "protocol->answered[status]++;", ";"),
        ("runs not counted", "protocol->runs++;", ";"),
        (
            "waiting is a byte",
            "if (byte >= 0) {\n            qps_protocol_receive",
            "if (byte >= -1) {\n            qps_protocol_receive",
        ),
        ("fault reported once", "ended = byte == 0 && open;", "ended = false;"),
        ("fault reported to zeros", "ended = byte == 0 && open;", "ended = byte == 0;"),
        ("fault without its address", "put_u32(at, fault->address);", "put_u32(at, 0U);"),
        ("any fault provoked", "kind >= QPS_PROVOKE_END", "kind > QPS_PROVOKE_END"),
    ),
)
