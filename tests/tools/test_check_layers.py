"""tools/check_layers.py sees each kind of violation, and passes the project itself."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "check_layers.py"


def run(root):
    return subprocess.run(
        [sys.executable, SCRIPT, root], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("path", "line", "reason"),
    [
        ("src/cpu/a.cpp", '#include "monge/ot/plan.hpp"', "cpu may not include ot"),
        ("src/cpu/a.cpp", '#include "ot/operator.hpp"', "cpu may not include ot"),
        ("src/cpu/a.cpp", '#include "cuda/softmin.hpp"', "cpu may not include cuda"),
        ("src/cuda/a.cu", '#include "cpu/parallel.hpp"', "cuda may not include cpu"),
        ("src/ot/a.cpp", '#include "cpu/parallel.hpp"', "ot may not include cpu"),
        ("src/ot/a.cpp", '#include "io/npy.hpp"', "ot may not include io"),
        ("src/ot/a.cpp", "#  include <hwy/highway.h>", "belongs to src/cpu/"),
        ("include/monge/core/a.hpp", '#include "monge/ot/cost.hpp"', "core may not include ot"),
        ("include/monge/ot/a.hpp", "#include <fmt/format.h>", "src/ and cli/ alone"),
        ("include/monge/ot/a.hpp", "#include <sched.h>", "the standard library and monge alone"),
        ("include/monge/ot/a.hpp", '#include "local.hpp"', "the standard library and monge alone"),
        ("src/io/a.cpp", '#include "monge/ot/plan.hpp"', "io may not include ot"),
        ("src/ot/a.cpp", '#include "monge/store/solution.hpp"', "ot may not include store"),
        ("src/store/a.cpp", '#include "ot/operator.hpp"', "store uses public headers alone"),
        ("src/store/a.cpp", '#include "io/zip.hpp"', None),
        ("python/src/a.cpp", '#include "monge/store/solution.hpp"', None),
        ("src/ot/a.cpp", "#include <nanobind/nanobind.h>", "python/ alone"),
        ("src/ot/a.cpp", "#include <cuda_runtime.h>", "belongs to src/cuda/"),
        ("src/ot/a.cpp", "#include <omp.h>", "belongs to src/cpu/parallel.cpp"),
        ("cli/a.cpp", '#include "ot/operator.hpp"', "cli uses public headers alone"),
        ("cli/a.cpp", '#include "monge/ot/plan.hpp"', None),
        ("cli/a.cpp", '#include "io/npy.hpp"', None),
        ("cli/a.cpp", '#include "kernels/softmin.hpp"', "cli uses public headers alone"),
        ("python/src/a.cpp", '#include "cpu/parallel.hpp"', "python uses public headers alone"),
        ("include/monge/ot/a.hpp", "#include <vector>", None),
        ("src/ot/a.cpp", '#include "kernels/softmin.hpp"', None),
        ("src/info.cpp", '#include "cuda/toolkit.hpp"', None),
        ("src/cuda/a.cu", "#include <cuda_runtime.h>", None),
    ],
)
def test_each_rule(tmp_path, path, line, reason):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(f"#pragma once\n{line}\n")
    result = run(tmp_path)
    if reason is None:
        assert result.returncode == 0, result.stdout
    else:
        assert result.returncode == 1
        assert result.stdout.startswith(f"{path}:2: ")
        assert reason in result.stdout


def test_the_project_keeps_its_rules():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout
