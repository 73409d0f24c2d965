"""From POT's problems to monge's and back: the one place where the units are converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import solve as monge_solve
from ... import solve_sample as monge_solve_sample
from ..._errors import InvalidArgument, NotAvailable
from ..._keywords import number
from ..._marginals import Marginal
from ..._solution import Solution
from .._kind import Kind, absent, host
from .._tape import is_taped
from .._terms import marginals_of, warnings_of
from ._result import OTResult

METRICS = ("sqeuclidean", "half_sqeuclidean", "euclidean", "cosine", "dot")
GRADS = ("autodiff", "envelope", "last_step", "detach")
_FLOOR = 1e-12  # what "run until nothing changes", as stopThr=1e-100, asks of a residual


@dataclass(frozen=True)
class Geometry:
    """A cost matrix, or two clouds and a metric."""

    matrix: Any = None
    x: Any = None
    y: Any = None
    metric: Any = "sqeuclidean"

    @property
    def arrays(self) -> tuple[Any, ...]:
        return (self.matrix,) if self.matrix is not None else (self.x, self.y)

    @property
    def shape(self) -> tuple[int, int]:
        if self.matrix is not None:
            return len(self.matrix), len(self.matrix[0])
        return len(self.x), len(self.y)

    def costs(self, kind: Kind) -> Any:
        """The matrix itself: what a reference that is a matrix is given beside."""
        if self.matrix is not None:
            return kind(self.matrix)
        x, y = kind(self.x)[:, None], kind(self.y)[None]
        if self.metric == "cosine":
            return 1 - (x * y).sum(-1) / ((x * x).sum(-1) * (y * y).sum(-1)) ** 0.5
        if self.metric == "dot":
            return -(x * y).sum(-1)
        squared = ((x - y) ** 2).sum(-1)
        if isinstance(self.metric, tuple):
            return squared ** (self.metric[1] / 2)
        return {"sqeuclidean": squared, "half_sqeuclidean": squared / 2, "euclidean": squared**0.5}[
            self.metric
        ]


def metric_of(metric: Any) -> Any:
    """The cost that POT's metric names."""
    if isinstance(metric, (tuple, list)) or metric in METRICS:
        return tuple(metric) if isinstance(metric, list) else metric
    if isinstance(metric, str):
        known = ", ".join(map(repr, METRICS))
        raise NotAvailable(
            f"[pot] metric {metric!r} is not among {known}, ('power', p): pass the matrix to solve",
            "metric",
        )
    raise InvalidArgument(f"[pot] metric is {metric!r}, wanted a name", "metric")


def reference_of(reg_type: Any) -> str:
    """'kl' or 'entropy'."""
    if not isinstance(reg_type, str) or reg_type.lower() not in ("kl", "entropy"):
        raise NotAvailable(
            f"[pot] reg_type={reg_type!r} is not provided: wanted 'KL' or 'entropy'", "reg_type"
        )
    return reg_type.lower()


@dataclass(frozen=True)
class Ask:
    """A problem in POT's terms; ``name`` words the errors about its marginals."""

    geometry: Geometry
    a: Any
    b: Any
    reg: float
    reg_type: str = "kl"
    c: Any = None
    reg_m: Any = None
    marginal_type: str = "KL"
    mass: float | None = None
    start: Any = None
    tolerance: Any = None
    max_iterations: Any = None
    grad: str = "envelope"
    warn: bool = True
    balanced_units: bool | None = None
    name: str = "unbalanced"

    @property
    def sides(self) -> tuple[Marginal, Marginal] | None:
        if self.mass is not None:
            return None
        return marginals_of(self.reg_m, self.marginal_type, self.name)

    @property
    def is_matrix_reference(self) -> bool:
        """Whether the entropy is relative to a matrix that the costs absorb (spec: reference bridge)."""
        partial = self.mass is not None or self.marginal_type.lower() == "tv"
        return self.c is not None or (self.reg_type == "entropy" and partial)


