#!/usr/bin/env bash
# bench.sh: every benchmark program of bench/ in turn, on this machine as it is.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
build_preset bench
for program in build/bench/bench_*; do
  say "$(basename "$program")"
  "$program"
done
