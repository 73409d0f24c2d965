"""bench/compare.py without its peers: the residual, the search for iterations, and the table."""

import dataclasses
import json
from pathlib import Path

import compare
import numpy as np
import pytest
import solvers

LIMIT = {"limit": 60.0, "each": 0.0}


def sinkhorn(x, y, a, b, epsilon, iterations):
    """Alternating iterations as anyone would write them; the last update leaves q = b."""
    cost = np.square(x[:, None] - y).sum(axis=2)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(iterations):
        f = -epsilon * np.log(np.exp((g - cost) / epsilon) @ b)
        g = -epsilon * np.log(a @ np.exp((f[:, None] - cost) / epsilon))
    return f, g, iterations


@pytest.fixture
def points():
    return tuple(compare.problem(40, 2, "float64").values())


def test_residual_is_the_distance_of_both_marginals_over_the_mass(points):
    x, y, a, b = points[0], points[1][:30], 3 * points[2], points[3][:30]
    rng = np.random.default_rng(0)
    f, g = rng.normal(size=40), rng.normal(size=30)
    cost = np.square(x[:, None] - y).sum(axis=2)
    plan = a[:, None] * b * np.exp((f[:, None] + g - cost) / 0.5)
    expected = (abs(plan.sum(1) - a).sum() + abs(plan.sum(0) - b).sum()) / a.sum()
    assert solvers.residual(x, y, a, b, f, g, 0.5) == pytest.approx(expected, rel=1e-12)


def test_residual_from_sampled_rows():
    # All pairs at distance 1: f = 1, g = 0 is the exact pair, and each potential that is raised by
    # epsilon log 1.1 multiplies the plan, hence each of the two marginals, by 1.1.
    n, epsilon = 1000, 0.3
    x, y, weights = np.zeros((n, 2)), np.tile([0.6, 0.8], (n, 1)), np.full(n, 1 / n)
    f, g = np.ones(n), np.zeros(n)
    assert solvers.residual(x, y, weights, weights, f, g, epsilon) < 1e-12
    raised = f + epsilon * np.log(1.1)
    assert solvers.residual(x, y, weights, weights, raised, g, epsilon) == pytest.approx(0.2)


def test_a_peer_is_given_the_iterations_it_needs(points):
    peer = solvers.Solver("peer", (), sinkhorn)
    answer = solvers.solve(peer, points, 0.05, 1e-6, guess=4, **LIMIT)
    assert answer["residual"] <= 1e-6 and answer["seconds"]
    f, g, _ = sinkhorn(*points, 0.05, answer["iterations"] * 9 // 10 - 2)
    assert solvers.residual(*points, f, g, 0.05) > 1e-6  # and hardly more


def test_a_solver_with_a_stopping_rule_is_told_to_be_stricter(points):
    asked = []

    def until(x, y, a, b, epsilon, tolerance):
        asked.append(tolerance)
        return sinkhorn(x, y, a, b, epsilon, int(-4 * np.log10(tolerance)))

    answer = solvers.solve(
        solvers.Solver("monge", (), sinkhorn, until=until), points, 0.05, 1e-4, guess=0, **LIMIT
    )
    assert answer["residual"] <= 1e-4
    assert asked[0] == 1e-4 and asked[-1] < 1e-4


def test_what_cannot_be_timed_says_why(points):
    nothing = solvers.Solver("nan", (), lambda x, y, *_: (np.full(40, np.nan), np.zeros(40), 1))
    assert solvers.solve(nothing, points, 1, 1e-6, guess=4, **LIMIT) == {
        "note": "non-finite potentials"
    }
    floored = solvers.Solver("stuck", (), lambda *problem: sinkhorn(*problem[:-1], 2))
    stuck = solvers.solve(floored, points, 0.05, 1e-6, guess=4, **LIMIT)
    assert stuck["note"].startswith("stays at") and "seconds" not in stuck
    slow = solvers.Solver("slow", (), sinkhorn)
    assert solvers.solve(slow, points, 1, 1e-6, guess=50, limit=60, each=2.0) == {
        "note": "100 s a repeat predicted"
    }


def test_mean_cost():
    x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
    assert compare.mean_cost(x, y) == pytest.approx(np.square(x[:, None] - y).sum(2).mean())


RATE = compare.Case(2000, 3, "float32", "rate", 0.1)
SOLVE = compare.Case(2000, 3, "float32", "solve", 0.01)


@pytest.fixture
def results(tmp_path: Path):
    kept = compare.Results(tmp_path / "results.jsonl")
    kept.add("monge", RATE, {"seconds": [9.0]})
    kept.add("monge", RATE, {"seconds": [0.002, 0.0021, 0.0019], "versions": "monge 0.1.0"})
    kept.add("pot", RATE, {"seconds": [0.005], "versions": "POT 1.0"})
    kept.add("ott", RATE, {"note": "not installed: run tools/peers.sh"})
    kept.add("monge", SOLVE, {"seconds": [0.5], "iterations": 40, "residual": 9.1e-5})
    kept.add("pot", SOLVE, {"note": "75 s a repeat predicted"})
    return kept


def test_table(results):
    assert list(compare.table(results, "rate", [RATE, SOLVE])) == [
        "| solver | n = 2 000, d = 3 |",
        "|---|---|",
        "| monge, float32 | 2 ms ± 5 % |",
        "| POT sinkhorn (not in the log domain), float32 | 5 ms, **2.5x** |",
        "| OTT-JAX dense, float32 | not installed: run tools/peers.sh |",
    ]
    assert list(compare.table(results, "solve", [RATE, SOLVE]))[2:] == [
        "| monge, float32 | 500 ms (40 it., 9.1e-05) |",
        "| POT sinkhorn (not in the log domain), float32 | 75 s a repeat predicted |",
    ]


def test_report_says_what_was_run(results):
    text = compare.report(results, [RATE, SOLVE], compare.parsed(["--quick"]))
    for part in ("2 threads", "POT 1.0", "monge 0.1.0", "bench/compare.py", "1e-04 (float32)"):
        assert part in text


def test_a_stopped_run_goes_on(results):
    again = compare.Results(results.path)
    assert again.rows == results.rows
    assert again.median("monge", RATE) == 0.002  # the later row counts
    assert json.loads(results.path.read_text().splitlines()[0])["seconds"] == [9.0]


def test_cases_are_timed_before_they_are_predicted():
    planned = compare.cases([10000, 2000], [3], [0.01, 0.1])
    assert [c.n for c in planned] == sorted(c.n for c in planned)
    first = dataclasses.replace(SOLVE, kind="rate", epsilon=compare.RATE_EPSILON)
    assert planned.index(first) < planned.index(SOLVE)


def test_cells_too_large_or_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "PEERS", tmp_path)
    worker = compare.Worker("ott", 2, tmp_path / "log")
    results = compare.Results(tmp_path / "results.jsonl")
    small = compare.Case(10, 2, "float32", "rate", 0.1)
    large = dataclasses.replace(small, n=10**5)
    notes = [
        compare.measure("ott", c, worker, results, tmp_path, 1)["note"] for c in (small, large)
    ]
    assert notes == ["not installed: run tools/peers.sh", "112 GiB predicted"]
