"""The verbs of masses on grids: solve_lattice and divergence_lattice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _core, _progress
from ._arrays import Array, as_array, framework_of, same_type
from ._device import current_stream, device_of
from ._divergence import Divergence, DivergenceGradient, undebiased
from ._errors import InvalidArgument
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
from ._marginals import Marginals, to_spec
from ._options import documented
from ._solution import Cost, Gradient, Solution
from ._solve import _finish, logger, report_unmet

Shape = tuple[int, ...]


def _per_axis(value: Any, name: str, dim: int) -> list[float]:
    """One number for every axis, or one for each."""
    if np.ndim(value) == 0:
        return [number(value, name)] * dim
    numbers = [number(one, name) for one in value]
    if len(numbers) != dim:
        raise InvalidArgument(
            f"[arrays] {name} has {len(numbers)} entries, wanted one number or one for each of {dim} axes",
            name,
        )
    return numbers


def _masses(value: Any, name: str) -> tuple[Array, Shape]:
    """The masses in C order, and the shape of their grid."""
    array = as_array(value, name)
    if not 1 <= array.ndim <= 3:
        raise InvalidArgument(
            f"[arrays] {name} has shape {tuple(array.shape)}, wanted a grid of masses of 1 to 3 axes",
            name,
        )
    flat = array.reshape(-1) if isinstance(array, np.ndarray) else as_array(value.reshape(-1), name)
    return flat, tuple(array.shape)


@dataclass(frozen=True)
class _Grids:
    """Two grids and the cost between their points, as the core takes them."""

    source: Shape
    target: Shape
    ground: Ground
    sides: tuple[list[float], ...]  # spacing, origin of the source, of the target
    periodic: list[bool] = field(default_factory=list)

    @staticmethod
    def of(
        source: Shape,
        target: Shape,
        ground: Ground,
        spacing: Any,
        origin: Any,
        target_spacing: Any,
        target_origin: Any,
        periodic: Any,
    ) -> _Grids:
        sides = tuple(
            _per_axis(value, name, len(shape))
            for value, name, shape in (
                (spacing, "spacing", source),
                (origin, "origin", source),
                (spacing if target_spacing is None else target_spacing, "target_spacing", target),
                (origin if target_origin is None else target_origin, "target_origin", target),
            )
        )
        around = [bool(one) for one in _per_axis(periodic, "periodic", len(source))]
        return _Grids(source, target, ground, sides, around)

    def lattice(self, device: str) -> _core.Lattice:
        spacing, origin, target_spacing, target_origin = self.sides
        return _core.Lattice(
            _core.Grid(self.source, spacing, origin),
            _core.Grid(self.target, target_spacing, target_origin),
            self.ground.name,
            self.ground.power,
            self.periodic,
            device,
        )

    def alone(self, side: int) -> _Grids:
        """One of the grids against itself."""
        shape = (self.source, self.target)[side]
        half = self.sides[2 * side : 2 * side + 2]
        return _Grids(shape, shape, self.ground, half + half, self.periodic)


class LatticeSolution(Solution):
    """A solved problem between two grids: a Solution whose potentials and marginals have the shapes of
    the grids, and whose images one more axis, the coordinates. The plan is an operator on masses in C
    order, (n, m)."""

    _shapes: tuple[Shape, Shape]

    @property
    def potential_a(self) -> Any:
        """f, in the shape of the source grid, in units of the cost. Two Balanced sides: gauge
        ``m_b sum a f = m_a sum b g``."""
        return super().potential_a.reshape(self._shapes[0])

    @property
    def potential_b(self) -> Any:
        """g, in the shape of the target grid, in units of the cost."""
        return super().potential_b.reshape(self._shapes[1])

    @property
    def marginal_a(self) -> Any:
        """P 1, in the shape of the source grid: the mass that each point sends. Lazy."""
        return super().marginal_a.reshape(self._shapes[0])

    @property
    def marginal_b(self) -> Any:
        """P^T 1, in the shape of the target grid: the mass that each point receives. Lazy."""
        return super().marginal_b.reshape(self._shapes[1])

    @property
    def a_to_b(self) -> Any:
        """Barycentric images of the source points, (shape of the source grid, d): on a periodic axis
        taken the shorter way round, so that they may lie beyond the grid. Lazy."""
        return super().a_to_b.reshape((*self._shapes[0], -1))

    @property
    def a_to_b_valid(self) -> Any:
        """Booleans in the shape of the source grid: whether the point sends mass. Lazy."""
        return super().a_to_b_valid.reshape(self._shapes[0])

    @property
    def b_to_a(self) -> Any:
        """Barycentric images of the target points, (shape of the target grid, d). Lazy."""
        return super().b_to_a.reshape((*self._shapes[1], -1))

    @property
    def b_to_a_valid(self) -> Any:
        """Booleans in the shape of the target grid: whether the point receives mass. Lazy."""
        return super().b_to_a_valid.reshape(self._shapes[1])

    def gradient(self) -> Gradient:
        """Derivatives of the value in weights and points, in the shapes of the grids, in epsilon and
        strengths; two passes."""
        flat = super().gradient()
        a, b = self._shapes
        return flat._replace(
            dx=flat.dx.reshape((*a, -1)),
            dy=flat.dy.reshape((*b, -1)),
            da=flat.da.reshape(a),
            db=flat.db.reshape(b),
        )


class LatticeDivergence(Divergence):
    """A divergence whose potentials and derivatives have the shapes of the grids."""

    _shapes: tuple[Shape, Shape]

    @property
    def potential_a(self) -> Any:
        """Debiased, in the shape of the source grid, in units of the cost."""
        return super().potential_a.reshape(self._shapes[0])

    @property
    def potential_b(self) -> Any:
        """Debiased, in the shape of the target grid, in units of the cost."""
        return super().potential_b.reshape(self._shapes[1])

    def gradient(self) -> DivergenceGradient:
        """Derivatives of the value in points and weights; needs ``gradients=True`` in the call."""
        flat = super().gradient()
        a, b = self._shapes
        return DivergenceGradient(
            flat.dx.reshape((*a, -1)),
            flat.dy.reshape((*b, -1)),
            flat.da.reshape(a),
            flat.db.reshape(b),
        )


def _flat_start(start: Any) -> Any:
    """Potentials in the shapes of the grids, as the core takes them."""

    def flat(one: Any) -> Any:
        if one is None:
            return None
        return one.reshape(-1) if hasattr(one, "reshape") else np.asarray(one).reshape(-1)

    if start is None:
        return None
    if isinstance(start, (tuple, list)) and len(start) == 2:
        return tuple(flat(one) for one in start)
    return flat(start)


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
    source, source_shape = _masses(a, "a")
    target, target_shape = _masses(b, "b")
    same_type({"a": source, "b": target})
    ground = Ground.of(cost, cost_factor)
    strength = epsilon_of(epsilon, blur, ground)
    sides = marginals_of_reach(marginals, total_mass, reach, ground)
    grids = _Grids.of(
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
        return _problem(
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
        initializer="automatic",
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
        start=_flat_start(start),
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(a, b),
        dtype=solved_in.dtype,
    )
    solution._shapes = source_shape, target_shape
    return solution


def _problem(
    grids: _Grids,
    a: Array,
    b: Array,
    side_a: Any,
    side_b: Any,
    total_mass: float | None,
    tolerance: float,
) -> Any:
    return _core.lattice_problem(
        grids.lattice(device_of(a)),
        a,
        b,
        side_a,
        side_b,
        total_mass,
        tolerance,
        current_stream(device_of(a)),
    )


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
    source, source_shape = _masses(a, "a")
    target, target_shape = _masses(b, "b")
    same_type({"a": source, "b": target})
    tolerated = mass_tolerance(source.dtype)
    source = widened(source, precision, tolerance)
    target = widened(target, precision, tolerance)
    ground = Ground.of(cost, cost_factor)
    side_a, side_b = marginals_of_reach(marginals, None, reach, ground)
    grids = _Grids.of(
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
        initializer="automatic",
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

    def solution(of: _Grids, first: Array, second: Array, result: Any) -> LatticeSolution:
        problem = _problem(
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
