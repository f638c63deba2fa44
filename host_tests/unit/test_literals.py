"""Text that goes into C: names from a whitelist, exact numbers, and comments nothing can escape from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.golden.models import MODELS
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.emit.c_literals import (
    C_WORDS,
    array_lines,
    check_model_name,
    comment_text,
    identifiers,
    literal,
)
from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.network import Network, Node

INT32_MIN = -(2**31)
EVIL = (
    "*/ int x; /*",
    "*/",
    "/*",
    "a\nb",
    "tail\\",
    "tail\\ ",
    "??/",
    "???/",
    "?? ?)",
    "ü",
    "%s",
    '"',
    "{{ name }}",
    "#define int",
    "\0",
)


class TestModelNames:
    @pytest.mark.parametrize("name", ["a", "digits", "net_4bit", "x" * 48, "q", "qp", "model", "to_int", "a1_"])
    def test_accepted(self, name: str) -> None:
        assert check_model_name(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", "A", "Digits", "4bit", "_x", "a-b", "a b", "a.b", "x" * 49, "ä", "a\n", "a;", "a/b", "../a", "a\0"],
    )
    def test_no_identifier(self, name: str) -> None:
        with pytest.raises(UsageError, match="no model name") as error:
            check_model_name(name, "--name")
        assert error.value.where == "--name"

    @pytest.mark.parametrize(
        "name", ["int", "for", "class", "template", "and", "co_await", "main", "memcpy", "errno", "qps", "qps_conv"]
    )
    def test_reserved(self, name: str) -> None:
        with pytest.raises(UsageError, match="reserved") as error:
            check_model_name(name)
        assert check_model_name(error.value.remedy.split()[-1]).endswith(name)

    @pytest.mark.parametrize("name", ["size", "ptrdiff", "wchar", "max_align", "fpos", "int32", "uint8"])
    def test_whose_type_a_header_has(self, name: str) -> None:
        with pytest.raises(UsageError, match="reserved"):
            check_model_name(name)

    @pytest.mark.parametrize("name", ["stdio", "stdint", "string", "math", "time", "signal", "features", "limits"])
    def test_whose_header_would_hide_the_systems(self, name: str) -> None:
        with pytest.raises(UsageError, match="reserved"):
            check_model_name(name)

    def test_no_word_of_c_is_left_out(self, tmp_path: Path) -> None:
        """What gcc or g++ take for a keyword, they do not take for the name of a variable."""
        words = sorted(word for word in C_WORDS if re.fullmatch("[a-z][a-z0-9_]*", word))
        for word in words:
            with pytest.raises(UsageError):
                check_model_name(word)
        for suffix, compiler, standard in ((".c", "gcc", "c11"), (".cpp", "g++", "c++20")):
            source = tmp_path / f"names{suffix}"
            accepted = ("model", "net", "layer", "input", "final", "override", "module", "import_", "concepts")
            source.write_text("".join(f"int {name};\n" for name in accepted))
            command = [compiler, f"-std={standard}", "-fsyntax-only", str(source)]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 0
            assert [check_model_name(name) for name in accepted] == list(accepted)


class TestIdentifiers:
    def test_other_characters(self) -> None:
        names = ["conv1", "layer.0.conv", "0", "_hidden", "größe", "*/ int x;", ""]
        assert list(identifiers(names).values()) == [
            "conv1",
            "layer_0_conv",
            "n0",
            "n_hidden",
            "gr__e",
            "n___int_x_",
            "n",
        ]

    def test_doubles_get_a_number(self) -> None:
        assert list(identifiers(["a.b", "a_b", "a-b", "a_b_2"]).values()) == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]

    @given(st.lists(st.text(max_size=60), unique=True, max_size=20))
    def test_always_unique_and_valid(self, names: list[str]) -> None:
        found = identifiers(names)
        assert list(found) == names
        assert len(set(found.values())) == len(names)
        assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) for value in found.values())


class TestComments:
    @pytest.mark.parametrize("text", EVIL)
    def test_cannot_be_left(self, text: str, tmp_path: Path) -> None:
        source = tmp_path / "comment.c"
        inside = comment_text(text)
        source.write_text(
            f"/* {inside} */ int one;\n#define TABLE /* {inside} */ 1\nint two[TABLE];\n// {inside}\nint three;\n"
        )
        options = ["-std=c11", "-trigraphs", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        result = subprocess.run(["gcc", *options, str(source)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        probe = subprocess.run(
            ["gcc", "-std=c11", "-trigraphs", "-E", "-P", str(source)], capture_output=True, check=True
        )
        assert probe.stdout.decode().split() == ["int", "one;", "int", "two[1];", "int", "three;"]

    @given(st.text())
    def test_is_printable_ascii_without_marks(self, text: str) -> None:
        found = comment_text(text)
        assert re.fullmatch(r"[ -~]*", found)
        assert "*/" not in found
        assert "/*" not in found
        assert "??" not in found
        assert not found.rstrip().endswith("\\")

    @given(st.text(alphabet="*/?\\ a", max_size=12))
    def test_marks_in_every_combination(self, text: str) -> None:
        found = comment_text(text)
        assert not any(mark in found for mark in ("*/", "/*", "??"))
        assert not found.rstrip().endswith("\\")

    def test_plain_text_stays(self) -> None:
        assert comment_text("conv1 + lif1, 3x3 (4-bit)") == "conv1 + lif1, 3x3 (4-bit)"


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "ctype", "text"),
        [
            (0, "int32_t", "0"),
            (-1, "int32_t", "-1"),
            (2**31 - 1, "int32_t", "2147483647"),
            (INT32_MIN, "int32_t", "INT32_MIN"),
            (INT32_MIN + 1, "int32_t", "-2147483647"),
            (-32768, "int16_t", "-32768"),
            (255, "uint8_t", "255U"),
            (2**32 - 1, "uint32_t", "4294967295U"),
        ],
    )
    def test_literal(self, value: int, ctype: str, text: str) -> None:
        assert literal(value, ctype) == text

    def test_extremes_survive_the_compiler(self, tmp_path: Path) -> None:
        values = np.array([INT32_MIN, INT32_MIN + 1, -1, 0, 1, 2**31 - 1])
        lines = "\n".join(array_lines(values, "int32_t"))
        (tmp_path / "main.c").write_text(
            f"#include <stdint.h>\n#include <stdio.h>\nstatic const int32_t values[6] = {{\n{lines}\n}};\n"
            'int main(void) { for (int i = 0; i < 6; i++) { printf("%ld ", (long)values[i]); } return 0; }\n'
        )
        flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
        subprocess.run(["gcc", *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
        output = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
        assert list(map(int, output.split())) == values.tolist()

    @given(st.lists(st.integers(INT32_MIN, 2**31 - 1), min_size=1, max_size=200))
    def test_arrays_hold_every_value_in_short_lines(self, values: list[int]) -> None:
        lines = array_lines(np.array(values, dtype=np.int64), "int32_t")
        assert max(map(len, lines)) <= 100
        items = " ".join(lines).removesuffix(",").split(",")
        assert [INT32_MIN if item.strip() == "INT32_MIN" else int(item) for item in items] == values

    @given(st.integers(1, 30), st.integers(1, 45), st.integers(0, 2**32 - 1))
    def test_weights_hold_every_byte(self, rows: int, width: int, seed: int) -> None:
        values = np.random.default_rng(seed).integers(0, 256, (rows, width), dtype=np.uint8)
        lines = array_lines(values, "uint8_t")
        octets = [int(octet, 16) for line in lines for octet in line.removesuffix(",").split(",")]
        assert octets == values.ravel().tolist()
        assert max(map(len, lines)) <= 100


def renamed(network: Network, names: tuple[str, ...]) -> Network:
    """The network with its layers and classes renamed, in order, as often as there are names."""
    old = [node.name for node in network.nodes]
    new = [f"{names[i % len(names)]}{i}" for i in range(len(old))]
    table = dict(zip(old, new, strict=True))
    nodes: list[Node] = [
        replace(node, name=table[node.name], inputs=tuple(table[name] for name in node.inputs))
        for node in network.nodes
    ]
    classes = tuple(names[i % len(names)] for i in range(len(network.class_names)))
    return replace(network, nodes=tuple(nodes), class_names=classes)


@pytest.mark.parametrize("model", ["image", "events"])
def test_evil_layer_and_class_names_stay_text(model: str, tmp_path: Path) -> None:
    compilation = compile_model(renamed(MODELS[model](), EVIL), name="evil")
    compilation.write(tmp_path / "evil")
    sources = sorted(str(path.relative_to(tmp_path / "evil")) for path in (tmp_path / "evil").glob("*.c"))
    flags = ["-std=c11", "-trigraphs", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-I."]
    for trace in ("0", "1"):
        command = ["gcc", *flags, f"-DQPS_TRACE={trace}", "-fsyntax-only", *sources, "app/host_main.c"]
        result = subprocess.run(command, cwd=tmp_path / "evil", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    plain = compile_model(MODELS[model](), name="evil")

    def tokens(files: dict[str, str | bytes]) -> list[str]:
        text = str(files["evil.c"]) + str(files["evil.h"])
        bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        return re.sub(r"\w+", "x", bare).split()

    # Only comments and identifiers differ; the code has the same shape.
    assert tokens(compilation.files) == tokens(plain.files)
    assert "int x;" not in re.sub(r"/\*.*?\*/", "", str(compilation.files["evil.h"]), flags=re.DOTALL)
