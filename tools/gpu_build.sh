#!/usr/bin/env bash
# gpu_build.sh: all that a machine with a GPU and no network needs to test and measure this tree, in
# build/gpu, below 64 MiB. PYTHON names the interpreter of the version it has there (default:
# python3.12); TARGETS the CUDA architectures (default: 90a and PTX). Run tools/gpu_check.sh there.
PYTHON=${PYTHON:-python3.12}
source "$(dirname "$0")/common.sh"
tree=build/gpu-tree out=build/gpu wheels=build/gpu-wheels environment=build/gpu-venv
jobs=${JOBS:-2}
tools/packages.sh build test

if [ ! -x "$environment/bin/python" ]; then
  say "Python environment: $environment, with $("$python" --version)"
  "$python" -m venv "$environment"
fi
# Of jaxlib its headers alone.
"$environment/bin/pip" install --quiet --no-deps nanobind \
  "$(grep ^jaxlib== tools/requirements/frameworks.txt)"

say "Build: $tree"
# Nothing of the compiler's is asked of the other machine: it may be older or newer.
static="-static-libstdc++ -static-libgcc"
cmake -S . -B "$tree" -G Ninja -DMONGE_CUDA=ON -DMONGE_CUDA_TARGETS="${TARGETS:-90a;80-virtual}" \
  -DMONGE_BENCH=ON -DMONGE_PYTHON=ON -DMONGE_JAX=ON -DPython_EXECUTABLE="$root/$environment/bin/python" \
  -DCMAKE_EXE_LINKER_FLAGS="$static" -DCMAKE_MODULE_LINKER_FLAGS="$static" >/dev/null
cmake --build "$tree" -j "$jobs" --target \
  monge_tests monge_cli bench_kernels bench_precision bench_batch monge_python

say "Wheels: $wheels"
# pytest and hypothesis with what they need, and the peers of bench/gpu_compare.py; the photographs
# are those of examples/color_transfer.py.
if [ ! -f "$wheels/done" ]; then
  "$environment/bin/pip" download --quiet --no-deps --dest "$wheels" pytest iniconfig pluggy \
    packaging pygments hypothesis sortedcontainers flash-sinkhorn==0.4.1 \
    "$(grep ^geomloss== tools/requirements/peers.txt)"
  "$environment/bin/pip" download --quiet --no-deps --dest "$wheels/images" scikit-learn
  "$environment/bin/python" - "$wheels"/images/*.whl "$wheels/images" <<'END'
import sys, zipfile
wheel, to = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    for name in ("china.jpg", "flower.jpg"):
        open(f"{to}/{name}", "wb").write(files.read(f"sklearn/datasets/images/{name}"))
END
  rm "$wheels"/images/*.whl
  touch "$wheels/done"
fi

say "Folder: $out"
rm -rf "$out"
mkdir -p "$out/package" "$out/tools" "$out/docs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/lib"
cp "$tree"/{monge,monge_tests,bench_kernels,bench_precision,bench_batch} "$work/bin"
cp "$tree"/python/_core*.so "$work/lib"
# What the programs link beyond the C library, so that they start anywhere.
for library in libzip libbz2 libcrypto libz liblzma libzstd libgomp; do
  path=$(ldd "$work/bin/monge" | awk -v name="$library.so" 'index($1, name) == 1 {print $3}')
  [ -z "$path" ] || cp -L "$path" "$work/lib"
done
strip "$work"/bin/* "$work"/lib/*.so*
# Six programs hold the same kernels: a dictionary of all of them compresses to the size of one.
tar -C "$work" -c bin lib | xz -T1 --lzma2=preset=1,dict=256MiB >"$out/programs.tar.xz"
cp -r python/monge "$out/package"
cp -r tests/python "$out/tests"
cp -r bench examples tests/conformance "$out"
cp -r "$wheels" "$out/wheels"
cp tools/gpu_check.sh "$out/tools"
cp pyproject.toml CMakeLists.txt "$out"
cp docs/*.md "$out/docs"
find "$out" -name __pycache__ -prune -exec rm -r {} +
git describe --always --dirty >"$out/commit"
size=$(du -sm "$out" | cut -f1)
[ "$size" -le 64 ] || { echo "$out takes $size MiB, wanted at most 64" >&2; exit 1; }
echo "gpu_build: $out, $size MiB, of $(cat "$out/commit")"
