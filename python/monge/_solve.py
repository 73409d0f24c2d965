"""The verbs solve and solve_sample."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from . import _core, _progress
from ._arrays import Array, ToFramework, cost_matrix, framework_of, matrix, vector, whole
from ._device import current_stream, device_of
from ._errors import ConvergenceWarning, InvalidArgument
from ._keywords import (
    Ground,
    Length,
    bounds_of,
    checked_callback,
    epsilon_of,
    fill,
    marginals_of,
    marginals_of_reach,
    mass_tolerance,
    number,
    reference_of,
    start_of,
    thread_count,
    typed_points,
    widened,
)
from ._labels import Labelled, Labels
from ._marginals import Balanced, Marginal, Marginals, to_spec
from ._options import documented
from ._solution import Cost, Solution

logger = logging.getLogger("monge")
Found = TypeVar("Found", bound=Solution)


class Unmet(NamedTuple):
    """What there is to say of a report that a caller must not overlook."""

    report: _core.SinkhornReport
    masses: tuple[float, float]
    marginals: tuple[Marginal, Marginal]
    may_widen: bool

    def advice(self, tolerance: float) -> str:
        report, (mass_a, mass_b) = self.report, self.masses
        if report.status != "precision_floor":
            return {
                "max_iterations": "raise max_iterations, epsilon or tolerance",
                "diverged": "rescale the cost or raise epsilon",
                "stopped": "the callback stopped it",
            }[report.status]
        apart = abs(mass_a - mass_b) / min(mass_a, mass_b)
        if apart > tolerance and all(isinstance(side, Balanced) for side in self.marginals):
            return (
                f"the masses of a and b differ by {apart:.1e} of them, so no balanced plan comes nearer: "
                "make them agree in float64, or raise the tolerance"
            )
        floor = f"rounding explains about {report.predicted_floor:.1e}"
        if report.marginal_error > 4 * report.predicted_floor:
            return f"it stands still where {floor}: raise epsilon or tolerance"
        if self.may_widen:
            return f"{floor}: use precision='double', or a larger epsilon or tolerance"
        return f"{floor} in float64: raise epsilon or tolerance"

    def warn(self, tolerance: float, stacklevel: int) -> None:
        report = self.report
        if not report.converged:
            text = (
                f"{report.status} after {report.iterations} iterations with marginal_error "
                f"{report.marginal_error:.2e}, wanted {tolerance:.2e}: {self.advice(tolerance)}"
            )
        elif report.transported_mass == 0:
            text = (
                "the plan carries no mass: every cost is far above the strengths of the marginals"
            )
        else:
            return
        warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel + 1)


def report_unmet(solution: Solution, tolerance: float, stacklevel: int) -> None:
    """Warns of what a caller must not overlook."""
    unmet = Unmet(solution._report, solution.masses, solution.marginals, solution._may_widen)
    unmet.warn(tolerance, stacklevel + 1)


def _finish(
    problem_in: Callable[[np.dtype[Any]], Any],
    options: _core.SinkhornOptions,
    kind: type[Found] = Solution,  # type: ignore[assignment]
    *,
    cost: Cost | None,
    reference: Any,
    start: Any,
    callback: Any,
    progress: Any,
    threads: Any,
    to: ToFramework,
    dtype: np.dtype[Any],
    labelled: Callable[[], Labelled | None] = lambda: None,
) -> Found:
    def prepared(dtype: np.dtype[Any]) -> tuple[Any, Any, str, tuple[Any, Any]]:
        problem = problem_in(dtype)
        name, r_a, r_b = reference_of(reference, dtype)
        referenced = (
            None if name == "product" else _core.with_reference(problem, options.epsilon, r_a, r_b)
        )
        return problem, referenced, name, (r_a, r_b)

    problem, referenced, name, weights = prepared(dtype)
    f, g = start_of(start, dtype)
    count = thread_count(threads)
    checked = checked_callback(callback)
    logger.debug("solving %d x %d in %s, epsilon %g", problem.n, problem.m, dtype, options.epsilon)
    with _progress.hook(progress, "monge") as hook:
        call = _core.Call(count, hook, problem.stream)
        result = _core.sinkhorn(referenced or problem, options, f, g, checked, call)
        if dtype == np.float32 and _core.goes_on(options, result.report):
            logger.debug("float32 is at its floor after %d iterations", result.report.iterations)
            problem, referenced, name, weights = prepared(np.dtype(np.float64))
            result = _core.go_on(referenced or problem, options, result, checked, call)
    solution = kind(
        problem,
        referenced,
        result,
        cost=cost,
        epsilon=options.epsilon,
        reference=name,
        to=to,
        threads=count,
        dtype=dtype,
        options=options,
        reference_weights=weights,
        labelled=labelled(),
    )
    logger.info("%r", solution)
    report_unmet(solution, options.tolerance, stacklevel=3)
    return solution


def _labelled(
    labels: Labels | None, source: Array, target: Array, ground: Ground
) -> Callable[[np.dtype[Any]], Labelled] | None:
    """What makes the points with labels appended, in a type."""
    if labels is None:
        return None
    if not isinstance(labels, Labels):
        raise InvalidArgument(f"[options] labels is {labels!r}, wanted a monge.Labels", "labels")
    if ground.name != "sqeuclidean":
        raise InvalidArgument(
            f"[options] labels go with the cost 'sqeuclidean', not {ground.name!r}", "labels"
        )
    call = _core.Call(stream=current_stream(device_of(source)))

    def make(dtype: np.dtype[Any]) -> Any:
        arguments = (
            source.astype(dtype, copy=False),
            whole(labels.source, "labels.source"),
            target.astype(dtype, copy=False),
            whole(labels.target, "labels.target"),
            np.ascontiguousarray(matrix(labels.table, "labels.table", np.float64)),
            number(labels.lambda_x, "labels.lambda_x"),
            number(labels.lambda_y, "labels.lambda_y"),
        )
        return Labelled(_core.with_labels(*arguments, call), arguments, source, target)

    return make


def _measures(
    given: Array,
    dtype: np.dtype[Any],
    a: Any,
    b: Any,
    sides: tuple[Marginal, Marginal],
    total_mass: Any,
    bounds: Any,
) -> tuple[Any, ...]:
    """What a core problem in `dtype` takes beside its points or costs, which were `given`."""
    return (
        vector(a, "a", dtype),
        vector(b, "b", dtype),
        to_spec(sides[0]),
        to_spec(sides[1]),
        None if total_mass is None else number(total_mass, "total_mass"),
        mass_tolerance(given.dtype, a, b),
        current_stream(device_of(given)),
        bounds_of(bounds),
    )


@documented
def solve(
    C: Any,
    a: Any = None,
    b: Any = None,
    *,
    epsilon: float,
    marginals: Marginals | None = None,
    total_mass: float | None = None,
    bounds: Any = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    seed: int = 0,
    precision: str = "automatic",
    schedule: str = "plain",
    geometry: str = "automatic",
    verify: bool = False,
    kernel_cache: int | None = None,
    translate: bool = True,
    start: Any = None,
    callback: Any = None,
    progress: Any = None,
    reference: Any = "product",
    threads: int | None = None,
) -> Solution:
    """Entropic optimal transport with a given cost matrix.

    Minimises ``<C, P> + epsilon KL(P | a b^T) + F_a(P 1) + F_b(P^T 1)`` over ``P >= 0``, with
    ``KL(p | q) = sum p log(p/q) - p + q`` and weights that are never normalised. Solved by Sinkhorn
    iterations in the log domain (Cuturi 2013; Chizat et al. 2018; Sejourne et al. 2022).

    Args:
        C: (n, m) costs, float32 or float64; integers and lists become float64. ``inf`` forbids a pair.
        a: (n,) source weights >= 0; None: uniform with sum 1. Converted to the type of C.
        b: (m,) target weights >= 0; None: uniform with sum 1.
    Keywords:
    {options}

    Returns:
        Solution: value, potentials, plan and report. Arrays come in the kind of C (NumPy, torch, CuPy,
        jax), on its device.
        Torch tensors that require a gradient are read detached: no tape is kept, use ``gradient()``.

    Raises:
        InvalidArgument: (a ValueError) malformed input; names the argument and the index to blame.
        NotAvailable: arrays on a device that this build lacks, precision 'fast' where it does not exist.

    Warns:
        ConvergenceWarning: the solve ended without meeting its tolerance.
    """
    values = widened(cost_matrix(C), precision, tolerance)
    sides = marginals_of(marginals, total_mass)

    def problem_in(dtype: np.dtype[Any]) -> Any:
        return _core.matrix_problem(
            values.astype(dtype, copy=False),
            *_measures(values, dtype, a, b, sides, total_mass, bounds),
        )

    options = fill(
        _core.SinkhornOptions(),
        epsilon=number(epsilon, "epsilon"),
        tolerance=tolerance,
        max_iterations=max_iterations,
        check_every=check_every,
        annealing=annealing,
        acceleration=acceleration,
        initializer=initializer,
        seed=seed,
        precision=precision,
        schedule=schedule,
        geometry=geometry,
        verify=verify,
        kernel_cache=kernel_cache,
        translate=translate,
    )
    return _finish(
        problem_in,
        options,
        cost=None,
        reference=reference,
        start=start,
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(C),
        dtype=values.dtype,
    )


@documented
def solve_sample(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Cost = "sqeuclidean",
    labels: Labels | None = None,
    epsilon: float | None = None,
    blur: float | None = None,
    reach: float | tuple[Length, Length] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | None = None,
    total_mass: float | None = None,
    bounds: Any = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    seed: int = 0,
    precision: str = "automatic",
    schedule: str = "plain",
    geometry: str = "automatic",
    verify: bool = False,
    kernel_cache: int | None = None,
    translate: bool = True,
    start: Any = None,
    callback: Any = None,
    progress: Any = None,
    reference: Any = "product",
    threads: int | None = None,
) -> Solution:
    """Entropic optimal transport between two weighted point clouds of any size.

    Minimises ``<C, P> + epsilon KL(P | a b^T) + F_a(P 1) + F_b(P^T 1)`` over ``P >= 0`` for
    ``C_ij = cost(x_i, y_j)``, with ``KL(p | q) = sum p log(p/q) - p + q`` and weights that are never
    normalised. Costs are computed on the fly: memory is O((n + m) d). Solved by Sinkhorn iterations in
    the log domain (Cuturi 2013; Chizat et al. 2018; Sejourne et al. 2022).

    Args:
        x: (n, d) source points. They decide the type: float32 or float64; integers and lists become
            float64, half types are refused.
        y: (m, d) target points of the same type.
        a: (n,) source weights >= 0; None: uniform with sum 1. Converted to the type of the points.
        b: (m,) target weights >= 0; None: uniform with sum 1.
    Keywords:
    {options}

    Returns:
        Solution: value, potentials, plan, maps and report. Arrays come in the kind of x (NumPy, torch,
        CuPy, jax), on its device. Torch tensors that require a gradient are read detached: no tape is kept, use
        ``gradient()``.

    Raises:
        InvalidArgument: (a ValueError) malformed input; names the argument and the index to blame.
        NotAvailable: arrays on a device that this build lacks, precision 'fast' where it does not exist.

    Warns:
        ConvergenceWarning: the solve ended without meeting its tolerance.

    Example:
        >>> result = monge.solve_sample([[0.0], [1.0]], [[0.5], [2.0]], epsilon=0.1)
        >>> result.a_to_b.shape
        (2, 1)
    """
    source, target = typed_points(x, y, precision, tolerance)
    ground = Ground.of(cost, cost_factor)
    strength = epsilon_of(epsilon, blur, ground)
    sides = marginals_of_reach(marginals, total_mass, reach, ground)

    labelled_in = _labelled(labels, source, target, ground)
    labelled: Labelled | None = None

    def problem_in(dtype: np.dtype[Any]) -> Any:
        nonlocal labelled
        if labelled_in is not None:
            labelled = labelled_in(dtype)
            return labelled.core.problem(*_measures(source, dtype, a, b, sides, total_mass, bounds))
        return _core.point_problem(
            source.astype(dtype, copy=False),
            target.astype(dtype, copy=False),
            ground.name,
            ground.power,
            *_measures(source, dtype, a, b, sides, total_mass, bounds),
        )

    options = fill(
        _core.SinkhornOptions(),
        epsilon=strength,
        tolerance=tolerance,
        max_iterations=max_iterations,
        check_every=check_every,
        annealing=annealing,
        acceleration=acceleration,
        initializer=initializer,
        seed=seed,
        precision=precision,
        schedule=schedule,
        geometry=geometry,
        verify=verify,
        kernel_cache=kernel_cache,
        translate=translate,
    )
    return _finish(
        problem_in,
        options,
        cost=ground.spec,
        reference=reference,
        start=start,
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(x, y),
        dtype=source.dtype,
        labelled=lambda: labelled,
    )
