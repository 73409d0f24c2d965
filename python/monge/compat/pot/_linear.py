"""From POT's problems to monge's and back: the one place where the units are converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import solve as monge_solve
from ... import solve_batch as monge_solve_batch
from ... import solve_sample as monge_solve_sample
from ... import solve_sample_batch as monge_solve_sample_batch
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
    if isinstance(metric, str) or callable(metric):
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
    scalings: bool | None = None
    name: str = "unbalanced"

    @property
    def sides(self) -> tuple[Marginal, Marginal] | None:
        if self.mass is not None:
            return None
        return marginals_of(self.reg_m, self.marginal_type, self.name)

    @property
    def is_scaling(self) -> bool:
        """Whether potentials are log u, log v of ``P = u exp(-M/reg) v``; else the reference stands beside them."""
        return self.reg_m is None if self.scalings is None else self.scalings

    @property
    def is_matrix_reference(self) -> bool:
        """Whether the entropy is relative to a matrix, which the costs absorb."""
        if self.c is not None:
            return True
        tv = self.reg_m is not None and self.marginal_type.lower() == "tv"
        return self.reg_type == "entropy" and (tv or self.mass is not None)

    @property
    def is_counting(self) -> bool:
        """Whether monge's counting reference is needed: with Balanced sides values differ by a constant alone."""
        return self.reg_type == "entropy" and self.reg_m is not None

    @property
    def given_weights(self) -> tuple[Any, Any]:
        """Weights as monge takes them."""
        return tuple(None if absent(w) else w for w in (self.a, self.b))  # type: ignore[return-value]

    def weights(self, kind: Kind) -> tuple[Any, Any]:
        """Weights as arrays."""
        n, m = self.geometry.shape
        return kind.weights(self.a, n), kind.weights(self.b, m)


def _options(ask: Ask, kind: Kind) -> dict[str, Any]:
    """monge's keywords, those of a reference aside."""
    if ask.grad not in GRADS:
        raise InvalidArgument(
            f"[pot] grad is {ask.grad!r}, wanted one of {', '.join(map(repr, GRADS))}", "grad"
        )
    if ask.c is not None and ask.reg_type == "entropy":
        raise InvalidArgument(
            "[pot] got both c and reg_type='entropy', which means c = 1: give one of them", "c"
        )
    tolerance = ask.tolerance
    if tolerance is None:
        tolerance = 1e-6 if kind.is_float32 else 1e-9
    options: dict[str, Any] = dict(
        epsilon=ask.reg,
        marginals=ask.sides,
        total_mass=ask.mass,
        tolerance=max(number(tolerance, "tol"), _FLOOR),
    )
    if ask.max_iterations is not None:
        options["max_iterations"] = ask.max_iterations
    return options


def solved(ask: Ask) -> OTResult:
    """Solves and converts back."""
    kind = Kind(*ask.geometry.arrays)
    options = _options(ask, kind) | {"start": _start(ask, kind)}
    with warnings_of(ask.warn):
        if ask.is_matrix_reference:
            costs = _relative_costs(ask, kind)
            solution = monge_solve(costs, *ask.given_weights, **options)
        else:
            if ask.is_counting:
                options["reference"] = "counting"
            g = ask.geometry
            if g.matrix is not None:
                solution = monge_solve(g.matrix, *ask.given_weights, **options)
            else:
                solution = monge_solve_sample(
                    g.x, g.y, *ask.given_weights, cost=g.metric, **options
                )
    return _converted(ask, kind, solution)


def solved_together(asks: list[Ask]) -> list[OTResult]:
    """Balanced problems of one strength, in one call."""
    geometries = [ask.geometry for ask in asks]
    kind = Kind(*geometries[0].arrays)
    options = _options(asks[0], kind)
    weights = [ask.given_weights for ask in asks]
    if geometries[0].matrix is not None:
        problems = [(g.matrix, *w) for g, w in zip(geometries, weights, strict=True)]
        found = monge_solve_batch(problems, **options)
    else:
        found = monge_solve_sample_batch(
            [g.x for g in geometries],
            [g.y for g in geometries],
            [a for a, _ in weights],
            [b for _, b in weights],
            cost=geometries[0].metric,
            **options,
        )
    return [_converted(ask, kind, one) for ask, one in zip(asks, found, strict=True)]


