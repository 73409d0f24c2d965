"""What bench/gpu_compare.py measures with: inputs from fixed seeds, the solvers as their users call them,
times by CUDA events, memory, and the table's lines."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import re
import statistics
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

EX2_PER_SECOND = 132 * 16 * 1.755e9  # exponential units of an H100 or H200 under load
HALF_STEPS = 20
Row = dict[str, Any]


class Missing(Exception):
    """A solver that is not here, or a mode that it does not have."""


# ---- inputs, all from fixed seeds


def normal_points(n: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Standard normal points with random positive weights."""
    generator = torch.Generator(device="cuda").manual_seed(n + d)
    x, y = (torch.randn(n, d, device="cuda", generator=generator) for _ in "xy")
    a, b = (torch.rand(n, device="cuda", generator=generator) + 0.5 for _ in "ab")
    return tuple(v.to(dtype) for v in (x, y, a / a.sum(), b / b.sum()))


def cube_points(n: int, d: int) -> tuple[torch.Tensor, ...]:
    """Uniform in the unit cube, and that to the power 1.5; random positive weights."""
    generator = torch.Generator(device="cuda").manual_seed(n + d)
    x, y = (torch.rand(n, d, device="cuda", generator=generator) for _ in "xy")
    a, b = (torch.rand(n, device="cuda", generator=generator) + 0.5 for _ in "ab")
    return x, y**1.5, a / a.sum(), b / b.sum()


def scaled_points(name: str, n: int) -> tuple[torch.Tensor, ...]:
    """float64, with a largest cost of 1: cube3d as above, gauss16d and gauss64d normal points."""
    generator = torch.Generator(device="cuda").manual_seed(n)
    kind, d = name.rstrip("d0123456789"), int(re.findall(r"\d+", name)[0])
    draw = torch.rand if kind == "cube" else torch.randn
    how: Any = {"device": "cuda", "generator": generator, "dtype": torch.float64}
    x, y = (draw(n, d, **how) for _ in "xy")
    y = y**1.5 if kind == "cube" else 0.7 * y + 0.3
    a, b = (torch.rand(n, **how) + 0.5 for _ in "ab")
    largest = max(float(torch.cdist(part, y).max()) for part in x.split(1000))
    return x / largest, y / largest, a / a.sum(), b / b.sum()


def mean_cost(x: torch.Tensor, y: torch.Tensor) -> float:
    """Mean of |x - y|^2 over all pairs."""
    x, y = x.double(), y.double()
    cross = (x.mean(0) * y.mean(0)).sum()
    return float(x.square().sum(1).mean() + y.square().sum(1).mean() - 2 * cross)


# ---- solvers: f, g of P_ij = a_i b_j exp((f_i + g_j - |x_i - y_j|^2) / epsilon)


def monge_fixed(
    problem: Any,
    epsilon: float,
    iterations: int = HALF_STEPS // 2,
    precision: str = "accurate",
    **how: Any,
) -> Any:
    import monge

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)
        return monge.solve_sample(
            *problem, epsilon=epsilon, tolerance=1e-300, max_iterations=iterations,
            check_every=iterations, annealing="off", acceleration="none", precision=precision, **how,
        )  # fmt: skip


def monge_mode(mode: str) -> dict[str, str]:
    return {"schedule": "staged"} if mode == "staged" else {"precision": mode}


