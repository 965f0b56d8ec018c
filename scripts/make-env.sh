#!/bin/sh
# make-env.sh PYTHON VENV WHAT: makes a virtual environment and installs WHAT (a pip requirement; this project if it begins with a dot) into it.
# Says in one line what the machine lacks.
set -eu
python=$1 venv=$2 what=$3

fail() { echo "edgecam: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 ||
    fail "$python is not installed: sudo apt install python3 python3-venv"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' ||
    fail "$("$python" --version 2>&1) is not supported: use Python 3.11 to 3.14 (make PYTHON=python3.12 run)"
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    fail "the venv module is missing: sudo apt install python3-venv"
[ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 64 ] || "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    fail "on a 32-bit system only Python 3.11 has an interpreter for models (tflite-runtime): use a 64-bit system"

if [ ! -x "$venv/bin/python" ]; then
    # Picamera2 comes with the system's Python and can't be had from pip: where it is there, let the environment see it.
    site=
    if "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("picamera2") is None)' 2>/dev/null; then
        site=--system-site-packages
    fi
    echo "making the environment in $venv"
    "$python" -m venv $site "$venv" || { rm -rf "$venv"; fail "could not make $venv: see above"; }
fi

case $what in .*) editable=-e ;; *) editable= ;; esac
echo "installing (the first time takes a minute or two)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --prefer-binary $editable "$what" ||
    fail "installing failed: see above; is there a network?"
