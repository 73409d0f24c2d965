#!/usr/bin/env bash
# sanitize.sh: the C++ suite and the command line's tests under the address and undefined-behaviour
# sanitizers. `sanitize.sh core` is CI's share: the C++ tests labelled core.
source "$(dirname "$0")/common.sh"
tools/packages.sh build test
say "Sanitized build"
tests=(monge_tests monge_io_tests monge_fuzz_readers)
if [ "${1:-}" = core ]; then  # without line numbers, which take a sixth of the time
  cmake --preset asan -DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 >/dev/null
  cmake --build --preset asan --target "${tests[@]}"
else
  build_preset asan "${tests[@]}" monge_cli
fi
say "Sanitized C++ tests"
OMP_WAIT_POLICY=passive ctest --preset asan -j2 ${1:+--label-regex "$1"}
[ "${1:-}" = core ] && exit 0

say "Sanitized command line"
requirements runtime test
ASAN_OPTIONS=allocator_may_return_null=1 MONGE_BINARY=$root/build/asan/monge "$venv/bin/python" -m pytest tests/cli
