"""geomloss.ot: entropic transport with the full squared cost, single and batched.

Costs are ``|x - y|^2`` here, where ``SamplesLoss`` has half of it: ``reg = 2 blur^2`` and ``unbalanced = 2 reach^2``.
"""

from __future__ import annotations

from typing import Any

from ... import Solution, divergence
from ... import solve as monge_solve
from ... import solve_batch as monge_solve_batch
from ... import solve_sample as monge_solve_sample
from ... import solve_sample_batch as monge_solve_sample_batch
from ..._divergence import Divergence
from ..._errors import InvalidArgument, NotAvailable
from .._batch import Stacked, entries
from .._kind import Kind, absent, checked
from .._tape import differentiable, is_taped, refused
from .._terms import length_of, marginals_of, strength_of

__all__ = [
    "LinearOperator",
    "OTResult",
    "OTResultBatch",
    "solve",
    "solve_batch",
    "solve_sample",
    "solve_sample_batch",
]

_UNBOUNDED = 1_000_000  # iterations of max_iter=None, "until convergence"
_COSTS = {"sqeuclidean": 2, "euclidean": 1}  # and the power of a length in them


class LinearOperator:
    """A plan that is never stored: ``operator @ values`` with values (M, ...), and ``.T`` of it."""

    def __init__(self, plan: Any, kind: Kind):
        self._plan = plan
        self._kind = kind
        self.shape = plan.shape

    def __matmul__(self, values: Any) -> Any:
        flat = values.reshape((len(values), -1))
        return self._kind(self._plan @ flat).reshape((self.shape[0], *values.shape[1:]))

    @property
    def T(self) -> LinearOperator:
        return LinearOperator(self._plan.T, self._kind)

    def transpose(self) -> LinearOperator:
        """``.T``."""
        return self.T


class OTResult:
    """The fields of GeomLoss's OTResult, computed when asked for, in the kind of the input.

    ``value`` is the documented objective, mass terms included, or with ``debias`` the Sinkhorn divergence: torch's
    gradients reach it; differentiating another field raises NotImplementedError. The plan and ``potential_a``,
    ``potential_b`` are those of the solve from a to b, ``P_ij = a_i b_j exp((f_i + g_j - C_ij)/reg)``.
    ``solution`` is monge's own result.
    """

    def __init__(
        self, found: Solution | Divergence, kind: Kind, points: Any, inputs: tuple[Any, ...]
    ):
        self.divergence = found if isinstance(found, Divergence) else None
        self.solution = found.ab if isinstance(found, Divergence) else found
        self._kind = kind
        self._points = points
        self._inputs = inputs if is_taped(*inputs) else ()
        plain = kind.scalar(found.value)
        self.value = differentiable(plain, self._derivatives, inputs) if self._inputs else plain

    def _derivatives(self) -> tuple[Any, ...]:
        found = (self.divergence or self.solution).gradient()
        if self._points is None:
            return self.solution.plan.dense(), found.da, found.db
        return found[:4]

    def _out(self, result: Any, what: str) -> Any:
        found = self._kind(result)
        if not self._inputs:
            return found
        message = f"[compat] {what} carries no gradient: monge differentiates the value of a result"
        return refused(found, message, self._inputs)

    @property
    def value_linear(self) -> Any:
        """<P, C>."""
        return self._out(self._kind.scalar(self.solution.value_linear), "value_linear")

    @property
    def potential_a(self) -> Any:
        return self._out(self.solution.potential_a, "a potential")

    @property
    def potential_b(self) -> Any:
        return self._out(self.solution.potential_b, "a potential")

    @property
    def potential_aa(self) -> Any:
        """Of the source cloud with itself; a ValueError without ``debias``."""
        return self._self_potential("aa")

    @property
    def potential_bb(self) -> Any:
        """Of the target cloud with itself; a ValueError without ``debias``."""
        return self._self_potential("bb")

    def _self_potential(self, name: str) -> Any:
        if self.divergence is None:
            raise InvalidArgument(f"[compat] potential_{name} is known with debias=True alone")
        return self._out(getattr(self.divergence, name).potential_a, "a potential")

    @property
    def plan(self) -> Any:
        """The dense plan; a ValueError above monge's limit on its size: use ``plan_operator`` there."""
        return self._out(self.solution.plan.dense(), "the plan")

    @property
    def plan_operator(self) -> LinearOperator:
        return LinearOperator(self.solution.plan, self._kind)

    @property
    def marginal_a(self) -> Any:
        return self._out(self.solution.marginal_a, "a marginal")

    @property
    def marginal_b(self) -> Any:
        return self._out(self.solution.marginal_b, "a marginal")

    @property
    def a_to_b(self) -> Any:
        """Displacements of the source points under the plan; None for a cost matrix, which has no points."""
        return self._displacement(0)

    @property
    def b_to_a(self) -> Any:
        """Displacements of the target points; None for a cost matrix."""
        return self._displacement(1)

    def _displacement(self, side: int) -> Any:
        if self._points is None:
            return None
        image = (self.solution.a_to_b, self.solution.b_to_a)[side]
        return self._out(self._kind(image) - self._kind(self._points[side]), "a displacement")

    @property
    def citation(self) -> str:
        return self.solution.citation

    def __repr__(self) -> str:
        return f"OTResult({self.divergence or self.solution!r})"


