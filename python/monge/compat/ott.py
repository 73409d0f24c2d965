"""OTT-JAX's parameters in monge's, and both of its problems.

OTT-JAX's iterations solve the problem whose entropy is relative to the counting measure; its documentation states
the one relative to ``a b^T``, monge's. With a ratio tau below 1 these differ, and so do their plans. ``solve`` takes
either, and ``product_weights`` and ``counting_weights`` carry one problem's weights to the other's.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from .. import KL, Balanced
from .. import solve as _solve
from .. import solve_sample as _solve_sample
from .._errors import InvalidArgument
from .._keywords import number
from .._marginals import Marginal
from .._solution import Solution
from ._kind import Kind, absent, host

__all__ = [
    "Output",
    "counting_weights",
    "from_ott_potentials",
    "product_weights",
    "rho_from_tau",
    "solve",
    "tau_from_rho",
    "to_ott_potentials",
]

_DEFAULT_EPSILON = 0.05  # of the standard deviation of the costs
_BLOCK = 1 << 22  # costs at a time, where their largest is looked for


def rho_from_tau(tau: float, epsilon: float) -> float:
    """Strength ``rho = epsilon tau / (1 - tau)`` of the marginal that OTT-JAX's ``tau_a``, ``tau_b`` mean; inf at 1.

    epsilon is the one at which the solve ends: under a schedule the same tau means another strength at each step.
    """
    if not 0 < tau <= 1:
        raise InvalidArgument(f"[ott] tau is {tau!r}, wanted 0 < tau <= 1", "tau")
    return inf if tau == 1 else epsilon * tau / (1 - tau)


def tau_from_rho(rho: float, epsilon: float) -> float:
    """``tau = rho / (rho + epsilon)``, 1 for an infinite strength."""
    if not rho > 0:
        raise InvalidArgument(f"[ott] rho is {rho!r}, wanted a strength > 0", "rho")
    return 1.0 if rho == inf else rho / (rho + epsilon)


def product_weights(a: Any, tau: float) -> Any:
    """``a**tau``: the weights whose product problem has the plan of OTT-JAX's iterations at weights a."""
    return a**tau


def counting_weights(a: Any, tau: float) -> Any:
    """``a**(1/tau)``: the weights to give OTT-JAX for the plan of the product problem at weights a."""
    return a ** (1 / tau)


def to_ott_potentials(f: Any, a: Any, epsilon: float) -> Any:
    """``f + epsilon log a``: monge's potential in OTT-JAX's convention, where ``P = exp((f + g - C)/epsilon)``.

    a are the weights of the product problem: OTT-JAX's own with tau = 1, else their ``product_weights``.
    """
    kind = Kind(f, a)
    return kind(f) + epsilon * kind.xp.log(kind(a))


def from_ott_potentials(f: Any, a: Any, epsilon: float) -> Any:
    """``f - epsilon log a``, the inverse of ``to_ott_potentials``."""
    kind = Kind(f, a)
    return kind(f) - epsilon * kind.xp.log(kind(a))


class Output:
    """A result in OTT-JAX's convention: ``P_ij = exp((f_i + g_j - C_ij)/epsilon)``, C scaled as asked.

    ``solution`` is monge's own result; its costs are not scaled.
    """

    def __init__(self, solution: Solution, kind: Kind, f: Any, g: Any, scale: float):
        self.solution = solution
        self.f = f
        self.g = g
        self._kind = kind
        self._scale = scale

    @property
    def epsilon(self) -> float:
        """Strength of the entropy, in units of the scaled cost."""
        return self.solution.epsilon / self._scale

    @property
    def value(self) -> float:
        """The objective ``<P, C> + epsilon KL(P | r) + rho_a KL(P 1 | a) + rho_b KL(P^T 1 | b)`` that P minimises, r = 1
        ('counting') or ``a b^T`` ('product')."""
        return self.solution.value / self._scale

    @property
    def primal_cost(self) -> float:
        """<P, C>."""
        return self.solution.value_linear / self._scale

    @property
    def matrix(self) -> Any:
        """The dense plan (n, m)."""
        return self._kind(self.solution.plan.dense())

    def apply(self, inputs: Any, axis: int = 0) -> Any:
        """``inputs @ P`` with axis 0, ``inputs @ P.T`` with axis 1, as OTT-JAX has it: inputs (n,) or (k, n), and
        (m,) or (k, m)."""
        plan = self.solution.plan.T if _axis(axis) == 0 else self.solution.plan
        values = self._kind(inputs)
        if len(values.shape) == 1:
            return self._kind(plan @ values)
        return self._kind(plan @ values.T).T

    def marginal(self, axis: int) -> Any:
        """The plan's sum over an axis: (m,) target marginal with 0, (n,) source marginal with 1."""
        found = self.solution.marginal_b if _axis(axis) == 0 else self.solution.marginal_a
        return self._kind(found)

    @property
    def converged(self) -> bool:
        return self.solution.converged

    @property
    def n_iters(self) -> int:
        return self.solution.iterations

    def __repr__(self) -> str:
        return f"Output({self.solution!r})"


def _axis(axis: int) -> int:
    if axis not in (0, 1):
        raise InvalidArgument(f"[ott] axis is {axis!r}, wanted 0 or 1", "axis")
    return axis


