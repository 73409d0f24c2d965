"""The verbs of masses on grids: solve_lattice and divergence_lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core, _progress
from ._arrays import Array, framework_of, same_type
from ._device import current_stream, device_of
from ._divergence import undebiased
from ._grids import Grids, flat_start, lattice_problem, masses_of
from ._keywords import (
    Ground,
    Length,
    checked_callback,
    epsilon_of,
    fill,
    marginals_of_reach,
    mass_tolerance,
    number,
    thread_count,
    widened,
)
from ._lattice_solution import LatticeDivergence, LatticeSolution
from ._marginals import Marginals, to_spec
from ._options import documented
from ._solution import Cost
from ._solve import _finish, logger, report_unmet


@documented
def solve_lattice(
    a: Any,
    b: Any,
    *,
    spacing: Any = 1.0,
    origin: Any = 0.0,
    target_spacing: Any = None,
    target_origin: Any = None,
    periodic: Any = False,
    cost: Cost = "sqeuclidean",
    epsilon: float | None = None,
    blur: float | None = None,
    reach: float | tuple[Length, Length] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | None = None,
    total_mass: float | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    precision: str = "automatic",
    translate: bool = True,
    start: Any = None,
    callback: Any = None,
    progress: Any = None,
    reference: Any = "product",
    threads: int | None = None,
) -> LatticeSolution:
    """Entropic optimal transport between masses on two grids of 1, 2 or 3 axes: images and volumes.

    What solve_sample does for the points of the grids, but each sweep goes along one axis at a time:
    O(N^(1 + 1/d)) for N points instead of O(N^2), and O(N) memory. Masses of 0 mask their points. With
    more than one axis the cost is squared, full or half.

    Args:
        a: source masses >= 0, an array of 1 to 3 axes. They decide the type: float32 or float64;
            integers and lists become float64, half types are refused.
        b: target masses of the same type, with as many axes. The grids may differ in all else.
    Keywords:
    {options}

    Returns:
        LatticeSolution: value, potentials, plan, maps and report, in the shapes of the grids. Arrays come
        in the kind of a (NumPy, torch, CuPy, jax), on its device.

    Raises:
        InvalidArgument: (a ValueError) malformed input; names the argument and the index to blame.
        NotAvailable: arrays on a device that this build lacks, precision 'fast'.

    Warns:
        ConvergenceWarning: the solve ended without meeting its tolerance.

    Example:
        >>> result = monge.solve_lattice([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], epsilon=0.1)
        >>> result.a_to_b[0, 0]
        array([1., 1.])
    """
    source, source_shape = masses_of(a, "a")
    target, target_shape = masses_of(b, "b")
    same_type({"a": source, "b": target})
    ground = Ground.of(cost, cost_factor)
    strength = epsilon_of(epsilon, blur, ground)
    sides = marginals_of_reach(marginals, total_mass, reach, ground)
    grids = Grids.of(
        source_shape,
        target_shape,
        ground,
        spacing,
        origin,
        target_spacing,
        target_origin,
        periodic,
    )
    solved_in = widened(source, precision, tolerance)

    def problem_in(dtype: np.dtype[Any]) -> Any:
        return lattice_problem(
            grids,
            source.astype(dtype, copy=False),
            target.astype(dtype, copy=False),
            to_spec(sides[0]),
            to_spec(sides[1]),
            None if total_mass is None else number(total_mass, "total_mass"),
            mass_tolerance(source.dtype),
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
        seed=0,
        precision=precision,
        schedule="plain",
        geometry="automatic",
        verify=False,
        kernel_cache=None,
        translate=translate,
    )
    solution = _finish(
        problem_in,
        options,
        LatticeSolution,
        cost=ground.spec,
        reference=reference,
        start=flat_start(start),
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(a, b),
        dtype=solved_in.dtype,
    )
    solution._shapes = source_shape, target_shape
    return solution


@documented
def divergence_lattice(
    a: Any,
    b: Any,
    *,
    spacing: Any = 1.0,
    origin: Any = 0.0,
    target_spacing: Any = None,
    target_origin: Any = None,
    periodic: Any = False,
    cost: Cost = "sqeuclidean",
    epsilon: float | None = None,
    blur: float | None = None,
    reach: float | tuple[Length, Length] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | None = None,
    total_mass: float | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    precision: str = "automatic",
    translate: bool = True,
    callback: Any = None,
    progress: Any = None,
    reference: Any = "product",
    threads: int | None = None,
    gradients: bool = False,
) -> LatticeDivergence:
    """Debiased Sinkhorn divergence between masses on two grids: see divergence and solve_lattice.

    Args:
        a: source masses >= 0, an array of 1 to 3 axes, which decide the type.
        b: target masses of the same type, with as many axes.
    Keywords:
    {options}
        gradients: also compute ``gradient()``: derivatives in points and weights. (default False)

    Returns:
        LatticeDivergence: value, debiased potentials and the three solves, in the shapes of the grids.

    Raises:
        InvalidArgument: (a ValueError) malformed input; names the argument and the index to blame.
        NotAvailable: a total mass, another reference, or arrays on a device that this build lacks.

    Warns:
        ConvergenceWarning: one of the solves ended without meeting its tolerance.
    """
    undebiased(total_mass, reference, "solve_lattice")
    source, source_shape = masses_of(a, "a")
    target, target_shape = masses_of(b, "b")
    same_type({"a": source, "b": target})
    tolerated = mass_tolerance(source.dtype)
    source = widened(source, precision, tolerance)
    target = widened(target, precision, tolerance)
    ground = Ground.of(cost, cost_factor)
    side_a, side_b = marginals_of_reach(marginals, None, reach, ground)
    grids = Grids.of(
        source_shape,
        target_shape,
        ground,
        spacing,
        origin,
        target_spacing,
        target_origin,
        periodic,
    )
    options = fill(
        _core.DivergenceOptions(),
        epsilon=epsilon_of(epsilon, blur, ground),
        tolerance=tolerance,
        max_iterations=max_iterations,
        check_every=check_every,
        annealing=annealing,
        acceleration=acceleration,
        initializer=initializer,
        seed=0,
        precision=precision,
        schedule="plain",
        geometry="automatic",
        verify=False,
        kernel_cache=None,
        translate=translate,
    )
    options.set_cost(ground.name, ground.power)
    options.marginal_a, options.marginal_b = to_spec(side_a), to_spec(side_b)
    options.mass_tolerance = tolerated
    options.gradients = bool(gradients)
    count, to = thread_count(threads), framework_of(a, b)
    stream = current_stream(device_of(source))
    logger.debug("divergence of %s and %s, epsilon %g", source_shape, target_shape, options.epsilon)
    with _progress.hook(progress, "monge") as hook:
        core = _core.divergence_lattice(
            grids.lattice(device_of(source)),
            source,
            target,
            options,
            checked_callback(callback),
            _core.Call(count, hook, stream),
        )

    def solution(of: Grids, first: Array, second: Array, result: Any) -> LatticeSolution:
        problem = lattice_problem(
            of, first, second, options.marginal_a, options.marginal_b, None, tolerated
        )
        made = LatticeSolution(
            problem,
            None,
            result,
            cost=ground.spec,
            epsilon=options.epsilon,
            reference="product",
            to=to,
            threads=count,
            dtype=source.dtype,
        )
        made._shapes = of.source, of.target
        return made

    answer = LatticeDivergence(
        core,
        solution(grids, source, target, core.ab),
        solution(grids.alone(0), source, source, core.aa),
        solution(grids.alone(1), target, target, core.bb),
        options.gradients,
        to,
    )
    answer._shapes = source_shape, target_shape
    logger.info("%r", answer)
    for part in (answer.ab, answer.aa, answer.bb):
        report_unmet(part, options.tolerance, stacklevel=2)
    return answer
