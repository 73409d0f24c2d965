"""Regression whose pairs are lost: y = x w + noise with the rows of y shuffled, and w is what transport says it is.

500 points x in three blobs of dimension 5, and their images y in the plane, in no known order. The loss of a matrix W is
the transport objective between the clouds x W and y (cost |.|^2, epsilon 0.05), which is not convex, and its gradient
and 10 x 10 Hessian are exact: the Hessian from one call of `hvp` with ten directions. Steps along gradients of minibatches lead
to where the Hessian is positive, and Newton's from there; Newton's with eigenvalues made positive finds the same
minimum from the start. Data and protocol are those of the OTT-Hessian paper (arXiv 2407.02015), which also stops every solve
early: `--full` repeats its path to the digits, by plain iterations from zero, which takes minutes.

    python examples/shuffled_regression.py [--out DIR] [--full]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pictures

import monge

EPSILON = 0.05
DATA = Path(__file__).with_name("data") / "shuffled_regression.npz"
Solver = Callable[[np.ndarray, np.ndarray], tuple[monge.Solution, float]]


class Data(NamedTuple):
    x: np.ndarray  # (500, 5)
    y: np.ndarray  # (500, 2), in no order
    w: np.ndarray  # (5, 2) the truth
    start: np.ndarray  # (5, 2)
    batches: np.ndarray  # (12, 100) rows of x, of the steps whose gradient they give
    descended: np.ndarray | None = None  # (5, 2) where the paper's gradient steps end


class Point(NamedTuple):
    """A matrix W, its loss and gradient, and what the Hessian is taken from."""

    w: np.ndarray
    loss: float
    slope: np.ndarray
    solution: monge.Solution | monge.Divergence


def load() -> Data:
    with np.load(DATA) as arrays:
        return Data(**{name: arrays[name] for name in Data._fields})


def converged(x: np.ndarray, y: np.ndarray) -> tuple[monge.Solution, float]:
    """A solution and its value."""
    solution = monge.solve_sample(x, y, epsilon=EPSILON)
    return solution, solution.value


def plain(x: np.ndarray, y: np.ndarray) -> tuple[monge.Solution, float]:
    """As the paper solves: from f = 0 until the L1 error of y's marginal is below 0.01 / n^0.33, looked at every 10
    iterations, or a budget ends, as several do. The value is the dual's, at the last look."""
    checks: list[Any] = []

    def look(check: Any) -> bool:
        checks.append(check)
        return bool(check.iterations % 10 or check.residual_b >= 0.01 / len(y) ** 0.33)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)  # to end early is the protocol
        solution = monge.solve_sample(
            x, y, epsilon=EPSILON, start=(np.zeros(len(x)), None), callback=look, tolerance=1e-30,
            max_iterations=100_000, annealing="off", acceleration="none",
        )  # fmt: skip
    return solution, checks[-1].dual_value


def evaluate(data: Data, w: np.ndarray, solve: Solver, rows: Any = slice(None)) -> Point:
    """The loss at W, of all points or of some rows of x against all of y."""
    x = data.x[rows]
    solution, value = solve(x @ w, data.y)
    return Point(w, value, x.T @ solution.gradient().dx, solution)


def hessian(data: Data, point: Point) -> np.ndarray:
    """(10, 10) in the entries of W: as each moves, all points move along one direction."""
    entries = point.w.size
    directions = np.einsum("ip,qr->pqir", data.x, np.eye(point.w.shape[1]))
    products = point.solution.linearize().hvp(
        directions.reshape(entries, len(data.x), -1), wrt=["x"]
    )
    matrix = np.einsum("kir,ip->kpr", products.dx, data.x).reshape(entries, entries)
    return (matrix + matrix.T) / 2


def descend(data: Data, solve: Solver, rate: float = 1e-3) -> Iterator[Point]:
    """Gradient steps, of minibatches between every fifth, until the Hessian there is positive."""
    w, batches = data.start, iter(data.batches)
    for step in range(15):
        whole = step % 5 == 0
        point = evaluate(data, w, solve, slice(None) if whole else next(batches))
        yield point
        if step and whole and np.linalg.eigvalsh(hessian(data, point))[0] > 0:
            return
        w = w - rate * point.slope


def half_newton(data: Data, solve: Solver, w: np.ndarray) -> Iterator[Point]:
    """Half of Newton's step, as the paper takes it."""
    while True:
        point = evaluate(data, w, solve)
        yield point
        step = np.linalg.solve(hessian(data, point), point.slope.ravel())
        w = w - step.reshape(w.shape) / 2


def newton(data: Data, solve: Solver, w: np.ndarray) -> Iterator[Point]:
    """Newton's step with eigenvalues made positive, halved until the loss falls by what Armijo asks."""
    point = evaluate(data, w, solve)
    while True:
        yield point
        values, vectors = np.linalg.eigh(hessian(data, point))
        values = np.maximum(np.abs(values), 1e-3)
        slope = point.slope.ravel()
        step = -(vectors @ (vectors.T @ slope / values))
        length = 1.0
        while True:
            trial = evaluate(data, point.w + length * step.reshape(point.w.shape), solve)
            if trial.loss <= point.loss + 1e-4 * length * float(slope @ step) or length < 1e-6:
                break
            length /= 2
        point = trial


def until_still(points: Iterator[Point], least: float = 1e-4, budget: int = 50) -> list[Point]:
    """Points until the loss falls by less than the least that counts."""
    path = [next(points)]
    for point in points:
        path.append(point)
        if path[-2].loss - point.loss < least or len(path) > budget:
            break
    return path


def told(name: str, data: Data, run: Callable[[], list[Point]], digits: str = ".4f") -> list[Point]:
    """The path, after a line that says how it went."""
    began = time.perf_counter()
    path = run()
    error = float(np.linalg.norm(path[-1].w - data.w))
    losses = " ".join(f"{point.loss:{digits}}" for point in path)
    print(f"{name}: {losses}; |W - w| = {error:{digits}}, {time.perf_counter() - began:.2f} s")
    return path


def picture(data: Data, paths: list[list[Point]]) -> Any:
    """The images x W at the ends of each path, over y, and the losses."""
    ends = [paths[0][0], *(path[-1] for path in paths)]
    seen = np.concatenate([data.y, *(data.x @ end.w for end in ends)])
    low, high = seen.min(0) - 1, seen.max(0) + 1
    panels = [
        pictures.clouds(
            [(data.y, pictures.ORANGE, 4), (data.x @ end.w, pictures.BLUE, 2)],
            (low[0], low[1], high[0], high[1]),
        )
        for end in ends
    ]
    colours = [pictures.ORANGE, pictures.BLUE, (27, 120, 55)]
    series = [
        ([point.loss for point in path], colour)
        for path, colour in zip(paths, colours, strict=False)
    ]
    return pictures.row([*panels, pictures.curves(series)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--full", action="store_true", help="also the paper's own solves")
    arguments = parser.parse_args()
    data = load()
    gradient = told("gradient steps", data, lambda: list(descend(data, converged)))
    near = told(
        "Newton from there", data, lambda: until_still(newton(data, converged, gradient[-1].w))
    )
    alone = told(
        "Newton from the start", data, lambda: until_still(newton(data, converged, data.start))
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "shuffled_regression.png"
    picture(data, [gradient, near, alone]).save(path)
    print(path)
    if arguments.full:
        gradient = told("the paper's gradient steps", data, lambda: list(descend(data, plain)))
        ends = gradient[-1].w
        told("the paper's Newton", data, lambda: until_still(half_newton(data, plain, ends)))


if __name__ == "__main__":
    main()
