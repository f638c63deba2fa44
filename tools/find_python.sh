#!/bin/sh
# Prints the Python to make .venv with: the first of $PYTHON, python3 and the versioned names that is 3.11
# or newer and can make virtual environments. Otherwise says what is wrong with those there are, exit code 1.
#
#   tools/find_python.sh             the interpreter
#   tools/find_python.sh --package   the Debian packages that would make this succeed
set -u

usable='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
recent='import sys; sys.exit(sys.version_info < (3, 11))'

candidates="${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11"

package="python3 python3-venv"
for python in $candidates; do
    command -v "$python" >/dev/null 2>&1 || continue
    if "$python" -c "$usable" 2>/dev/null; then
        [ "${1-}" = --package ] || echo "$python"
        exit 0
    fi
    if "$python" -c "$recent" 2>/dev/null; then
        echo "setup: $python has no venv module" >&2
        case $python in
        python3.*) package="$python-venv" ;;
        *) package=python3-venv ;;
        esac
    else
        echo "setup: $python is $("$python" --version 2>&1), older than the 3.11 needed" >&2
        package="python3.11 python3.11-venv"
    fi
done

if [ "${1-}" = --package ]; then
    echo "$package"
    exit 0
fi
echo "setup: no usable Python: install Python 3.11 or newer with its venv module ($package)," \
    "or name one: make setup PYTHON=/path/to/python3" >&2
exit 1
