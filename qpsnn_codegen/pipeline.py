"""The pipeline: file → Network → IntegerNetwork → Plan → files, a checker after each arrow, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from qpsnn_codegen.boards import find_board
from qpsnn_codegen.budget import Budget
from qpsnn_codegen.calibration import Activity, measure
from qpsnn_codegen.emit.c_literals import check_model_name
from qpsnn_codegen.emit.folder import write_folder
from qpsnn_codegen.emit.golden import make_golden
from qpsnn_codegen.emit.ports import port_files
from qpsnn_codegen.emit.render import render
from qpsnn_codegen.errors import DataError, UsageError
from qpsnn_codegen.footprint import external_weights, needs_of
from qpsnn_codegen.integer_network import IntegerNetwork, check_integer_network
from qpsnn_codegen.kinds.real_weights import rounding_of
from qpsnn_codegen.loaders.base import Ends, LoadOptions
from qpsnn_codegen.lowering import LoweringOptions, lower
from qpsnn_codegen.network import Network, check_network
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.plan import Plan, check_plan
from qpsnn_codegen.planning.work import ASSUMED_RATE, assumed_work
from qpsnn_codegen.report.boards import boards_report
from qpsnn_codegen.report.summary import summarize
from qpsnn_codegen.trading import plan_within

_AS_IT_COMES = PlanOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Everything a compilation made, stage by stage.

    Attributes:
        trades: what the plan gives up to keep a limit or fit a board, a line for each change.
        report: what ``report.json`` holds, plain data; there, ``files`` lists the folder's files.
        files: the firmware folder by relative path.
        activity: what the calibration data showed, if there was any.
    """

    network: Network
    integers: IntegerNetwork
    plan: Plan
    trades: tuple[str, ...]
    activity: Activity | None
    report: dict[str, Any]
    files: dict[str, str | bytes]

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the folder, whole or not at all.

        Args:
            force: replace a folder an earlier compilation wrote, if nothing else is in it.

        Raises:
            OutputError: it exists and is not empty, or cannot be written.
        """
        write_folder(self.files, Path(folder), force=force)


def compile(  # noqa: A001 - qpsnn_codegen.compile() is what it is called
    model: str | Path | Network,
    *,
    name: str | None = None,
    timesteps: int | None = None,
    calibration: NDArray[Any] | None = None,
    weights_in: Literal["c", "binary"] = "c",
    input_bits: Literal[8, 16] = 16,
    weight_bits: Literal[8, 16] = 16,
    readout_bits: Literal[8, 16] = 8,
    bits: int | None = None,
    ends: Ends | None = None,
    boards: Sequence[str] = (),
    planning: PlanOptions = _AS_IT_COMES,
    ram_limit: int | None = None,
    flash_limit: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    say: Callable[[str], None] = lambda step: None,
) -> Compilation:
    """Compile a trained network to C.

    Args:
        model: a ``model.pt`` (docs/checkpoint.md), a checkpoint of the QP-SNN authors' code, or a :class:`Network`.
        name: prefix of every C symbol; by default made from the file name.
        timesteps: T, instead of the one the model was trained with.
        calibration: raw inputs, uint8 ``[N, C, H, W]`` or ``[N, T, C, H, W]``, to count spikes and operations on.
        weights_in: an array in C, or a binary file that an assembler file includes.
        input_bits: width of normalized images, for models whose normalization is more than a scale.
        weight_bits, readout_bits: width of weights the model holds as real numbers: in its first and last layer.
        bits, ends: what a checkpoint of the authors' code does not say: the width of its inner weights (4), and
            whether the first and last layer were trained in ``"float"`` (the default) or ``"8bit"``.
        boards: whose ports the folder gets, by name; the model must fit each of them.
        planning: how stages take turns, how spikes are packed, which kernels run which layers.
        ram_limit: bytes that the arena may take.
        flash_limit: bytes that weights and constants may take.
        progress: called with the number of calibration samples just done.
        say: called with the name of each step as it begins.

    Raises:
        ModelFileError, UnsupportedError, LoweringError, UsageError, DataError: see :mod:`qpsnn_codegen.errors`.
        BoardError: no such board.
        BudgetError: the model does not keep a limit, or fit a board, in any form that the options leave open.
    """
    prefix = check_model_name(default_name(model) if name is None else name)
    targets = [find_board(board) for board in dict.fromkeys(boards)]
    say("loading")
    left_open = LoadOptions(timesteps=timesteps, bits=bits, ends=ends)
    network = load(model, left_open)
    say("lowering to integers and certifying")
    lowering = LoweringOptions(input_bits=input_bits, weight_bits=weight_bits, readout_bits=readout_bits)
    integers = lower(network, lowering)
    check_integer_network(integers)
    if calibration is not None and not len(calibration):
        raise DataError("calibration", "holds no inputs", "give at least one")
    activity = None if calibration is None else measure(network, integers, calibration, progress)
    say("planning")
    budget = Budget(ram=ram_limit, flash=flash_limit, boards=tuple(targets))
    work = assumed_work(integers, ASSUMED_RATE) if activity is None else activity.work
    bargain = plan_within(integers, prefix, planning, budget, work)
    plan = bargain.plan
    check_plan(plan)
    needs = needs_of(plan)
    chosen = {
        "name": prefix,
        "timesteps": network.timesteps,
        "weights_in": weights_in,
        "input_bits": input_bits,
        **rounding_of(network, lowering),
        **left_open.given(),
    }
    options = " ".join(
        [
            *(f"--{key.replace('_', '-')} {value}" for key, value in chosen.items()),
            *(f"--board {board.name}" for board in targets),
            *plan.options.arguments(),
        ]
    )
    report = summarize(plan, activity, options)
    report |= boards_report(needs, targets, report["instructions"])
    say("computing golden vectors")
    golden = make_golden(integers, calibration)
    say("writing C")
    ports = port_files(targets, external_weights(needs, targets))
    files = render(plan, golden=golden, report=report, options=options, weights_in=weights_in, ports=ports)
    return Compilation(
        network=network,
        integers=integers,
        plan=plan,
        trades=bargain.trades,
        activity=activity,
        report=report,
        files=files,
    )


def load(model: str | Path | Network, options: LoadOptions | None = None) -> Network:
    """The network of a file, or a :class:`Network` itself, checked; T of the options in the place of its own."""
    options = options or LoadOptions()
    if isinstance(model, Network):
        network = model if options.timesteps is None else replace(model, timesteps=options.timesteps)
        check_network(network)
        return network
    # torch takes a second to import; commands that read no model should not pay for it.
    from qpsnn_codegen.loaders.files import load_file  # noqa: PLC0415

    return load_file(Path(model), options).network


def default_name(model: str | Path | Network) -> str:
    """A symbol prefix from a file name: lower case, other characters as ``_``, after ``net_`` where it has to be."""
    if isinstance(model, Network):
        return "model"
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in Path(model).stem.lower()).strip("_")
    try:
        return check_model_name(stem[:48])
    except UsageError:
        return f"net_{stem}"[:48]
