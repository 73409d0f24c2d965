"""Second derivatives at given potentials: of one problem, or of a divergence, which is three."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .. import _core
from .._arrays import framework_of, points, vector
from .._derivatives import Linearization
from .._device import current_stream, device_of
from .._errors import ConvergenceWarning, NotAvailable
from .._keywords import Ground, epsilon_of, marginals_of_reach, mass_tolerance, thread_count
from .._marginals import Marginal, to_spec
from ._text import of_products, of_solves


def unlabelled(table: Any) -> None:
    if table is not None:
        raise NotAvailable("[torch] second derivatives with label costs are not provided")


def plan_of(
    measures: Sequence[Any],
    potentials: Sequence[Any],
    *,
    ground: Ground,
    epsilon: float,
    sides: tuple[Marginal, Marginal],
) -> Any:
    """The plan that potentials (f, g) make between measures (x, y, a, b), of the core."""
    (x, y, a, b), (f, g) = measures, potentials
    source, target = points(x, "x"), points(y, "y")
    dtype = source.dtype
    problem = _core.point_problem(
        source,
        target,
        ground.name,
        ground.power,
        vector(a, "a", dtype),
        vector(b, "b", dtype),
        to_spec(sides[0]),
        to_spec(sides[1]),
        None,
        mass_tolerance(dtype, a, b),
        current_stream(device_of(source)),
    )
    pair: Any = vector(f, "f", dtype), vector(g, "g", dtype)
    return _core.plan(problem, epsilon, *pair)


def linearize(plan: Any, like: Any, threads: Any = None) -> Linearization:
    """Of a plan, answering as tensors."""
    count = thread_count(threads)
    core = _core.linearize(plan, _core.Call(count, stream=current_stream(plan.device)))
    dtype = points(like, "x").dtype
    return Linearization(core, framework_of(like), count, dtype)


class _Terms:
    """The problems of a loss, each linearised once: (x, y), and of a divergence (x, x) and (y, y)."""

    def __init__(self, at: Sequence[Any], options: str):
        x, y, a, b, f, g = at
        keywords = of_solves(options)
        ground = Ground.of(keywords.get("cost", "sqeuclidean"), keywords.get("cost_factor", 1.0))
        self.epsilon = epsilon_of(keywords.get("epsilon"), keywords.get("blur"), ground)
        sides = marginals_of_reach(keywords.get("marginals"), None, keywords.get("reach"), ground)
        threads = keywords.get("threads")

        def term(measures: Sequence[Any], potentials: Sequence[Any]) -> Linearization:
            plan = plan_of(measures, potentials, ground=ground, epsilon=self.epsilon, sides=sides)
            return linearize(plan, x, threads)

        self.debias = keywords.get("debias", False)
        self.cross = term((x, y, a, b), (f[0], g[0]))
        if self.debias:
            self.source = term((x, x, a, a), f[1:])
            self.target = term((y, y, b, b), g[1:])


def _reported(found: Any) -> Any:
    if not found.report.converged:
        warnings.warn(
            f"a second derivative ended after {found.report.iterations} iterations with a relative residual of "
            f"{found.report.residual:.1e}: raise hvp_max_iterations or hvp_tolerance",
            ConvergenceWarning,
            stacklevel=4,
        )
    return found


def product(at: Sequence[Any], along: Sequence[Any], options: str, wrt: str) -> tuple[Any, ...]:
    """The gradient's derivative at (x, y, a, b, f, g) along (dx, dy, da, db); None what `wrt` does not name."""
    terms = _Terms(at, options)
    linear = of_products(options)
    dx, dy, da, db = (None if part is None else part.contiguous() for part in along)
    found = _reported(terms.cross.hvp(dx, dy, da, db, wrt=list(wrt), **linear))
    parts = list(found[:4])
    if not terms.debias:
        return tuple(parts)
    # Both slots of a self term move with the measure.
    for i, (term, point, weights) in enumerate(((terms.source, dx, da), (terms.target, dy, db))):
        names = [
            name for name, of in zip("xyab", (0, 1, 0, 1), strict=True) if of == i and name in wrt
        ]
        if not names or (point is None and weights is None):
            continue
        slots = "xy" * any(name in "xy" for name in names) + "ab" * any(
            name in "ab" for name in names
        )
        own = _reported(term.hvp(point, point, weights, weights, wrt=list(slots), **linear))
        if own.dx is not None:
            parts[i] = parts[i] - (own.dx + own.dy) / 2
        if own.da is not None:
            parts[2 + i] = parts[2 + i] - (own.da + own.db) / 2
    masses = [0.0 if part is None else part.sum() for part in (da, db)]
    for i, name in enumerate("ab"):
        if name in wrt:
            parts[2 + i] = parts[2 + i] + terms.epsilon * (masses[i] - masses[1 - i])
    return tuple(parts)


def pullback(
    at: Sequence[Any], cotangents: Sequence[Any], options: str, wrt: str
) -> tuple[Any, ...]:
    """The derivative of the potentials of the plan at (x, y, a, b, f, g), contracted with cotangents of both."""
    of_f, of_g = (None if part is None else part[0].contiguous() for part in cotangents)
    cross = _Terms(at, options).cross
    found = _reported(cross.vjp(of_f, of_g, wrt=list(wrt), **of_products(options)))
    return tuple(found[:4])
