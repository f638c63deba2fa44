#!/bin/sh
# Makes .venv with the project (editable) and its development tools. Safe to run again at any time.
set -eu
cd "$(dirname "$0")/.."

sh tools/system_packages.sh build
python=$(tools/find_python.sh)

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    echo "setup: making .venv with $python"
    "$python" -m venv --clear .venv
fi

echo "setup: installing Python packages into .venv (PyTorch is large)"
.venv/bin/python -m pip install --disable-pip-version-check \
    --constraint constraints.txt --editable '.[dev]'
