"""Breaks the code on purpose, one fault at a time: each must fail its test.

    python tools/mutants.py [NAME...]        # in .venv, after `make setup`; about a minute a fault

The faults are those that users of other libraries were misled by. A fault that no test sees is a
missing test. Works on a copy of the tree in build/mutants.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutants"


class Fault(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str
    tests: str  # a filter of monge_tests, or a path of pytest


FAULTS = [
    Fault(
        "counting reference in place of the product",
        "src/kernels/update.hpp",
        "out[i] = a > 0 ? std::log(a) : kNone;",
        "out[i] = a > 0 ? 0 : kNone;",
        "Reference.MassUnderRefinement",
    ),
    Fault(
        "no translation",
        "src/ot/alternation.cpp",
        "if (translate_ &&",
        "if (false && translate_ &&",
        "Sinkhorn.TranslationRecoversAKnownShift",
    ),
    Fault(
        "KL without its mass terms",
        "src/ot/plan.cpp",
        "epsilon_ * (problem_->mass_a() * problem_->mass_b() - carried)",
        "epsilon_ * (0 * carried)",
        "Plan.Value*",
    ),
    Fault(
        "-1e4 for log 0",
        "src/kernels/update.hpp",
        "constexpr double kNone = -std::numeric_limits<double>::infinity();",
        "constexpr double kNone = -1e4;",
        "*ZeroWeight*",
    ),
    Fault(
        "the potential as gradient in the weights",
        "src/kernels/entries.hpp",
        "out[i] = static_cast<T>(penalty.conjugate(f[i]) - masses);",
        "out[i] = f[i];",
        "Gradient.WeightsByCentralDifferences",
    ),
    Fault(
        "weights twice in the map",
        "src/ot/plan_parts.hpp",
        "kernels::bias<T>({g.data, log_weight.data(), g.size, plan.epsilon(), h.data()}, exec);",
        "kernels::bias<T>({g.data, log_weight.data(), g.size, 2 * plan.epsilon(), h.data()}, exec);",
        "Plan.ImagesAreAveragesAndTheMapExtendsThem",
    ),
    Fault(
        "a fixed window of columns around a row",
        "src/cpu/axis.cpp",
        "      if (held == kChunk) flush(), clear(), held = 0;",
        "      if (least_[b] > 4096) return;\n      if (held == kChunk) flush(), clear(), held = 0;",
        "Axis*.SkippingChangesNothing:Axis*.MatchesReference*",
    ),
    Fault(
        "normalised weights",
        "python/monge/_arrays.py",
        '    return _with_dims(as_array(value, name), 1, name, "(n,)").astype(dtype, copy=False)',
        '    array = _with_dims(as_array(value, name), 1, name, "(n,)").astype(dtype, copy=False)\n'
        "    return array / array.sum()",
        "tests/python/test_arrays.py",
    ),
]


def quiet(*command: str | Path, **options: Any) -> int:
    """Exit status of a command run in the copy; its output is shown only where it is asked for."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=COPY,
        check=False,
        stdout=subprocess.DEVNULL,
        **options,
    ).returncode


def copy_tree() -> None:
    """The tracked files, newer than what was built from them only where they differ."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        there = COPY / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or there.read_bytes() != (ROOT / name).read_bytes():
            shutil.copyfile(ROOT / name, there)


def fails_its_test(fault: Fault) -> bool:
    """Whether the tests, as they stand in the copy, fail."""
    if fault.file.startswith("python/"):
        package = COPY / "build" / "package" / "monge"
        shutil.rmtree(package, ignore_errors=True)
        shutil.copytree(COPY / "python" / "monge", package)
        import monge

        for core in Path(monge.__file__).parent.glob("_core*.so"):
            shutil.copy(core, package)
        paths = {**os.environ, "PYTHONPATH": str(package.parent)}
        return quiet(sys.executable, "-m", "pytest", "-q", "-x", fault.tests, env=paths) == 1
    if quiet("cmake", "--build", "build/cpu", "--target", "monge_tests") != 0:
        raise SystemExit(f"{fault.name}: does not compile")
    return quiet("build/cpu/monge_tests", f"--gtest_filter={fault.tests}") != 0


def main(names: list[str]) -> int:
    copy_tree()
    if quiet("cmake", "--preset", "cpu", "-DMONGE_CLI=OFF", "-DMONGE_CUDA=OFF") != 0:
        raise SystemExit("the copy in build/mutants cannot be configured")
    survivors = 0
    for fault in FAULTS:
        if names and not any(name in fault.name for name in names):
            continue
        path = COPY / fault.file
        right = path.read_text()
        if right.count(fault.right) != 1:
            raise SystemExit(f"{fault.name}: {fault.file} no longer reads as it did")
        path.write_text(right.replace(fault.right, fault.wrong))
        try:
            caught = fails_its_test(fault)
        finally:
            path.write_text(right)
        survivors += not caught
        print(
            f"{'caught' if caught else 'NOT CAUGHT':10}  {fault.name}  ({fault.tests})", flush=True
        )
    print(f"{survivors} of the faults went unseen")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
