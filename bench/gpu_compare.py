"""monge beside FlashSinkhorn on one GPU, in one run: time, memory and the error in the same table.

    python bench/gpu_compare.py [--only REGEX] [--seconds 400] [--images DIR] [--results FILE]
    python bench/gpu_compare.py --profile

monge is called as its users call it, with torch tensors on the GPU, and every time is that of the
whole call: checks of the input, memory, packing and the potentials' way back included. FlashSinkhorn
0.4.1 is called with its defaults (alternating updates, tuned before it is timed) in its TF32 and its
strict float32 mode. Times are medians, by CUDA events, after two calls that are not counted. A
measurement is kept as a line of the results file as soon as it is there; a peer that is missing, fails
or finds no time left is a row that says so.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_measure import (
    EX2_PER_SECOND,
    HALF_STEPS,
    Bench,
    Memory,
    Missing,
    Row,
    cube_points,
    exact_f,
    flash,
    flash_potentials,
    mean_cost,
    monge_fixed,
    monge_mode,
    normal_points,
    peer,
    residual,
    scaled_points,
    timed,
)

ROOT = Path(__file__).resolve().parent.parent

# ---- the rows

SHAPES = ((10_000, 3), (50_000, 3), (10_000, 64), (50_000, 64), (20_000, 512))
MODES = ("accurate", "fast", "staged")


def first_calls(bench: Bench) -> None:
    def first(n: int, d: int) -> Callable[[], Row]:
        def measure() -> Row:
            problem = normal_points(n, d)
            torch.cuda.synchronize()
            start = time.perf_counter()
            monge_fixed(problem, 0.1)
            torch.cuda.synchronize()
            return {"first_s": time.perf_counter() - start}

        return measure

    bench.row("first call after import, n = 3000, d = 3", "monge", first(3000, 3))
    bench.row("first call of a new shape, n = 7001, d = 48", "monge", first(7001, 48))


def errors(bench: Bench, solver: str, run: Callable[[Any, float], torch.Tensor], needs: float):
    for d in (3, 64):
        for epsilon in (0.1, 1.0, 10.0) if d == 64 else (0.1, 1.0):

            def measure(d: int = d, epsilon: float = epsilon) -> Row:
                problem = normal_points(4096, d)
                got = run(problem, epsilon).double().flatten()
                error = (got - exact_f(problem, epsilon, HALF_STEPS // 2)) / epsilon
                error -= error.mean()  # a constant is free between f and g
                return {"rms": float(error.square().mean().sqrt()), "max": float(error.abs().max())}

            bench.row(
                f"error of f/eps, n = 4096, d = {d}, eps = {epsilon:g}", solver, measure, needs
            )


def half_steps(bench: Bench, mode: str) -> None:
    for n, d in SHAPES:

        def measure(n: int = n, d: int = d) -> Row:
            how, problem = monge_mode(mode), normal_points(n, d)
            row = timed(lambda: monge_fixed(problem, 0.1, **how))
            row["of_limit"] = HALF_STEPS * n * n / EX2_PER_SECOND / (row["ms"] / 1e3)
            return row

        bench.row(f"20 half-steps, n = {n}, d = {d}", f"monge {mode}", measure)


def flash_half_steps(bench: Bench, tf32: bool) -> None:
    for n, d in SHAPES:

        def measure(n: int = n, d: int = d) -> Row:
            x, y, a, b = normal_points(n, d)
            solve = flash(0.1, HALF_STEPS // 2, tf32)
            return timed(lambda: solve(a, x, b, y))

        name = "FlashSinkhorn " + ("TF32" if tf32 else "strict")
        # Mostly for its kernels to be compiled and tuned.
        needs = 45 if tf32 else 120 if d == 512 else 70
        bench.row(f"20 half-steps, n = {n}, d = {d}", name, measure, needs)


def gradients(bench: Bench) -> None:
    case = "forward and gradient, n = 10000, d = 64"

    def ours() -> Row:
        problem = normal_points(10_000, 64)
        return timed(lambda: monge_fixed(problem, 0.1).gradient().dx)

    bench.row(case, "monge accurate (all gradients)", ours)


def flash_gradients(bench: Bench) -> None:
    case = "forward and gradient, n = 10000, d = 64"
    for tf32 in (True, False):

        def theirs(tf32: bool = tf32) -> Row:
            x, y, a, b = normal_points(10_000, 64)
            x.requires_grad_()
            solve = flash(0.1, HALF_STEPS // 2, tf32)
            return timed(lambda: torch.autograd.grad(solve(a, x, b, y), x)[0])

        name = f"FlashSinkhorn {'TF32' if tf32 else 'strict'} (in x)"
        bench.row(case, name, theirs, needs=20)


def losses(bench: Bench) -> None:
    """SamplesLoss and its backward: of one cloud, and of a debiased batch."""

    def backward(loss: Callable[..., Any], *shape: int) -> Callable[[], Any]:
        generator = torch.Generator(device="cuda").manual_seed(sum(shape))
        x, y = (torch.randn(shape, device="cuda", generator=generator) for _ in "xy")
        x.requires_grad_()
        return lambda: torch.autograd.grad(loss(x, y).sum(), x)[0]

    def one(tf32: bool) -> Row:
        import monge.torch

        return timed(
            backward(
                monge.torch.SamplesLoss(
                    use_epsilon_scaling=False, eps=0.1, n_iters=10, debias=False, allow_tf32=tf32
                ),
                10_000,
                64,
            )
        )

    case = "SamplesLoss forward and backward, n = 10000, d = 64, 10 iterations"
    bench.row(case, "monge accurate", lambda: one(False))
    bench.row(case, "monge fast", lambda: one(True))

    def batch(of: str) -> Row:
        how: Any = {"use_epsilon_scaling": False, "eps": 0.1, "n_iters": 10, "debias": True}
        if of == "monge accurate":
            import monge.torch

            loss: Any = monge.torch.SamplesLoss(**how)
        elif of == "FlashSinkhorn":
            loss = peer("flash_sinkhorn").SamplesLoss("sinkhorn", **how)
        else:
            # As many steps: its schedule has no fixed number, so epsilon stays from the first on.
            loss = peer("geomloss").SamplesLoss(
                "sinkhorn", blur=0.05**0.5, scaling=0.5, diameter=0.05**0.5 * 2**7,
                backend="tensorized",
            )  # fmt: skip
        return timed(backward(loss, 64, 256, 16), repeats=5)

    case = "debiased batch, B = 64, N = 256, D = 16, 10 iterations, forward and backward"
    for of in ("monge accurate", "GeomLoss tensorized", "FlashSinkhorn"):
        bench.row(case, of, lambda of=of: batch(of), needs=90 if of == "FlashSinkhorn" else 20)


HVP_SHAPES = ((10_000, 3, 0.3), (10_000, 64, 10.0), (50_000, 64, 10.0))


def hessian_products(bench: Bench, solver: str, needs: float, **how: Any) -> None:
    """H A for a random A in x, at potentials of about L1 1e-6, to a relative residual of 1e-6; everything that follows
    the solve is in the time. FlashSinkhorn without its ridge and its absolute tolerance, which would end it early."""
    import monge

    for n, d, epsilon in HVP_SHAPES:

        def measure(n: int = n, d: int = d, epsilon: float = epsilon) -> Row:
            x, y, a, b = normal_points(n, d)
            with warnings.catch_warnings():  # the floor of float32 is near; all stays in float32
                warnings.simplefilter("ignore", monge.ConvergenceWarning)
                solved = monge.solve_sample(
                    x, y, a, b, epsilon=epsilon, tolerance=1e-6, precision="accurate"
                )
            direction = torch.randn_like(x)
            wide = [v.double() for v in (x, y, a, b)]
            wide[2:] = (v / v.sum() for v in wide[2:])
            exact = monge.solve_sample(*wide, epsilon=epsilon, start=solved, tolerance=1e-9)
            want = exact.linearize().hvp(direction.double(), wrt=["x"]).dx
            if solver.startswith("monge"):
                product = lambda: solved.linearize().hvp(direction, wrt=["x"], tolerance=1e-6)  # noqa: E731
                got, report = (found := product()).dx, found.report
                row = {"iterations": report.iterations, "passes": report.passes}
            else:
                theirs = peer("flash_sinkhorn").hvp_x_sqeuclid_from_potentials
                hats = [
                    v.float() + epsilon * w.log()
                    for v, w in zip(solved.potentials, (a, b), strict=True)
                ]
                product = lambda: theirs(  # noqa: E731
                    x, y, *hats, direction, eps=epsilon, tau2=0.0, cg_rtol=1e-6, cg_atol=0.0, **how
                )
                got, info = product()
                row = {"iterations": info.cg_iters}
            error = (got.double() - want).norm() / want.norm()
            return timed(product) | row | {"relative": float(error)}

        case = f"Hessian product, n = {n}, d = {d}, eps = {epsilon:g}, linearised each time"
        bench.row(case, solver, measure, needs)


def small_epsilon(bench: Bench) -> None:
    import monge

    for tolerance in (1e-5, 1e-6):

        def ours(to: float = tolerance) -> Row:
            problem = cube_points(20_000, 3)
            epsilon = 0.01 * mean_cost(*problem[:2])
            solve = lambda: monge.solve_sample(*problem, epsilon=epsilon, tolerance=to)  # noqa: E731
            row, got = timed(solve, repeats=5), solve()
            return row | {
                "status": got.status,
                "iterations": got.iterations,
                "passes": got.passes,
                "reported": got.marginal_error,
                "l1": residual(problem, *got.potentials, epsilon),
            }

        case = f"to L1 {tolerance:.0e}, n = 20000, d = 3, eps = 0.01 mean cost".replace("e-0", "e-")
        bench.row(case, "monge accurate", ours)


def tiny_epsilon(bench: Bench) -> None:
    import monge

    for name in ("cube3d", "gauss16d", "gauss64d"):
        for epsilon, tolerances in ((1e-3, (1e-5, 1e-7)), (1e-4, (4e-6, 1e-7))):
            for tolerance in tolerances:

                def ours(name: str = name, epsilon: float = epsilon, to: float = tolerance) -> Row:
                    problem = scaled_points(name, 10_000)
                    solve = lambda: monge.solve_sample(*problem, epsilon=epsilon, tolerance=to)  # noqa: E731
                    row, got = timed(solve, repeats=5), solve()
                    return row | {
                        "passes": got.passes,
                        "reported": got.marginal_error,
                        "l1": residual(problem, *got.potentials, epsilon, most=10_000),
                    }

                case = f"{name}, n = 10000, eps = {epsilon:g} of the largest cost, to {tolerance:g}"
                bench.row(case, "monge accurate, float64", ours)


def mdot_tiny_epsilon(bench: Bench) -> None:
    """MDOT-TNT ends where its exponent p says: 1.5 is its default, and 2.5 goes further. Its cost matrix is made
    before. It is not free software for every use: a package that whoever measures it installs."""
    for name in ("cube3d", "gauss16d", "gauss64d"):
        for epsilon in (1e-3, 1e-4):
            for p in (1.5, 2.5):

                def theirs(name: str = name, epsilon: float = epsilon, p: float = p) -> Row:
                    solver = peer("mdot_tnt.mdot").mdot
                    x, y, a, b = problem = scaled_points(name, 10_000)
                    costs = torch.cdist(x, y).square_()
                    solve = lambda: solver(a, b, costs, 1 / epsilon, p=p)  # noqa: E731
                    row, (u, v, _, passes, _) = timed(solve, repeats=2, warm=1), solve()
                    f, g = epsilon * (u - a.log()), epsilon * (v - b.log())
                    return row | {
                        "passes": passes,
                        "l1": residual(problem, f, g, epsilon, most=10_000),
                    }

                case = f"{name}, n = 10000, eps = {epsilon:g} of the largest cost"
                bench.row(case, f"MDOT-TNT p = {p}, float64", theirs, needs=15)


def flash_small_epsilon(bench: Bench) -> None:
    def theirs() -> Row:
        problem = cube_points(20_000, 3)
        epsilon = 0.01 * mean_cost(*problem[:2])
        for iterations in (50, 100, 150, 200, 300, 400, 600, 1000):
            f, g = flash_potentials(problem, epsilon, iterations, tf32=False)
            l1 = residual(problem, f.flatten(), g.flatten(), epsilon)
            if l1 <= 1e-5:
                row = timed(
                    lambda k=iterations: flash_potentials(problem, epsilon, k, tf32=False),
                    repeats=3,
                    warm=1,
                )
                return row | {"iterations": iterations, "l1": l1}
        return {"note": f"L1 {l1:.1e} after {iterations} iterations"}

    case = "to L1 1e-5, n = 20000, d = 3, eps = 0.01 mean cost"
    bench.row(case, "FlashSinkhorn strict, told its iterations", theirs, needs=30)


def large(bench: Bench) -> None:
    import monge

    for d in (3, 64):

        def measure(d: int = d) -> Row:
            problem = cube_points(1_000_000, d)
            epsilon = 0.05 * mean_cost(*problem[:2])
            with Memory() as memory:
                start = time.perf_counter()
                got = monge.solve_sample(*problem, epsilon=epsilon, tolerance=1e-3)
                seconds = time.perf_counter() - start
            return {
                "seconds": seconds,
                "iterations": got.iterations,
                "passes": got.passes,
                "status": got.status,
                "reported": got.marginal_error,
                "l1": residual(problem, *got.potentials, epsilon, most=512),
                "mebibytes": memory.mebibytes,
            }

        bench.row(
            f"to L1 1e-3, n = 1000000, d = {d}, eps = 0.05 mean cost",
            "monge accurate",
            measure,
            needs=30 if d == 3 else 60,
        )


def certified(bench: Bench) -> None:
    """FlashSinkhorn 0.4.1's multiscale solver: 47 s for 5e-3, and 1e-3 not in 131 s (its own figures)."""
    import monge

    for tolerance in (5e-3, 1e-3):

        def measure(tolerance: float = tolerance) -> Row:
            problem = cube_points(1_000_000, 3)
            how = {"epsilon": 0.02**2, "tolerance": tolerance}
            monge.solve_sample(*(points[:20_000] for points in problem[:2]), geometry="tree", **how)
            with Memory() as memory:
                start = time.perf_counter()
                got = monge.solve_sample(*problem, geometry="tree", **how)
                seconds = time.perf_counter() - start
            return {
                "seconds": seconds,
                "iterations": got.iterations,
                "passes": got.passes,
                "coarse": got.coarse_passes,
                "kept": got.kept,
                "status": got.status,
                "reported": got.marginal_error,
                "truncation": got.truncation,
                "l1": residual(problem, *got.potentials, how["epsilon"], most=512),
                "mebibytes": memory.mebibytes,
            }

        bench.row(
            f"certified to L1 {tolerance:g}, n = 1000000, d = 3, blur 0.02",
            "monge by trees",
            measure,
            needs=30,
        )


def photographs(bench: Bench) -> None:
    def measure() -> Row:
        from PIL import Image

        folder = bench.arguments.images
        if not folder or not (folder / "china.jpg").exists():
            raise Missing("no photographs: --images DIR with china.jpg and flower.jpg")
        datasets = types.ModuleType(
            "sklearn.datasets"
        )  # its two pictures are all that is asked of it
        datasets.load_sample_image = lambda name: np.asarray(Image.open(folder / name))
        sys.modules["sklearn.datasets"] = datasets
        sys.path.insert(0, str(ROOT / "examples"))
        import color_transfer

        source, target = (
            color_transfer.palette(datasets.load_sample_image(f"{name}.jpg"))
            for name in ("china", "flower")
        )

        def both_ways() -> Any:
            got = color_transfer.transport(source, target, None, lambda v: torch.tensor(v).cuda())
            return got, got.a_to_b.cpu().numpy(), got.b_to_a.cpu().numpy()

        row, (got, there, back) = timed(both_ways, repeats=3, warm=1), both_ways()
        saved = bench.arguments.results.parent / "china_as_flower.png"
        color_transfer.recolored(source, there).save(saved)
        on_cpu = color_transfer.transport(source, target, None)
        levels = [
            np.abs(
                np.asarray(color_transfer.recolored(side, ours), float)
                - np.asarray(color_transfer.recolored(side, theirs), float)
            )
            for side, ours, theirs in (
                (source, there, on_cpu.a_to_b),
                (target, back, on_cpu.b_to_a),
            )
        ]
        return row | {
            "status": got.status,
            "passes": got.passes,
            "reported": got.marginal_error,
            "levels_max": max(v.max() for v in levels),
            "levels_mean": max(v.mean() for v in levels),
        }

    bench.row("two photographs, both ways", "monge accurate", measure, needs=10)


def profile() -> None:
    """Where the time of one call goes: kernels, and calls of the runtime."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    for n, d in SHAPES[:1] + SHAPES[2:3]:
        problem = normal_points(n, d)
        for _ in range(3):
            monge_fixed(problem, 0.1)
        walls = []
        for _ in range(11):
            start = time.perf_counter()
            monge_fixed(problem, 0.1)
            walls.append(time.perf_counter() - start)
        print(f"n = {n}, d = {d}: {1e3 * statistics.median(walls):.3f} ms of wall clock")
        with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
            monge_fixed(problem, 0.1)
            torch.cuda.synchronize()
        totals: dict[tuple[str, str], list[float]] = {}
        for event in found.events():
            on = "device" if event.device_type == torch.autograd.DeviceType.CUDA else "host"
            spent = event.device_time_total if on == "device" else event.cpu_time_total
            totals.setdefault((on, event.name[:90]), []).append(spent)
        for (on, name), times in sorted(totals.items(), key=lambda item: -sum(item[1]))[:40]:
            print(f"  {on:6} {sum(times):9.1f} us  {len(times):4} x {name}")


def versions() -> str:
    names = ("monge", "flash-sinkhorn", "torch", "triton")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            if name == "monge":
                import monge

                found.insert(0, f"monge {monge.__version__}")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", metavar="REGEX", help="of the case and the solver")
    parser.add_argument("--seconds", type=float, default=400, help="time for all of it")
    parser.add_argument("--images", type=Path, help="folder with china.jpg and flower.jpg")
    parser.add_argument("--results", type=Path, default=ROOT / "build/gpu_compare.jsonl")
    parser.add_argument(
        "--profile", action="store_true", help="one call's kernels, and nothing else"
    )
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    torch.randn(1, device="cuda")
    print(f"{torch.cuda.get_device_name()}; {versions()}; {datetime.date.today().isoformat()}")
    if arguments.profile:
        return profile()

    bench = Bench(arguments)
    print("| case | solver | result |\n|---|---|---|")
    first_calls(bench)
    for mode in MODES:
        half_steps(bench, mode)
    for mode in MODES:
        errors(bench, f"monge {mode}", lambda p, e, m=mode: monge_fixed(p, e, **monge_mode(m)).potential_a, 3)  # fmt: skip
    gradients(bench)
    losses(bench)
    hessian_products(bench, "monge accurate", 5)
    small_epsilon(bench)
    tiny_epsilon(bench)
    photographs(bench)
    large(bench)
    certified(bench)
    flash_small_epsilon(bench)
    mdot_tiny_epsilon(bench)
    for tf32 in (True, False):
        flash_half_steps(bench, tf32)
    for tf32 in (True, False):
        name = "FlashSinkhorn " + ("TF32" if tf32 else "strict")
        errors(bench, name, lambda p, e, t=tf32: flash_potentials(p, e, HALF_STEPS // 2, t)[0], 20)
    flash_gradients(bench)
    for tf32 in (True, False):
        name = "FlashSinkhorn " + ("TF32" if tf32 else "strict")
        hessian_products(bench, name, 30, allow_tf32=tf32)
    ours = [row for row in bench.rows if row["solver"].startswith("monge accurate")]
    failed = [row for row in ours if "note" in row]
    print(f"{len(bench.rows)} rows, {len(failed)} of monge without a figure")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
