#!/usr/bin/env bash
# soak.sh [COUNT]: that many random problems (default 10000) under the address, leak and
# undefined-behaviour sanitizers. CI runs a sample of them with the other C++ tests.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
say "Sanitized build"
build_preset asan monge_tests
say "${1:-10000} random problems"
MONGE_SOAK=${1:-10000} build/asan/monge_tests --gtest_filter='Soak/*'
