#!/usr/bin/env bash
# demo.sh: sets up only what the demo needs, then transports one photograph's colours onto another.
source "$(dirname "$0")/common.sh"
tools/setup.sh python
requirements demo
say "examples/color_transfer.py"
exec "$venv/bin/python" examples/color_transfer.py "$@"
