"""The fast kernels on emulated cores: each core has code of its own for them, which the host's tests do not run.

Cortex-M4 takes two neurons at once and widens lanes in one instruction, M55 has vectors, M0 has registers for less, M3
does none of that.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from host_tests.mutants.c_mutants import CMutant
from host_tests.support.builds import emit
from host_tests.support.fast_networks import FAST_NETWORKS, fast_network
from qpsnn_codegen.boards import find_board
from qpsnn_codegen.device.client import COMPUTE_S, Device
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.link import Link
from qpsnn_codegen.device.verification import DeviceVerdict, verify_device
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.toolchain.emulator import emulate
from qpsnn_codegen.toolchain.make import run_make

DSP, THUMB2, THUMB1, M55 = "mps2-an386", "mps2-an385", "microbit", "mps3-an547"
M7, M33 = "mps2-an500", "mps2-an505"
"""They run the code of the Cortex-M4, compiled for another pipeline."""
PATIENCE_S = 20.0
"""An emulated board has to start first, and the machine may be busy."""

PLACES = (
    *((name, board) for name in FAST_NETWORKS for board in (DSP, THUMB1, M55)),
    ("additions", THUMB2),
    ("rests", THUMB2),
    ("words", THUMB2),
    ("columns", THUMB2),
    ("windows", THUMB2),
    ("many bytes", THUMB2),
    ("many packed codes", THUMB2),
    ("square windows", THUMB2),
    ("bytes of few bits", THUMB2),
    ("square windows", M7),
    ("square windows", M33),
)


@cache
def built(name: str, board: str) -> tempfile.TemporaryDirectory[str]:
    """The network's folder, built in place with the port in it: a copy of it compiles what has changed, and no more."""
    place = tempfile.TemporaryDirectory(prefix="qpsnn-kernels-")
    files = emit(make_plan(fast_network(name).network, "net"))
    write_folder({**files, **port_files([find_board(board)])}, Path(place.name) / "net", force=False)
    _make(Path(place.name) / "net", board)
    return place


def verdict_of(name: str, board: str, path: Path, mutant: CMutant | None = None) -> DeviceVerdict:
    """The network's folder, with a defect if there is one, verified on an emulated board."""
    case, place = fast_network(name), Path(built(name, board).name) / "net"
    if mutant:
        whole = {file.relative_to(place).as_posix(): file.read_text() for file in place.glob("runtime/*")}
        place = Path(shutil.copytree(place, path / "net"))
        broken = f"runtime/{mutant.file}"
        (place / broken).write_text(mutant.apply(whole)[broken])
        _make(place, board)
    folder, target = FirmwareFolder.load(place), find_board(board)
    with (
        emulate(target, place / "build" / board / "net.elf") as url,
        Link.open(url, baud=target.serial.baud) as link,
    ):
        device = Device(link, compute=COMPUTE_S, patience=PATIENCE_S, start=PATIENCE_S)
        return verify_device(device, folder, case.inputs)


def _make(folder: Path, board: str) -> None:
    run_make(folder, board, ports=Path("ports"), build=Path("build"), trace=True, checks=False, stack_size="")


@pytest.mark.parametrize(("name", "board"), PLACES)
def test_equal(name: str, board: str, tmp_path: Path) -> None:
    verdict = verdict_of(name, board, tmp_path)
    assert verdict.first is None
    assert (verdict.mismatches, verdict.inputs) == (0, len(fast_network(name).inputs))
    assert verdict.spikes == sum(spikes.size for spikes in fast_network(name).expected.spikes.values())


_MOST_ROUNDS = r'''"cmp r4, #21\n\t"
          "it hi\n\t"
          "movhi r4, #21\n\t"'''

