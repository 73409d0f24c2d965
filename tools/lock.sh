#!/usr/bin/env bash
# lock.sh: rewrites tools/requirements/*.txt from the *.in beside them, all resolved together so
# that one environment can hold every set. Run it to take newer versions; commit what it changed.
source "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pip-tools
compile() {
  "$work/venv/bin/pip-compile" --quiet --upgrade --strip-extras --no-header --no-annotate \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file "$@"
}
cd tools/requirements
compile "$work/all.txt" ./*.in
for set in *.in; do
  compile "${set%.in}.txt" --constraint "$work/all.txt" "$set"
done
