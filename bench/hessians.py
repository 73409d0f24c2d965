"""The dense Hessian in the points against automatic differentiation through Sinkhorn's loop in torch.

    OMP_NUM_THREADS=1 python bench/hessians.py [--n 10,20,50,100] [--d 3] [--epsilon 0.1] [--rows 8]

Uniform points in the unit cube, balanced, float64. The loop is that of a user: log-domain half-steps until the L1 marginal error is
below 1e-10, recorded by torch, whose gradient is differentiated once more for each of the n d entries: of `--rows` of them
the time is taken, and all take n d / rows of it. monge's time is of linearize() and hessian() at a solution of the same
tolerance. `off` is the largest difference of the entries that both have, over the largest entry; `fd` that of monge's from
fourth-order differences of its gradients along the first coordinate.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

import monge


def unrolled(x: torch.Tensor, y: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, int]:
    """The dual value after as many half-steps as the marginals ask for, and how many those were."""
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    log_a, log_b = -np.log(len(x)), -np.log(len(y))
    g = torch.zeros(len(y), dtype=x.dtype)
    iterations, off = 0, torch.tensor(1.0)
    while off >= 1e-10 and iterations < 100_000:
        f = -epsilon * torch.logsumexp((g - cost) / epsilon + log_b, 1)
        s = -epsilon * torch.logsumexp((f[:, None] - cost) / epsilon + log_a, 0)
        off = torch.expm1((g - s) / epsilon).abs().mean()
        g = s
        iterations += 1
    return f.mean() + g.mean(), iterations


def through_the_loop(x: np.ndarray, y: np.ndarray, epsilon: float, rows: int):
    """Seconds of the Hessian, some of its rows, and the iterations recorded."""
    points = torch.tensor(x, requires_grad=True)
    began = time.perf_counter()
    value, iterations = unrolled(points, torch.tensor(y), epsilon)
    slope = torch.autograd.grad(value, points, create_graph=True)[0].reshape(-1)
    once = time.perf_counter() - began
    rows = min(rows, len(slope))
    began = time.perf_counter()
    found = [
        torch.autograd.grad(slope[k], points, retain_graph=True)[0].numpy() for k in range(rows)
    ]
    each = (time.perf_counter() - began) / rows
    return once + each * len(slope), np.stack(found), iterations


def solved(x: np.ndarray, y: np.ndarray, epsilon: float) -> monge.Solution:
    return monge.solve_sample(x, y, epsilon=epsilon, tolerance=1e-13)


def by_differences(x: np.ndarray, y: np.ndarray, epsilon: float) -> np.ndarray:
    def slope(t: float) -> np.ndarray:
        moved = x.copy()
        moved[0, 0] += t
        return solved(moved, y, epsilon).gradient().dx

    h = 1e-4 * np.sqrt(epsilon / 0.1)
    return (8 * (slope(h) - slope(-h)) - (slope(2 * h) - slope(-2 * h))) / (12 * h)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", default="10,20,50,100")
    parser.add_argument("--d", type=int, default=3)
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| n | iterations recorded | torch, s | monge, ms | ratio | off | fd |\n|---|---|---|---|---|---|---|"
    )
    for n in map(int, given.n.split(",")):
        rng = np.random.default_rng(42)
        x, y = rng.random((n, given.d)), rng.random((n, given.d))
        seconds, rows, iterations = through_the_loop(x, y, given.epsilon, given.rows)
        solution = solved(x, y, given.epsilon)
        times = []
        for _ in range(given.repeat):
            began = time.perf_counter()
            dense = solution.linearize().hessian()
            times.append(time.perf_counter() - began)
        own = statistics.median(times)
        flat = dense.reshape(n * given.d, n, given.d)
        size = np.abs(flat).max()
        off = np.abs(flat[: len(rows)] - rows).max() / size
        fd = np.abs(dense[0, 0] - by_differences(x, y, given.epsilon)).max() / size
        print(
            f"| {n} | {iterations} | {seconds:.3g} | {1e3 * own:.3g} | {seconds / own:.0f} | {off:.1e} | {fd:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
