"""bench/compare.py without its peers: the residual, the search for iterations, and the table."""

import dataclasses
import json
import time
from pathlib import Path

import compare
import numpy as np
import pytest
import solvers

LIMIT = {"limit": 60.0}


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
    answer = solvers.search(peer, points, 0.05, 1e-6, guess=4, **LIMIT)
    assert answer["residual"] <= 1e-6
    assert answer["knobs"] == [answer["iterations"]]
    assert solvers.timed(peer, points, 0.05, answer["knobs"])["seconds"] > 0
    f, g, _ = sinkhorn(*points, 0.05, answer["iterations"] * 9 // 10 - 2)
    assert solvers.residual(*points, f, g, 0.05) > 1e-6  # and hardly more


def test_a_solver_with_a_stopping_rule_is_told_to_be_stricter(points):
    asked = []

    def until(x, y, a, b, epsilon, tolerance):
        asked.append(tolerance)
        return sinkhorn(x, y, a, b, epsilon, int(-4 * np.log10(tolerance)))

    monge = solvers.Solver("monge", (), sinkhorn, until=until)
    answer = solvers.search(monge, points, 0.05, 1e-4, limit=None, guess=0)
    assert answer["residual"] <= 1e-4
    assert asked[0] == 1e-4 and answer["knobs"] == asked[-1:] and asked[-1] < 1e-4


def test_a_peer_with_a_stopping_rule_gives_up(points):
    def until(x, y, a, b, epsilon, tolerance, most):
        assert most == 64
        return sinkhorn(x, y, a, b, epsilon, min(most, int(-4 * np.log10(tolerance))))

    peer = solvers.Solver("peer", (), sinkhorn, until=until)
    answer = solvers.search(peer, points, 0.05, 1e-4, guess=20, **LIMIT)
    assert answer["residual"] <= 1e-4 and answer["knobs"][1] == 64


def test_what_cannot_be_timed_says_why(points):
    nothing = solvers.Solver("nan", (), lambda x, y, *_: (np.full(40, np.nan), np.zeros(40), 1))
    assert (
        solvers.search(nothing, points, 1, 1e-6, guess=4, **LIMIT)["note"]
        == "non-finite potentials"
    )
    floored = solvers.Solver("stuck", (), lambda *problem: sinkhorn(*problem[:-1], 2))
    stuck = solvers.search(floored, points, 0.05, 1e-6, guess=4, **LIMIT)
    assert stuck["note"].startswith("stays at") and "knobs" not in stuck

    def at_leisure(*problem):
        time.sleep(0.01 * problem[-1])
        return sinkhorn(*problem)

    slow = solvers.search(solvers.Solver("slow", (), at_leisure), points, 1, 1e-6, 0.2, guess=500)
    assert slow["note"].endswith("s a repeat predicted")


def test_plain_iterations_are_counted_to_the_end(points):
    counts = []

    def run(x, y, a, b, epsilon, iterations, tolerance, check_every):
        counts.append(iterations)
        return x, y, min(iterations, 300)

    peer = solvers.Solver("monge", (), run)
    assert solvers.plain(peer, points, 0.05, 1e-6, **LIMIT) == {"iterations": 300}
    assert counts == [16, 64, 256, 1024]


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


def test_grid(results):
    fewer = dataclasses.replace(SOLVE, epsilon=0.1)
    results.add("monge", fewer, {"seconds": [0.1], "iterations": 10, "residual": 9e-5})
    results.add("pot", fewer, {"seconds": [0.35], "iterations": 50, "residual": 9e-5})
    results.add("ott", fewer, {"seconds": [0.25], "iterations": 50, "residual": 9e-5})
    assert list(compare.grid(results, [RATE, SOLVE, fewer])) == [
        "| n | d | type | eps = 0.1 | eps = 0.01 |",
        "|---|---|---|---|---|",
        "| 2 000 | 3 | float32 | 100 ms, **2.5x** ott | 500 ms, no peer in 4 times that |",
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


def test_cases_come_in_the_order_asked():
    planned = compare.cases([10000, 2000], [3], [0.01, 0.1], ["rate", "solve"])
    assert list(dict.fromkeys(c.n for c in planned)) == [10000, 2000]
    assert [c.epsilon for c in planned[:3]] == [compare.RATE_EPSILON, 0.01, 0.1]
    assert {c.kind for c in compare.cases([20], [3], [0.1], ["solve"])} == {"solve"}


def test_shares_are_whole_and_keep_points_together():
    planned = compare.cases([64, 256], [2, 3, 16], [0.1, 0.01], ["solve"])
    shares = [compare.share(planned, k, 5) for k in range(1, 6)]
    assert sorted(c for share in shares for c in share) == sorted(planned)
    owners = [{(c.n, c.d, c.dtype) for c in share} for share in shares]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 12


class Answers:
    """A worker of known seconds."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds = iter(seconds)
        self.limits: list[float] = []
        self.paces: dict[str, list[float]] = {}

    def ask(self, patience, job, **given):
        if job == "search":
            self.limits.append(given["limit"])
            assert given["known"] == self.paces.get(given["points"])
        return {
            "plain": {"iterations": 50},
            "search": {"knobs": [7], "iterations": 7, "residual": 1e-5, "pace": [0.1, 0.1]},
            "timed": {"seconds": next(self.seconds) if job == "timed" else 0},
        }[job]


def test_solvers_take_turns(tmp_path):
    workers = {"monge": Answers([0.5, 1, 2, 3, 4, 5]), "pot": Answers([2, 4, 6, 8, 10])}
    rows = compare.measure_solves(["monge", "pot"], SOLVE, workers, tmp_path, 60)
    assert rows["monge"]["seconds"] == [1, 2, 3, 4, 5]
    assert rows["pot"]["seconds"] == [2, 4, 6, 8, 10]
    assert workers["pot"].limits == [compare.BEHIND * 0.5] and workers["monge"].limits == [None]
    assert list(workers["pot"].paces.values()) == [[0.1, 0.1]] and "pace" not in rows["pot"]


def test_cells_too_large_or_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "PEERS", tmp_path)
    worker = compare.Worker("ott", 2, "cpu", tmp_path / "log")
    small = compare.Case(10, 2, "float32", "rate", 0.1)
    large = dataclasses.replace(small, n=10**5)
    notes = [compare.measure_rate("ott", c, worker, tmp_path, 1)["note"] for c in (small, large)]
    assert notes == ["not installed: run tools/peers.sh", "112 GiB predicted"]
