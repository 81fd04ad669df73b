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

# Built from source against libmemcached: not everybody has a compiler and the headers.
"$python" -m pip install --quiet pylibmc >/dev/null 2>&1 ||
    echo "bench: pylibmc is left out: it could not be built (it needs a C compiler and libmemcached-dev)"