class OTResultBatch(Stacked):
    """The fields of an OTResult, stacked over a batch; ``results`` are the single ones."""

    fields = (
        "value",
        "value_linear",
        "potential_a",
        "potential_b",
        "potential_aa",
        "potential_bb",
        "plan",
        "marginal_a",
        "marginal_b",
        "a_to_b",
        "b_to_a",
    )


def _options(
    reg: Any,
    unbalanced: Any,
    unbalanced_type: Any,
    method: Any,
    max_iter: Any,
    tol: Any,
    kind: Kind,
) -> dict[str, Any]:
    checked("method", method, str, "'auto'")
    if method != "auto":
        raise NotAvailable(f"[compat] method={method!r} is not provided: 'auto' is", "method")
    return {
        "epsilon": strength_of(reg),
        "marginals": marginals_of(unbalanced, unbalanced_type, "unbalanced"),
        "max_iterations": _UNBOUNDED if max_iter is None else max_iter,
        "tolerance": (1e-6 if kind.is_float32 else 1e-9) if tol is None else tol,
    }


def solve(
    C: Any,
    *,
    reg: Any,
    a: Any = None,
    b: Any = None,
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
) -> OTResult:
    """``geomloss.ot.solve``.

    Args:
        C: (N, M) costs; a, b: weights, never normalised, None: uniform with sum 1.
        reg: strength > 0 of the entropy, relative to ``a b^T``.
        unbalanced: strength of both KL sides, or a pair; None: Balanced, and masses that differ are a ValueError.
        unbalanced_type: 'KL', and monge's 'TV'.
        max_iter: iterations; None: until convergence.
        tol: on monge's ``marginal_error``; None: 1e-9, and 1e-6 for float32.
        method: 'auto'.
    """
    kind = Kind(C)
    options = _options(reg, unbalanced, unbalanced_type, method, max_iter, tol, kind)
    weights = [None if absent(w) else w for w in (a, b)]
    return OTResult(monge_solve(C, *weights, **options), kind, None, (C, *weights))


def solve_batch(
    C: Any,
    *,
    reg: Any,
    a: Any = None,
    b: Any = None,
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
) -> OTResultBatch:
    """``geomloss.ot.solve_batch``: costs (B, N, M), weights (B, N) and (B, M); each problem meets ``tol`` by itself."""
    kind, count = Kind(C), len(C)
    options = _options(reg, unbalanced, unbalanced_type, method, max_iter, tol, kind)
    problems = list(zip(C, entries(a, count, "a"), entries(b, count, "b"), strict=True))
    found = monge_solve_batch(problems, **options)
    results = [OTResult(r, kind, None, p) for r, p in zip(found, problems, strict=True)]
    return OTResultBatch(results, kind)


