"""qpsnn-codegen: compiles quantized and pruned spiking networks to bit-exact C for Cortex-M.

    import qpsnn_codegen
    compilation = qpsnn_codegen.compile("model.pt", name="digits")
    compilation.write("out/digits")

The command line does the same; see ``qpsnn-codegen --help``. Training lives in :mod:`qpsnn_codegen.nn`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qpsnn_codegen.errors import QpsnnError
from qpsnn_codegen.version import __version__

if TYPE_CHECKING:
    from qpsnn_codegen.network import Network
    from qpsnn_codegen.pipeline import Compilation, compile  # noqa: A004 - the name users look for

__all__ = ["Compilation", "Network", "QpsnnError", "__version__", "compile"]

_HOMES = {"Compilation": "pipeline", "Network": "network", "compile": "pipeline"}


def __getattr__(name: str) -> Any:
    # The pipeline is imported when it is first asked for: the command line has to answer Ctrl-C before.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
