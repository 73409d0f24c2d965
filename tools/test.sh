#!/usr/bin/env bash
# test.sh [PYTEST ARGUMENT...]: the whole suite, C++ by ctest and Python, command line and
# documentation by pytest.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
requirements test demo frameworks  # first: with jaxlib there, the package has its JAX part
tools/setup.sh

say "C++ tests"
build_preset "$preset"
ctest --preset "$preset" -j2

if command -v nvcc >/dev/null; then
  say "CUDA backend"
  # As tools/gpu_build.sh: code for A100 besides would take half as long again.
  cmake --preset cuda -DMONGE_CUDA_TARGETS="90a;80-virtual" >/dev/null
  build_preset cuda monge
fi

say "Python, command line and documentation tests"
"$venv/bin/python" -m pytest tests "$@"
