#!/usr/bin/env bash
# compare.sh [ARGUMENT...]: bench/compare.py with these arguments, monge beside its peers (--help lists
# them, --quick is short, --grid is that of docs/benchmarks.md), in environments that it sets up.
source "$(dirname "$0")/common.sh"
tools/setup.sh python
tools/peers.sh || echo "The peers could not be installed: their rows say so."
say "bench/compare.py"
"$venv/bin/python" bench/compare.py "$@"
