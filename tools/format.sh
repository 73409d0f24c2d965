#!/usr/bin/env bash
# format.sh [--check]: clang-format and ruff over every source; --check changes nothing and fails
# where something would change.
source "$(dirname "$0")/common.sh"
tools/packages.sh lint
requirements lint
check=${1:-}

git ls-files '*.cpp' '*.hpp' '*.cu' | xargs clang-format-14 ${check:+--dry-run --Werror} -i
"$venv/bin/ruff" format --quiet ${check:+--check} .
[ -n "$check" ] || "$venv/bin/ruff" check --quiet --fix .
