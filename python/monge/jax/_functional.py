"""Transport as functions of JAX arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._clouds import Transport
from .._keywords import Length
from .._marginals import Marginals
from .._options import documented
from .._solution import Cost
from . import _inputs
from ._primitives import transport


@partial(documented, verb="sinkhorn")
def solve(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Cost = "sqeuclidean",
    epsilon: Any = None,
    blur: float | None = None,
    reach: float | tuple[Length, Length] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | None = None,
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
    kernel_cache: int | None = None,
    translate: bool = True,
    threads: int | None = None,
    hvp_tolerance: float = 1e-8,
    hvp_max_iterations: int = 2000,
) -> Transport:
    """``monge.solve_sample`` for ``jax.grad``: the transport objective and its potentials.

    Args:
        x: (n, d) source points, or (B, n, d) a batch of clouds: float32 or float64.
        y: (m, d) target points, or (B, m, d), of the same type.
        a: (n,) source weights >= 0, or (B, n); None: uniform with sum 1. Never normalised.
        b: (m,) target weights >= 0, or (B, m); None: uniform with sum 1.
    Keywords, static under ``jit`` but for an ``epsilon`` that is an array, () or (B,), which is differentiated in:
    {options}
        hvp_tolerance: of the linear solves of second derivatives, purely relative. (default 1e-8)
        hvp_max_iterations: budget of each of them. (default 2000)

    Returns:
        Transport: value and potentials. The gradient of the value is exact at the solution: in points and
        weights, of KL sides in every entry, of two Balanced sides in directions that keep the masses equal.

    Raises:
        InvalidArgument: (a ValueError) malformed shapes, types and keywords. What the values of arrays have wrong is known
            when XLA runs, and is a ``jax.errors.JaxRuntimeError`` with the same text.
        NotAvailable: a derivative that does not exist.

    Warns:
        ConvergenceWarning: the solve ended without meeting its tolerance.
    """
    value, f, g = _solved(
        x,
        y,
        a,
        b,
        of="vfg",
        debias=False,
        cost=cost,
        epsilon=epsilon,
        blur=blur,
        reach=reach,
        cost_factor=cost_factor,
        marginals=marginals,
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
        kernel_cache=kernel_cache,
        translate=translate,
        threads=threads,
        hvp_tolerance=hvp_tolerance,
        hvp_max_iterations=hvp_max_iterations,
    )
    return Transport(value, f, g)


@documented
def sinkhorn_divergence(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Cost = "sqeuclidean",
    epsilon: Any = None,
    blur: float | None = None,
    reach: float | tuple[Length, Length] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | None = None,
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
    kernel_cache: int | None = None,
    translate: bool = True,
    threads: int | None = None,
    hvp_tolerance: float = 1e-8,
    hvp_max_iterations: int = 2000,
) -> Any:
    """``monge.divergence`` for ``jax.grad``: the debiased Sinkhorn divergence, a scalar, or (B,) of a batch.

    Args:
        x: (n, d) source points, or (B, n, d) a batch of clouds: float32 or float64.
        y: (m, d) target points, or (B, m, d), of the same type.
        a: (n,) source weights >= 0, or (B, n); None: uniform with sum 1. Never normalised.
        b: (m,) target weights >= 0, or (B, m); None: uniform with sum 1.
    Keywords, static under ``jit`` but for an ``epsilon`` that is an array, () or (B,), which is differentiated in:
    {options}
        hvp_tolerance: of the linear solves of second derivatives, purely relative. (default 1e-8)
        hvp_max_iterations: budget of each of them. (default 2000)

    Raises:
        InvalidArgument: (a ValueError) malformed shapes, types and keywords. What the values of arrays have wrong is known
            when XLA runs, and is a ``jax.errors.JaxRuntimeError`` with the same text.
        NotAvailable: a derivative that does not exist.

    Warns:
        ConvergenceWarning: one of the solves ended without meeting its tolerance.
    """
    (value,) = _solved(
        x,
        y,
        a,
        b,
        of="v",
        debias=True,
        cost=cost,
        epsilon=epsilon,
        blur=blur,
        reach=reach,
        cost_factor=cost_factor,
        marginals=marginals,
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
        kernel_cache=kernel_cache,
        translate=translate,
        threads=threads,
        hvp_tolerance=hvp_tolerance,
        hvp_max_iterations=hvp_max_iterations,
    )
    return value


def _solved(x: Any, y: Any, a: Any, b: Any, of: str, debias: bool, **keywords: Any) -> list[Any]:
    clouds = _inputs.clouds(x, y, a, b)
    keywords["epsilon"], epsilon = _inputs.split_epsilon(keywords["epsilon"], clouds.x)
    attributes = _inputs.attributes(clouds.x, a, b, debias=debias, **keywords)
    found = transport.bind(*clouds[:4], epsilon, attributes=attributes, of=of)
    return [
        clouds.points(part if name == "v" else part[:, 0])
        for name, part in zip(of, found, strict=True)
    ]
