#!/usr/bin/env bash
# demo.sh: sets up only what the demo needs, then transports one photograph's colours onto another,
# and one silhouette onto another.
source "$(dirname "$0")/common.sh"
tools/setup.sh python
requirements demo
for example in color_transfer silhouettes; do
  say "examples/$example.py"
  "$venv/bin/python" "examples/$example.py" "$@"
done