def peer(package: str) -> Any:
    """The package, where it is here."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise Missing(f"not here: {error}") from error


def flash(epsilon: float, iterations: int, tf32: bool, **how: Any) -> Callable[..., Any]:
    return peer("flash_sinkhorn").SamplesLoss(
        "sinkhorn", backend="alternating", use_epsilon_scaling=False, eps=epsilon,
        n_iters=iterations, debias=False, normalize=False, last_extrapolation=False,
        allow_tf32=tf32, **how,
    )  # fmt: skip


def flash_potentials(problem: Any, epsilon: float, iterations: int, tf32: bool) -> Any:
    x, y, a, b = problem
    return flash(epsilon, iterations, tf32, potentials=True)(a, x, b, y)


def exact_f(problem: Any, epsilon: float, iterations: int) -> torch.Tensor:
    """The same iterations in float64, on the dense matrix."""
    x, y, a, b = (v.double() for v in problem)
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()
    g = torch.zeros_like(b)
    for iteration in range(iterations):
        f = -epsilon * torch.logsumexp((g - cost) / epsilon + b.log(), 1)
        if iteration + 1 < iterations:
            g = -epsilon * torch.logsumexp((f[:, None] - cost) / epsilon + a.log()[:, None], 0)
    return f


def residual(problem: Any, f: torch.Tensor, g: torch.Tensor, epsilon: float, most: int = 4096):
    """L1 of both marginals in float64, over the mass, from at most `most` rows and columns."""
    x, y, a, b, f, g = (v.double() for v in (*problem, f, g))

    def side(x, y, a, b, f, g):
        at = torch.randperm(len(x), device=x.device)[:most]
        total = 0.0
        for i in at.split(max(1, int(2e8) // len(y))):
            cost = torch.cdist(x[i], y, compute_mode="donot_use_mm_for_euclid_dist").square_()
            p = torch.exp((f[i, None] + g - cost) / epsilon) @ b
            total += float((a[i] * (p - 1).abs()).sum())
        return total * len(x) / len(at)

    return (side(x, y, a, b, f, g) + side(y, x, b, a, g, f)) / float(a.sum())


# ---- measuring


def timed(run: Callable[[], Any], repeats: int = 11, warm: int = 2) -> Row:
    """Milliseconds by CUDA events around each call."""
    began = time.perf_counter()
    for _ in range(warm):
        run()
    torch.cuda.synchronize()
    spent, times = time.perf_counter() - began, []
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in "ab")
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
        if sum(times) > 4000 and len(times) >= 3:
            break
    return {
        "ms": statistics.median(times),
        "from": min(times),
        "to": max(times),
        "warm_up_s": round(spent, 2),
    }


class Memory:
    """The most device memory that was in use beyond what was there at the start, watched from a thread."""

    def __enter__(self) -> Memory:
        import monge

        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        monge.release_memory()
        self.before, self.least, self.going = torch.cuda.mem_get_info()[0], math.inf, True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while self.going:
            self.least = min(self.least, torch.cuda.mem_get_info()[0])
            time.sleep(0.005)

    def __exit__(self, *_: Any) -> None:
        self.going = False
        self.thread.join()
        self.mebibytes = (self.before - self.least) / 2**20


class Bench:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.until = time.perf_counter() + arguments.seconds
        self.rows: list[Row] = []

    def row(self, case: str, solver: str, measure: Callable[[], Row], needs: float = 5) -> Row:
        """One line; `needs` seconds must be left."""
        if not re.search(self.arguments.only, f"{case} {solver}"):
            return {}
        row: Row = {"case": case, "solver": solver}
        try:
            if time.perf_counter() + needs > self.until:
                raise Missing("no time left")
            row |= measure()
        except Missing as error:
            row["note"] = str(error)
        except Exception as error:  # a peer that fails is a row, and so are we
            row["note"] = f"{type(error).__name__}: {error}"[:300]
        self.rows.append(row)
        with self.arguments.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"| {case} | {solver} | {cell(row)} |", flush=True)
        return row


def cell(row: Row) -> str:
    if "note" in row:
        return row["note"]
    parts = []
    if "ms" in row:
        parts.append(f"{row['ms']:.3g} ms ({row['from']:.3g} to {row['to']:.3g})")
    for name, text in (
        ("of_limit", "{:.0%} of the exponential unit's limit"),
        ("seconds", "{:.3g} s"),
        ("iterations", "{} iterations"),
        ("passes", "{} passes"),
        ("status", "{}"),
        ("reported", "L1 {:.1e} as reported"),
        ("l1", "L1 {:.1e} in float64"),
        ("relative", "error {:.1e} against float64"),
        ("rms", "rms {:.1e}"),
        ("max", "max {:.1e}"),
        ("levels_max", "at most {:.0f} of 255 levels from the CPU's pictures"),
        ("levels_mean", "{:.2g} on average"),
        ("mebibytes", "{:.0f} MiB above the inputs"),
        ("first_s", "{:.2f} s"),
        ("warm_up_s", "first calls {:.1f} s"),
    ):
        if name in row:
            parts.append(text.format(row[name]))
    return ", ".join(parts)
