"""Transport as functions of tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .._clouds import Clouds, Transport
from .._errors import InvalidArgument
from .._keywords import Length
from .._marginals import Marginals
from .._options import documented
from .._solution import Cost
from . import _inputs
from ._ops import product_along, taped, transport
from ._text import encode


def solve(clouds: Clouds, options: str) -> Any:
    """What the operator returns for the clouds."""
    tensors = clouds.x, clouds.y, clouds.a, clouds.b
    return transport(*tensors, options, taped(*tensors))


@documented
def sinkhorn(
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
) -> Transport:
    """``monge.solve_sample`` for autograd: the transport objective and its potentials.

    Args:
        x: (n, d) source points, or (B, n, d) a batch of clouds: float32 or float64 tensors. Half types are
            promoted under ``torch.autocast`` and refused elsewhere.
        y: (m, d) target points, or (B, m, d), of the same type on the same device.
        a: (n,) source weights >= 0, or (B, n); None: uniform with sum 1. Never normalised.
        b: (m,) target weights >= 0, or (B, m); None: uniform with sum 1.
    Keywords:
    {options}

    Returns:
        Transport: value and potentials. The gradient of the value is exact at the solution: in points and
        weights, of KL sides in every entry, of two Balanced sides in directions that keep the masses equal.

    Raises:
        InvalidArgument: (a ValueError) malformed input, types or devices that differ.
        NotAvailable: a device that this build lacks, a derivative that does not exist.

    Warns:
        ConvergenceWarning: the solve ended without meeting its tolerance.
    """
    clouds = _inputs.clouds(x, y, a, b)
    options = encode(
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
    )
    value, f, g, *_ = solve(clouds, options)
    return Transport(clouds.points(value), clouds.points(f.squeeze(1)), clouds.points(g.squeeze(1)))


@documented
def sinkhorn_divergence(
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
) -> Any:
    """``monge.divergence`` for autograd: the debiased Sinkhorn divergence, a scalar, or (B,) of a batch.

    Args:
        x: (n, d) source points, or (B, n, d) a batch of clouds: float32 or float64 tensors. Half types are
            promoted under ``torch.autocast`` and refused elsewhere.
        y: (m, d) target points, or (B, m, d), of the same type on the same device.
        a: (n,) source weights >= 0, or (B, n); None: uniform with sum 1. Never normalised.
        b: (m,) target weights >= 0, or (B, m); None: uniform with sum 1.
    Keywords:
    {options}

    Raises:
        InvalidArgument: (a ValueError) malformed input, types or devices that differ.
        NotAvailable: a device that this build lacks, a derivative that does not exist.

    Warns:
        ConvergenceWarning: one of the solves ended without meeting its tolerance.
    """
    clouds = _inputs.clouds(x, y, a, b)
    options = encode(
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
    )
    return clouds.points(solve(clouds, options)[0])


class Product(NamedTuple):
    """How the gradient moves along a direction; with a batch, stacked."""

    dx: Any  #: (n, d)
    dy: Any  #: (m, d)
    da: Any  #: (n,), in units of the cost
    db: Any  #: (m,)


def hvp(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    dx: Any = None,
    dy: Any = None,
    da: Any = None,
    db: Any = None,
    debias: bool = False,
    hvp_tolerance: float = 1e-8,
    hvp_max_iterations: int = 2000,
    **keywords: Any,
) -> Product:
    """The Hessian of ``sinkhorn``'s value, or with ``debias`` of ``sinkhorn_divergence``, applied to a direction of all
    inputs at once: what differentiating ``(gradient * direction).sum()`` gives, in one call. Carries no gradient.

    Args:
        x, y, a, b: as in ``sinkhorn``.
        dx, dy, da, db: the direction, shaped as what moves; None: 0. With two Balanced sides ``da`` and ``db`` move the
            same mass.
        debias: of the divergence.
        hvp_tolerance, hvp_max_iterations: of the linear solve; purely relative.
        keywords: those of ``sinkhorn``. Second derivatives inherit a few times the ``tolerance``: 1e-9 suits float64.
    """
    clouds = _inputs.clouds(x, y, a, b)
    options = encode(
        debias=debias or None,
        hvp_tolerance=hvp_tolerance,
        hvp_max_iterations=hvp_max_iterations,
        **keywords,
    )
    along = []
    for name, part, like in (
        ("dx", dx, x),
        ("dy", dy, y),
        ("da", da, x[..., 0]),
        ("db", db, y[..., 0]),
    ):
        if part is not None:
            _inputs.same(clouds.x, {name: part}, dtype=True)
            if part.shape != like.shape:
                raise InvalidArgument(
                    f"[torch] {name} has shape {tuple(part.shape)}, wanted {tuple(like.shape)}",
                    name,
                )
            part = part if clouds.batched else part[None]
        along.append(part)
    with torch.no_grad():
        _, f, g, *_ = solve(clouds, options)
        found = product_along(*clouds[:4], f, g, *along, options, "xyab")
    return Product(*(clouds.points(part) for part in found))
