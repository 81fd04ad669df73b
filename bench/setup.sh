#!/bin/sh
# Installs what the benchmark measures beside kt-cache into the environment VENV (default .venv).
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"

# pip reads dependency groups itself only since 25.1; the interpreter reads them everywhere.
"$python" -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["dependency-groups"]["bench"], sep="\n")
' | "$python" -m pip install --quiet -r /dev/stdin

# The event loop that the bundled server runs on where it is installed.
"$python" -m pip install --quiet --editable '.[server]'

# What may have to be built from source: not everybody has a compiler and the headers.
attempt() {
    "$python" -m pip install --quiet "$1" >/dev/null 2>&1 ||
        echo "bench: $1 is left out: it could not be built (it needs $2)"
}
attempt pylibmc "a C compiler and libmemcached-dev"
attempt ukt "a C compiler"

command -v cc >/dev/null ||
    echo "bench: no C compiler (cc): the subjects server and disk cannot be measured"
