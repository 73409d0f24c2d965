# Sourced by the scripts of tools/: where things are, and how they speak.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
python=${PYTHON:-python3}
# One compilation for all build trees: the same compiler name in each, and paths from the root.
export CC=${CC:-cc} CXX=${CXX:-c++} CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
export PIP_DISABLE_PIP_VERSION_CHECK=1

# In CI warnings are errors, in every build tree alike. These scripts build the CPU part alone, which
# takes a minute; `pip install .` builds the CUDA backend too where nvcc is found.
preset=cpu pip_build=(--no-build-isolation --no-deps --config-settings=build-dir=build/python
  --config-settings=cmake.define.MONGE_CUDA=OFF)
if [ "${CI:-}" = true ]; then
  preset=ci
  pip_build+=(--config-settings=cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON)
fi

say() { printf '\n== %s\n' "$*"; }

# requirements SET...: the pinned packages of tools/requirements/SET.txt in .venv. A stamp beside
# the packages remembers the lock they came from, so an unchanged one costs nothing.
requirements() {
  if [ ! -x "$venv/bin/python" ]; then
    say "Python environment: .venv, with $("$python" --version)"
    "$python" -m venv "$venv"
  fi
  local set lock stamp closed
  for set in "$@"; do
    lock=tools/requirements/$set.txt stamp=$venv/.$set.txt
    cmp -s "$lock" "$stamp" && continue
    say "Python packages: $(sed 's/ *#.*//' "$lock" | grep . | tr '\n' ' ')"
    closed=()
    [ "$set" = frameworks ] && closed=(--no-deps)
    "$venv/bin/pip" install --quiet "${closed[@]}" --requirement "$lock"
    cp "$lock" "$stamp"
  done
}

# build_preset PRESET [TARGET...]: configure once, build with ninja's own progress.
build_preset() {
  local preset=$1
  shift
  cmake --preset "$preset" >"build-$preset.log" 2>&1 || { cat "build-$preset.log"; exit 1; }
  rm "build-$preset.log"
  cmake --build --preset "$preset" ${1:+--target "$@"}
}
