#!/usr/bin/env bash
# consumer.sh: installs the library into an empty prefix, then configures, builds and runs
# tests/consumer and the README's C++ example against that prefix alone.
source "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build_preset "$preset" monge
cmake --install "build/$preset" --component library --prefix "$work/prefix" >/dev/null
cp -r tests/consumer "$work/source"
cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"
"$work/build/consumer" | tee "$work/output"
diff "$work/output" tests/consumer/expected.txt
echo "consumer: find_package(monge) works from an install tree"
