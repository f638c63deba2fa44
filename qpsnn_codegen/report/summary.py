"""The report of a compilation as plain data: one row per stage, then totals."""

from __future__ import annotations

from typing import Any

from qpsnn_codegen.calibration import Activity
from qpsnn_codegen.emit.c_literals import comment_text
from qpsnn_codegen.emit.earlier import GENERATOR
from qpsnn_codegen.planning.plan import Plan
from qpsnn_codegen.report.instructions import Cost, spike_source, stage_costs, total_cost
from qpsnn_codegen.version import __version__

REPORT_VERSION = 1


def summarize(plan: Plan, activity: Activity | None, options: str) -> dict[str, Any]:
    """What ``report.json`` holds; key by key described in docs/c_api.md.

    ``boards`` and ``targets`` are empty: :func:`~qpsnn_codegen.report.boards.boards_report` fills them.
    """
    network = plan.network
    types = network.types()
    trace = []
    trace_words = 0
    for node in network.spiking():
        channels, height, width = types[node.name].shape
        rate = None if activity is None else activity.rates[node.name]
        trace.append({"name": node.name, "shape": [channels, height, width], "rate": rate})
        trace_words += network.timesteps * -(-channels // 32) * height * width
    costs = stage_costs(plan, activity)
    rows = [_row(plan, index, activity, cost) for index, cost in enumerate(costs)]
    return {
        "generator": GENERATOR,
        "version": REPORT_VERSION,
        "tool_version": __version__,
        "name": plan.name,
        "model_sha256": network.digest,
        "options": options,
        "planning": plan.options.report(),
        "timesteps": network.timesteps,
        "class_names": list(network.class_names),
        "logit_scale": network.logit_scale,
        "input": {
            "shape": list(plan.input_layout.shape),
            "frames": plan.input_layout.frames,
            "format": plan.input_layout.format,
            "bytes": plan.input_layout.size,
        },
        "layers": rows,
        "trace": trace,
        "trace_words": trace_words,
        "weight_bytes": plan.weight_bytes,
        "constant_bytes": plan.constant_bytes,
        "arena_bytes": plan.arena_bytes,
        "arena_bound": plan.arena_bound,
        "dense_slots": sum(stage.dense_slots for stage in plan.stages if not stage.static),
        "operations": None if activity is None else sum(row["operations"] for row in rows if not row["static"]),
        "image_macs": sum(stage.dense_slots for stage in plan.stages if stage.static),
        "instructions": total_cost(costs),
        "spikes": spike_source(activity),
        "calibration_samples": 0 if activity is None else activity.samples,
        "boards": [],
        "targets": [],
        "certified": all(certificate.status == "certified" for certificate in network.certificates),
    }


def _row(plan: Plan, index: int, activity: Activity | None, cost: Cost) -> dict[str, Any]:
    stage = plan.stages[index]
    nodes = {node.name: node for node in plan.network.nodes}
    certificates = {certificate.layer: certificate for certificate in plan.network.certificates}
    shape = plan.network.types()[stage.node].shape
    synapses = next((s for part in stage.parts if (s := nodes[part].synapses()) is not None), None)
    # A pool may have been fused with the neurons it follows; what is proven is proven of those.
    spiking = next((part for part in stage.parts if part in certificates), stage.node)
    certificate = certificates.get(spiking)
    verdict = nodes[stage.node].verdict if certificate is None else str(certificate)
    if nodes[spiking].note:
        verdict += f"; {nodes[spiking].note}"
    if activity is not None and spiking in activity.changed:
        verdict += "; {} of {} calibration spikes differ".format(*activity.changed[spiking])
    if activity is not None and activity.logit_error is not None and nodes[stage.node].kind == "readout":
        verdict += f"; logits within {activity.logit_error:.2g} of the real ones, "
        verdict += f"{activity.samples - activity.decided} of {activity.samples} predictions differ"
    operations = None if activity is None else sum(activity.operations.get(part, 0.0) for part in stage.parts)
    name = " + ".join(stage.parts)
    size = "x".join(map(str, shape))
    bits = synapses.bits if synapses else 0
    output = next((buffer.size for buffer in plan.buffers if buffer.name == stage.node), 0)
    return {
        "name": comment_text(name),
        "shape": size,
        "bits": bits,
        "kernel": stage.kernel.name,
        "turns": next(group.first for group in plan.groups if index in group.stages),
        "weight_bytes": stage.weight_bytes,
        "constant_bytes": stage.constant_bytes,
        "arena_bytes": output + stage.scratch_bytes,
        "dense_slots": stage.dense_slots,
        "operations": operations,
        "static": stage.static,
        "instructions": cost,
        "certificate": verdict,
        "text": f"{comment_text(name)}, {size}, {bits or '-'}, {verdict}",
    }
