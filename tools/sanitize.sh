#!/usr/bin/env bash
# sanitize.sh [CTEST ARGUMENT...]: the C++ suite and the command line's tests under the address and
# undefined-behaviour sanitizers. `sanitize.sh -L core` is CI's share.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
say "Sanitized build"
build_preset asan
say "Sanitized C++ tests"
ctest --preset asan -j2 "$@"
