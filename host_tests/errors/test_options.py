"""Options and arguments that cannot be used as given."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from host_tests.errors.command import Workplace, call, run
from qpsnn_codegen.cli.sizes import Bytes
from qpsnn_codegen.emit.c_literals import C_WORDS
from qpsnn_codegen.nn import autoaugment

NAMES = {
    "empty": "",
    "digit_first": "9lives",
    "hyphen": "a-b",
    "space": "a b",
    "upper_case": "Digits",
    "other_letter": "grün",
    "underscore_first": "_x",
    "path": "../x",
    "newline": "a\nb",
    "quote": 'a"b',
    "c_word": "int",
    "cpp_word": "class",
    "macro": "errno",
    "main": "main",
    "runtime": "qps",
    "runtime_prefix": "qps_net",
    "library_prefix": "strnet",
    "type_prefix": "uint8",
    "49_letters": "a" * 49,
}


@pytest.mark.parametrize("case", NAMES)
def test_name(case: str, workplace: Workplace) -> None:
    workplace.refuses(workplace.model(), "-o", "out", f"--name={NAMES[case]}", says=("--name: ",))


@pytest.mark.parametrize("word", sorted(C_WORDS & {"while", "template", "nullptr", "restrict", "memcpy", "double"}))
def test_reserved_word(word: str, workplace: Workplace) -> None:
    workplace.refuses(workplace.model(), "-o", "out", "--name", word, says=("--name: ", repr(word), "reserved"))


@pytest.mark.parametrize("value", ["0", "-1", "4097", "5000"])
def test_timesteps(value: str, workplace: Workplace) -> None:
    says = ("--timesteps: ", value, "1 to 4096")
    workplace.refuses(workplace.model(), "-o", "out", "--timesteps", value, says=says)
    workplace.refuses("train", "--data", "digits", "-T", value, "-o", "new.pt", says=says)


TRAIN = ("train", "--data", "digits", "-o", "new.pt")
OUT = ("-o", "out")

# Arguments (MODEL stands for a valid model, FOLDER for a valid firmware folder), and what the message has to say.
USAGE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unknown_command": (("frobnicate",), ("frobnicate", "commands: compile")),
    "misspelled_command": (("fine-tune", "MODEL"), ("fine-tune: ", "did you mean finetune? commands: compile")),
    "misspelled_board": (("MODEL", *OUT, "--board", "micro_bit"), ("did you mean microbit? choose one of microbit, ",)),
    "misspelled_preset": ((*TRAIN, "--preset", "cifar10-vgg16-1.4M"), ("did you mean cifar10-vgg16-1.42M? ",)),
    "misspelled_option": (("MODEL", *OUT, "--calibrat", "x"), ("--calibrat: there is no such option; did you mean",)),
    "unknown_option": (
        ("MODEL", *OUT, "--frobnicate"),
        (
            "--frobnicate: there is no such option; ",
            "see 'qpsnn-codegen compile --help'",
        ),
    ),
    "unknown_option_first": (("--frobnicate",), ("--frobnicate",)),
    "no_output": (("MODEL",), ("--output: is missing; add -o PATH, see 'qpsnn-codegen compile --help'",)),
    "no_model": (("compile", *OUT), ("MODEL",)),
    "no_folder": (("verify",), ("FOLDER: is missing; type 'qpsnn-codegen verify [OPTIONS] FOLDER'",)),
    "no_inputs": (("simulate", "FOLDER", "-o", "out.npz"), ("INPUTS",)),
    "no_data": (("evaluate", "MODEL"), ("--data",)),
    "too_many": (("MODEL", "MODEL", *OUT), ("unexpected",)),
    "timesteps_no_number": (("MODEL", *OUT, "-T", "four"), ("four", "integer")),
    "weights_in": (("MODEL", *OUT, "--weights-in", "flash"), ("flash", "binary")),
    "input_bits": (("MODEL", *OUT, "--input-bits", "12"), ("12", "16")),
    "schedule": (("MODEL", *OUT, "--schedule", "stream"), ("stream", "window")),
    "packing": (("MODEL", *OUT, "--packing", "bits"), ("bits", "words")),
    "ram_limit_zero": (("MODEL", *OUT, "--ram-limit", "0"), ("--ram-limit",)),
    "flash_limit_text": (
        ("MODEL", *OUT, "--flash-limit", "16 mice"),
        ("--flash-limit: ", "'16 mice' is no number of bytes: give 8192 or 8K"),
    ),
    "kernel_of_nothing": (("MODEL", *OUT, "--kernel", "events"), ("--kernel", "'events'", "LAYER=", "image_bytes")),
    "kernel_twice": (
        ("MODEL", *OUT, "--kernel", "conv1=generic", "--kernel", "conv1=events"),
        ("--kernel: layer 'conv1' is to run on both generic and events", "name one kernel"),
    ),
    "kernel_of_no_layer": (("MODEL", *OUT, "--kernel", "conv99=generic"), ("'conv99'", "choose one of ")),
    "samples": (("MODEL", *OUT, "--samples", "0"), ("--samples",)),
    "limit": (("evaluate", "MODEL", "--data", "digits", "--limit", "0"), ("--limit",)),
    "calibrate_missing": (("MODEL", *OUT, "--calibrate", "none.npy"), ("none.npy", "No such file")),
    "calibrate_unknown": (
        ("MODEL", *OUT, "--calibrate", "cifar"),
        ("cifar: cannot be read", "give an .npy or .npz file, digits, or KIND:PATH"),
    ),
    "train_bits_3": ((*TRAIN, "--bits", "3"), ("--bits: ", "3", "2, 4")),
    "train_bits_16": ((*TRAIN, "--bits", "16"), ("--bits: ", "16")),
    "train_bits_0": ((*TRAIN, "--bits", "0"), ("--bits: ", "0")),
    "train_bits_negative": ((*TRAIN, "--bits", "-4"), ("--bits: ", "-4")),
    "train_arch": ((*TRAIN, "--arch", "transformer"), ("--arch: ", "transformer", "vgg16")),
    "train_gamma": ((*TRAIN, "--gamma", "median"), ("median", "percentile")),
    "train_layout": ((*TRAIN, "--layout", "16,X"), ("--layout", "'X'")),
    "train_layout_zero": ((*TRAIN, "--layout", "0"), ("--layout", "'0'")),
    "train_layout_empty": ((*TRAIN, "--layout", ""), ("--layout",)),
    "train_pools": ((*TRAIN, "--layout", "4,M,M,M,M"), ("--layout: ", "pools")),
    "train_hidden_of_cnn": ((*TRAIN, "--hidden", "16"), ("hidden",)),
    "train_hidden_pool": ((*TRAIN, "--arch", "mlp", "--hidden", "16,M"), ("--hidden", "'M'")),
    "train_epochs": ((*TRAIN, "--epochs", "-1"), ("--epochs: ",)),
    "train_rate": ((*TRAIN, "--lr", "nan"), ("--lr: ",)),
    "train_small_images": ((*TRAIN, "--arch", "vgg16"), ("--arch: vgg16 needs larger images than the 8×8 pixels",)),
    "prune_rate": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0", "--lr", "0", "-o", "new.pt"),
        ("--lr: it is 0",),
    ),
    "zoo_shape": (("zoo", "--arch", "vgg16", "--input", "1,8,8", "-o", "new.pt"), ("--input: ", "larger inputs")),
    "train_batch": ((*TRAIN, "--batch", "0"), ("--batch: ",)),
    "train_crop": ((*TRAIN, "--crop", "-1"), ("--crop: ", "-1")),
    "train_cutout": ((*TRAIN, "--cutout", "x"), ("--cutout",)),
    "train_autoaugment": ((*TRAIN, "--autoaugment", "mnist"), ("--autoaugment", "mnist", "svhn")),
    "train_autoaugment_grey": (
        (*TRAIN, "--autoaugment", "cifar10"),
        ("--autoaugment: ", "colour images of bytes", "digits has 1×8×8"),
    ),
    "train_penalty": ((*TRAIN, "--spike-penalty", "-1"), ("--spike-penalty: ", "-1")),
    "train_penalty_nan": ((*TRAIN, "--spike-penalty", "nan"), ("--spike-penalty: ", "nan")),
    "train_device": ((*TRAIN, "--device", "tpu"), ("--device", "tpu")),
    "train_csv_exists": ((*TRAIN, "--csv", "MODEL"), ("the file exists", "--csv")),
    "train_csv_nowhere": ((*TRAIN, "--csv", "MODEL/run.csv"), ("model.pt/run.csv: cannot be written", "--csv")),
    "train_csv_is_output": ((*TRAIN, "--csv", "./new.pt"), ("-o, --csv: both write new.pt; give two names",)),
    "train_state_is_csv": ((*TRAIN, "--csv", "a", "--state", "a"), ("--state, --csv: both write a",)),
    "prune_plot_is_scores": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0", "--scores", "x", "--plot", "x", "-o", "new.pt"),
        ("--scores, --plot: both write x",),
    ),
    "prune_scores_are_output": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0", "--scores", "x", "-o", "x"),
        ("-o, --scores: both write x",),
    ),
    "train_data_option": (("train", "--data", "events:.?colour=3", "-o", "new.pt"), ("holds no", "class")),
    "train_data_value": (("train", "--data", "events:.?frames=none", "-o", "new.pt"), ("frames is 'none'",)),
    "train_threads": ((*TRAIN, "--threads", "0"), ("--threads",)),
    "train_resume_what": ((*TRAIN, "--resume"), ("--resume", "--state")),
    "train_state_exists": ((*TRAIN, "--state", "MODEL"), ("the file exists",)),
    "train_resume_other": ((*TRAIN, "--state", "MODEL", "--resume"), ("no training state",)),
    "train_over_a_file": (("train", "--data", "digits", "-o", "MODEL"), ("the file exists", "--force")),
    "train_over_a_folder": (("train", "--data", "digits", "-o", "FOLDER", "--force"), ("it is a folder",)),
    "train_below_a_file": (
        ("train", "--data", "digits", "-o", "MODEL/new.pt"),
        ("model.pt/new.pt: cannot be written", "is no folder", "give another -o"),
    ),
    "prune_ratio": (("prune", "MODEL", "--data", "digits", "--ratio", "half", "-o", "new.pt"), ("--ratio", "half")),
    "prune_all": (("prune", "MODEL", "--data", "digits", "--ratio", "1.5", "-o", "new.pt"), ("--ratio: ", "1.5")),
    "prune_nan": (("prune", "MODEL", "--data", "digits", "--ratio", "nan", "-o", "new.pt"), ("--ratio: ", "nan")),
    "prune_three_ratios": (("prune", "MODEL", "--data", "digits", "--ratio", "0,0,0", "-o", "new.pt"), ("3",)),
    "prune_goal": (("prune", "MODEL", "--data", "digits", "-o", "new.pt"), ("--ratio", "--target")),
    "prune_two_goals": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0.5", "--target", "flash=1", "-o", "new.pt"),
        ("exactly one of --ratio, --target and --preset",),
    ),
    "prune_preset_and_ratio": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0.5", "--preset", "cifar10-vgg16-1.42M", "-o", "new.pt"),
        ("exactly one of --ratio, --target and --preset",),
    ),
    "prune_preset": (
        ("prune", "MODEL", "--data", "digits", "--preset", "vgg", "-o", "new.pt"),
        ("'vgg' is unknown", "cifar10-vgg16-1.42M"),
    ),
    "prune_preset_of_another": (
        ("prune", "MODEL", "--data", "digits", "--preset", "cifar10-vgg16-1.42M", "-o", "new.pt"),
        ("--preset", "no conv", "--arch vgg16"),
    ),
    "prune_preset_without_ratios": (
        ("prune", "MODEL", "--data", "digits", "--preset", "imagenet-sew_resnet18", "-o", "new.pt"),
        ("a row without pruning", "--ratio"),
    ),
    "prune_target": (
        ("prune", "MODEL", "--data", "digits", "--target", "speed=1", "-o", "new.pt"),
        ("--target", "speed=1", "operations=40%"),
    ),
    "prune_plot_exists": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0.5", "--plot", "MODEL", "-o", "new.pt"),
        ("the file exists", "--plot"),
    ),
    "prune_criterion": (
        ("prune", "MODEL", "--data", "digits", "--ratio", "0", "--criterion", "x", "-o", "n"),
        ("svs",),
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, workplace: Workplace) -> None:
    arguments, says = USAGE[case]
    places = {"MODEL": workplace.model(), "FOLDER": workplace.firmware()}
    words = [
        argument.replace("MODEL", "model.pt") if argument.startswith("MODEL") else argument for argument in arguments
    ]
    workplace.refuses(*(places.get(word, word) for word in words), says=says)


@pytest.mark.parametrize(
    ("target", "smallest"),
    [
        ("parameters=3", "parameters"),
        ("flash=1", "bytes"),
        ("flash=1%", "bytes"),
        ("operations=1", "operations"),
        ("instructions=9", "instructions"),
    ],
)
def test_a_target_that_cannot_be_reached(target: str, smallest: str, workplace: Workplace) -> None:
    """The answer is no: 1, and what would do."""
    arguments = ("prune", workplace.model(), "--data", "digits", "-o", "new.pt", "--target")
    line = workplace.refuses(*arguments, target, says=(f"--target {target}: ",), code=1)
    match = re.search(rf": the smallest network has ([\d,]+) {smallest}; give at least (\d+)$", line)
    assert match is not None, line
    assert int(match[1].replace(",", "")) == int(match[2])
    name = target.partition("=")[0]
    workplace.refuses(*arguments, f"{name}={int(match[2]) - 1}", says=("give at least",), code=1)
    assert call(*arguments, f"{name}={match[2]}").code == 0


@pytest.mark.parametrize("text", ["4096", "4K", "4k", "4KB", "4KiB", "4 kb"])
def test_sizes(text: str) -> None:
    assert Bytes().convert(text, None, None) == 4096


@pytest.mark.parametrize("text", ["", "0", "0K", "-1", "4.5K", "K", "4G", "4x", "٤"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="give 8192 or 8K"):
        Bytes().convert(text, None, None)


def test_missing_folders_are_made(workplace: Workplace) -> None:
    out = Path("a/b/new.pt")
    prune = ("prune", workplace.model(), "--data", "digits", "--ratio", "0", "--scores", "c/d.json", "-o", out)
    assert call(*prune).code == 0
    assert out.is_file()
    assert Path("c/d.json").is_file()


@pytest.mark.parametrize("epochs", [1, 3])
def test_training_that_diverges(epochs: int, workplace: Workplace) -> None:
    arguments = ("train", "--data", "digits", "--layout", "4,M", "-T", "1", "--lr", "1e30", "-o", "new.pt")
    says = ("--lr: training diverged in epoch 1: ", " is not finite; give less than 1e+30")
    workplace.refuses(*arguments, "--epochs", epochs, "--csv", "log.csv", "--state", "run.state", says=says)


@pytest.mark.parametrize(
    ("option", "what"), [("--ram-limit", "bytes of arena"), ("--flash-limit", "bytes of weights and constants")]
)
def test_a_limit_that_cannot_be_kept(option: str, what: str, workplace: Workplace) -> None:
    """The answer is no: 1, and how much is missing."""
    workplace.refuses(workplace.model(), "-o", "out", option, "40", says=(f"{option} 40: ", what, " more, "), code=1)


@pytest.mark.parametrize("case", ["unknown_command", "unknown_option", "no_output", "train_bits_3"])
def test_usage_in_a_process_of_its_own(case: str, workplace: Workplace) -> None:
    arguments, says = USAGE[case]
    places = {"MODEL": workplace.model()}
    workplace.refuses(*(places.get(argument, argument) for argument in arguments), says=says, runner=run)


def test_autoaugment_without_kornia(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = np.zeros((4, 3, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    np.savez("colour.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    monkeypatch.setitem(sys.modules, "kornia.augmentation.auto", None)
    autoaugment.kornia_pairs.cache_clear()
    arguments = ("train", "--data", "npz:colour.npz", "--autoaugment", "svhn", "-o", "new.pt")
    workplace.refuses(*arguments, says=("kornia is not installed", "pip install 'qpsnn-codegen[autoaugment]'"))


def test_without_arguments_is_help(workplace: Workplace) -> None:
    result = call()
    assert (result.code, result.err) == (0, "")
    assert result.out == call("--help").out


def test_file_names_are_quoted_as_they_are(workplace: Workplace) -> None:
    """A line break in a name does not make two lines of the message."""
    workplace.refuses("no\nsuch.pt", "-o", "out", says=("no such.pt",))
    workplace.refuses("verify", "no\nsuch", says=("no such",))
    Path("a; b: c.pt").touch()
    workplace.refuses("a; b: c.pt", "-o", "out", says=("a; b: c.pt: ", "empty"))
