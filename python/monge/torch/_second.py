"""Second derivatives at given potentials: of one problem, or of a divergence, which is three."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .. import _core
from .._arrays import framework_of, points, vector
from .._derivatives import DivergenceLinearization, Linearization
from .._device import current_stream, device_of
from .._divergence import linearize_divergence
from .._errors import ConvergenceWarning
from .._keywords import Ground, mass_tolerance, thread_count
from .._marginals import Marginal, to_spec
from ._text import of_products, terms


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


def linearize(
    plan: Any, like: Any, threads: Any = None, kernel_cache: int | None = None
) -> Linearization:
    """Of a plan, answering as tensors."""
    count = thread_count(threads)
    call = _core.Call(count, stream=current_stream(plan.device))
    core = _core.linearize(plan, kernel_cache, call)
    dtype = points(like, "x").dtype
    return Linearization(core, framework_of(like), count, dtype)


def _linearized(at: Sequence[Any], options: str) -> Linearization | DivergenceLinearization:
    """At (x, y, a, b, f, g): of a plan, or of a divergence whose potentials f, g are those of its three."""
    x, y, a, b, f, g = at
    asked = terms(options)
    if not asked.debias:
        plan = plan_of(
            (x, y, a, b),
            (f[0], g[0]),
            ground=asked.ground,
            epsilon=asked.epsilon,
            sides=asked.sides,
        )
        return linearize(plan, x, asked.threads, asked.solver["kernel_cache"])
    source, target = points(x, "x"), points(y, "y")
    dtype = source.dtype
    return linearize_divergence(
        (source, target, vector(a, "a", dtype), vector(b, "b", dtype)),
        [vector(part, "f", dtype) for part in (f[0], g[0], f[1], f[2], g[1], g[2])],
        asked.options(mass_tolerance(dtype, a, b), gradients=False),
        framework_of(x),
        thread_count(asked.threads),
    )


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
    directions = (None if part is None else part.contiguous() for part in along)
    found = _linearized(at, options).hvp(*directions, wrt=list(wrt), **of_products(options))
    return tuple(_reported(found)[:4])


def pullback(
    at: Sequence[Any], cotangents: Sequence[Any], options: str, wrt: str
) -> tuple[Any, ...]:
    """The derivative of the potentials of the plan at (x, y, a, b, f, g), contracted with cotangents of both."""
    of_f, of_g = (None if part is None else part[0].contiguous() for part in cotangents)
    plan: Any = _linearized(at, options)
    found = plan.vjp(of_f, of_g, wrt=list(wrt), **of_products(options))
    return tuple(_reported(found)[:4])