MUTANTS = {
    "odd bytes of the wrong half": (
        DSP,
        "additions",
        "qps_lanes.h",
        "uxtab16 %0, %1, %2, ror #8",
        "uxtab16 %0, %1, %2",
    ),
    "membranes not halved": (DSP, "both ways", "qps_lif.c", "uhadd16 %[w], %[", "uadd16 %[w], %["),
    "reset of those that did not spike": (
        *(DSP, "both ways", "qps_lif.c"),
        *("sel %[w], %[w], %[rest]", "sel %[w], %[rest], %[w]"),
    ),
    "cost of the lower neuron only": (
        *(DSP, "both ways", "qps_lif.c"),
        *("group->cost[0]) * 0x20002U", "group->cost[0]) * 2U"),
    ),
    "16 bits for too many events": (
        DSP,
        "both ways",
        "qps_lif.c",
        "most < lif->packed_limit",
        "lif->packed_limit > 1U",
    ),
    "16 bits for one event too many": (
        *(DSP, "both ways", "qps_lif.c"),
        *("most < lif->packed_limit", "most < lif->packed_limit + 2U"),
    ),
    "more events than lanes hold": (
        *(DSP, "additions", "qps_thumb2.h"),
        *('events ", #2 * " rows', 'events ", #2 + 2 * " rows'),
    ),
    "last rows with the sums of those before": (DSP, "additions", "qps_crumbs.c", '"mov r12, r6', '"mov r12, r12'),
    "next block's sums in this one's group": (DSP, "additions", "qps_thumb2.h", '"adds r1, #192', '"adds r1, #0'),
    "next chunk's sums behind those of the last block": (
        *(DSP, "additions", "qps_thumb2.h"),
        *('"ldr r0, [r4, #12]', '"ldr r0, " QPS_AT_SUMS "'),
    ),
    "next chunk in the last block only": (
        *(DSP, "additions", "qps_thumb2.h"),
        *('"ldr r0, [r4, #20]', '"movs r0, #1'),
    ),
    "second group of 8 bits in the first": (DSP, "additions", "qps_blocks.c", '"eor r4, r4, #192', '"eor r4, r4, #0'),
    "no chunk is added": (DSP, "additions", "qps_thumb2.h", '"ldm r1, {r4-r7}', '"mov r4, #0'),
    "no chunk of a half is added": (DSP, "additions", "qps_thumb2.h", '"ldm r1, {r4, r5}', '"mov r4, #0'),
    "no chunk of a word is added": (DSP, "additions", "qps_blocks.c", '"ldr r4, [r1]', '"mov r4, #0'),
    "words of a half exchanged": (DSP, "columns", "qps_blocks.c", '"ldm r4, {r4, r5}', '"ldrd r5, r4, [r4]'),
    "half a word of 4 bits": (DSP, "additions", "qps_blocks.c", '"ldr r4, [r0, r4]', '"ldrh r4, [r0, r4]'),
    "half a word of 2 bits": (
        *(DSP, "columns", "qps_crumbs.c"),
        *('QPS_ADD_CRUMBS_OF_ONE("ldr", "2"', 'QPS_ADD_CRUMBS_OF_ONE("ldrh", "2"'),
    ),
    "half a word of 2 bits in a short list": (
        *(DSP, "columns", "qps_crumbs.c"),
        *('QPS_NEXT_CRUMB("ldr", "2", "r2"', 'QPS_NEXT_CRUMB("ldrh", "2", "r2"'),
    ),
    "one row more than lanes of 4 bits have room for": (
        *(DSP, "additions", "qps_crumbs.c"),
        *('"cmp r4, #10', '"cmp r4, #12'),
    ),
    "sums of short lists in another order": (
        *(DSP, "additions", "qps_crumbs.c"),
        *('QPS_PICK_FOUR("8")', 'QPS_PICK_FOUR("4")'),
    ),
    "odd codes of half a word over the even ones": (
        *(DSP, "rests", "qps_crumbs.c"),
        *('" odd ", lsl #16', '" odd ", lsl #12'),
    ),
    "last spikes too low": (DSP, "both ways", "qps_lif.c", "0x10001U << low", "0x10001U << (low / 2U)"),
    "last neurons' spikes too high": (
        *(THUMB2, "additions", "qps_lif.c"),
        *("(2U * QPS_PAIRS - group->pairs)", "(2U * QPS_PAIRS - group->pairs + 1U)"),
    ),
    "spikes of another neuron": (
        *(THUMB2, "additions", "qps_lif.c"),
        *("word0 >>= QPS_PAIRS;", "word0 >>= QPS_PAIRS - 1U;"),
    ),
    "no reset": (THUMB2, "additions", "qps_lif.c", '"mov %[w], %[rest]', '"mov %[w], %[w]'),
    "sums of the second step at the third": (
        *(THUMB2, "additions", "qps_lif.c"),
        *('QPS_LIF_ONE("w", "2", "128")', 'QPS_LIF_ONE("w", "2", "64")'),
    ),
    "odd bytes left in the even ones of a word": (
        *(THUMB2, "additions", "qps_thumb2.h"),
        *('" all ", " odd ", lsl #8', '" all ", " odd ", lsl #7'),
    ),
    "half of the upper product": (THUMB2, "bytes", "qps_image.c", '" high ", lsl #8', '" high ", lsl #7'),
    "spikes of the next channel": (THUMB2, "bytes", "qps_gather.c", "subs r6, #1\\n", "subs r6, #2\\n"),
    "weights of the same tap of a single word": (
        *(THUMB2, "windows", "qps_gather.c"),
        *("ldr r11, [r0, #20]", "ldr r11, [r0, #32]"),
    ),
    "end of a word among its middle": (
        *(THUMB2, "many bytes", "qps_image_bytes.c"),
        *("mov r7, #0xFF\\n", "mov r7, #0x7F\\n"),
    ),
    "middle of a word left in its ends": (
        *(THUMB2, "many bytes", "qps_image_bytes.c"),
        *("- ((uint64_t)c << 16)", "- ((uint64_t)c << 15)"),
    ),
    "chunks of a word not added up": (THUMB2, "many bytes", "qps_image_bytes.c", "sums[2] += c;", "sums[2] = c;"),
    "third code of a word as the fourth": (
        *(THUMB1, "many bytes", "qps_image_bytes.c"),
        *('"lsrs r4, r7, #16', '"lsrs r4, r7, #17'),
    ),
    "upper code by one bit less": (THUMB1, "bytes", "qps_image.c", '"lsrs r7, r7, #24', '"lsrs r7, r7, #25'),
    "one row more than lanes have room for": (
        *(THUMB1, "additions", "qps_narrow.h"),
        *('"adds r7, #2 * " rows', '"adds r7, #2 + 2 * " rows'),
    ),
    "one of the last rows left out": (
        *(THUMB1, "additions", "qps_crumbs_narrow.c"),
        *('QPS_CLEAR_CRUMBS, "8", "13"', 'QPS_CLEAR_CRUMBS, "8", "26"'),
    ),
    "one of a word's last rows left out": (
        *(THUMB1, "columns", "qps_crumbs_narrow.c"),
        *('QPS_CLEAR_CRUMB, "4", "7"', 'QPS_CLEAR_CRUMB, "4", "14"'),
    ),
    "one byte of two": (THUMB1, "rests", "qps_crumbs_narrow.c", '"ldrh r2, [r0, r3]', '"ldrb r2, [r0, r3]'),
    "one row more than lanes of 4 bits have room for, in Thumb": (
        *(THUMB1, "additions", "qps_crumbs_narrow.c"),
        *('"cmp r4, #10', '"cmp r4, #12'),
    ),
    "sums of short lists in another order, in Thumb": (
        *(THUMB1, "additions", "qps_crumbs_narrow.c"),
        *('QPS_PICK_FOUR("8")', 'QPS_PICK_FOUR("4")'),
    ),
    "odd codes of half a word over the even ones, in Thumb": (
        *(THUMB1, "rests", "qps_crumbs_narrow.c"),
        *('"lsls r7, r7, #16', '"lsls r7, r7, #12'),
    ),
    "next chunk's sums behind those of the last block, in Thumb": (
        *(THUMB1, "additions", "qps_narrow.h"),
        *('"ldr r2, [r3, #12]', '"ldr r2, " QPS_AT_SUMS "'),
    ),
    "next chunk in the last block only, in Thumb": (
        *(THUMB1, "additions", "qps_narrow.h"),
        *('"ldr r2, [r3, #20]', '"movs r2, #1'),
    ),
    "rows of a half twice as long": (
        *(THUMB1, "columns", "qps_blocks_narrow.c"),
        *('"lsls r6, r6, #3', '"lsls r6, r6, #4'),
    ),
    "first word of a half twice": (
        *(THUMB1, "additions", "qps_narrow.h"),
        *('"adds r5, r7\\n', '"movs r5, r7\\n'),
    ),
    "sums of a part never begin": (
        *(THUMB1, "additions", "qps_narrow.h"),
        *('"cmp r4, #0', '"cmp r4, r4'),
    ),
    "first of two rows twice": (THUMB1, "additions", "qps_blocks_narrow.c", '"ldrh r6, [r1, #2]', '"ldrh r6, [r1, #0]'),
    "sums of a block never begin": (THUMB1, "additions", "qps_narrow.h", '"cmp r3, #0', '"cmp r3, r3'),
    "second group of bytes in the first": (
        *(THUMB1, "additions", "qps_blocks_narrow.c"),
        *('"movs r5, #192', '"movs r5, #0'),
    ),
    "upper sums for the lower neurons": (
        THUMB1,
        "both ways",
        "qps_lif_narrow.c",
        '"ldrh r3, [r1]',
        '"ldrh r3, [r1, #2]',
    ),
    "costs of the step before": (
        THUMB1,
        "both ways",
        "qps_lif_narrow.c",
        '"ldr r3, [r0, #24 + 4',
        '"ldr r3, [r0, #20 + 4',
    ),
    "constants of 32 bits as of 16": (THUMB1, "both ways", "qps_lif_narrow.c", '"adds r3, #16', '"adds r3, #8'),
    "spikes of all neurons as the first's": (THUMB1, "both ways", "qps_lif_narrow.c", '"add r10, r10', '"nop'),
    "eight silent channels skipped as seven": (THUMB1, "windows", "qps_gather.c", "base += 8U;", "base += 7U;"),
    "a sum not cleared": (THUMB1, "additions", "qps_thumb.h", '"mov lr, r2', '"mov lr, lr'),
    "upper codes of a chunk's first row halved": (
        *(M55, "additions", "qps_blocks_helium.c"),
        *("vshr.u8 q1, q0, #4", "vshr.u8 q1, q0, #5"),
    ),
    "odd sums halved": (
        *(M55, "additions", "qps_blocks_helium.c"),
        *('"vshr.u16 " lanes ", " lanes ", #8', '"vshr.u16 " lanes ", " lanes ", #7'),
    ),
    "odd sums left in the even ones": (M55, "additions", "qps_blocks_helium.c", "mvn lr, #255", "mvn lr, #127"),
    "second half of a group over the first": (
        *(M55, "additions", "qps_blocks_helium.c"),
        *('"rsb r10, r10, #" QPS_GROUP_BYTES', '"add r10, r10, #0"'),
    ),
    "the same block again": (M55, "additions", "qps_blocks_helium.c", '"add r0, r8', '"add r0, #0'),
    "more rows than lanes have room for": (
        *(M55, "rests", "qps_blocks_helium.c"),
        *('"movhi r5, #21', '"movhi r5, #22'),
    ),
    "more rows at first than lanes have room for": (
        *(M55, "rests", "qps_blocks_helium.c"),
        *('"cmp r2, #20', '"cmp r2, #21'),
    ),
    "last of three blocks left out": (M55, "last bytes", "qps_blocks_helium.c", '"beq 10b', '"nop'),
    "the same two rows twice": (
        *(M55, "rests", "qps_blocks_helium.c"),
        *('"vldrd.u64 q5, [r0, q6, uxtw #3]', '"vldrd.u64 q5, [r0, q4, uxtw #3]'),
    ),
    "bytes of a half in their order": (
        *(M55, "columns", "qps_blocks_helium.c"),
        *('".byte 0, 2, 4, 6, 1, 3, 5, 7"', '".byte 0, 1, 2, 3, 4, 5, 6, 7"'),
    ),
    "upper codes of a half left in the lower ones": (
        *(M55, "columns", "qps_blocks_helium.c"),
        *("mvn r4, #15", "mvn r4, #31"),
    ),
    "the same block twice": (M55, "additions", "qps_blocks_helium.c", "vmov.32 q4[2], r8", "vmov.32 q4[0], r8"),
    "more rows of two blocks than lanes have room for": (
        *(M55, "additions", "qps_blocks_helium.c"),
        *(_MOST_ROUNDS, _MOST_ROUNDS.replace("21", "22")),
    ),
    "odd bytes left in the even ones": (M55, "additions", "qps_blocks_helium.c", "mvn r4, #255", "mvn r4, #127"),
    "upper codes left in the lower ones": (M55, "additions", "qps_blocks_helium.c", "mvn lr, #15", "mvn lr, #31"),
    "third byte in the second's place": (M55, "rests", "qps_words_helium.c", '", q4, #16', '", q4, #8'),
    "second of two bytes twice": (
        *(M55, "rests", "qps_words_helium.c"),
        *('" first ", " lanes ", q4', '" first ", " lanes ", q5'),
    ),
    "more words of 4 bits than lanes have room for": (
        *(M55, "words", "qps_words_helium.c"),
        *('QPS_NIBBLES_ROOM "68"', 'QPS_NIBBLES_ROOM "76"'),
    ),
    "more words of 2 bits than lanes have room for": (
        *(M55, "columns", "qps_words_helium.c"),
        *('QPS_CRUMBS_ROOM "336"', 'QPS_CRUMBS_ROOM "400"'),
    ),
    "only the last part of a list of words": (
        *(M55, "columns", "qps_words_helium.c"),
        *('"add r7, " sum', '"mov r7, " sum'),
    ),
    "upper codes of a pair halved": (
        M55,
        "bytes under large windows",
        "qps_image_helium.c",
        "vshr.u32 q2, q2, #24",
        "vshr.u32 q2, q2, #25",
    ),
    "quiet of the first channels": (M55, "bytes", "qps_image_block_helium.h", "(layer->quiet + c)", "(layer->quiet)"),
    "quiet neurons with a threshold": (
        M55,
        "bytes",
        "qps_image_block_helium.h",
        "vdupq_n_s32(INT32_MAX)",
        "vdupq_n_s32(0)",
    ),
    "rests of a first layer's thresholds": (
        M55,
        "bytes",
        "qps_image_block_helium.h",
        "(neurons + 1, places",
        "(neurons, places",
    ),
    "third four of sixteen channels": (
        *(M55, "many bytes", "qps_image_bytes_helium.c"),
        *('QPS_ADD_CODES("8", "q6"', 'QPS_ADD_CODES("4", "q6"'),
    ),
    "eight channels left over": (
        *(M55, "many bytes", "qps_image_bytes_helium.c"),
        *("if (left > 0U)", "if (left > 2U * QPS_LANES)"),
    ),
    "halves of signed numbers": (M55, "both ways", "qps_lif_helium.c", "vhadd.u16", "vhadd.s16"),
    "eight neurons, second step as the first": (
        *(M55, "both ways", "qps_lif_helium.c"),
        *("fired], #0x2000", "fired], #0x1000"),
    ),
    "four neurons, second step as the first": (
        *(M55, "both ways", "qps_lif_helium.c"),
        *('i32 %q[fired], #0x8000")', 'i32 %q[fired], #0x4000")'),
    ),
    "lanes that count twice": (
        *(M55, "bytes", "qps_image_dense_helium.c"),
        *("tap >= QPS_DENSE_LANES * g ?", "tap < QPS_DENSE_TAPS ?"),
    ),
    "pixels beyond the right border": (
        *(M55, "bytes", "qps_image_dense_helium.c"),
        *("(columns->last - columns->first)", "(columns->last - columns->first + 1U)"),
    ),
    "windows at the upper border as inside": (
        *(M55, "bytes", "qps_image_dense_helium.c"),
        *("rows->last - rows->first == dense->height && ", ""),
    ),
    "rounds of eight that are missing": (
        *(M55, "both ways", "qps_lif_helium.c"),
        *("4 * (int32_t)rounds - (int32_t)QPS_PAIRS", "4 * (int32_t)rounds - (int32_t)QPS_PAIRS + 1"),
    ),
    "rounds of four that are missing": (
        *(M55, "both ways", "qps_lif_helium.c"),
        *("2 * (int32_t)rounds - (int32_t)QPS_PAIRS", "2 * (int32_t)rounds - (int32_t)QPS_PAIRS + 1"),
    ),
    "thresholds as rests": (M55, "both ways", "qps_lif_helium.c", "{0, 1, 4, 5}", "{0, 1, 2, 3}"),
    "upper half of the pair below": (M55, "both ways", "qps_lif_helium.c", "1, QPS_PAIRS + 1};", "1, QPS_PAIRS};"),
}
"""Defects in code that is compiled for one kind of core only: board, network, file, text and what it becomes."""

CORE_FILES = {mutant[2] for mutant in MUTANTS.values()}
"""The files that have such defects."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_kernel_is_found(name: str, tmp_path: Path) -> None:
    board, tested, file, old, new = MUTANTS[name]
    mutant = CMutant(name=name, file=file, old=old, new=new)
    assert verdict_of(tested, board, tmp_path, mutant).mismatches > 0
