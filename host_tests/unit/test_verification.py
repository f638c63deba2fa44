"""The comparison itself: the first difference is named exactly, nothing is left out, and damage is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from host_tests.golden.models import MODELS
from qpsnn_codegen import compile as compile_model
from qpsnn_codegen import storage
from qpsnn_codegen.emit.golden import Golden, make_golden, random_inputs, spike_checksums
from qpsnn_codegen.errors import ModelFileError, ToolchainError
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.verification import Difference, adversarial_inputs, compare, verification_inputs, verify_folder

SHAPE = (3, 4, 5, 2, 3)


def outcome() -> Outcome:
    rng = np.random.default_rng(1)
    return Outcome(
        logits=rng.integers(-9, 9, (3, 4)).astype(np.int32),
        spikes={
            "first": rng.integers(0, 2, SHAPE).astype(np.uint8),
            "second": rng.integers(0, 2, SHAPE).astype(np.uint8),
        },
    )


class TestCompare:
    def test_equal(self) -> None:
        verdict = compare(outcome(), outcome())
        assert (verdict.inputs, verdict.spikes, verdict.logits) == (3, 2 * 3 * 4 * 5 * 2 * 3, 12)
        assert (verdict.mismatches, verdict.first) == (0, None)

    @pytest.mark.parametrize("at", [(0, 0, 0, 0, 0), (2, 3, 4, 1, 2), (1, 2, 3, 0, 1)])
    @pytest.mark.parametrize("layer", ["first", "second"])
    def test_a_spike(self, layer: str, at: tuple[int, ...]) -> None:
        actual = outcome()
        before = int(actual.spikes[layer][at])
        actual.spikes[layer][at] ^= 1
        verdict = compare(outcome(), actual)
        assert verdict.mismatches == 1
        assert verdict.first == Difference(
            sample=at[0], layer=layer, timestep=at[1], position=at[2:], expected=before, actual=1 - before
        )
        text = (
            f"sample {at[0]}, layer {layer}, timestep {at[1]}, channel {at[2]}, row {at[3]}, column {at[4]}: "
            f"expected {before}, got {1 - before}"
        )
        assert str(verdict.first) == text

    def test_the_earlier_layer_comes_first(self) -> None:
        actual = outcome()
        actual.spikes["second"][0, 0, 0, 0, 0] ^= 1
        actual.spikes["first"][2, 3, 4, 1, 2] ^= 1
        actual.logits[0, 0] += 1
        verdict = compare(outcome(), actual)
        assert verdict.mismatches == 3
        assert verdict.first is not None
        assert (verdict.first.layer, verdict.first.sample) == ("first", 2)

    def test_the_earlier_sample_and_timestep_come_first(self) -> None:
        actual = outcome()
        for at in ((2, 0, 0, 0, 0), (1, 3, 0, 0, 0), (1, 2, 4, 1, 2)):
            actual.spikes["first"][at] ^= 1
        first = compare(outcome(), actual).first
        assert first is not None
        assert (first.sample, first.timestep, first.position) == (1, 2, (4, 1, 2))

    def test_a_logit(self) -> None:
        actual = outcome()
        before = int(actual.logits[1, 3])
        actual.logits[1, 3] += 5
        verdict = compare(outcome(), actual)
        assert verdict.mismatches == 1
        assert str(verdict.first) == f"sample 1, logit 3: expected {before}, got {before + 5}"

    def test_a_layer_that_is_missing_is_no_agreement(self) -> None:
        actual = outcome()
        del actual.spikes["second"]
        with pytest.raises(KeyError):
            compare(outcome(), actual)


class TestInputs:
    @pytest.mark.parametrize("model", MODELS)
    def test_adversarial_inputs_are_valid_and_differ(self, model: str) -> None:
        network = lower(MODELS[model]())
        inputs = adversarial_inputs(network)
        run_reference(network, inputs)
        most = int(network.nodes[0].output_type().high.max())
        assert inputs.min() == 0
        assert inputs.max() == most
        assert any((sample == 0).all() for sample in inputs)
        assert any((sample == most).all() for sample in inputs)
        assert len({sample.tobytes() for sample in inputs}) >= len(inputs) - 1

    def test_random_inputs_follow_the_seed(self) -> None:
        network = lower(MODELS["events"]())
        first, again, other = (random_inputs(network, 9, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        density = first.reshape(9, -1).mean(axis=1)
        assert density.max() > 2 * density.min()


class TestGolden:
    def test_calibration_samples_come_first(self) -> None:
        network = lower(MODELS["image"]())
        samples = np.full((3, 1, 6, 6), 7, dtype=np.uint8)
        golden = make_golden(network, samples)
        assert np.array_equal(golden.inputs[:3], samples)
        assert not (golden.inputs[3:] == 7).all()
        assert len(make_golden(network, np.full((20, 1, 6, 6), 7, dtype=np.uint8)).inputs) == len(golden.inputs)

    def test_every_spike_is_in_a_checksum(self) -> None:
        network = lower(MODELS["image"]())
        outcome = run_reference(network, random_inputs(network, 4, seed=2), trace=True)
        before = spike_checksums(network, outcome)
        assert before.shape == (4, 3)
        for layer, name in enumerate(outcome.spikes):
            outcome.spikes[name][2, -1, -1, -1, -1] ^= 1
            changed = np.argwhere(spike_checksums(network, outcome) != before)
            assert changed.tolist() == [[2, layer]]
            outcome.spikes[name][2, -1, -1, -1, -1] ^= 1

    def test_a_network_without_neurons(self) -> None:
        network = lower(MODELS["image"]())
        outcome = Outcome(logits=np.zeros((4, 2), dtype=np.int32), spikes={})
        silent = type(network)(
            nodes=(network.nodes[0],),
            timesteps=1,
            class_names=("a", "b"),
            digest="",
            logit_scale=1.0,
            certificates=(),
        )
        assert spike_checksums(silent, outcome).shape == (4, 0)

    def test_damage(self, tmp_path: Path) -> None:
        network = lower(MODELS["image"]())
        data = make_golden(network, None).dump()
        path = tmp_path / "vectors.npz"
        path.write_bytes(data)
        assert np.array_equal(Golden.load(path).inputs, make_golden(network, None).inputs)
        for broken in (b"", b"PK", data[: len(data) // 2], b"x" * 100):
            path.write_bytes(broken)
            with pytest.raises(ModelFileError, match="missing or damaged"):
                Golden.load(path)
        with pytest.raises(ModelFileError, match="missing or damaged"):
            Golden.load(tmp_path / "elsewhere.npz")


class TestFolders:
    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("verify") / "image"
        compile_model(MODELS["image"](), name="net").write(path)
        return path

    @pytest.fixture
    def copy(self, folder: Path, tmp_path: Path) -> Path:
        target = tmp_path / "copy"
        for path in folder.rglob("*"):
            if path.is_file():
                (target / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                (target / path.relative_to(folder)).write_bytes(path.read_bytes())
        return target

    def change(self, folder: Path, name: str, old: str, new: str) -> None:
        text = (folder / name).read_text()
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new))

    def test_as_written(self, folder: Path) -> None:
        extra = np.full((2, 1, 6, 6), 3, dtype=np.uint8)
        plain, more = verify_folder(folder), verify_folder(folder, inputs=extra)
        assert (plain.mismatches, more.mismatches) == (0, 0)
        assert more.inputs == plain.inputs + 2

    def test_own_inputs_come_first_and_the_limit_last(self, folder: Path) -> None:
        network = storage.load(folder / "golden" / "network.npz")
        golden = Golden.load(folder / "golden" / "vectors.npz").inputs
        extra = np.full((2, 1, 6, 6), 3, dtype=np.uint8)
        inputs = verification_inputs(folder, network, extra, random=5)
        assert np.array_equal(inputs[:2], extra)
        assert np.array_equal(inputs[2 : 2 + len(golden)], golden)
        assert len(inputs) == 2 + len(golden) + len(adversarial_inputs(network)) + 5
        assert np.array_equal(verification_inputs(folder, network, extra, limit=3), inputs[:3])
        assert np.array_equal(verification_inputs(folder, network, None, limit=1), golden[:1])
        assert verify_folder(folder, inputs=extra, limit=3).inputs == 3

    def test_a_changed_kernel_is_found_and_placed(self, copy: Path) -> None:
        self.change(copy, "runtime/qps_image_block.h", "if (membrane > threshold)", "if (membrane > threshold + 900)")
        verdict = verify_folder(copy)
        assert verdict.mismatches > 0
        assert verdict.first is not None
        assert (verdict.first.layer, verdict.first.expected, verdict.first.actual) == ("lif1", 1, 0)

    def test_a_changed_weight_is_found(self, copy: Path) -> None:
        text = (copy / "net_weights.c").read_text()
        start = text.index("0x")
        octet = int(text[start : start + 4], 16) ^ 0xFF
        (copy / "net_weights.c").write_text(f"{text[:start]}0x{octet:02x}{text[start + 4 :]}")
        verdict = verify_folder(copy)
        assert verdict.mismatches > 0
        assert verdict.first is not None
        assert verdict.first.layer == "lif1"

    def test_undefined_behaviour_is_found(self, copy: Path) -> None:
        self.change(
            copy, "runtime/qps_image_block.h", "if (membrane > threshold)", "if (membrane + INT32_MAX > threshold)"
        )
        with pytest.raises(ToolchainError, match="runtime error"):
            verify_folder(copy, sanitize=True)

    def test_other_golden_vectors_are_refused(self, copy: Path, folder: Path) -> None:
        golden = Golden.load(folder / "golden" / "vectors.npz")
        logits = golden.logits.copy()
        logits[0, 0] += 1
        checksums = golden.checksums.copy()
        checksums[0, 0] ^= 1
        for changed in (
            Golden(inputs=golden.inputs, logits=logits, checksums=golden.checksums),
            Golden(inputs=golden.inputs, logits=golden.logits, checksums=checksums),
        ):
            (copy / "golden" / "vectors.npz").write_bytes(changed.dump())
            with pytest.raises(ModelFileError, match="not what its network gives"):
                verify_folder(copy)

    def test_c_that_does_not_compile(self, copy: Path) -> None:
        self.change(copy, "net.c", "return QPS_OK;", "return QPS_OK")
        with pytest.raises(ToolchainError, match=r"gcc net\.c"):
            verify_folder(copy)

    def test_no_folder_of_ours(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="no folder of generated firmware"):
            verify_folder(tmp_path)
