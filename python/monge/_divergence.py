"""The verb divergence: debiased transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from . import _core, _progress
from ._arrays import Array, ToFramework, framework_of, vector
from ._derivatives import DivergenceLinearization
from ._device import current_stream, device_of
from ._errors import InvalidArgument, NotAvailable
from ._keywords import (
    Ground,
    Length,
    checked_callback,
    epsilon_of,
    fill,
    marginals_of_reach,
    mass_tolerance,
    thread_count,
    typed_points,
)
from ._marginals import Marginal, Marginals, to_spec
from ._options import documented
from ._solution import Cost, Solution
from ._solve import logger, report_unmet


class DivergenceGradient(NamedTuple):
    """Derivatives of a divergence; with two Balanced sides ``da`` and ``db`` up to a constant."""

    dx: Any  #: (n, d)
    dy: Any  #: (m, d)
    da: Any  #: (n,)
    db: Any  #: (m,)


class Divergence:
    """A debiased Sinkhorn divergence and the three solves that it is made of.

    Two kinds of potentials are never confused: ``potential_a``, ``potential_b`` of this object are the
    debiased ones, ``f_ab - f_aa`` and ``g_ab - f_bb``, the divergence's derivatives in the weights of
    Balanced sides; they make no plan. Those of ``ab``, ``aa``, ``bb`` make the plans of the three solves.
    """

    def __init__(
        self,
        core: Any,
        ab: Solution,
        aa: Solution,
        bb: Solution,
        gradient: bool,
        to: ToFramework,
        linearized: Callable[[], DivergenceLinearization] | None = None,
    ):
        self._core = core
        self._linearized = linearized
        self._gradient = gradient
        self._to = to
        self.ab = ab
        """The solve from (x, a) to (y, b): ``ab.plan``, ``ab.potentials``, ``ab.status``, ..."""
        self.aa = aa
        """The solve from (x, a) to itself."""
        self.bb = bb
        """The solve from (y, b) to itself."""

    @property
    def value(self) -> float:
        """``OT(a, b) - OT(a, a)/2 - OT(b, b)/2 + epsilon/2 (m_a - m_b)^2``."""
        return float(self._core.value)

    @property
    def potential_a(self) -> Any:
        """Debiased, (n,), in units of the cost."""
        return self._to(self._core.potential_a)

    @property
    def potential_b(self) -> Any:
        """Debiased, (m,), in units of the cost."""
        return self._to(self._core.potential_b)

    @property
    def potentials(self) -> tuple[Any, Any]:
        """Both debiased potentials."""
        return self.potential_a, self.potential_b

    @property
    def plan(self) -> Any:
        """The plan of the solve ``ab``."""
        return self.ab.plan

    @property
    def converged(self) -> bool:
        """Whether all three solves did."""
        return self.ab.converged and self.aa.converged and self.bb.converged

    @property
    def statuses(self) -> tuple[str, str, str]:
        """Of the solves ab, aa, bb."""
        return self.ab.status, self.aa.status, self.bb.status

    @property
    def epsilon(self) -> float:
        """Strength of the entropy, in units of the cost."""
        return self.ab.epsilon

    @property
    def cost(self) -> Cost | None:
        """The cost, as the keyword names it."""
        return self.ab.cost

    @property
    def marginals(self) -> tuple[Marginal, Marginal]:
        """The pair that acts in all three solves."""
        return self.ab.marginals

    @property
    def masses(self) -> tuple[float, float]:
        """Sums of the weights, never normalised."""
        return self.ab.masses

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any, Any]:
        dx, dy, da, db = self._core.take_gradient()
        return self._to(dx), self._to(dy), self._to(da), self._to(db)

    def gradient(self) -> DivergenceGradient:
        """Derivatives of the value in points and weights; needs ``gradients=True`` in the call."""
        if not self._gradient:
            raise InvalidArgument(
                "[divergence] no gradients were asked for: pass gradients=True", "gradients"
            )
        return DivergenceGradient(*self._parts)

    def linearize(self) -> DivergenceLinearization:
        """The divergence and its first derivatives, for Hessian products (``.hvp``). Solve to a small
        ``tolerance``, as derivatives inherit the marginal error.

        Raises:
            NotAvailable: (a NotImplementedError) on grids.
            InvalidArgument: (a ValueError) a potential of a TV side is on its kink.
        """
        if self._linearized is None:
            raise NotAvailable("[derivatives] second derivatives are known between points alone")
        return self._linearized()

    def __repr__(self) -> str:
        n, m = self.ab.shape
        state = "converged" if self.converged else "/".join(self.statuses)
        return (
            f"Divergence({n} x {m}, {state}: value={self.value:.8g}, masses={self.masses[0]:.6g} and "
            f"{self.masses[1]:.6g}, epsilon={self.epsilon:.4g})"
        )


def _of_problem(
    options: _core.DivergenceOptions, ground: Ground, sides: tuple[Any, Any], masses: float
) -> _core.DivergenceOptions:
    """With a cost, the specs of both marginals, and how well masses must agree."""
    options.set_cost(ground.name, ground.power)
    options.marginal_a, options.marginal_b = sides
    options.mass_tolerance = masses
    return options


def divergence_options(
    ground: Ground,
    sides: tuple[Marginal, Marginal],
    masses: float,
    gradients: bool,
    **of_solves: Any,
) -> _core.DivergenceOptions:
    """Of a cost, both marginals, how well masses must agree, and the keywords that `fill` takes."""
    options = fill(_core.DivergenceOptions(), **of_solves)
    options.gradients = bool(gradients)
    return _of_problem(options, ground, (to_spec(sides[0]), to_spec(sides[1])), masses)


def linearize_divergence(
    measures: tuple[Array, Array, Array | None, Array | None],
    potentials: Sequence[Any],
    options: _core.DivergenceOptions,
    to: ToFramework,
    threads: int,
) -> DivergenceLinearization:
    """Between (x, y, a, b) at the potentials f, g of the solves ab, aa, bb."""
    x, y, a, b = measures
    call = _core.Call(threads, stream=current_stream(device_of(x)))
    arguments: Any = (x, a, y, b, options, *potentials, call)
    core = _core.linearize_divergence(*arguments)
    return DivergenceLinearization(core, to, threads, x.dtype)


def undebiased(total_mass: Any, reference: Any, verb: str) -> None:
    """Refuses what only `verb` answers."""
    if total_mass is not None:
        raise NotAvailable(
            f"[divergence] a fixed total mass has no debiased form: use {verb}", "total_mass"
        )
    if not (isinstance(reference, str) and reference == "product"):
        raise NotAvailable(
            "[divergence] only the product reference has a debiased form", "reference"
        )


Cloud = tuple[Array, Array | None]  # points and weights


def between(
    core: Any,
    alpha: Cloud,
    beta: Cloud,
    *,
    ground: Ground,
    sides: tuple[Any, Any],
    mass_tolerance: float,
    epsilon: float,
    gradients: bool,
    to: ToFramework,
    threads: int,
) -> Divergence:
    """What the core found of two clouds."""
    dtype = alpha[0].dtype

    def solution(source: Cloud, target: Cloud, result: Any) -> Solution:
        problem = _core.point_problem(
            source[0],
            target[0],
            ground.name,
            ground.power,
            source[1],
            target[1],
            *sides,
            None,
            mass_tolerance,
            current_stream(device_of(source[0])),
        )
        return Solution(
            problem,
            None,
            result,
            cost=ground.spec,
            epsilon=epsilon,
            reference="product",
            to=to,
            threads=threads,
            dtype=dtype,
        )

    def linearized() -> DivergenceLinearization:
        options = _of_problem(_core.DivergenceOptions(), ground, sides, mass_tolerance)
        options.epsilon = epsilon
        terms = (core.ab, core.aa, core.bb)
        potentials = [part for term in terms for part in (term.f, term.g)]
        measures = (alpha[0], beta[0], alpha[1], beta[1])
        return linearize_divergence(measures, potentials, options, to, threads)

    return Divergence(
        core,
        solution(alpha, beta, core.ab),
        solution(alpha, alpha, core.aa),
        solution(beta, beta, core.bb),
        gradients,
        to,
        linearized,
    )


@documented
def divergence(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
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
    seed: int = 0,
    precision: str = "automatic",
    schedule: str = "plain",
    geometry: str = "automatic",
    verify: bool = False,
    kernel_cache: int | None = None,
    translate: bool = True,
    callback: Any = None,
    progress: Any = None,
    reference: Any = "product",
    threads: int | None = None,
    gradients: bool = False,
) -> Divergence:
    """Debiased Sinkhorn divergence between two weighted point clouds.

    ``S = OT(a, b) - OT(a, a)/2 - OT(b, b)/2 + epsilon/2 (m_a - m_b)^2`` (Feydy et al. 2019; Sejourne et
    al. 2019 for unbalanced sides): not negative for equal marginals and a squared cost, and 0 where both
    clouds are equal. With two different marginals ``S(a, a) = 0`` holds, positivity is not proven.

    Args:
        x: (n, d) source points. They decide the type: float32 or float64; integers and lists become
            float64, half types are refused.
        y: (m, d) target points of the same type.
        a: (n,) source weights >= 0; None: uniform with sum 1. Converted to the type of the points.
        b: (m,) target weights >= 0; None: uniform with sum 1.
    Keywords:
    {options}
        gradients: also compute ``gradient()``: derivatives in points and weights. (default False)

    Returns:
        Divergence: value, debiased potentials and the three solves. Arrays come in the kind of x.

    Raises:
        InvalidArgument: (a ValueError) malformed input; names the argument and the index to blame.
        NotAvailable: a total mass, another reference, or arrays on a device that this build lacks.

    Warns:
        ConvergenceWarning: one of the solves ended without meeting its tolerance.
    """
    undebiased(total_mass, reference, "solve_sample")
    source, target = typed_points(x, y, precision, tolerance)
    ground = Ground.of(cost, cost_factor)
    side_a, side_b = marginals_of_reach(marginals, None, reach, ground)
    options = divergence_options(
        ground,
        (side_a, side_b),
        mass_tolerance(source.dtype, a, b),
        gradients,
        epsilon=epsilon_of(epsilon, blur, ground),
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
    weights_a, weights_b = vector(a, "a", source.dtype), vector(b, "b", source.dtype)
    count, to = thread_count(threads), framework_of(x, y)
    stream = current_stream(device_of(source))

    logger.debug(
        "divergence of %d and %d points, epsilon %g", len(source), len(target), options.epsilon
    )
    with _progress.hook(progress, "monge") as hook:
        core = _core.divergence(
            source,
            weights_a,
            target,
            weights_b,
            options,
            checked_callback(callback),
            _core.Call(count, hook, stream),
        )

    answer = between(
        core,
        (source, weights_a),
        (target, weights_b),
        ground=ground,
        sides=(options.marginal_a, options.marginal_b),
        mass_tolerance=options.mass_tolerance,
        epsilon=options.epsilon,
        gradients=options.gradients,
        to=to,
        threads=count,
    )
    logger.info("%r", answer)
    for part in (answer.ab, answer.aa, answer.bb):
        report_unmet(part, options.tolerance, stacklevel=2)
    return answer
