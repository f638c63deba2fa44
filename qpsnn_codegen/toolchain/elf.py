"""What is in an ELF file of arm-none-eabi: sections, symbols, relocations, and sizes of C types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from qpsnn_codegen.errors import ToolchainError

_ALLOCATED = 0x2
_CALLS = frozenset({10, 30, 51, 102, 103})
"""Relocations of Thumb branches: CALL, JUMP24, JUMP19, JUMP11, JUMP8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section that takes memory: address where it runs, ``load`` where it is stored, None if it is not stored."""

    name: str
    address: int
    size: int
    load: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A symbol that is defined.

    Attributes:
        address: without the Thumb bit; in an object file, the offset in its section.
        section: name of its section; empty for absolute ones.
        source: the C file a local symbol is from; empty for global ones.
        weak: another definition of the name takes its place, if there is one.
    """

    name: str
    address: int
    size: int
    kind: Literal["function", "object", "other"]
    section: str
    source: str
    weak: bool

    @property
    def key(self) -> str:
        """A name that other files' static symbols do not have: ``qps_conv.c:qps_add_row``."""
        return f"{self.source}:{self.name}" if self.source else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A place in an object file where the linker puts an address.

    Attributes:
        section: the section the place is in.
        target: key of a symbol; or the name of a section, for a place inside it that has no symbol.
        call: it is a branch.
    """

    section: str
    target: str
    call: bool


class Elf:
    """An ELF file, read when made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                file = ELFFile(stream)
                self.sections = tuple(_sections(file))
                self.symbols = tuple(_symbols(file))
                self.references = tuple(_references(file, self.symbols))
        except (ELFError, OSError) as error:
            raise ToolchainError(path.name, f"is no ELF file ({error})", "build it anew") from error

    @cached_property
    def functions(self) -> dict[str, Symbol]:
        """Functions by name; of several static ones of a name, the last."""
        return {symbol.name: symbol for symbol in self.symbols if symbol.kind == "function"}

    def functions_in(self, section: str) -> list[Symbol]:
        """The functions of a section."""
        return [symbol for symbol in self.symbols if symbol.kind == "function" and symbol.section == section]

    def value(self, name: str) -> int:
        """The value of a linker's symbol."""
        return next(symbol.address for symbol in self.symbols if symbol.name == name)

    def type_size(self, source: str, name: str) -> int:
        """``sizeof`` of a typedef, from the debugging information of one C file.

        Raises:
            LookupError: the file or the type is not in it.
        """
        with self.path.open("rb") as stream:
            info = ELFFile(stream).get_dwarf_info()
            for unit in info.iter_CUs():
                top = unit.get_top_DIE()
                if _text(top, "DW_AT_name") == source:
                    return _type_size(next(die for die in top.iter_children() if _text(die, "DW_AT_name") == name))
        raise LookupError(f"{self.path.name} has no debugging information of {source}")


def _type_size(die: Any) -> int:
    while "DW_AT_byte_size" not in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_type")
    return int(die.attributes["DW_AT_byte_size"].value)


def _text(die: Any, attribute: str) -> str:
    value = die.attributes[attribute].value if attribute in die.attributes else b""
    return str(value.decode()) if isinstance(value, bytes) else ""


def _sections(file: ELFFile) -> list[Section]:
    segments = [segment for segment in file.iter_segments() if segment["p_type"] == "PT_LOAD"]
    sections = []
    for section in file.iter_sections():
        if not section["sh_flags"] & _ALLOCATED or not section["sh_size"]:
            continue
        load = None
        if section["sh_type"] != "SHT_NOBITS":
            load = section["sh_addr"]
            for segment in segments:
                if segment.section_in_segment(section):
                    load += segment["p_paddr"] - segment["p_vaddr"]
        sections.append(Section(name=section.name, address=section["sh_addr"], size=section["sh_size"], load=load))
    return sections


_KINDS: dict[str, Literal["function", "object"]] = {"STT_FUNC": "function", "STT_OBJECT": "object"}


def _symbols(file: ELFFile) -> list[Symbol]:
    table = file.get_section_by_name(".symtab")
    symbols: list[Symbol] = []
    if not isinstance(table, SymbolTableSection):
        return symbols
    source = ""
    for entry in table.iter_symbols():
        kind, bind, index = entry["st_info"]["type"], entry["st_info"]["bind"], entry["st_shndx"]
        if kind == "STT_FILE":
            source = entry.name
        elif entry.name and not entry.name.startswith("$") and index != "SHN_UNDEF" and kind != "STT_SECTION":
            function = kind == "STT_FUNC"
            symbols.append(
                Symbol(
                    name=entry.name,
                    address=entry["st_value"] & ~1 if function else entry["st_value"],
                    size=entry["st_size"],
                    kind=_KINDS.get(kind, "other"),
                    section=file.get_section(index).name if isinstance(index, int) else "",
                    source=source if bind == "STB_LOCAL" else "",
                    weak=bind == "STB_WEAK",
                )
            )
    return symbols


def _references(file: ELFFile, symbols: Sequence[Symbol]) -> list[Reference]:
    keys = {(symbol.section, symbol.address): symbol.key for symbol in symbols if symbol.kind != "other"}
    local = {symbol.name: symbol.key for symbol in symbols}
    references = []
    for section in file.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        place = file.get_section(section["sh_info"])
        if not place["sh_flags"] & _ALLOCATED:
            continue
        table = cast("SymbolTableSection", file.get_section(section["sh_link"]))
        data = place.data()
        for entry in section.iter_relocations():
            symbol = table.get_symbol(entry["r_info_sym"])
            if symbol["st_info"]["type"] == "STT_SECTION":
                # A static object, or a place inside a function, as a jump table has it.
                name = file.get_section(symbol["st_shndx"]).name
                offset = int.from_bytes(data[entry["r_offset"] :][:4], "little") & ~1
                target = keys.get((name, offset), name)
            else:
                target = local.get(symbol.name, symbol.name)
            references.append(Reference(section=place.name, target=target, call=entry["r_info_type"] in _CALLS))
    return references
