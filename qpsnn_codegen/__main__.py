"""``python -m qpsnn_codegen``: the command line."""

from qpsnn_codegen.cli import main

main()
