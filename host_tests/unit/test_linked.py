"""How many bytes of kernels a linker's map shows."""

from __future__ import annotations

from benchmarks.linked import kernel_bytes

MAP = """
Discarded input sections

 .text.qps_gone 0x0000000000000000      0x100 build/b/objects/runtime/qps_events.o

Linker script and memory map

 .text.qps_run  0x0000000000000100       0x10 build/b/objects/runtime/qps_events.o
 .text.qps_events_whose_name_is_long
                0x0000000000000110      0x200 build/b/objects/runtime/qps_events.o
 *fill*         0x0000000000000310        0x2
 .rodata.shifts
                0x0000000000000312        0x4 build/b/objects/runtime/qps_lif.o
 .text.net_run  0x0000000000000316       0x40 build/b/objects/net.o
 .rodata.layer  0x0000000000000356     0x1000 build/b/objects/net.o
 .text.other    0x0000000000001356     0x1000 build/b/objects/app/subnet.o
 .text.memcpy   0x0000000000002356     0x1000 /usr/lib/libc.a(memcpy.o)
 .bss.buffer    0x0000000020000000     0x1000 build/b/objects/runtime/qps_trace.o
 .debug_info    0x0000000000000000     0x1000 build/b/objects/runtime/qps_events.o
"""


def test_what_is_kept_of_the_runtime_and_the_functions_of_the_network_count() -> None:
    assert kernel_bytes(MAP, "net") == 0x10 + 0x200 + 0x4 + 0x40
