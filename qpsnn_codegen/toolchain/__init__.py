"""Finding, running and explaining the compilers this tool stands on."""

from qpsnn_codegen.toolchain.host import HostCompiler, build_host, find_host_compiler, run_host

__all__ = ["HostCompiler", "build_host", "find_host_compiler", "run_host"]
