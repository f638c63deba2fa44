"""What can go wrong, said the same way everywhere: where, what, and what to do about it.

Library code raises these; only :mod:`qpsnn_codegen.cli` turns them into one line and an exit code.
"""

from __future__ import annotations


class QpsnnError(Exception):
    """Base of every error a user can cause or meet.

    Args:
        where: the file, option or layer concerned (``model.pt``, ``--bits``, ``layer conv2``).
        what: what is wrong there, in one clause.
        remedy: what the user can do about it, in one clause.

    The exit code is 2 (bad input or usage) for all but "the answer is no" (1).
    """

    exit_code = 2

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.what = what
        self.remedy = remedy
        super().__init__(where, what, remedy)

    def __str__(self) -> str:
        return " ".join(f"{self.where}: {self.what}; {self.remedy}".split())


class UsageError(QpsnnError):
    """An option or argument that cannot be used as given."""


class ModelFileError(QpsnnError):
    """A model file that is not one, is damaged, or contradicts itself."""


class UnsupportedError(QpsnnError):
    """A layer, or an option of a layer, that this compiler does not translate."""


class LoweringError(QpsnnError):
    """A network whose integers cannot be made exact or kept within 32 bits."""


class DataError(QpsnnError):
    """A data set or an input array that cannot be used as given."""


class ToolchainError(QpsnnError):
    """A compiler or tool that is missing or failed; the remedy names the Debian package."""


class BoardError(QpsnnError):
    """A board that nobody knows, or that is described wrongly."""


class BudgetError(QpsnnError):
    """A model that takes more flash or RAM than a limit or a board allows: the answer is no."""

    exit_code = 1


class DeviceError(QpsnnError):
    """A device that cannot be reached, does not answer, answers nonsense, or reports a fault."""


class OutputError(QpsnnError):
    """An output folder or file that cannot be written."""


class InternalError(QpsnnError):
    """A stage handed on a value that its checker refuses: a defect of this tool, not of the input."""

    exit_code = 70

    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what, "this is a defect of qpsnn-codegen; please report it with the model")
