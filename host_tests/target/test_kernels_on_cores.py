"""The fast kernels on emulated cores: each core has code of its own for them, which the host's tests do not run.

Cortex-M4 and M55 take two neurons at once and widen lanes in one instruction, M0 sums word by word, M3 does neither.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tests.mutants.c_mutants import CMutant
from host_tests.support.builds import emit
from host_tests.support.fast_networks import FAST_NETWORKS, fast_network
from qpsnn_codegen.device.folder import FirmwareFolder
from qpsnn_codegen.device.session import open_target
from qpsnn_codegen.device.verification import DeviceVerdict, verify_device
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.planning.plan import make_plan

DSP, THUMB2, THUMB1, M55 = "mps2-an386", "mps2-an385", "microbit", "mps3-an547"
PLACES = (
    *((name, board) for name in FAST_NETWORKS for board in (DSP, THUMB1, M55)),
    ("additions", THUMB2),
    ("windows", THUMB2),
)


def verdict_of(name: str, board: str, path: Path, mutant: CMutant | None = None) -> DeviceVerdict:
    """The network's folder, with a defect if there is one, verified on an emulated board."""
    case = fast_network(name)
    files = emit(make_plan(case.network, "net"))
    write_folder({**files, **(mutant.apply(files) if mutant else {})}, path / "net", force=False)
    folder = FirmwareFolder.load(path / "net")
    with open_target(folder, board) as session:
        return verify_device(session.device, folder, case.inputs)


@pytest.mark.parametrize(("name", "board"), PLACES)
def test_equal(name: str, board: str, tmp_path: Path) -> None:
    verdict = verdict_of(name, board, tmp_path)
    assert verdict.first is None
    assert (verdict.mismatches, verdict.inputs) == (0, len(fast_network(name).inputs))
    assert verdict.spikes == sum(spikes.size for spikes in fast_network(name).expected.spikes.values())


MUTANTS = {
    "odd bytes of the wrong half": (
        DSP,
        "additions",
        "qps_lanes.h",
        "uxtab16 %0, %1, %2, ror #8",
        "uxtab16 %0, %1, %2",
    ),
    "membranes not halved": (DSP, "both ways", "qps_lif.c", "shadd16 %0, %0, %1", "sadd16 %0, %0, %1"),
    "reset of those that did not spike": (DSP, "both ways", "qps_lif.c", "sel %0, %0, %4", "sel %0, %4, %0"),
    "cost of the lower neuron only": (DSP, "both ways", "qps_lif.c", "cost[0] * 0x20002U", "cost[0] * 2U"),
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
    "words of a row exchanged": (THUMB2, "additions", "qps_lanes.h", "ldrd %0, %1, %2", "ldrd %1, %0, %2"),
    "spikes from the wrong end": (THUMB2, "bytes", "qps_events.c", "rbit %0, %0", "rev %0, %0"),
    "upper product of the lower code": (
        THUMB1,
        "bytes",
        "qps_lanes.h",
        "(codes >> 24) * value",
        "(codes & 0xFFU) * value",
    ),
    "eight silent channels skipped as seven": (THUMB1, "windows", "qps_events.c", "base += 8U;", "base += 7U;"),
}
"""Defects in code that is compiled for one kind of core only: board, network, file, text and what it becomes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_kernel_is_found(name: str, tmp_path: Path) -> None:
    board, tested, file, old, new = MUTANTS[name]
    mutant = CMutant(name=name, file=file, old=old, new=new)
    assert verdict_of(tested, board, tmp_path, mutant).mismatches > 0
