"""Ten thousand small problems: one call of monge beside a Python loop over POT, to equal residual.

    .venv/bin/python bench/batch_compare.py [--count 10000] [--n 64] [--d 16] [--epsilon 0.1]

Each side runs in its own library's environment, in turn. POT is told how many iterations the worst
problem of a sample needs, and makes no check; then it stops by its own rule, at the same figure.
Residuals are the worst of that sample, in float64.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from compare import TOLERANCE, Row, Worker, duration, machine, mean_cost

SAMPLE = 100
ROUNDS = 3
PATIENCE = 300


def save(path: Path, count: int, n: int, d: int) -> None:
    """As the problems of compare.py, one after the other, in float32."""
    rng = np.random.default_rng([n, d])
    weights = rng.uniform(0.5, 1.5, (2, count, n))
    a, b = weights / weights.sum(axis=2, keepdims=True)
    drawn = {"x": rng.random((count, n, d)), "y": rng.random((count, n, d)) ** 1.5, "a": a, "b": b}
    np.savez(path, **{k: v.astype("float32") for k, v in drawn.items()})


def compared(points: Path, epsilon: float, workers: dict[str, Worker]) -> dict[str, Row]:
    tolerance = TOLERANCE["float32"]

    def ask(name: str, knob: float, count: int | None = None, **how: float) -> Row:
        answer = workers[name].ask(
            PATIENCE, job="batch", points=str(points), epsilon=epsilon, knob=knob, count=count,
            sample=SAMPLE, **how,
        )  # fmt: skip
        if "note" in answer:
            raise SystemExit(f"{name}: {answer['note']}")
        return answer

    told = next(k for k in itertools.count(1) if ask("pot", k, SAMPLE)["residual"] <= tolerance)
    calls: dict[str, Callable[[], Row]] = {
        "monge, one call, to 1e-4": lambda: ask("monge", tolerance),
        "loop over ot.sinkhorn, told the iterations": lambda: ask("pot", told),
        "loop over ot.sinkhorn, stopThr = 1e-4": lambda: ask("pot", 1000, stop=tolerance),
    }
    ask("monge", tolerance, SAMPLE)  # warms
    rounds = [{title: call() for title, call in calls.items()} for _ in range(ROUNDS)]
    return {
        title: row | {"seconds": statistics.median(r[title]["seconds"] for r in rounds)}
        for title, row in rounds[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--d", type=int, default=16)
    parser.add_argument("--epsilon", type=float, default=0.1, help="in units of the mean cost")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        points = Path(folder) / "points.npz"
        save(points, arguments.count, arguments.n, arguments.d)
        with np.load(points) as p:
            epsilon = arguments.epsilon * mean_cost(p["x"][0], p["y"][0])
        log = Path(folder) / "log"
        workers = {name: Worker(name, arguments.threads, "cpu", log) for name in ("monge", "pot")}
        try:
            rows = compared(points, epsilon, workers)
        finally:
            for worker in workers.values():
                worker.close()
    print(
        f"{machine('cpu')}; {arguments.threads} threads; {arguments.count} problems of "
        f"{arguments.n} x {arguments.n} points, d = {arguments.d}, float32, epsilon "
        f"{arguments.epsilon:g} of the mean cost\n\n| | time | over monge | iterations | residual |"
        "\n|---|---|---|---|---|"
    )
    (_, first), *_ = rows.items()
    for title, row in rows.items():
        print(
            f"| {title} | {duration(row['seconds'])} | {row['seconds'] / first['seconds']:.3g} | "
            f"{row['iterations']:.3g} | {row['residual']:.1e} |"
        )


if __name__ == "__main__":
    main()