def _mean_of_squares(x: Any, y: Any) -> tuple[float, float]:
    """Mean and standard deviation of |x_i - y_j|^2 over all pairs, from moments of the centred clouds."""
    centre = (x.mean(0) + y.mean(0)) / 2
    x, y = x - centre, y - centre
    p, q = (x * x).sum(1), (y * y).sum(1)
    mean = p.mean() + q.mean() - 2 * x.mean(0) @ y.mean(0)
    cross = np.sum((x.T @ x / len(x)) * (y.T @ y / len(y)))  # mean of (x.y)^2
    px, qy = (p[:, None] * x).mean(0), (q[:, None] * y).mean(0)
    square = (p * p).mean() + (q * q).mean() + 2 * p.mean() * q.mean() + 4 * cross
    square -= 4 * (px @ y.mean(0) + x.mean(0) @ qy)
    return float(mean), float(np.sqrt(max(square - mean * mean, 0.0)))


def _largest_square(x: Any, y: Any) -> float:
    rows = max(1, _BLOCK // y.size)
    blocks = (x[i : i + rows, None] - y for i in range(0, len(x), rows))
    return float(max((block * block).sum(-1).max() for block in blocks))


def _number_or(name: str, value: Any, words: str) -> float:
    if callable(value) or isinstance(value, (tuple, list)):
        raise InvalidArgument(
            f"[ott] {name} is {value!r}, wanted {words}: monge anneals by itself, and a ratio tau means another "
            "strength at each epsilon of a schedule",
            name,
        )
    return number(value, name)


def solve(
    x: Any = None,
    y: Any = None,
    a: Any = None,
    b: Any = None,
    *,
    C: Any = None,
    epsilon: float | None = None,
    tau_a: float = 1.0,
    tau_b: float = 1.0,
    scale_cost: float | str = 1.0,
    reference: str = "counting",
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
) -> Output:
    """Entropic transport in OTT-JAX's terms.

    Args:
        x, y: (n, d) and (m, d) points, for the squared Euclidean cost; or C: (n, m) costs.
        a, b: weights, never normalised; None: uniform with sum 1.
        epsilon: strength of the entropy in units of the scaled cost; None: 0.05 of the standard deviation of the
            scaled costs over all pairs. A schedule is refused.
        tau_a, tau_b: ratios in (0, 1], ``rho = epsilon tau/(1 - tau)`` at this epsilon; 1: Balanced.
        scale_cost: the costs are divided by this number, by their 'mean' or by their largest, 'max_cost'.
        reference: 'counting', the problem that OTT-JAX's iterations solve, or 'product', the documented one.
        tolerance, max_iterations: as ``monge.solve``.

    Returns:
        Output: ``f, g`` in OTT-JAX's convention, ``value``, ``matrix, apply, marginal``, in the kind of x or C.
    """
    if (C is None) == (x is None or y is None) or (
        C is not None and (x is not None or y is not None)
    ):
        raise InvalidArgument("[ott] wanted either the clouds x and y, or the costs C", "C")
    if reference not in ("counting", "product"):
        raise InvalidArgument(
            f"[ott] reference is {reference!r}, wanted 'counting' or 'product'", "reference"
        )
    kind = Kind(C) if C is not None else Kind(x, y)
    scale = _scale(scale_cost, x, y, C)
    if epsilon is None:
        spread = float(host(C).std()) if C is not None else _mean_of_squares(host(x), host(y))[1]
        strength = _DEFAULT_EPSILON * spread
    else:
        strength = _number_or("epsilon", epsilon, "a number or None") * scale
    sides: list[Marginal] = [
        Balanced() if tau == 1 else KL(rho_from_tau(number(tau, name), strength))
        for tau, name in ((tau_a, "tau_a"), (tau_b, "tau_b"))
    ]
    options: dict[str, Any] = dict(
        epsilon=strength,
        marginals=(sides[0], sides[1]),
        reference=reference,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    weights = [None if absent(w) else w for w in (a, b)]
    solution = (
        _solve(C, *weights, **options)
        if C is not None
        else _solve_sample(x, y, *weights, **options)
    )
    f, g = (kind(p) for p in solution.potentials)
    if reference == "product":
        n, m = solution.shape
        f = to_ott_potentials(f, kind.weights(a, n), strength)
        g = to_ott_potentials(g, kind.weights(b, m), strength)
    return Output(solution, kind, f / scale, g / scale, scale)


def _scale(scale_cost: Any, x: Any, y: Any, C: Any) -> float:
    if scale_cost == "mean":
        return float(host(C).mean()) if C is not None else _mean_of_squares(host(x), host(y))[0]
    if scale_cost == "max_cost":
        return float(host(C).max()) if C is not None else _largest_square(host(x), host(y))
    if isinstance(scale_cost, str):
        raise InvalidArgument(
            f"[ott] scale_cost is {scale_cost!r}, wanted a number, 'mean' or 'max_cost'",
            "scale_cost",
        )
    value = _number_or("scale_cost", scale_cost, "a number, 'mean' or 'max_cost'")
    if not value > 0:
        raise InvalidArgument(f"[ott] scale_cost is {value}, wanted a number > 0", "scale_cost")
    return value
