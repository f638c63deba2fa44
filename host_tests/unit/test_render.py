"""Rendering: everything filled in, the same twice, and what the pipeline's options do to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from host_tests.golden.models import MODELS
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen.emit import render as render_module
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import DataError, InternalError, UsageError
from qpsnn_codegen.pipeline import default_name
from qpsnn_codegen.resources import templates_dir


@pytest.mark.parametrize("model", MODELS)
class TestTexts:
    def test_twice_the_same(self, model: str) -> None:
        first, second = (compile_model(MODELS[model](), name="net").files for _ in range(2))
        assert list(first) == list(second)
        assert first == second

    def test_nothing_is_left_to_fill_in(self, model: str) -> None:
        for weights_in in ("c", "binary"):
            files = compile_model(MODELS[model](), name="net", weights_in=weights_in).files
            for name, text in files.items():
                if isinstance(text, str):
                    assert not re.search(r"\{\{ |\{%|%\}| \}\}", text), name
                    assert text.endswith("\n"), name
                    assert "\t" not in text or name == "Makefile", name
                    assert text.isascii() or name.startswith(("runtime/", "app/host_main")), name
                    assert [line for line in text.splitlines() if line != line.rstrip()] == [], name

    def test_weights_are_in_one_place(self, model: str) -> None:
        in_c = compile_model(MODELS[model](), name="net").files
        in_binary = compile_model(MODELS[model](), name="net", weights_in="binary").files
        assert set(in_c) - set(in_binary) == {"net_weights.c"}
        assert set(in_binary) - set(in_c) == {"net_weights.S", "net_weights.bin"}

    def test_the_report_is_the_compilations(self, model: str) -> None:
        compilation = compile_model(MODELS[model](), name="net")
        report = json.loads(str(compilation.files["report.json"]))
        assert report.pop("files") == sorted(compilation.files)
        assert report == compilation.report
        assert report["generator"] == "qpsnn-codegen"
        assert report["arena_bytes"] == compilation.plan.arena_bytes
        assert report["weight_bytes"] == sum(row["weight_bytes"] for row in report["layers"])

    def test_every_proven_range_is_in_the_c(self, model: str) -> None:
        compilation = compile_model(MODELS[model](), name="net")
        text = str(compilation.files["net.c"])
        for node in compilation.integers.nodes:
            if node.kind == "conv":
                kind = compilation.integers.types()[node.name]
                assert f"{node.name}: proven {int(kind.low.min())} <= value <= {int(kind.high.max())}" in text


def test_a_name_that_no_template_gets_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in templates_dir().glob("*"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "model.c.j2").write_text("{{ forgotten }}\n")
    monkeypatch.setattr("qpsnn_codegen.resources.templates_dir", lambda: tmp_path)
    with pytest.raises(jinja2.UndefinedError, match="forgotten"):
        compile_model(MODELS["image"](), name="net")


def test_the_runtime_version_is_the_shipped_one() -> None:
    header = str(compile_model(MODELS["image"](), name="net").files["runtime/qps_types.h"])
    assert f"#define QPS_RUNTIME_VERSION {render_module.RUNTIME_VERSION}\n" in header


class TestPipeline:
    @pytest.mark.parametrize("timesteps", [1, 2, 7])
    def test_other_timesteps(self, timesteps: int) -> None:
        compilation = compile_model(MODELS["image"](), name="net", timesteps=timesteps)
        assert compilation.integers.timesteps == timesteps
        assert compilation.report["timesteps"] == timesteps
        assert f"#define NET_TIMESTEPS {timesteps}\n" in str(compilation.files["net.h"])
        plain = compile_model(replace(MODELS["image"](), timesteps=timesteps), name="net")
        assert plain.files == compilation.files

    @pytest.mark.parametrize("timesteps", [0, -1, 4097])
    def test_timesteps_out_of_range(self, timesteps: int) -> None:
        with pytest.raises(UsageError, match="out of range"):
            compile_model(MODELS["image"](), name="net", timesteps=timesteps)
        with pytest.raises(InternalError, match="timesteps"):
            compile_model(replace(MODELS["image"](), timesteps=timesteps), name="net")

    def test_calibration_changes_the_report_and_the_vectors_only(self) -> None:
        plain = compile_model(MODELS["image"](), name="net")
        samples = random_inputs(plain.integers, 3, seed=77)
        measured = compile_model(MODELS["image"](), name="net", calibration=samples)
        differing = {name for name in plain.files if plain.files[name] != measured.files[name]}
        assert differing == {"report.json", "golden/vectors.npz"}
        assert measured.report["calibration_samples"] == 3

    def test_calibration_of_another_shape(self) -> None:
        plain = compile_model(MODELS["image"](), name="net")
        samples = random_inputs(plain.integers, 3, seed=77)
        with pytest.raises(DataError, match="shape"):
            compile_model(MODELS["events"](), name="net", calibration=samples)
        with pytest.raises(DataError):
            compile_model(MODELS["image"](), name="net", calibration=samples[:0])

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("digits.pt", "digits"),
            ("a/b/Digits-4bit.pruned.pt", "digits_4bit_pruned"),
            ("4bit.pt", "net_4bit"),
            ("größe.pt", "gr__e"),
            ("_x_.pt", "x"),
            ("x" * 60 + ".pt", "x" * 48),
            ("9" * 60 + ".pt", "net_" + "9" * 44),
        ],
    )
    def test_names_from_files(self, file: str, name: str) -> None:
        assert default_name(file) == name
