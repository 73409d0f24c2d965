#!/usr/bin/env bash
# test.sh [PYTEST ARGUMENT...]: the whole suite, C++ by ctest and Python, command line and
# documentation by pytest.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
requirements test demo frameworks  # first: with jaxlib there, the package has its JAX part
tools/setup.sh

say "C++ tests"
build_preset "$preset"
# Two at a time: threads that spin for each other's end would take the other's cores.
OMP_WAIT_POLICY=passive ctest --preset "$preset" -j2

if command -v nvcc >/dev/null; then
  say "CUDA backend"
  # To be compiled, not run: for Hopper alone, half of the time, and with no optimisation that takes
  # long, a third of the rest; tools/gpu_build.sh compiles what GPUs run.
  cmake --preset cuda -B build/cuda-check -DMONGE_CUDA_TARGETS=90a \
    -DCMAKE_CUDA_FLAGS=--Ofast-compile=max \
    "-DCMAKE_COMPILE_WARNING_AS_ERROR=$([ "$preset" = ci ] && echo ON || echo OFF)" >/dev/null
  cmake --build build/cuda-check --target monge
fi

say "Python, command line and documentation tests"
"$venv/bin/python" -m pytest tests "$@"
