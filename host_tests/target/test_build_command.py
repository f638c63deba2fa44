"""``qpsnn-codegen MODEL --board B`` and ``build``: what is written and what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import qpsnn_codegen
from benchmarks.code_size import NETWORKS
from host_tests.errors.command import call, call_ok, check_message
from qpsnn_codegen import nn
from qpsnn_codegen.boards import all_boards, find_board, ports_dir
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.footprint import needs_of
from qpsnn_codegen.report.boards import boards_report, boards_text


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.pt"
    nn.save(nn.build("cnn", layout=(4, "M", 6, "M"), timesteps=3, divisor=16.0).freeze(), path)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_board_no_port_but_a_list_of_boards(model: Path, here: Path) -> None:
    text = call_ok(model, "-o", "out")
    assert re.findall(r"^fits .*$", text, re.MULTILINE) == [f"fits   all {len(all_boards())} boards"]
    assert not re.search(r"^board ", text, re.MULTILINE)
    assert not (here / "out" / "ports").exists()
    report = json.loads((here / "out" / "report.json").read_text())
    assert report["boards"] == [board.name for board in all_boards()]
    assert report["targets"] == []


def test_with_boards_their_ports_and_sizes(model: Path, here: Path) -> None:
    text = call_ok(model, "-o", "out", "--board", "microbit", "--board", "rpi_pico", "--board", "microbit")
    ports = here / "out" / "ports"
    assert sorted(path.name for path in ports.iterdir()) == ["common", "microbit", "rpi_pico"]
    for path in [*(ports_dir() / "common").iterdir(), *(ports_dir() / "microbit").iterdir()]:
        assert (ports / path.relative_to(ports_dir())).read_bytes() == path.read_bytes()
    report = json.loads((here / "out" / "report.json").read_text())
    assert [target["board"] for target in report["targets"]] == ["microbit", "rpi_pico"]
    assert "--board microbit --board rpi_pico" in report["options"]
    for target in report["targets"]:
        board = find_board(target["board"])
        line = (
            f"board  {board.name}: {target['flash_bytes']:,} of {board.flash.size:,} bytes of flash, "
            f"{target['ram_bytes']:,} of {board.ram.size:,} bytes of RAM"
        )
        assert line in text
        assert 3000 < target["code_bytes"] < target["flash_bytes"]


def test_boards_change_nothing_else(model: Path) -> None:
    plain = qpsnn_codegen.compile(model).files
    ported = qpsnn_codegen.compile(model, boards=["microbit"]).files
    added = set(ported) - set(plain)
    assert added == set(port_files([find_board("microbit")]))
    assert set(plain) <= set(ported)
    # The banner says the options.
    same = {name for name in plain if plain[name] == ported[name]}
    assert {"Makefile", "CMakeLists.txt", "golden/network.npz", "golden/vectors.npz"} <= same


def test_a_model_that_does_not_fit(here: Path) -> None:
    path = here / "large.pt"
    nn.save(nn.build("cnn", layout=(96, 96), timesteps=4, divisor=16.0).freeze(), path)
    result = call(path, "-o", "out", "--board", "mps2-an386", "--board", "stm32vldiscovery")
    says = ("--board stm32vldiscovery: the model needs ", "bytes more RAM than its 8,192; it fits ", "mps2-an386")
    check_message(result, *says, code=1)
    assert not (here / "out").exists()
    assert "stm32vldiscovery" not in result.err.partition("it fits")[2]


def test_the_list_of_boards_is_the_shorter_one() -> None:
    needs = needs_of(qpsnn_codegen.compile(NETWORKS["image"](), name="net").plan)
    names = [board.name for board in all_boards()]
    text = boards_text({**boards_report(needs, [], {}), "boards": [name for name in names if name != "microbit"]})
    assert text == f"fits   all {len(names)} boards but microbit"
    text = boards_text({**boards_report(needs, [], {}), "boards": ["rpi_pico", "microbit"]})
    assert text == "fits   microbit (emulated); rpi_pico"
    text = boards_text({**boards_report(needs, [], {}), "boards": []})
    assert text.startswith("fits   no board")


def rows(text: str) -> dict[str, tuple[int, int, str]]:
    """The table: what, predicted, built, note."""
    found = re.findall(r"^ *(\w+) +([\d,]+) +([\d,]+) *(.*)$", text, re.MULTILINE)
    return {name: (int(a.replace(",", "")), int(b.replace(",", "")), note) for name, a, b, note in found}


@pytest.mark.slow
def test_build_shows_sizes_and_files(model: Path, here: Path) -> None:
    call_ok(model, "-o", "out")
    text = call_ok("build", "out", "--board", "rpi_pico")
    table = rows(text)
    assert list(table) == ["weights", "constants", "code", "flash", "arena", "application", "stack", "RAM"]
    report = json.loads((here / "out" / "report.json").read_text())
    for name, key in (("weights", "weight_bytes"), ("constants", "constant_bytes"), ("arena", "arena_bytes")):
        assert table[name][:2] == (report[key], report[key])
    for column in ({name: row[0] for name, row in table.items()}, {name: row[1] for name, row in table.items()}):
        assert column["weights"] + column["constants"] + column["code"] == column["flash"]
        assert column["arena"] + column["application"] + column["stack"] == column["RAM"]
    assert table["flash"][2] == "of 2,097,152"
    build = json.loads((here / "out/build/rpi_pico/build.json").read_text())
    assert table["stack"][1] == 2048
    assert table["stack"][2] == f"reserved; at most {build['stack_bound']:,} used, by the call graph"
    assert f"rpi_pico (cortex-m0plus), {build['compiler']}, with trace hooks" in text
    files = re.findall(r"^wrote +(\S+)$", text, re.MULTILINE)
    assert [Path(file).suffix for file in files] == [".elf", ".bin", ".hex", ".uf2", ".map"]
    assert all((here / file).is_file() for file in files)
    assert build["files"].keys() == {Path(file).name for file in files}


@pytest.mark.slow
def test_build_without_hooks_elsewhere(model: Path, here: Path) -> None:
    call_ok(model, "-o", "out", "--board", "microbit")
    traced = rows(call_ok("build", "out", "--board", "microbit"))
    text = call_ok("build", "out", "--board", "microbit", "--no-trace", "-o", "elsewhere", "--stack-size", "1024")
    assert "without trace hooks" in text
    assert rows(text)["code"][1] < traced["code"][1]
    assert rows(text)["stack"][:2] == (1024, 1024)
    assert (here / "elsewhere" / "small.hex").is_file()
    assert [path.name for path in (here / "out" / "build").iterdir()] == ["microbit"]
