#!/usr/bin/env bash
# setup.sh: everything `make setup` promises: packages, .venv, the Python package and the command
# line in it. `setup.sh python` stops after the Python package.
source "$(dirname "$0")/common.sh"

tools/packages.sh build
requirements build runtime

say "Building and installing the Python package (all of pip's output: build/python.log)"
# Without isolation and with a kept build folder: the second time nothing is compiled again.
mkdir -p build
"$venv/bin/pip" install --verbose "${pip_build[@]}" . 2>&1 | tee build/python.log |
  { grep --line-buffered -oE '\[[0-9]+/[0-9]+\] .*|Successfully installed .*' || true; } ||
  { tail -n 60 build/python.log; exit 1; }
[ "${1:-}" = python ] && exit 0

say "Building and installing the command line"
build_preset "$preset" monge_cli
cmake --install "build/$preset" --component cli --prefix "$venv" >/dev/null
"$venv/bin/monge" info
command -v nvcc >/dev/null || echo "nvcc is not on PATH: everything but the CUDA part is built and tested."
