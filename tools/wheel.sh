#!/usr/bin/env bash
# wheel.sh: an sdist, a wheel built from that sdist, and what a stranger expects of both: it links
# the C and C++ run time alone, and imports and solves in an environment with nothing but NumPy.
# Where a Python 3.12 is found, the abi3 wheel too.
source "$(dirname "$0")/common.sh"
requirements build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

say "sdist"
"$venv/bin/python" -m build --sdist --no-isolation --outdir "$work" . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
tar -C "$work" -xzf "$work"/monge-*.tar.gz
sdist=$(echo "$work"/monge-*/)

# wheel PYTHON: build from the unpacked sdist, then check the extension and use it.
wheel() {
  local builder=$1 fresh=$work/fresh out=$work/out
  rm -rf "$fresh" "$out"
  say "wheel for $("$builder" --version)"
  CCACHE_BASEDIR=$sdist "$builder" -m pip wheel --quiet "${pip_build[@]}" \
    --config-settings=cmake.define.MONGE_COMMIT="$commit" \
    --wheel-dir "$out" "$sdist"
  ls "$out"
  "$builder" -m venv "$fresh"
  "$fresh/bin/pip" install --quiet "$out"/monge-*.whl
  local extension
  extension=$(find "$fresh" -path '*/monge/*.so')
  ldd "$extension"
  if ldd "$extension" | grep -vE 'linux-vdso|ld-linux|lib(c|m|stdc\+\+|gcc_s|gomp|pthread|dl)\.so'; then
    echo "the extension links more than the C and C++ run time" >&2
    return 1
  fi
  (cd / && "$fresh/bin/python" -c '
import monge
result = monge.solve_sample([[0.0], [1.0]], [[0.0], [1.0]], epsilon=0.1)
assert result.converged
print("imports and solves in a fresh environment: monge", monge.__version__)')
}

wheel "$venv/bin/python"

python312=$(command -v python3.12 || true)
if ! { [ -n "$python312" ] && "$python312" -c '' 2>/dev/null; } && command -v pyenv >/dev/null; then
  python312=$(ls "$(pyenv root)"/versions/3.12.*/bin/python3.12 2>/dev/null | head -n 1)
fi
if [ -n "$python312" ] && "$python312" -c '' 2>/dev/null; then
  "$python312" -m venv "$work/py312"
  "$work/py312/bin/pip" install --quiet --requirement tools/requirements/build.txt
  # Its headers alone.
  "$work/py312/bin/pip" install --quiet --no-deps "$(grep ^jaxlib== tools/requirements/frameworks.txt)"
  wheel "$work/py312/bin/python"
  ls "$work/out" | grep -q abi3
  (cd / && "$work/fresh/bin/python" -c 'from monge import _core; assert _core.xla_targets(), "no JAX part"')
else
  echo "Python 3.12 is not here: the abi3 wheel is not built."
fi
