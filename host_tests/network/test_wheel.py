"""An installed wheel, in its own environment and away from the checkout, does what the checkout does."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODEL = Path("examples") / "digits_4bit_pruned.pt"
DATA_FOLDERS = ("templates", "firmware")


def run(command: list[str | Path], folder: Path) -> str:
    """Run without the checkout in reach of Python; the output if it succeeds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        [str(item) for item in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def distributions(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout], folder)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("qpsnn_codegen-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the installed wheel, whose dependencies are those that are installed here.

    A path file shows them, but not the checkout: of what it names, the path files are not read.
    """
    environment = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(environment, with_pip=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip: list[str | Path] = [environment / "bin" / "python", "-m", "pip"]
    run([*pip, "install", "--quiet", "--constraint", checkout / "constraints.txt", wheel], environment)
    run([*pip, "check"], environment)
    return environment / "bin" / "qpsnn-codegen"


def test_wheel_holds_the_package_and_its_data(wheel: Path, checkout: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    expected = {"qpsnn_codegen/py.typed": b""}
    package = checkout / "qpsnn_codegen"
    for path in [*package.rglob("*.py"), package / "code_sizes.json", package / "kernel_costs.json"]:
        expected[str(path.relative_to(checkout))] = path.read_bytes()
    for folder in DATA_FOLDERS:
        for path in (checkout / folder).rglob("*"):
            if path.is_file() and path.suffix != ".o" and "__pycache__" not in path.parts:
                expected[f"qpsnn_codegen/_data/{path.relative_to(checkout)}"] = path.read_bytes()
    assert sorted(inside) == sorted(expected)
    assert inside == expected


def test_source_distribution_is_whole(distributions: Path) -> None:
    (path,) = distributions.glob("qpsnn_codegen-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "README.md", "constraints.txt", "tools/setup.sh", str(MODEL)} <= names
    assert not any(name.startswith((".venv", ".git/")) for name in names)


def test_installed_command_equals_the_checkout(installed: Path, checkout: Path, tmp_path: Path) -> None:
    own = Path(sys.executable).parent / "qpsnn-codegen"
    model = checkout / MODEL
    for name, command in (("wheel", installed), ("checkout", own)):
        folder = tmp_path / name
        folder.mkdir()
        assert "0.1.0" in run([command, "--version"], folder)
        run([command, model, "-o", "digits", "--board", "microbit"], folder)
        assert [path.name for path in folder.iterdir()] == ["digits"]
    emitted = files(tmp_path / "wheel" / "digits")
    assert {"report.json", "ports/microbit/board.c", "ports/microbit/memory.ld"} <= set(emitted)
    assert emitted == files(tmp_path / "checkout" / "digits")

    run([installed, "verify", "digits"], tmp_path / "wheel")
