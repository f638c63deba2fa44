"""The C of three tiny models, byte for byte: what a change of templates or lowering does to the output is seen."""

from __future__ import annotations

import pytest

from host_tests.golden.compare import GOLDEN, difference, strangers
from host_tests.golden.models import CHECKED_IN, MODELS, NOT_CHECKED_IN, compiled, texts
from qpsnn_codegen.resources import firmware_dir


@pytest.mark.parametrize("model", MODELS)
class TestGoldens:
    def test_generated_as_checked_in(self, model: str) -> None:
        diff = [line for name, text in texts(model).items() for line in difference(model, name, text)]
        assert not diff, "\n".join(["`make goldens` accepts this:", *diff])

    def test_nothing_else_is_checked_in(self, model: str) -> None:
        assert strangers(model) == []

    def test_every_generated_file_is_accounted_for(self, model: str) -> None:
        files = compiled(model).files
        checked = {pattern.format(name=f"golden_{model}") for pattern in CHECKED_IN}
        shipped = {name for name in files if name.startswith(("runtime/", "app/"))} - {"app/model.h"}
        assert set(files) == checked | shipped | set(NOT_CHECKED_IN)
        for name in shipped:
            assert files[name] == (firmware_dir() / name).read_text(encoding="utf-8"), name

    def test_a_change_is_shown(self, model: str) -> None:
        name, text = next(iter(texts(model).items()))
        diff = difference(model, name, text.replace("uint32_t arena", "uint64_t arena"))
        assert any(line.startswith("-") and "uint32_t arena" in line for line in diff)
        assert any(line.startswith("+") and "uint64_t arena" in line for line in diff)


def test_the_models_are_small() -> None:
    size = sum(path.stat().st_size for model in MODELS for path in (GOLDEN / model).glob("*"))
    assert size < 100_000