def _relative_costs(ask: Ask, kind: Kind) -> Any:
    """``C - reg log(c / (a b^T))``: the costs under which the product reference is c."""
    a, b = ask.weights(kind)
    product = a[:, None] * b[None]
    c = kind(ask.c) if ask.c is not None else product * 0 + 1
    inside = product > 0  # elsewhere nothing moves, whatever the costs
    ratio = kind.xp.where(inside, c / kind.xp.where(inside, product, c + 1), c * 0 + 1)
    with np.errstate(divide="ignore"):
        return ask.geometry.costs(kind) - ask.reg * kind.xp.log(ratio)


def _logs(ask: Ask, kind: Kind) -> list[Any]:
    """What a potential f/reg lacks of POT's: log a where sides are Balanced and the reference is not c."""
    weights = ask.weights(kind)
    if not ask.is_scaling or ask.c is not None:
        return [kind.xp.zeros_like(w) for w in weights]
    with np.errstate(divide="ignore"):
        return [kind.xp.log(w) for w in weights]


def _start(ask: Ask, kind: Kind) -> Any:
    if ask.start is None:
        return None
    if len(ask.start) != 2:
        raise InvalidArgument(
            f"[pot] wanted two starting potentials, got {len(ask.start)}", "start"
        )
    with np.errstate(invalid="ignore"):
        # A start at a point of weight 0 is never read: 0 stands for it.
        return tuple(
            kind.xp.nan_to_num(ask.reg * (kind(u) - log), nan=0.0, posinf=0.0, neginf=0.0)
            for u, log in zip(ask.start, _logs(ask, kind), strict=True)
        )


def _offset(ask: Ask, kind: Kind, solution: Solution) -> float:
    """What monge's value lacks of POT's objective.

    POT's entropy is ``sum P log P``, less ``sum P`` where sides are soft; monge's ``KL(P | r)`` has the masses."""
    mass_a, mass_b = solution.masses
    n, m = solution.shape
    if ask.is_matrix_reference:
        total = float(kind(ask.c).sum()) if ask.c is not None else 0.0
        return ask.reg * (total - mass_a * mass_b)
    if ask.reg_type == "kl":
        return 0.0
    if ask.is_counting:
        return -ask.reg * n * m
    logs = sum(float((w * _log(kind, w)).sum()) for w in ask.weights(kind))
    return ask.reg * (logs + mass_a - mass_a * mass_b)


def _log(kind: Kind, weights: Any) -> Any:
    """log of the weights, and 0 at 0."""
    return kind.xp.log(kind.xp.where(weights > 0, weights, weights * 0 + 1))


def _converted(ask: Ask, kind: Kind, solution: Solution) -> OTResult:
    geometry = ask.geometry
    inputs = (*geometry.arrays, ask.a, ask.b, ask.c)
    taped = is_taped(*inputs) and ask.grad != "detach"

    def derivatives() -> tuple[Any, ...]:
        found = solution.gradient()
        da, db = found.da, found.db
        if ask.reg_type == "entropy" and not ask.is_counting:
            weights = ask.weights(kind)
            da, db = (d + ask.reg * _log(kind, w) for d, w in zip((da, db), weights, strict=True))
        if geometry.matrix is not None:
            return solution.plan.dense(), da, db, None
        return found.dx, found.dy, da, db, None

    def linear() -> float:
        if not ask.is_matrix_reference:
            return solution.value_linear
        plan, costs = host(solution.plan.dense()), host(geometry.costs(kind))
        return float((plan * np.where(plan > 0, costs, 0)).sum())

    logs = _logs(ask, kind)
    f, g = (kind(p) / ask.reg + log for p, log in zip(solution.potentials, logs, strict=True))
    return OTResult(
        solution,
        kind,
        potentials=(f, g),
        value=solution.value + _offset(ask, kind, solution),
        value_linear=linear,
        points=None if geometry.matrix is not None else (geometry.x, geometry.y),
        inputs=inputs if taped else (),
        derivatives=None if ask.is_matrix_reference else derivatives,
        detached=ask.grad == "envelope",
    )
