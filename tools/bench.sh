#!/usr/bin/env bash
# bench.sh [ARGUMENT...]: every benchmark program of bench/ in turn, on this machine as it is, then
# tools/compare.sh with these arguments.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
build_preset bench
for program in build/bench/bench_*; do
  say "$(basename "$program")"
  "$program"
done

tools/compare.sh "$@"
