"""qpsnn-codegen: compiles quantized and pruned spiking networks to bit-exact C for Cortex-M.

    import qpsnn_codegen
    compilation = qpsnn_codegen.compile("model.pt", name="digits")
    compilation.write("firmware/")

The command line does the same; see ``qpsnn-codegen --help``. Training lives in :mod:`qpsnn_codegen.nn`.
"""

from __future__ import annotations

from qpsnn_codegen.errors import QpsnnError
from qpsnn_codegen.network import Network
from qpsnn_codegen.pipeline import Compilation, compile  # noqa: A004 - the name users look for
from qpsnn_codegen.version import __version__

__all__ = ["Compilation", "Network", "QpsnnError", "__version__", "compile"]
