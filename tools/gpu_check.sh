#!/usr/bin/env bash
# gpu_check.sh [FOLDER] --tests | --bench | --sanitize: runs what tools/gpu_build.sh made (FOLDER, by
# default the one this script is carried in, or build/gpu) on a machine with a GPU. Nothing is
# fetched or built. Results go to $OUT, or ./gpu-results, as they come: WHAT.log, and of --bench a
# table's rows as JSON lines. The last line is the verdict, and the exit status 0 only where
# everything passed.
#   --tests      the C++ suite, the Python suite and the command line: below 5 minutes
#   --bench      kernels, and monge beside FlashSinkhorn (bench/gpu_compare.py): below 8 minutes
#   --sanitize   memcheck and racecheck of compute-sanitizer on small shapes: below 5 minutes
set -uo pipefail
folder='' what=''
for argument in "$@"; do
  case $argument in
    --tests | --bench | --sanitize) what=${argument#--} ;;
    -*) what='' && break ;;
    *) folder=$argument ;;
  esac
done
[ -n "$what" ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ -z "$folder" ]; then
  folder=$(cd "$(dirname "$0")/.." && pwd)
  [ -f "$folder/programs.tar.xz" ] || folder=$folder/build/gpu
fi
folder=$(cd "$folder" && pwd) || exit 2
results=${OUT:-$PWD/gpu-results}
mkdir -p "$results"
results=$(cd "$results" && pwd)
log=$results/$what.log
: >"$log"
python=${PYTHON:-python3}
failed=()

# Programs, the package and missing wheels, once a machine.
ready=${TMPDIR:-/tmp}/monge-gpu-$(sha256sum "$folder/programs.tar.xz" | cut -c1-16)
if [ ! -d "$ready" ]; then
  mkdir -p "$ready.part"
  "$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' \
    "$folder/programs.tar.xz" "$ready.part" || exit 2
  mkdir "$ready.part/site"
  cp -r "$folder/package/monge" "$ready.part/site"
  mv "$ready.part"/lib/_core*.so "$ready.part/site/monge"
  for wheel in "$folder"/wheels/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    "$python" -c "import $name" 2>/dev/null ||
      "$python" -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' \
        "$wheel" "$ready.part/site"
  done
  mv "$ready.part" "$ready"
