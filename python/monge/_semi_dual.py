"""Hard c-transforms and the semi-dual, for semi-discrete transport."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import cost_matrix, framework_of, points, same_type, vector
from ._device import current_stream, device_of
from ._errors import InvalidArgument
from ._keywords import Ground, marginals_of, mass_tolerance, number, thread_count
from ._marginals import KL, Marginal, Marginals, to_spec
from ._solution import Cost


class CTransform(NamedTuple):
    """The hard minimum of each row."""

    values: Any  #: (n,) ``min_j c(x_i, y_j) - g_j``
    column: Any  #: (n,) int64, the lowest j that attains it; -1 where there is no partner


class SemiDual(NamedTuple):
    """The semi-dual at g, and its gradients."""

    value: float  #: the dual at g with the best f: a lower bound of the transport cost
    f: Any  #: (n,) that f
    dg: Any  #: (m,) derivative in g
    dy: Any  #: (m, d) derivative in the target points; None on a cost matrix


def _problem(
    x: Any,
    y: Any,
    C: Any,
    cost: Cost,
    a: Any,
    b: Any,
    sides: tuple[Marginal, Marginal],
) -> tuple[Any, np.dtype[Any]]:
    if (C is None) == (x is None) or (x is None) != (y is None):
        raise InvalidArgument("[options] wanted either x and y, or C", "x")
    make: Callable[..., Any]
    if C is not None:
        given = cost_matrix(C)
        make = partial(_core.matrix_problem, given)
    else:
        given, target = points(x, "x"), points(y, "y")
        same_type({"x": given, "y": target})
        ground = Ground.of(cost, 1.0)
        make = partial(_core.point_problem, given, target, ground.name, ground.power)
    problem = make(
        vector(a, "a", given.dtype),
        vector(b, "b", given.dtype),
        to_spec(sides[0]),
        to_spec(sides[1]),
        None,
        mass_tolerance(given.dtype, a, b),
        current_stream(device_of(given)),
    )
    return problem, given.dtype


def c_transform(
    g: Any,
    x: Any = None,
    y: Any = None,
    *,
    C: Any = None,
    cost: Cost = "sqeuclidean",
    threads: int | None = None,
) -> CTransform:
    """``min_j c(x_i, y_j) - g_j`` for each i, and the j that attains it (ties: the lower): the limit
    epsilon -> 0 of the soft minimum. One pass, nothing of size n x m is formed.

    Args:
        g: (m,) potential of the target points; -inf removes a point.
        x, y: (n, d) and (m, d) points, as in ``solve_sample``; or
        C: (n, m) costs, inf forbidding a pair.
        cost: as in ``solve_sample``.
        threads: as in ``solve``.

    Raises:
        InvalidArgument: (a ValueError) malformed input; NaN or +inf in g.
    """
    soft = KL(1.0)  # nothing is asked of the sides
    problem, dtype = _problem(x, y, C, cost, None, None, (soft, soft))
    call = _core.Call(thread_count(threads), stream=problem.stream)
    potential: Any = vector(g, "g", dtype)
    values, column = _core.c_transform(problem, _core.Side.source, potential, call)
    to = framework_of(x if C is None else C)
    return CTransform(to(values), to(column))


def semi_dual(
    g: Any,
    x: Any = None,
    y: Any = None,
    a: Any = None,
    b: Any = None,
    *,
    C: Any = None,
    cost: Cost = "sqeuclidean",
    epsilon: float = 0.0,
    marginals: Marginals | None = None,
    threads: int | None = None,
) -> SemiDual:
    """The dual of transport as a function of g alone, f being at its best, and its gradients: what
    stochastic ascent climbs where x is a sample of a continuous source (semi-discrete transport;
    Genevay, Cuturi, Peyre, Bach 2016). Two passes; with epsilon 0 one.

    Args:
        g: (m,) finite potential of the target points, in units of the cost.
        x, y, a, b, cost: as in ``solve_sample``; or
        C: (n, m) costs in place of x and y.
        epsilon: strength of the entropy; 0, the default: the hard problem, where every source goes to
            the target that its c-transform names.
        marginals: Balanced() or KL(rho), or a pair of them.
        threads: as in ``solve``.

    Raises:
        InvalidArgument: (a ValueError) malformed input.
        NotAvailable: TV sides.

    Example:
        >>> monge.semi_dual([0.0, 0.0], [[0.0], [0.1], [1.0]], [[0.0], [1.0]]).dg
        array([-0.16666667,  0.16666667])
    """
    problem, dtype = _problem(x, y, C, cost, a, b, marginals_of(marginals, None))
    call = _core.Call(thread_count(threads), stream=problem.stream)
    potential: Any = vector(g, "g", dtype)
    value, f, dg, dy = _core.semi_dual(problem, number(epsilon, "epsilon"), potential, call)
    to = framework_of(x if C is None else C)
    return SemiDual(value, to(f), to(dg), None if dy is None else to(dy))
