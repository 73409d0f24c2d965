"""Interrupted at any point, a command leaves complete results or none."""

import json
import os
import resource
import signal

import numpy as np
import pytest
from conftest import TIMEOUT

LONG = ("--epsilon", "1e-5", "--tolerance", "1e-15", "--max-iterations", "100000000", "--progress")


@pytest.fixture
def many_points(tmp_path):
    rng = np.random.default_rng(5)
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rng.random((4000, 3)))


@pytest.fixture
def long_solve(monge, many_points):
    """Starts a command that would run for hours; returns once it has told its progress."""
    started = []

    def start(command, *options):
        process = monge.start(command, "x.npy", "y.npy", *LONG, *options)
        started.append(process)
        line = process.stderr.readline()
        assert line.startswith(f"{command}: iteration ")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=TIMEOUT)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_solve_and_leave_nothing(long_solve, tmp_path, sent, code):
    process = long_solve("solve", "--out", "out")
    before = {p.name for p in tmp_path.iterdir()}
    process.send_signal(sent)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code
    assert out == "" and "interrupted" in err
    assert {p.name for p in tmp_path.iterdir()} == before == {"x.npy", "y.npy"}


def test_a_terminal_sees_progress_unasked(monge, many_points):
    """The line is overwritten in place, and gone before the message of the interruption."""
    ours, theirs = os.openpty()
    process = monge.start("solve", "x.npy", "y.npy", *LONG[:-1], stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"iteration" not in seen:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    while b"interrupted" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 130
    assert seen.startswith(b"\rsolve: iteration")
    *_, cleared, message = seen.rstrip().split(b"\r")
    assert cleared.isspace() and message.startswith(b"monge: [exec] interrupted")


def test_interrupted_divergence(long_solve):
    process = long_solve("divergence")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130


def test_interrupted_solve_leaves_older_results(monge, clouds, long_solve, tmp_path):
    monge("solve", "x.npy", "y.npy", "--epsilon", 10, "--out", "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    process = long_solve("solve", "--out", "out", "--force")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def file_limit(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# Files may not grow beyond the limit. What writes more is killed in the middle of its write by
# SIGXFSZ, or, where the signal is ignored as Python does for itself, the write fails.
def test_killed_in_the_middle_of_a_write(monge, clouds, tmp_path):
    solve = ("solve", "x.npy", "y.npy", "--epsilon", 0.1, "--out", "out")
    monge(*solve, preexec_fn=file_limit(300), restore_signals=True, code=-signal.SIGXFSZ)
    assert not (tmp_path / "out").exists()
    monge(*solve)  # what the killed run left is not in the way
    assert json.loads((tmp_path / "out/report.json").read_text())["converged"]


def test_killed_in_the_middle_of_replacing_results(monge, clouds, tmp_path):
    solve = ("solve", "x.npy", "y.npy", "--out", "out", "--force", "--epsilon")
    monge(*solve, 0.1)
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    monge(*solve, 0.2, preexec_fn=file_limit(300), restore_signals=True, code=-signal.SIGXFSZ)
    after = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    assert after == before


@pytest.mark.parametrize("size", [0, 300, 500, 2000])
def test_failed_write_is_an_io_error_and_leaves_nothing(monge, clouds, tmp_path, size):
    before = {p.name for p in tmp_path.iterdir()}
    result = monge(
        "solve", "x.npy", "y.npy", "--epsilon", 0.1, "--out", "out", "--plan-top-k", 10,
        preexec_fn=file_limit(size), restore_signals=False, code=5,
    )  # fmt: skip
    assert "cannot write" in result.stderr
    assert {p.name for p in tmp_path.iterdir()} == before
