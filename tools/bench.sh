#!/usr/bin/env bash
# bench.sh [ARGUMENT...]: every benchmark program of bench/ in turn, on this machine as it is, then
# bench/compare.py with these arguments: monge beside its peers (--help lists them, --quick is short).
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
build_preset bench
for program in build/bench/bench_*; do
  say "$(basename "$program")"
  "$program"
done

tools/setup.sh python
tools/peers.sh || echo "The peers could not be installed: their rows say so."
say "bench/compare.py"
"$venv/bin/python" bench/compare.py "$@"
