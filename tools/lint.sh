#!/usr/bin/env bash
# lint.sh: formatting, include rules, clang-tidy on the host code, ruff and mypy. Changes nothing.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test lint
requirements build lint test

say "Formatting"
tools/format.sh --check
say "Layers"
"$venv/bin/python" tools/check_layers.py
say "ruff"
"$venv/bin/ruff" check .
say "mypy"
"$venv/bin/mypy"
say "clang-tidy"
# Not src/cpu: each of its files is compiled once per instruction set, which clang-tidy repeats at
# ten times the price of the rest together.
cmake --preset "$preset" >/dev/null
git ls-files 'src/*.cpp' 'cli/*.cpp' ':!src/cpu' |
  xargs -n1 -P2 clang-tidy-14 --quiet -p "build/$preset" 2> >(grep -v 'warnings generated' >&2)
