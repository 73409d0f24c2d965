#!/usr/bin/env bash
# peers.sh: the libraries monge is compared with, in an environment of their own (.venv-peers, about
# 4 GB). bench/compare.py runs without it and says which peers are missing.
source "$(dirname "$0")/common.sh"
venv=$root/.venv-peers
lock=tools/requirements/peers.txt
cat tools/requirements/frameworks.txt "$lock" | cmp -s - "$venv/.peers.txt" && exit 0
say "Peers of the comparison: .venv-peers, from $lock"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --no-deps --requirement "$lock"
cat tools/requirements/frameworks.txt "$lock" >"$venv/.peers.txt"
