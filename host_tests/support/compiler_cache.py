"""The compilers behind ccache while tests run: most of them compile the same runtime, each in a folder of its own.

ccache knows an object by the compiler, its options and the preprocessed source, so another text is compiled anew.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

COMPILERS = ("gcc", "clang", "arm-none-eabi-gcc")

# Sources lie in a temporary folder, and were written just now: neither matters to what is made of them.
_SETTINGS = """\
hash_dir = false
sloppiness = include_file_mtime, include_file_ctime
max_size = 1G
"""

# Everything is named by its path: tests run compilers with hardly anything on PATH, or in the environment.
_FRONT = """\
#!/bin/sh
export CCACHE_DIR={cache} CCACHE_CONFIGPATH={cache}/ccache.conf
before='' compiled='' graph='' sizes='' unit=''
for word; do
    case "$before $word" in
    *' -c') compiled=yes ;;
    *' -fcallgraph-info=su') graph=yes ;;
    *' -fstack-usage') sizes=yes ;;
    '-o '*.o) unit=${{word%.o}} ;;
    esac
    before=$word
done
[ -n "$compiled" ] || exec {compiler} "$@"
[ -n "$graph" ] || exec {ccache} {compiler} "$@"
# ccache keeps the sizes of frames (.su), but not the call graph (.ci), which therefore travels behind them.
# Where both are not beside an object of the usual name (CMake's is f.c.obj), the compiler is on its own.
[ -n "$sizes" ] && [ -n "$unit" ] || exec {compiler} "$@"
if [ "$CCACHE_PREFIX" = "$0" ]; then
    "$@" || exit
    exec {cat} "$unit.ci" >>"$unit.su"
fi
CCACHE_PREFIX=$0 {ccache} {compiler} "$@" || exit
{sed} -n '/^graph: /,$p' "$unit.su" >"$unit.ci"
exec {sed} -i '/^graph: /,$d' "$unit.su"
"""


def use_compiler_cache(folder: Path) -> None:
    """Put the compilers first on PATH, with what they make kept in ``folder``. Without ccache, leave them as they are.

    With ``CCACHE_DISABLE`` in the environment, everything is compiled.
    """
    ccache, cat, sed = (shutil.which(name) for name in ("ccache", "cat", "sed"))
    if ccache is None or cat is None or sed is None or re.search(r"\s", str(folder)):
        return  # ccache takes the path of its prefix apart at white space
    fronts, cache = folder / "bin", folder / "objects"
    _write(cache / "ccache.conf", _SETTINGS)
    for name in COMPILERS:
        compiler = shutil.which(name)
        # Where ccache stands in for the compiler already, it would be its own compiler.
        if compiler is not None and not Path(compiler).samefile(ccache):
            tools = {"cache": str(cache), "ccache": ccache, "compiler": compiler, "cat": cat, "sed": sed}
            _write(fronts / name, _FRONT.format_map({key: shlex.quote(path) for key, path in tools.items()}))
    os.environ["PATH"] = f"{fronts}{os.pathsep}{os.environ['PATH']}"


def compile_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what two compilations have in common: the second is one, too."""
    monkeypatch.setenv("CCACHE_DISABLE", "1")


def _write(path: Path, text: str) -> None:
    """Only what changes: another run may be using it, and ccache knows programs by their age."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    whole.write_text(text, encoding="utf-8")
    whole.chmod(0o755)
    whole.replace(path)
