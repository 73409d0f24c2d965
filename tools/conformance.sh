#!/usr/bin/env bash
# conformance.sh [--sample]: the peers' own tests on monge's faces (tests/conformance), read from their source
# distributions on PyPI and never copied. --sample: POT's solvers on NumPy in .venv, within a minute; else also torch
# and JAX, and FlashSinkhorn's wheel, in .venv-peers, and what only a checkout has, where POT_SOURCE and GEOMLOSS_SOURCE
# name one.
source "$(dirname "$0")/common.sh"
suite=$root/tests/conformance
work=$root/build/conformance
mkdir -p "$work"

# source_of PACKAGE VERSION: its source distribution, unpacked under build/conformance.
source_of() {
  local folder=$work/$1-$2
  if [ ! -d "$folder" ]; then
    say "Tests of $1 $2, from its source distribution"
    "$venv/bin/pip" download --quiet --no-deps --no-binary "$1" --dest "$work" "$1==$2"
    tar -C "$work" -xf "$work/$1-$2.tar.gz"
  fi
}

# tests_of PLUGIN FOLDER [ARGUMENT...]: pytest there, with nothing of the peer's own configuration.
tests_of() {
  local plugin=$1 folder=$2
  shift 2
  (cd "$folder" && PYTHONPATH=${shim:+$shim:}$suite:$work/path "$interpreter" -m pytest -q -p no:cacheprovider \
    -p "$plugin" -c /dev/null --rootdir "$folder" -W ignore "$@")
}

version=$(sed -n 's/^pot==//p' tools/requirements/peers.txt)
files='test_solvers.py test_bregman.py test_partial.py'
selection='not bary and not gromov and not unmix'
tools/setup.sh python
if [ "${1:-}" = --sample ]; then
  requirements test
  interpreter=$venv/bin/python
  source_of pot "$version"
  say "POT's solver tests on monge.compat.pot"
  CONFORMANCE_WHOLE=1 tests_of pot_suite "$work/pot-$version/test" $files -k "$selection"
  exit
fi

tools/peers.sh
interpreter=$root/.venv-peers/bin/python
source_of pot "$version"
mkdir -p "$work/path"
ln -sfn "$("$venv/bin/python" -c 'import monge, os; print(os.path.dirname(monge.__file__))')" "$work/path/monge"
failed=()

say "POT's tests on monge.compat.pot"
CONFORMANCE_WHOLE=1 tests_of pot_suite "$work/pot-$version/test" \
  $files -k "$selection" || failed+=(POT)
if [ -n "${POT_SOURCE:-}" ]; then
  CONFORMANCE_WHOLE=1 CONFORMANCE_EXPECTED=pot_checkout.txt tests_of pot_suite "$POT_SOURCE/test" \
    unbalanced/test_sinkhorn.py -k "$selection" || failed+=("POT's checkout")
else
  echo "POT_SOURCE names no checkout: unbalanced/test_sinkhorn.py is not in the source distribution."
fi

if [ -n "${GEOMLOSS_SOURCE:-}" ]; then
  for exact in "" 1; do
    say "GeomLoss's tests on monge.compat.geomloss${exact:+, at 1e-9}"
    shim=$suite/shim CONFORMANCE_EXACT=$exact tests_of geomloss_suite "$GEOMLOSS_SOURCE" tests ||
      failed+=("GeomLoss${exact:+ at 1e-9}")
  done
else
  echo "GEOMLOSS_SOURCE names no checkout: its source distribution lacks the generators of its tests."
fi

flash=$work/$(grep -o 'flash-sinkhorn==[0-9.]*' tools/gpu_build.sh)
if [ ! -d "$flash" ]; then
  "$venv/bin/pip" download --quiet --no-deps --dest "$work" "$(basename "$flash")"
  "$venv/bin/python" -m zipfile -e "$work"/flash_sinkhorn-*.whl "$flash"
fi
say "FlashSinkhorn's tests on monge.torch, without a GPU"
CONFORMANCE_WHOLE=1 shim=$flash tests_of flash_suite "$flash" flash_sinkhorn/testing || failed+=(FlashSinkhorn)

say "The faces' own tests, beside their peers"
PYTHONPATH=$work/path "$interpreter" -m pytest -q -p no:cacheprovider tests/python/test_compat_*.py || failed+=("own tests")

[ ${#failed[@]} -eq 0 ] || { printf 'FAILED: %s\n' "${failed[@]}"; exit 1; }
