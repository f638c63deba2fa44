"""Plans whose buffers lie apart, and a host program that notices every access between them."""

from __future__ import annotations

from dataclasses import replace

from qpsnn_codegen.planning.memory import Buffer, arena_size
from qpsnn_codegen.planning.plan import Plan

GUARDED_MAIN = "guarded_main.c"
"""What to call the file of :func:`guarded_main`."""
RED_ZONE = 64


def spread(plan: Plan) -> Plan:
    """The plan with every buffer on its own, a red zone behind each; those that take another's place still do."""
    buffers: list[Buffer] = []
    offset = RED_ZONE
    for buffer in plan.buffers:
        if buffer.over:
            place = next(other.offset for other in buffers if other.name == buffer.over)
            buffers.append(replace(buffer, offset=place))
        else:
            buffers.append(replace(buffer, offset=offset))
            offset += -(-buffer.size // RED_ZONE) * RED_ZONE + RED_ZONE
    return replace(plan, buffers=tuple(buffers), arena_bytes=arena_size(buffers) + 2 * RED_ZONE)


def guarded_main(plan: Plan) -> str:
    """The shipped host application, with everything in the arena poisoned that is no buffer's."""
    buffers = [buffer for buffer in plan.buffers if not buffer.over]
    ends = [0, *(buffer.offset + buffer.size for buffer in buffers)]
    starts = [*(buffer.offset for buffer in buffers), plan.arena_bytes]
    poison = "".join(
        f"    ASAN_POISON_MEMORY_REGION((char *)net->arena + {end}, {start - end});\n"
        for end, start in zip(ends, starts, strict=True)
    )
    return (
        "#include <sanitizer/asan_interface.h>\n"
        '#include "app/model.h"\n'
        "#undef qps_model_init\n"
        "static void qps_model_init(qps_model_t *net)\n"
        f"{{\n    {plan.name}_init(net);\n{poison}}}\n"
        '#include "app/host_main.c"\n'
    )
