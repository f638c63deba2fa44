"""The ports themselves, without any network: every board links, and the emulated ones keep what qps_port.h promises."""

from __future__ import annotations

import random
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial

from qpsnn_codegen.boards import Board, all_boards, find_board, ports_dir
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.toolchain.elf import Elf
from qpsnn_codegen.toolchain.emulator import emulate
from qpsnn_codegen.toolchain.host import WARNINGS

PROBE = Path(__file__).with_name("probe.c")
BOARDS = [board.name for board in all_boards()]
EMULATED = [board.name for board in all_boards() if board.emulator is not None]
STACK, BUS, USAGE, ASSERT, INTERRUPT, UNKNOWN = 1, 2, 3, 4, 5, 0
NOBODY = 0xD0000000
"""An address that no memory answers."""
NOBODY_ON = {"mps3-an547": 0x1FFFFFF0}
FOREVER = 0xFFFFFFFF
REPEATS = 8
BOOT2_BYTES = 256


def compile_probe(board: Board, folder: Path, core: str | None = None, optimize: str = "-O2") -> Path:
    """Build probe.c for a board, with every warning an error; ``core`` instead of the board's own."""
    files = port_files([board])
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else content.decode())
    ports = folder / "ports"
    flags = [f"-mcpu={core or board.core}", "-mthumb", f"-mfloat-abi={board.float_abi}", optimize, "-g", "-std=c11"]
    defines = [f"-DQPS_SERIAL_BAUD={board.serial.baud}", f"-DQPS_COUNTER_HZ={board.counter.hz}"]
    sources = [*sorted(ports.glob("common/*.c")), *sorted(ports.glob(f"{board.name}/*.c")), PROBE]
    scripts = ["-T", str(ports / board.name / "memory.ld"), "-T", str(ports / "common" / "sections.ld")]
    elf = folder / "probe.elf"
    command = ["arm-none-eabi-gcc", *flags, *WARNINGS, *defines, f"-I{ports}/common", *map(str, sources)]
    link = ["-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings", *scripts, "-o", str(elf)]
    result = subprocess.run([*command, *link], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return elf


class Probe:
    """A running probe."""

    def __init__(self, port: serial.SerialBase) -> None:
        self._port = port
        self._port.timeout = 0.1
        # Some UARTs drop what arrives before the program has switched them on.
        deadline = time.monotonic() + 10
        while True:
            self.send(b"?")
            if self._port.read(1) == b"?":
                break
            assert time.monotonic() < deadline, "does not answer"
        while self._port.read(1):
            pass
        self._port.timeout = 20

    def send(self, request: bytes, *words: int) -> None:
        self._port.write(request + struct.pack(f"<{len(words)}I", *words))

    def bytes(self, count: int) -> bytes:
        data = self._port.read(count)
        assert len(data) == count, f"only {data!r} came back"
        return data

    def words(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self.bytes(4 * count))

    def ticks(self, loops: int) -> int:
        """Ticks that a loop of 2 * loops instructions takes."""
        self.send(b"c", loops)
        return self.words(1)[0]


@dataclass(frozen=True)
class Fault:
    kind: int
    pc: int
    lr: int
    sp: int
    status: int
    address: int


@contextmanager
def running(board: Board, elf: Path) -> Iterator[Probe]:
    with emulate(board, elf) as url, serial.serial_for_url(url) as port:
        yield Probe(port)


@dataclass(frozen=True)
class Built:
    board: Board
    elf: Path
    core: str

    @property
    def mainline(self) -> bool:
        """Whether the core says what kind of fault it was."""
        return self.core not in ("cortex-m0", "cortex-m0plus")

    def fault(self, request: bytes, *words: int, before: bytes = b"") -> Fault:
        """What a fresh start reports about a request that ends in a fault."""
        with running(self.board, self.elf) as probe:
            if before:
                probe.send(before)
                assert probe.bytes(len(before)) == before
            probe.send(request, *words)
            return Fault(*probe.words(6))

    def function_at(self, address: int) -> str:
        """The function an address lies in."""
        functions = Elf(self.elf).functions.values()
        return next((item.name for item in functions if item.address <= address < item.address + item.size), "")


@pytest.fixture(scope="session", params=[*EMULATED, "mps2-an385:cortex-m0"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The probe for every emulated board; and Cortex-M0 code on a Cortex-M3, which other tests use as a third M0."""
    name, _, core = request.param.partition(":")
    board = find_board(name)
    elf = compile_probe(board, tmp_path_factory.mktemp("probe"), core or None)
    return Built(board, elf, core or board.core)


# ------------------------------------------------------------------------------------------- every board


@pytest.mark.parametrize("optimize", ["-O2", "-Os", "-O0"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_links_with_its_vectors_first(name: str, optimize: str, tmp_path: Path) -> None:
    board = find_board(name)
    elf = Elf(compile_probe(board, tmp_path, optimize=optimize))
    vectors = next(section for section in elf.sections if section.name == ".vectors")
    boot = BOOT2_BYTES if name == "rpi_pico" else 0
    assert vectors.address == board.flash.origin + boot
    image = section_bytes(elf.path, ".vectors")
    stack_top, reset = struct.unpack_from("<2I", image)
    assert stack_top == elf.value("__stack_top")
    assert reset == elf.functions["qps_reset"].address | 1
    assert elf.value("__stack_limit") == board.ram.origin
    assert {word & 1 for (word,) in struct.iter_unpack("<I", image[4:])} == {1}, "a vector is no Thumb address"


@pytest.mark.parametrize("name", BOARDS)
def test_ports_compile_without_warnings_with_clang(name: str) -> None:
    board = find_board(name)
    defines = [f"-DQPS_SERIAL_BAUD={board.serial.baud}", f"-DQPS_COUNTER_HZ={board.counter.hz}"]
    target = ["--target=arm-none-eabi", f"-mcpu={board.core}", f"-mfloat-abi={board.float_abi}", "-ffreestanding"]
    sources = [*ports_dir().glob("common/*.c"), *ports_dir().glob(f"{name}/*.c")]
    command = ["clang", *target, "-std=c11", "-O2", "-fsyntax-only", *WARNINGS, *defines, f"-I{ports_dir()}/common"]
    result = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_table_of_boards_is_current(checkout: Path) -> None:
    page = (checkout / "docs" / "adding_a_board.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and "qps_" not in line]
    assert rows == [table_row(board) for board in all_boards()]


def table_row(board: Board) -> str:
    per_tick = board.counter.instructions_per_tick
    external = f" + {memory_size(board.external.size)} for weights" if board.external else ""
    cells = [
        f"`{board.name}`",
        board.core.replace("cortex-m", "M").replace("plus", "+"),
        memory_size(board.flash.size) + external,
        memory_size(board.ram.size),
        board.serial.description,
        f"{board.counter.description}, {board.counter.hz:,}",
        "" if per_tick is None else f"{per_tick:.5g}",
    ]
    return f"| {' | '.join(cells)} |"


def memory_size(size: int) -> str:
    return f"{size // 2**20} MB" if size >= 2**20 else f"{size // 2**10} KB"


def section_bytes(elf: Path, name: str) -> bytes:
    raw = elf.with_suffix(name + ".bin")
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "-j", name, str(elf), str(raw)], check=True)
    return raw.read_bytes()


# ---------------------------------------------------------------------------------- second-stage boot code


def rom_checksum(data: bytes) -> int:
    """CRC-32/MPEG-2, as the RP2040's ROM computes it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def test_the_checksum_is_the_roms() -> None:
    assert rom_checksum(b"123456789") == 0x0376E6E7  # the check value in the catalogue of CRCs


def test_boot2_is_what_its_source_assembles_to(tmp_path: Path) -> None:
    code = tmp_path / "boot2.o"
    subprocess.run(["arm-none-eabi-as", str(ports_dir() / "rpi_pico" / "boot2.s"), "-o", str(code)], check=True)
    expected = section_bytes(code, ".text").ljust(BOOT2_BYTES - 4, b"\0")
    elf = compile_probe(find_board("rpi_pico"), tmp_path)
    shipped = section_bytes(elf, ".boot2")
    values = ", ".join(
        f"0x{byte:02X}" for byte in [*expected.rstrip(b"\0"), *rom_checksum(expected).to_bytes(4, "little")]
    )
    assert shipped == expected + rom_checksum(expected).to_bytes(4, "little"), f"boot2.c has to hold {values}"


# ------------------------------------------------------------------------------------------ emulated boards


def test_boots_and_echoes_every_byte(built: Built) -> None:
    with running(built.board, built.elf) as probe:
        probe.send(b"d")
        assert probe.words(2) == (0x12345678, 1)
        for byte in range(256):
            probe.send(bytes([ord("e"), byte]))
            assert probe.bytes(1) == bytes([byte])


def test_counts_instructions_and_repeats_exactly(built: Built) -> None:
    random_times = random.Random(1)
    per_tick = built.board.counter.instructions_per_tick
    assert per_tick is not None
    with running(built.board, built.elf) as probe:
        for loops in (0xFF, 10_000, 3_000_000):
            counts = []
            for _ in range(REPEATS):
                # How long the program waited before must not show.
                time.sleep(random_times.random() * 0.02)
                counts.append(probe.ticks(loops))
            assert len(set(counts)) == 1, f"{loops}: {counts}"
            # Starting and reading the counter costs a few dozen instructions.
            assert abs(counts[0] - 2 * loops / per_tick) <= 50 / per_tick + 1
        exact = (probe.ticks(3_000_000) - probe.ticks(1_000_000)) * per_tick
        assert abs(exact - 4_000_000) <= 2 * per_tick


def test_systick_counts_on_after_its_24_bits(tmp_path: Path) -> None:
    board = find_board("stm32vldiscovery")
    assert board.counter.description == "SysTick"
    assert board.counter.instructions_per_tick is not None
    ticks = 1.1 * 2**24
    with running(board, compile_probe(board, tmp_path)) as probe:
        counts = {probe.ticks(round(ticks * board.counter.instructions_per_tick / 2)) for _ in range(2)}
    assert len(counts) == 1
    assert abs(counts.pop() - ticks) <= 5


def test_the_mark_on_the_stack_follows_its_use(built: Built) -> None:
    with running(built.board, built.elf) as probe:
        used = []
        for levels in (0, 8, 16):
            probe.send(b"n", levels)
            assert probe.bytes(1) == b"n"
            probe.send(b"s")
            size, mark = probe.words(2)
            assert size == 2048
            used.append(mark)
        assert 40 <= used[0] <= 400
        assert used[1] - used[0] >= 8 * 40
        assert used[2] - used[1] == used[1] - used[0]


@pytest.mark.parametrize("request_", [b"n", b"N"], ids=["small frames", "large frames"])
def test_stack_overflow_is_reported(built: Built, request_: bytes) -> None:
    fault = built.fault(request_, FOREVER)
    assert fault.kind == STACK
    assert fault.sp < built.board.ram.origin + 700


def test_stack_overflow_with_floating_point_registers_in_use(built: Built) -> None:
    assert built.fault(b"n", FOREVER, before=b"f").kind == STACK


def test_bus_fault_is_reported(built: Built) -> None:
    address = NOBODY_ON.get(built.board.name, NOBODY)
    fault = built.fault(b"b", address)
    assert built.function_at(fault.pc) == "store"
    assert built.function_at(fault.lr & ~1) == "answer"
    if built.mainline:
        assert (fault.kind, fault.address) == (BUS, address)
        assert fault.status & 0xFF00
    else:
        assert (fault.kind, fault.status) == (UNKNOWN, 0)


def test_undefined_instruction_is_reported(built: Built) -> None:
    fault = built.fault(b"u")
    assert fault.kind == (USAGE if built.mainline else UNKNOWN)
    assert built.function_at(fault.pc) == "undefined"


def test_division_by_zero_is_reported(built: Built) -> None:
    if built.mainline:
        fault = built.fault(b"z", 0)
        assert fault.kind == USAGE
        assert built.function_at(fault.pc) == "divide"
    else:
        # v6-M has no division instruction; libgcc's function returns.
        with running(built.board, built.elf) as probe:
            probe.send(b"z", 0)
            assert probe.bytes(1) == b"z"


def test_interrupt_that_nobody_handles_is_reported(built: Built) -> None:
    pendsv = 14
    fault = built.fault(b"i")
    assert (fault.kind, fault.address) == (INTERRUPT, pendsv)


def test_assertion_is_reported_with_its_line(built: Built) -> None:
    line = next(i for i, text in enumerate(PROBE.read_text().splitlines(), 1) if "QPS_ASSERT(" in text)
    fault = built.fault(b"a", 3)
    assert (fault.kind, fault.address) == (ASSERT, line)
    assert built.function_at(fault.pc) == "assert_even"


def test_an_assertion_that_holds_goes_unnoticed(built: Built) -> None:
    with running(built.board, built.elf) as probe:
        probe.send(b"a", 2)
        probe.send(b"?")
        assert probe.bytes(1) == b"?"
