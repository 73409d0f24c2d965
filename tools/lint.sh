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
cmake --preset lint >/dev/null
# Twelve files at a time, by the lists that a unity build includes them from: the standard library
# and CLI11 are most of what there is to read, an eighth of the time so.
run-clang-tidy-14 -quiet -j2 -p build/lint '^(?!.*/src/cpu/)' \
  2> >(grep -v 'warnings generated' >&2)
