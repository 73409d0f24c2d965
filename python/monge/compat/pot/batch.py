"""ot.batch: many problems of one shape in a call."""

from __future__ import annotations

from typing import Any

from ..._errors import InvalidArgument, NotAvailable
from .._batch import entries
from .._kind import Kind, checked
from .._terms import strength_of
from ._linear import Ask, Geometry, metric_of, reference_of, solved_together
from ._result import BatchResult

__all__ = ["solve_batch", "solve_sample_batch"]


def _solved(
    geometries: list[Geometry],
    kind: Kind,
    a: Any,
    b: Any,
    reg: Any,
    reg_type: Any,
    max_iter: Any,
    tol: Any,
    method: Any,
    inner_iter: Any,
    inner_reg: Any,
    grad: Any,
) -> BatchResult:
    checked("method", method, str, "'auto', 'sinkhorn' or 'log_sinkhorn'")
    if method == "proximal":
        raise NotAvailable(
            "[pot] method='proximal' solves exact transport, which is not provided", "method"
        )
    if method not in ("auto", "sinkhorn", "log_sinkhorn"):
        raise InvalidArgument(
            f"[pot] method is {method!r}, wanted 'auto', 'sinkhorn' or 'log_sinkhorn'", "method"
        )
    checked("inner_iter", inner_iter, int, "an integer")
    checked("inner_reg", inner_reg, (int, float), "a number")
    strength, count = strength_of(reg), len(geometries)
    asks = [
        Ask(
            geometry,
            weights_a,
            weights_b,
            strength,
            reference_of(reg_type),
            tolerance=tol,
            max_iterations=max_iter,
            grad="detach" if grad is None else grad,
        )
        for geometry, weights_a, weights_b in zip(
            geometries, entries(a, count, "a"), entries(b, count, "b"), strict=True
        )
    ]
    return BatchResult(solved_together(asks), kind)


def solve_batch(
    M: Any,
    reg: Any = None,
    a: Any = None,
    b: Any = None,
    max_iter: int = 1000,
    tol: float = 1e-5,
    method: str = "auto",
    inner_iter: int = 1,
    inner_reg: float = 1e-3,
    reg_type: str = "entropy",
    grad: str | None = "envelope",
) -> BatchResult:
    """``ot.solve_batch``: B balanced problems for cost matrices (B, n, m), with weights (B, n) and (B, m).

    The default ``reg_type`` is 'entropy', as POT has it here, where ``solve`` has 'KL': plans agree, values
    differ by ``reg`` times the entropies of the weights. Each problem meets ``tol`` by itself. ``method`` chooses
    an implementation, 'proximal' (exact transport) raises NotImplementedError; ``inner_iter`` and ``inner_reg``
    are that method's: checked, without effect.
    """
    kind = Kind(M)
    geometries = [Geometry(matrix=matrix) for matrix in M]
    return _solved(
        geometries, kind, a, b, reg, reg_type, max_iter, tol, method, inner_iter, inner_reg, grad
    )


def solve_sample_batch(
    X_a: Any,
    X_b: Any,
    reg: Any = None,
    a: Any = None,
    b: Any = None,
    metric: Any = "sqeuclidean",
    p: float = 2,
    max_iter: int = 1000,
    tol: float = 1e-5,
    method: str = "auto",
    inner_iter: int = 1,
    inner_reg: float = 1e-3,
    reg_type: str = "entropy",
    grad: str | None = "envelope",
) -> BatchResult:
    """``ot.solve_sample_batch``: B balanced problems for clouds (B, n, d) and (B, m, d).

    ``metric``: as ``solve_sample``, and 'minkowski' with ``p=2``, which is 'euclidean'; another p and 'kl' raise
    NotImplementedError. The rest as ``solve_batch``.
    """
    checked("p", p, (int, float), "a number")
    if metric == "minkowski" and p == 2:
        metric = "euclidean"
    kind, cost = Kind(X_a, X_b), metric_of(metric)
    geometries = [
        Geometry(x=x, y=y, metric=cost)
        for x, y in zip(X_a, entries(X_b, len(X_a), "X_b"), strict=True)
    ]
    return _solved(
        geometries, kind, a, b, reg, reg_type, max_iter, tol, method, inner_iter, inner_reg, grad
    )