fi
export PYTHONPATH=$ready/site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
program() { LD_LIBRARY_PATH=$ready/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$ready/bin/$@"; }

declare -A began
# step NAME SECONDS COMMAND...: its output in the log, its last lines here.
step() {
  local name=$1 limit=$2 start=${began[$1]:-$SECONDS} status
  shift 2
  printf '== %s\n' "$name"
  printf '== %s\n' "$name" >>"$log"
  timeout_s=$limit "$@" 2>&1 | tee -a "$log" | tail -n "${lines:-4}"
  status=${PIPESTATUS[0]}
  printf '== %s: %s in %d s\n' "$name" "$([ $status = 0 ] && echo passed || echo "FAILED ($status)")" $((SECONDS - start)) |
    tee -a "$log"
  [ $status = 0 ] || failed+=("$name")
}
# begin NAME SECONDS COMMAND...: beside what follows, until `finish NAME...` has its output.
declare -A running
begin() {
  began[$1]=$SECONDS
  timeout_s=$2 "${@:3}" >"$results/$1.log" 2>&1 &
  running[$1]=$!
}
finish() {
  local name
  for name in "$@"; do
    wait "${running[$name]}"
    ended=$?
    step "$name" 0 ended_as "$results/$name.log"
  done
}
ended_as() {
  cat "$1"
  return $ended
}
limited() { timeout -k 5 "$timeout_s" "$@"; }
limited_program() {
  LD_LIBRARY_PATH=$ready/lib timeout -k 5 "$timeout_s" "$ready/bin/$@"
}

about() {
  printf 'monge %s\n' "$(cat "$folder/commit")"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  program monge info
}

command_line() {
  "$python" - "$ready/points" <<'END'
import os, sys
import numpy as np
os.makedirs(sys.argv[1], exist_ok=True)
rng = np.random.default_rng(0)
for name, count in (("source", 300), ("target", 200)):
    np.save(f"{sys.argv[1]}/{name}.npy", rng.random((count, 3)).astype("float32"))
END
  local on
  for on in cpu cuda; do
    limited_program monge solve "$ready/points/source.npy" "$ready/points/target.npy" --blur 0.1 \
      --device $on --out "$ready/points/$on" --force || return 1
    limited_program monge divergence "$ready/points/source.npy" "$ready/points/target.npy" \
      --blur 0.1 --device $on || return 1
  done
  "$python" - "$ready/points" <<'END'
import sys
import numpy as np
for name in ("f", "g", "source_to_target"):
    host, gpu = (np.load(f"{sys.argv[1]}/{on}/{name}.npy") for on in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu, host, rtol=1e-3, atol=1e-5)
print("the command line answers the same on cpu and cuda")
END
}

python_tests() {
  # Apart from the tests that ask for mypy or nanobind, or time the CPU.
  (cd "$folder" && limited "$python" -m pytest -q -p no:cacheprovider -rs "$@")
}

# FlashSinkhorn's own tests, which its wheel carries, on monge.torch.
flash_suite() {
  local suite
  suite=$("$python" -c 'import importlib.util as u; print(u.find_spec("flash_sinkhorn").submodule_search_locations[0])')
  (cd "$(dirname "$suite")" && PYTHONPATH=$folder/conformance:$PYTHONPATH limited "$python" -m pytest -q \
    -p no:cacheprovider -p flash_suite -c /dev/null --rootdir . -W ignore flash_sinkhorn/testing "$@")
}

step about 60 about
case $what in
  tests)
    # Processes side by side: a test seldom fills the GPU. Two have the code for GPUs that are not
    # of Hopper's kind, compiled by the driver.
    lines=12
    for shard in 0 1 2 3; do
      GTEST_TOTAL_SHARDS=4 GTEST_SHARD_INDEX=$shard begin "cpp-$shard" 240 \
        limited_program monge_tests --gtest_brief=1
    done
    for part in 'OnDevice*:Softmin*:Update*' 'Apply*:Pull*:Moments*:TopK*:Draw*'; do
      CUDA_FORCE_PTX_JIT=1 begin "ptx-${part%%\**}" 240 limited_program monge_tests --gtest_brief=1 \
        --gtest_filter="$part"
    done
    # What is left out has a reference that takes as long as all the rest, and runs without a GPU.
    begin flash-suite 240 flash_suite -k 'not semi_unbalanced_epsilon_scaling'
    finish cpp-{0..3} ptx-{OnDevice,Apply}
    begin gpu-python 120 python_tests tests/test_gpu.py
    begin python 150 python_tests tests --ignore tests/test_gpu.py \
      --ignore tests/test_types.py --ignore tests/test_compare.py
    finish flash-suite gpu-python python
    step command-line 60 command_line
    ;;
  bench)
    lines=99 step kernels 40 limited_program bench_kernels --device cuda --quick --n 10000,50000 \
      --d 3,64 --type float
    lines=12 step precision 20 limited_program bench_precision --device cuda
    step batch 20 limited_program bench_batch --device cuda
    lines=99 step compare 440 limited "$python" "$folder/bench/gpu_compare.py" \
      --images "$folder/wheels/images" --results "$results/gpu_compare.jsonl" --seconds 400
    ;;
  sanitize)
    if ! sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer); then
      echo "gpu_check --sanitize: compute-sanitizer is not here: nothing was checked"
      exit 1
    fi
    # Racecheck is slow: a small test of each kernel, in float. Each process keeps to one processor.
    race='Softmin/0.SeesOneHugeTerm:Softmin/0.Redoes*:Update/0*:Apply/0.*Lists*:Moments/0.*Lists*:Pull/0.*Lists*'
    race+=':TopK/0.Ties*:Draw/0.RowsWithout*:Axis/0.Skipping*:Absorbed/0.Redoes*:Hard/0.Ties*:Inspect/0.The*'
    race+=':Select/0*:BatchOnDevice/0.PartsAreStacked'
    memory='OnDevice*:Softmin*:Apply*:Pull*:Moments*:TopK*:Draw*:Update*:Axis*:Absorbed/*:Hard*:Inspect*:Select*'
    memory+=':BatchOnDevice*:-*Slow*:*Large*:BatchOnDevice*.IsItsEntries*:BatchOnDevice*.ResultsOutlive*'
    sanitized() {
      LD_LIBRARY_PATH=$ready/lib timeout -k 5 "$timeout_s" "$sanitizer" --tool "$1" --error-exitcode 9 \
        "$ready/bin/monge_tests" --gtest_brief=1 --gtest_filter="$2"
    }
    lines=6
    begin racecheck 280 sanitized racecheck "$race"
    begin racecheck-batch 280 sanitized racecheck \
      BatchOnDevice/0.LaunchesAsOftenAsOneEntry:BatchOnDevice/0.AFewThatAccelerateAreThoseAlone
    for shard in 0 1 2 3; do
      GTEST_TOTAL_SHARDS=4 GTEST_SHARD_INDEX=$shard begin "memcheck-$shard" 280 \
        sanitized memcheck "$memory"
    done
    finish memcheck-{0..3} racecheck racecheck-batch
    ;;
esac
if [ ${#failed[@]} -eq 0 ]; then
  echo "gpu_check --$what: all passed" | tee -a "$log"
else
  echo "gpu_check --$what: FAILED: ${failed[*]}" | tee -a "$log"
  exit 1
fi
