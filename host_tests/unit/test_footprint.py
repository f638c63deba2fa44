"""Predicted sizes, which boards a model fits, and what is said of those it does not fit."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from benchmarks.code_size import NETWORKS, struct_sizes
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import footprint as module
from qpsnn_codegen.boards import Board, Memory, all_boards, find_board
from qpsnn_codegen.footprint import (
    MODES,
    Needs,
    aligned,
    board_error,
    board_names,
    closure,
    external_weights,
    fitting_boards,
    needs_of,
    predict,
)

STALE = "the table of code sizes is stale: `make code-sizes` writes it anew"


@cache
def needs(model: str) -> Needs:
    return needs_of(compile_model(NETWORKS[model](), name="net").plan)


def grown(model: str, *, weights: int = 0, arena: int = 0) -> Needs:
    """The same with more to store."""
    plain = needs(model)
    return replace(plain, weights=plain.weights + weights, arena=plain.arena + arena)


class TestNeeds:
    @pytest.mark.parametrize("model", NETWORKS)
    def test_what_the_plan_says(self, model: str) -> None:
        plan = compile_model(NETWORKS[model](), name="net").plan
        assert needs(model).weights == plan.weight_bytes
        assert needs(model).arena == plan.arena_bytes
        assert sum(needs(model).constants.values()) == plan.constant_bytes
        assert needs(model).stages == len(plan.stages)

    @pytest.mark.parametrize("model", NETWORKS)
    def test_the_functions_are_those_that_the_c_names(self, model: str) -> None:
        text = str(compile_model(NETWORKS[model](), name="net").files["net.c"])
        assert needs(model).functions == set(re.findall(r"\bqps_\w+_(?:run|fill|(?:sum|halves|lanes)_\d)\b", text))

    def test_nested_pools_enter_a_function_twice(self) -> None:
        assert needs("pools (example)").nesting == {}
        assert needs("nested pools (example)").nesting == {"qps_current_pool_fill": 2}


class TestTable:
    @pytest.mark.parametrize("model", NETWORKS)
    @pytest.mark.parametrize("board", [board.name for board in all_boards()])
    def test_everything_is_in_it(self, model: str, board: str) -> None:
        for trace in (False, True):
            assert predict(needs(model), find_board(board), trace=trace).unmeasured == (), STALE

    def test_every_board_and_core_is_in_it(self) -> None:
        table = module.read_table()
        assert set(table["boards"]) == {board.name for board in all_boards()}, STALE
        assert set(table["cores"]) == {f"{board.core} {mode}" for board in all_boards() for mode in MODES}, STALE
        assert table["structs"] == struct_sizes(), STALE

    def test_a_kernel_that_is_not_in_it(self) -> None:
        unknown = replace(needs("image"), functions=needs("image").functions | {"qps_new_run"})
        predicted = predict(unknown, find_board("microbit"), trace=True)
        assert predicted.unmeasured == ("qps_new_run",)
        assert predicted.code == predict(needs("image"), find_board("microbit"), trace=True).code

    def test_a_board_that_is_not_in_it(self) -> None:
        known = find_board("mps2-an386")
        assert predict(needs("image"), replace(known, name="new"), trace=True).code > 4000

    def test_closure(self) -> None:
        functions = {"a": (1, ["b", "c"]), "b": (2, ["c"]), "c": (3, ["a"]), "d": (4, [])}
        assert closure(["b"], functions) == ({"a", "b", "c"}, set())
        assert closure(["b", "d"], functions, {"c"}) == ({"b", "d"}, set())
        assert closure(["b", "x"], functions, {"b"}) == (set(), {"x"})

    def test_aligned(self) -> None:
        assert [aligned(size) for size in (0, 1, 4, 5)] == [0, 4, 4, 8]


class TestFit:
    def test_to_the_byte(self) -> None:
        board = find_board("nrf52840dk")
        size = predict(needs("image"), board, trace=False)
        exact = replace(
            board, flash=Memory(origin=0, size=size.flash), ram=Memory(origin=board.ram.origin, size=size.ram)
        )
        assert predict(needs("image"), exact, trace=False).fits
        assert not predict(needs("image"), exact, trace=True).fits
        more = predict(grown("image", weights=5, arena=8), exact, trace=False)
        assert (more.missing_flash, more.missing_ram, more.fits) == (5, 8, False)

    def test_a_stack_takes_ram(self) -> None:
        board = find_board("microbit")
        small, large = (predict(needs("image"), board, trace=True, stack=size) for size in (1024, 4096))
        assert large.ram - small.ram == 3072
        assert large.flash == small.flash

    def test_it_says_how_much_is_missing_and_what_would_do(self) -> None:
        large = grown("image", weights=300_000, arena=20_000)
        size = predict(large, find_board("microbit"), trace=False)
        error = board_error(size.board, {"flash": size.missing_flash, "RAM": size.missing_ram}, large)
        assert error.exit_code == 1
        message = str(error)
        assert message.startswith("--board microbit: the model needs ")
        assert f"{size.flash - 262_144:,} bytes more flash than its 262,144" in message
        assert f"{size.ram - 16_384:,} bytes more RAM than its 16,384" in message
        assert "mps2-an386" in message
        assert "nrf52840dk" in message
        assert "stm32vldiscovery" not in message
        assert message.count("microbit") == 1
        assert "\n" not in message

    def test_only_what_is_missing_is_named(self) -> None:
        message = str(board_error(find_board("microbit"), {"flash": 0, "RAM": 7}, grown("image", arena=20_000)))
        assert "bytes more RAM than" in message
        assert "flash" not in message

    def test_no_board_at_all(self) -> None:
        huge = grown("image", arena=2**31)
        assert fitting_boards(huge) == []
        assert "it fits no board" in str(board_error(find_board("microbit"), {"flash": 0, "RAM": 1}, huge))

    def test_boards_by_size(self) -> None:
        everywhere = [board.name for board in fitting_boards(needs("image"))]
        assert everywhere == [board.name for board in all_boards()]
        names = {board.name for board in fitting_boards(grown("image", arena=10_000))}
        assert set(everywhere) - names == {"stm32vldiscovery"}

    def test_names_say_which_are_emulated(self) -> None:
        boards: list[Board] = [find_board("rpi_pico"), find_board("microbit"), find_board("mps2-an386")]
        assert board_names(boards) == "microbit, mps2-an386 (emulated); rpi_pico"
        assert board_names(boards[:1]) == "rpi_pico"
        assert board_names(boards[1:]) == "microbit, mps2-an386 (emulated)"


class TestExternalMemory:
    def test_weights_move_when_flash_is_too_small(self) -> None:
        board = find_board("mps2-an386")
        assert board.external is not None
        inside, outside = (predict(grown("image", weights=size), board, trace=True) for size in (4_000_000, 5_000_000))
        assert (inside.external, outside.external) == (False, True)
        assert (inside.fits, outside.fits) == (True, True)
        assert outside.flash == outside.constants + outside.code
        assert external_weights(grown("image", weights=5_000_000), all_boards()) == [
            other.name for other in all_boards() if other.external is not None
        ]

    def test_it_can_be_too_small_too(self) -> None:
        board = find_board("mps2-an386")
        assert board.external is not None
        huge = predict(grown("image", weights=board.external.size), board, trace=True)
        assert huge.missing_flash == needs("image").weights
        assert not huge.fits
