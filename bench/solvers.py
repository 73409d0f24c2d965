"""The solvers that compare.py measures, one function each, and the process that times them.

A solver takes points, weights, epsilon for the cost |x - y|^2 and a number of iterations, one being
an update of both potentials. It returns f, g of the plan

    P_ij = a_i b_j exp((f_i + g_j - |x_i - y_j|^2) / epsilon)

and the iterations it made. On a GPU the points lie there, as tensors or as arrays of JAX. It runs in the environment of its own library, so this file imports NumPy
alone, and everything else where it is used.
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Answer = tuple[Any, Any, int]
CHECK = 10  # iterations of OTT-JAX between two looks at its error


def monge(x, y, a, b, epsilon, iterations, tolerance=1e-300, check_every=None) -> Answer:
    """Plain iterations, to be timed or, with a tolerance, to be counted."""
    return _monge(
        x, y, a, b, epsilon=epsilon, tolerance=tolerance, max_iterations=iterations,
        check_every=check_every or iterations, annealing="off", acceleration="none",
        precision="accurate",  # a tolerance out of reach is no wish for double
    )  # fmt: skip


def monge_until(x, y, a, b, epsilon, tolerance) -> Answer:
    """As its users call it: its own start, acceleration and stopping rule."""
    return _monge(x, y, a, b, epsilon=epsilon, tolerance=tolerance)


def monge_batch(x, y, a, b, epsilon, tolerance) -> Iterator[Answer]:
    import monge as library

    found = library.solve_sample_batch(
        *map(list, (x, y, a, b)), epsilon=epsilon, tolerance=tolerance
    )
    return ((s.potential_a, s.potential_b, s.iterations) for s in found)


def _monge(*problem, **options) -> Answer:
    import monge as library

    result = library.solve_sample(*problem, **options)
    return result.potential_a, result.potential_b, result.iterations


def log(v: Any) -> Any:
    return v.log() if hasattr(v, "log") else np.log(v)


def pot(x, y, a, b, epsilon, iterations, method="sinkhorn", to=lambda v: v, stop=0.0) -> Answer:
    import ot

    x, y, a, b = map(to, (x, y, a, b))
    matrix = ot.dist(x, y)
    found = ot.sinkhorn(a, b, matrix, epsilon, method, iterations, stop, warn=False, log=True)[1]
    if not stop and found["niter"] + 1 < iterations:
        raise FloatingPointError(f"its kernel underflows at iteration {found['niter']}")
    plain = method == "sinkhorn"
    u, v = (log(found[k]) if plain else found["log_" + k] for k in "uv")
    return epsilon * (u - log(a)), epsilon * (v - log(b)), found["niter"] + 1


def tensor(v: Any) -> Any:
    import torch

    return torch.as_tensor(v)


def pot_torch(*problem) -> Answer:
    return pot(*problem, to=tensor)


def pot_log(*problem) -> Answer:
    return pot(*problem, method="sinkhorn_log")


def pot_stabilized(x, y, a, b, epsilon, iterations) -> Answer:
    import ot

    # It looks at its error where it prints, which takes as long as an iteration: at the end alone.
    found = ot.bregman.sinkhorn_stabilized(
        a, b, ot.dist(x, y), epsilon, iterations, stopThr=0, print_period=iterations, warn=False, log=True
    )[1]  # fmt: skip
    return found["alpha"] - epsilon * log(a), found["beta"] - epsilon * log(b), iterations


def pot_log_torch(*problem) -> Answer:
    return pot(*problem, method="sinkhorn_log", to=tensor)


def geomloss(x, y, a, b, epsilon, iterations, backend="tensorized") -> Answer:
    import torch
    from geomloss import SamplesLoss
    from geomloss._legacy import sinkhorn_samples

    x, y, a, b = map(tensor, (x, y, a, b))
    # Its cost is |x - y|^2 / 2. Its schedule spends the whole budget above the target epsilon and so
    # ends far from any tolerance; here it descends at its usual rate, then stays at the target.
    half = epsilon / 2
    low, high = torch.cat((x, y)).aminmax(dim=0)
    top = float((high - low).square().sum()) / 2
    schedule = [max(half, top * 0.25**i) for i in range(iterations - 1)] + [half]
    sinkhorn_samples.scaling_parameters = lambda *_: (None, half, schedule, None)
    loss = SamplesLoss(p=2, debias=False, potentials=True, backend=backend)
    f, g = loss(a, x, b, y)
    return 2 * f.ravel(), 2 * g.ravel(), iterations


def geomloss_keops(*problem) -> Answer:
    return geomloss(*problem, backend="online")


def flash(x, y, a, b, epsilon, iterations) -> Answer:
    from flash_sinkhorn import SamplesLoss

    loss = SamplesLoss(
        "sinkhorn", backend="alternating", use_epsilon_scaling=False, eps=epsilon,
        n_iters=iterations, debias=False, normalize=False, last_extrapolation=False,
        allow_tf32=False, potentials=True,
    )  # fmt: skip
    return *loss(a, x, b, y), iterations


def ott(x, y, a, b, epsilon, iterations, until=None, **how) -> Answer:
    import jax

    every = CHECK if until else iterations
    # On a GPU products of float32 would be those of TF32, which leave an error of 1e-3 here.
    highest = jax.default_matmul_precision("highest")
    with highest, jax.enable_x64(x.dtype == np.float64):
        return _ott(iterations, every, tuple(how.items()))(x, y, a, b, epsilon, until or -1.0)


def ott_until(x, y, a, b, epsilon, tolerance, most, **how) -> Answer:
    return ott(x, y, a, b, epsilon, most, until=tolerance, **how)


@functools.cache
def _ott(most: int, every: int, how: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    import jax
    from jax import numpy as jnp
    from ott.geometry.pointcloud import PointCloud
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.acceleration import Momentum
    from ott.solvers.linear.sinkhorn import Sinkhorn

    options = dict(how)
    if options.pop("momentum", False):
        options["momentum"] = Momentum(start=2 * every)

    @jax.jit
    def solve(x, y, a, b, epsilon, threshold):
        solver = Sinkhorn(
            threshold=threshold, inner_iterations=every, max_iterations=most, **options
        )
        out = solver(LinearProblem(PointCloud(x, y, epsilon=epsilon), a, b))
        # Its entropy is relative to the counting measure.
        return out.f - epsilon * jnp.log(a), out.g - epsilon * jnp.log(b), out.n_iters

    return solve


# Where points lie, and where potentials are wanted.


def placed(solver: Solver, problem: Iterable[np.ndarray], device: str) -> tuple[Any, ...]:
    """As the users of this library have them on that device."""
    if device == "cpu":
        return tuple(problem)
    if "jax" in solver.packages:
        import jax

        with jax.enable_x64(True):  # a wish: float32 stays
            return tuple(map(jax.device_put, problem))
    import torch

    return tuple(torch.from_numpy(v).to(device) for v in problem)


def host(v: Any) -> np.ndarray:
    return np.asarray(v.cpu() if hasattr(v, "cpu") else v)


def potentials(run: Callable[..., Answer], problem, epsilon: float, *knobs: float) -> Answer:
    """On the host, so there is nothing left to wait for."""
    f, g, iterations = run(*problem, epsilon, *knobs)
    return host(f), host(g), int(iterations)


@dataclass(frozen=True)
class Solver:
    title: str
    packages: tuple[str, ...]  # whose versions the table states
    run: Callable[..., Answer]
    arrays: int = 0  # of n x m values at its peak, measured; 0 if it streams
    slower: float = 1  # iterations for one of alternating Sinkhorn: averaged updates need 3 to 4
    until: Callable[..., Answer] | None = None  # takes a tolerance and, a peer, the most iterations
    batch: Callable[..., Iterator[Answer]] | None = None  # takes many problems, and a tolerance
    least: int = 0  # points; with fewer a faster one of the same library stands for it
    devices: tuple[str, ...] = ("cpu", "cuda")


SOLVERS = {
    "monge": Solver("monge", ("monge",), monge, until=monge_until, batch=monge_batch),
    "pot": Solver("POT sinkhorn (not in the log domain)", ("POT",), pot, 5, devices=("cpu",)),
    "pot-torch": Solver("POT sinkhorn, torch", ("POT", "torch"), pot_torch, 5),
    "pot-stabilized": Solver("POT sinkhorn_stabilized", ("POT",), pot_stabilized, 5, devices=("cpu",)),
    "pot-log": Solver("POT sinkhorn_log", ("POT",), pot_log, 8, devices=("cpu",)),
    "pot-log-torch": Solver("POT sinkhorn_log, torch", ("POT", "torch"), pot_log_torch, 4),
    "geomloss": Solver("GeomLoss tensorized", ("geomloss", "torch"), geomloss, 4, 3.6),
    "geomloss-keops": Solver(
        "GeomLoss KeOps", ("geomloss", "pykeops"), geomloss_keops, 0, 3.6, least=1000
    ),
    "flash": Solver(
        "FlashSinkhorn, strict float32", ("flash-sinkhorn", "torch"), flash, devices=("cuda",)
    ),
    "ott": Solver("OTT-JAX dense", ("ott-jax", "jax"), ott, 3, until=ott_until),
    "ott-kernel": Solver(
        "OTT-JAX dense, not in the log domain", ("ott-jax", "jax"),
        functools.partial(ott, lse_mode=False), 3,
        until=functools.partial(ott_until, lse_mode=False),
    ),
    "ott-momentum": Solver(
        "OTT-JAX dense, momentum", ("ott-jax", "jax"),
        functools.partial(ott, momentum=True), 3, slower=0.5,
        until=functools.partial(ott_until, momentum=True),
    ),
}  # fmt: skip


def residual(x, y, a, b, f, g, epsilon: float, rows: int = 256) -> float:
    """L1 distance of the plan's marginals to a and b, over the mass, from sampled rows and columns.

    In float64 whatever the inputs are. All rows are used where there are no more than `rows`.
    """
    x, y, a, b, f, g = (host(v).astype(np.float64) for v in (x, y, a, b, f, g))
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre

    def side(x, y, a, b, f, g):
        i = np.random.default_rng(0).permutation(len(x))[:rows]
        cost = np.square(x[i]).sum(1)[:, None] + np.square(y).sum(1) - 2 * x[i] @ y.T
        marginal = a[i] * (np.exp((f[i, None] + g - cost) / epsilon) @ b)
        return np.abs(marginal - a[i]).sum() * len(x) / len(i)

    with np.errstate(over="ignore", invalid="ignore"):
        return float((side(x, y, a, b, f, g) + side(y, x, b, a, g, f)) / a.sum())


# What the process answers. Every answer is a dictionary; one with a `note` says why there is no time.


def rate(solver: Solver, problem, epsilon: float, limit: float) -> dict[str, Any]:
    """Seconds an iteration: the slope between a short and a long run, so what is done once cancels."""

    def seconds(iterations: int) -> float:
        start = time.perf_counter()
        f, g, _ = potentials(solver.run, problem, epsilon, iterations)
        elapsed = time.perf_counter() - start
        if not (np.isfinite(f).all() and np.isfinite(g).all()):
            raise FloatingPointError("non-finite potentials")
        return elapsed

    seconds(1)  # compiles, and brings the memory in
    once, span = seconds(1), 2
    if 3 * once > limit:
        return {"note": f"{once:.0f} s an iteration"}
    if once > 2:  # a compiler's share is small, and a second look dear
        repeats = [(seconds(1 + span) - once) / span]
    else:
        seconds(1 + span)
        while seconds(1 + span) - once < 0.4 and span < 2000:
            span *= 4
            seconds(1 + span)
        repeats, start = [], time.perf_counter()
        while not repeats or (len(repeats) < 5 and time.perf_counter() - start < 5):
            repeats.append((seconds(1 + span) - seconds(1)) / span)
    if np.median(repeats) <= 0:
        return {"note": "the machine is too busy to time it"}
    return {"seconds": repeats, "iterations": span}


def plain(
    solver: Solver, problem, epsilon: float, tolerance: float, limit: float
) -> dict[str, Any]:
    """The iterations that alternating Sinkhorn needs, whoever makes them, as far as the time allows.

    Counted in float64: rounding in monge's own float32 must not make a peer do more.
    """
    x, y, a, b = (v.double() if hasattr(v, "double") else v.astype(np.float64) for v in problem)
    b = b * (a.sum() / b.sum())
    most = 16
    while True:
        start = time.perf_counter()
        iterations = solver.run(x, y, a, b, epsilon, most, tolerance, check_every=1)[2]
        if iterations < most or time.perf_counter() - start > limit / 8 or most >= 1 << 14:
            return {"iterations": iterations}
        most *= 4


def pace(solver: Solver, problem, epsilon: float, limit: float) -> tuple[float, float]:
    """Seconds of one iteration with all that is done once, and of each that follows."""

    def seconds(iterations: int) -> float:
        start = time.perf_counter()
        potentials(solver.run, problem, epsilon, iterations)
        return time.perf_counter() - start

    seconds(1)  # compiles, and brings the memory in
    once = seconds(1)
    if once > limit:
        return once, once
    seconds(5)
    return once, (seconds(5) - once) / 4


def search(
    solver: Solver, problem, epsilon: float, tolerance: float, limit: float | None, guess: int,
    known=None,
) -> dict[str, Any]:  # fmt: skip
    """What gets a solver to the tolerance: `knobs` for timed(), the iterations it makes and its residual.

    A peer is told how many iterations it needs and never checks in vain: they are searched for from
    `guess`, at the pace `known` from these points, which the answer carries on. One that stops by
    itself is told to be as strict as it takes, and gives up after twice the guess. Without a limit
    (monge) nothing is predicted.
    """
    if limit is None:
        return strictly(solver.until, problem, epsilon, tolerance)
    known = known or pace(solver, problem, epsilon, limit)
    if known[0] + guess * known[1] > limit:
        found: dict[str, Any] = {"note": f"{known[0] + guess * known[1]:.2g} s a repeat predicted"}
    elif solver.until:
        most = 1 << int(2 * guess + CHECK).bit_length()  # few values: each is compiled
        found = strictly(solver.until, problem, epsilon, tolerance, most)
    else:
        found = patiently(solver.run, problem, epsilon, tolerance, limit, guess, known)
    return {"pace": known} | found


def strictly(run, problem, epsilon: float, tolerance: float, *most: int) -> dict[str, Any]:
    asked, tried = tolerance, []
    while len(tried) < 8:
        f, g, iterations = potentials(run, problem, epsilon, asked, *most)
        tried.append(error := residual(*problem, f, g, epsilon))
        if error <= tolerance:
            return {"knobs": [asked, *most], "iterations": iterations, "residual": error}
        if not error < np.inf:
            return {"note": "non-finite potentials"}
        if len(tried) > 2 and error > 0.9 * tried[-3]:
            break
        asked *= 0.7 * tolerance / error
    return {"note": f"stays at {error:.1e}", "residual": error, "iterations": iterations}


def patiently(
    run, problem, epsilon: float, tolerance: float, limit: float, guess: int, pace
) -> dict[str, Any]:
    told = guess
    tried: list[tuple[float, float]] = []
    while len(tried) < 8:
        if (predicted := pace[0] + told * pace[1]) > limit:
            return {"note": f"{predicted:.2g} s a repeat predicted"}
        f, g, iterations = potentials(run, problem, epsilon, told)
        error = residual(*problem, f, g, epsilon)
        tried.append((told, error))
        if error <= tolerance:
            return {"knobs": [told], "iterations": iterations, "residual": error}
        if not error < np.inf:
            return {"note": "non-finite potentials"}
        if len(tried) > 2 and error > 0.9 * tried[-3][1]:
            break
        told = more(tried, tolerance)
    return {"note": f"stays at {error:.1e}", "residual": error, "iterations": iterations}


def timed(solver: Solver, problem, epsilon: float, knobs: list[float]) -> dict[str, Any]:
    """Seconds of a call, from the points to the potentials; the median of many where it is short."""
    run = solver.until or solver.run
    taken: list[float] = []
    while not taken or (sum(taken) < 0.02 and len(taken) < 50):
        begin = time.perf_counter()
        potentials(run, problem, epsilon, *knobs)
        taken.append(time.perf_counter() - begin)
    return {"seconds": float(np.median(taken))}


def batch(
    solver: Solver, problems, epsilon: float, knob: float, count: int, sample: int, **how: Any
) -> dict[str, Any]:
    """Seconds of `count` problems, in one call or in a loop, and the worst residual of a sample."""
    problems = [v[:count] for v in problems]
    begin = time.perf_counter()
    if solver.batch:
        answers = solver.batch(*problems, epsilon, knob, **how)
    else:
        answers = iter([solver.run(*p, epsilon, knob, **how) for p in zip(*problems, strict=True)])
    seconds = time.perf_counter() - begin
    seen = list(zip(itertools.islice(answers, sample), *problems, strict=False))
    return {
        "seconds": seconds,
        "iterations": float(np.mean([made for (_, _, made), *_ in seen])),
        "residual": max(residual(*p, f, g, epsilon) for (f, g, _), *p in seen),
    }


def more(tried: list[tuple[float, float]], tolerance: float) -> int:
    """Iterations to try next: along the rate last seen and a little further, at most twice as many."""
    (before, start), (k, error) = [(0, 1.0), *tried][-2:]
    fall = np.log(start / error) / (k - before)
    needed = np.log(error / tolerance) / fall if fall > 0 else np.inf
    return int(min(2 * k, k + 1.03 * needed + 1))


JOBS = {f.__name__: f for f in (rate, plain, search, timed, batch)}


def versions(solver: Solver) -> str:
    def version(package):
        try:
            return f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            return f"{package} missing"

    return ", ".join(map(version, solver.packages))


def serve(name: str, threads: int, device: str) -> None:
    """Answers the jobs on standard input, a line of JSON each, until there are no more."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    solver = SOLVERS[name]
    for line in sys.stdin:
        job = json.loads(line)
        with np.load(job.pop("points")) as points:
            problem = tuple(points[k] for k in "xyab")
        try:
            answer = JOBS[job.pop("job")](solver, placed(solver, problem, device), **job)
        except Exception as error:
            answer = {"note": f"{type(error).__name__}: {error}".splitlines()[0][:100]}
        print(json.dumps(answer | {"versions": versions(solver)}), file=replies, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