def _solve(ask: Ask, kind: Kind, start: Any) -> tuple[Solution, float]:
    """The solution, and what its value lacks of POT's objective."""
    geometry, reg = ask.geometry, ask.reg
    n, m = geometry.shape
    tolerance = ask.tolerance
    if tolerance is None:
        tolerance = 1e-6 if kind.is_float32 else 1e-9
    options: dict[str, Any] = dict(
        epsilon=reg,
        marginals=ask.sides,
        total_mass=ask.mass,
        start=start,
        tolerance=max(number(tolerance, "tol"), _FLOOR),
    )
    if ask.max_iterations is not None:
        options["max_iterations"] = ask.max_iterations
    a, b = (None if absent(w) else w for w in (ask.a, ask.b))
    if not ask.is_matrix_reference:
        entropy = ask.reg_type == "entropy"
        options["reference"] = "counting" if entropy else "product"
        if geometry.matrix is not None:
            found = monge_solve(geometry.matrix, a, b, **options)
        else:
            found = monge_solve_sample(
                geometry.x, geometry.y, a, b, cost=geometry.metric, **options
            )
        if not entropy:
            return found, 0.0
        # POT's entropy is sum P log P, less sum P where the sides are soft; KL(P | 1) has + n m too.
        return found, reg * ((found.masses[0] if ask.reg_m is None else 0.0) - n * m)
    weights_a, weights_b = kind.weights(ask.a, n), kind.weights(ask.b, m)
    product = weights_a[:, None] * weights_b[None]
    c = kind(ask.c) if ask.c is not None else product * 0 + 1
    ratio = kind.xp.where(
        product > 0, c / kind.xp.where(product > 0, product, product + 1), product + 1
    )
    costs = geometry.costs(kind) - reg * kind.xp.log(ratio)
    found = monge_solve(costs, a, b, **options)
    mass_a, mass_b = found.masses
    total = float(c.sum()) if ask.reg_type == "kl" else 0.0
    return found, reg * (total - mass_a * mass_b)


def _checked(ask: Ask) -> Ask:
    if ask.grad not in GRADS:
        raise InvalidArgument(
            f"[pot] grad is {ask.grad!r}, wanted one of {', '.join(map(repr, GRADS))}", "grad"
        )
    if ask.c is not None and ask.reg_type == "entropy":
        raise InvalidArgument(
            "[pot] got both c and reg_type='entropy', which means c = 1: give one of them", "c"
        )
    return ask


def solved(ask: Ask) -> OTResult:
    """Solves and converts back."""
    ask = _checked(ask)
    geometry, reg = ask.geometry, ask.reg
    kind = Kind(*geometry.arrays)
    n, m = geometry.shape
    weights = kind.weights(ask.a, n), kind.weights(ask.b, m)
    balanced = ask.reg_m is None if ask.balanced_units is None else ask.balanced_units
    # log_u = f/reg + log a with Balanced sides and the product reference, else f/reg of the reference.
    shifted = balanced and ask.reg_type == "kl" and ask.c is None
    with np.errstate(divide="ignore"):
        logs = [kind.xp.log(w) if shifted else kind.xp.zeros_like(w) for w in weights]
    start = None
    if ask.start is not None:
        if len(ask.start) != 2:
            raise InvalidArgument(
                f"[pot] wanted two starting potentials, got {len(ask.start)}", "start"
            )
        with np.errstate(invalid="ignore"):
            # A start at a point of weight 0 is never read: 0 stands for it.
            start = tuple(
                kind.xp.nan_to_num(reg * (kind(u) - log), nan=0.0, posinf=0.0, neginf=0.0)
                for u, log in zip(ask.start, logs, strict=True)
            )
    with warnings_of(ask.warn):
        solution, offset = _solve(ask, kind, start)
    inputs = (*geometry.arrays, ask.a, ask.b, ask.c)
    taped = is_taped(*inputs) and ask.grad != "detach"

    def derivatives() -> tuple[Any, ...]:
        found = solution.gradient()
        if geometry.matrix is not None:
            return solution.plan.dense(), found.da, found.db, None
        return found.dx, found.dy, found.da, found.db, None

    def linear() -> float:
        if not ask.is_matrix_reference:
            return solution.value_linear
        plan, costs = host(solution.plan.dense()), host(geometry.costs(kind))
        return float((plan * np.where(plan > 0, costs, 0)).sum())

    f, g = (kind(p) / reg + log for p, log in zip(solution.potentials, logs, strict=True))
    return OTResult(
        solution,
        kind,
        potentials=(f, g),
        value=solution.value + offset,
        value_linear=linear,
        points=None if geometry.matrix is not None else (geometry.x, geometry.y),
        inputs=inputs if taped else (),
        derivatives=None if ask.is_matrix_reference else derivatives,
        detached=ask.grad == "envelope",
    )