def solve_sample(
    X_a: Any,
    X_b: Any,
    a: Any = None,
    b: Any = None,
    cost: str = "sqeuclidean",
    debias: bool = False,
    reg: Any = None,
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
    blur: Any = None,
    reach: Any = None,
) -> OTResult:
    """``geomloss.ot.solve_sample``.

    Args:
        X_a, X_b: (N, D) and (M, D) points.
        cost: 'sqeuclidean', ``|x - y|^2``, or 'euclidean'; a callable raises NotImplementedError.
        debias: the value is the Sinkhorn divergence; plan and potentials stay those from a to b.
        blur, reach: instead of reg and unbalanced: ``p blur^p`` and ``p reach^p``, p the power in the cost.
        a, b, reg, unbalanced, unbalanced_type, method, max_iter, tol: as ``solve``.
    """
    kind = Kind(X_a, X_b)
    options = _sample_options(
        cost, debias, reg, unbalanced, unbalanced_type, method, max_iter, tol, blur, reach, kind
    )
    inputs = (X_a, X_b, *(None if absent(w) else w for w in (a, b)))
    return _sample_result(inputs, debias, kind, options)


def _sample_options(
    cost: Any,
    debias: Any,
    reg: Any,
    unbalanced: Any,
    unbalanced_type: Any,
    method: Any,
    max_iter: Any,
    tol: Any,
    blur: Any,
    reach: Any,
    kind: Kind,
) -> dict[str, Any]:
    checked("debias", debias, bool, "True or False")
    if callable(cost):
        raise NotAvailable(
            "[compat] a callable cost is not provided: pass the matrix to solve", "cost"
        )
    if cost not in _COSTS:
        raise InvalidArgument(
            f"[compat] cost is {cost!r}, wanted one of {', '.join(map(repr, _COSTS))}", "cost"
        )
    p = _COSTS[cost]
    lengths = (("reg", reg, "blur", blur), ("unbalanced", unbalanced, "reach", reach))
    for name, value, length_name, length in lengths:
        if value is not None and length is not None:
            raise InvalidArgument(
                f"[compat] got both {name} and {length_name}: give one", length_name
            )
    if blur is not None:
        reg = p * length_of(blur, "blur") ** p
    if reach is not None:
        unbalanced = p * length_of(reach, "reach") ** p
    options = _options(reg, unbalanced, unbalanced_type, method, max_iter, tol, kind)
    return {"cost": cost, **options}


def _sample_result(
    inputs: tuple[Any, ...], debias: bool, kind: Kind, options: dict[str, Any]
) -> OTResult:
    found: Solution | Divergence
    if debias:
        found = divergence(*inputs, gradients=is_taped(*inputs), **options)
    else:
        found = monge_solve_sample(*inputs, **options)
    return OTResult(found, kind, inputs[:2], inputs)


def solve_sample_batch(
    X_a: Any,
    X_b: Any,
    a: Any = None,
    b: Any = None,
    cost: str = "sqeuclidean",
    debias: bool = False,
    reg: Any = None,
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
    blur: Any = None,
    reach: Any = None,
) -> OTResultBatch:
    """``solve_sample`` for clouds (B, N, D) and (B, M, D), weights (B, N) and (B, M)."""
    kind, count = Kind(X_a, X_b), len(X_a)
    options = _sample_options(
        cost, debias, reg, unbalanced, unbalanced_type, method, max_iter, tol, blur, reach, kind
    )
    columns = (X_a, *(entries(v, count, n) for v, n in ((X_b, "X_b"), (a, "a"), (b, "b"))))
    problems = list(zip(*columns, strict=True))
    if debias:
        return OTResultBatch([_sample_result(p, True, kind, options) for p in problems], kind)
    found = monge_solve_sample_batch(*(list(column) for column in columns), **options)
    results = [OTResult(r, kind, p[:2], p) for r, p in zip(found, problems, strict=True)]
    return OTResultBatch(results, kind)
