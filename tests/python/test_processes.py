"""Ctrl-C, forked children, and the environment's number of threads."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import monge

# Far longer than any of these take; a hang ends the test, not the suite.
LIMIT = 120

# A shell's background job, which CI may be, hands an ignored SIGINT down to its children.
HEARS_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def interrupted(code):
    """The child's output, after a SIGINT once it has printed 'ready'."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", HEARS_INTERRUPTS + textwrap.dedent(code)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=LIMIT)
    finally:
        child.kill()
    return output


# Each of these goes over 1e11 pairs and more, but for the interrupt.
BIG = """
    import numpy as np, monge
    points = np.random.default_rng(0).random((300_000, 3)).astype("float32")
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_a_pass(threads):
    output = interrupted(
        BIG
        + f"""
    try:
        print("ready")
        monge.solve_sample(points, points[::-1], epsilon=0.01, threads={threads})
    except KeyboardInterrupt:
        print("interrupted")
    # and the library goes on working
    print(monge.solve_sample([[0.0]], [[1.0]], epsilon=1.0).status)
    """
    )
    assert output == "interrupted\nconverged\n"


def test_ctrl_c_stops_many_small_passes():
    output = interrupted(
        """
    import warnings, monge
    import numpy as np
    x, y = np.random.default_rng(0).random((2, 40, 2))
    try:
        print("ready")
        monge.solve_sample(x, y, epsilon=1e-9, tolerance=1e-300, max_iterations=10**9, annealing="off",
                           check_every=10**8, acceleration="none")
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert output == "interrupted\n"


def test_ctrl_c_stops_a_plan():
    output = interrupted(
        BIG
        + """
    many = np.concatenate([points] * 20)
    plan = monge.solve_sample(points[:2000], points[:20000], epsilon=10.0, tolerance=1e9).plan
    try:
        print("ready")
        plan.map(many)
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert output == "interrupted\n"


def test_an_exception_of_the_progress_hook_propagates():
    class Bar:
        def update(self, step):
            raise LookupError("mine")

    rng = np.random.default_rng(0)
    x, y = rng.random((3000, 3)), rng.random((3000, 3))
    with pytest.raises(LookupError, match="mine"):
        monge.solve_sample(x, y, epsilon=0.01, tolerance=1e-300, progress=Bar())


def _value(seed):
    x, y = np.random.default_rng(seed).random((2, 300, 2))
    return monge.solve_sample(x, y, epsilon=0.05).value


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_solves():
    here = [_value(seed) for seed in range(3)]  # the parent has started its threads
    with multiprocessing.get_context("fork").Pool(2) as pool:
        there = pool.map_async(_value, range(3)).get(timeout=LIMIT)
    assert there == here


def test_omp_num_threads_is_a_limit():
    code = """
    import os, numpy as np, monge
    x, y = np.random.default_rng(0).random((2, 500, 2))
    before = len(os.listdir("/proc/self/task"))
    monge.solve_sample(x, y, epsilon=0.1)
    print(len(os.listdir("/proc/self/task")) - before)
    """
    started = {}
    for limit in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "OMP_NUM_THREADS": limit},
            check=True, capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        started[limit] = int(run.stdout)
    assert started["1"] == 0
    assert started["2"] <= 1
