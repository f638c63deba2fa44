"""What int8 and int4 networks of the same shapes take with CMSIS-NN (commit 99f736a6, -Ofast).

Counted the same way: QEMU 7.2, -icount shift=0, arm-none-eabi-gcc 12.2; every layer exact against a numpy reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.on_cores import BOARDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """One network: instructions by core, those of M7 and M33 the M4's; bytes of the M4's image, RAM with scratch and
    stack."""

    instructions: dict[str, int]
    flash: int
    ram: int


def _other(m4: int, m3: int, m0: int, m55: int, flash: int, ram: int) -> Other:
    # M7 and M33 were within 0.4 % of M4; which way is not known.
    counts = dict.fromkeys(BOARDS, m4) | {"M0": m0, "M3": m3, "M55": m55}
    return Other(instructions=counts, flash=flash, ram=ram)


_FIGURES = {
    ("A", 8): _other(5_027_640, 6_733_320, 15_789_080, 992_688, 44_976, 17_428),
    ("A", 4): _other(8_483_360, 7_145_560, 18_392_520, 1_410_969, 33_104, 17_256),
    ("B", 8): _other(197_640, 348_720, 627_280, 49_938, 107_172, 1_164),
    ("B", 4): _other(502_760, 514_880, 790_160, 41_469, 54_272, 1_176),
    ("C", 8): _other(528_848_520, 806_076_560, 1_928_802_440, 58_960_469, 14_781_488, 150_100),
    ("C", 4): _other(1_077_561_120, 883_407_960, 2_395_587_360, 98_064_188, 7_426_288, 149_928),
    ("D", 8): _other(157_727_520, 237_760_760, 568_401_440, 18_703_656, 4_285_280, 81_284),
    ("D", 4): _other(314_129_680, 260_692_960, 696_530_840, 30_940_844, 2_167_264, 81_112),
    ("E", 8): _other(102_704_120, 153_879_160, 366_733_200, 12_694_688, 1_450_684, 70_820),
    ("E", 4): _other(201_955_920, 167_857_640, 447_914_040, 20_569_500, 745_244, 70_648),
}
"""By the letter of a shape, and bits."""


def cmsis_nn(network: str, bits: int) -> Other:
    """Of the shape of a benchmark network, whose name begins with the shape's letter."""
    return _FIGURES[network[0], bits]
