"""ot.unbalanced: entropic transport with soft KL sides.

``method`` and ``tau`` choose and tune an implementation in POT: checked, without effect, as is ``verbose``.
"""

from __future__ import annotations

from typing import Any

from ..._errors import InvalidArgument
from .._kind import Kind
from .._terms import strength_of
from ._linear import Ask, Geometry, reference_of, solved
from ._result import OTResult
from .bregman import _starts, check_tuning, columns

__all__ = [
    "sinkhorn_knopp_unbalanced",
    "sinkhorn_stabilized_unbalanced",
    "sinkhorn_unbalanced",
    "sinkhorn_unbalanced2",
    "sinkhorn_unbalanced_translation_invariant",
]

_METHODS = (
    "sinkhorn",
    "sinkhorn_stabilized",
    "sinkhorn_translation_invariant",
    "sinkhorn_reg_scaling",
)


def _results(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    reg_m: Any,
    method: Any,
    reg_type: Any,
    c: Any,
    warmstart: Any,
    numItermax: int,
    stopThr: float,
    verbose: bool,
    log: bool,
    kwargs: dict[str, Any],
) -> list[OTResult]:
    if not isinstance(method, str) or method.lower() not in _METHODS:
        raise InvalidArgument(
            f"[pot] method is {method!r}, wanted one of {', '.join(map(repr, _METHODS))}", "method"
        )
    check_tuning(kwargs, verbose=verbose, log=log)
    targets = columns(b)
    count = 1 if targets is None else len(targets)
    starts = [warmstart] if targets is None else _starts(warmstart or [None] * count, count)
    return [
        solved(
            Ask(
                Geometry(matrix=M),
                a,
                target,
                strength_of(reg),
                reference_of(reg_type),
                c,
                reg_m,
                start=start,
                tolerance=stopThr,
                max_iterations=numItermax,
                grad="autodiff",
                scalings=False,
                name="reg_m",
            )
        )
        for target, start in zip([b] if targets is None else targets, starts, strict=True)
    ]


def _log(results: list[OTResult], kind: Kind, single: bool) -> dict[str, Any]:
    names = {"logu": 0, "logv": 1}
    if not single:
        found: dict[str, Any] = {
            name: kind.stack([r.potentials[side] for r in results], 1)
            for name, side in names.items()
        }
        return {**found, "err": [r.log["err"] for r in results]}
    (result,) = results
    return {
        **result.log,
        "logu": result.potential_a,
        "logv": result.potential_b,
        "cost": result.value_linear,
        "total_cost": result.value,
    }


def sinkhorn_unbalanced(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    reg_m: Any,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """``ot.unbalanced.sinkhorn_unbalanced``: the plan (n, m), and with ``log`` a dictionary.

    Args:
        a, b: weights; [] means uniform with sum 1. With b (m, k): the k values ``<P, M>``, not a plan.
        reg: strength of the entropy; reg_m: of both sides, or of each, inf for Balanced.
        reg_type: 'kl', relative to c (None: ``a b^T``), or 'entropy'.
        warmstart: (logu, logv) of an earlier log.
        numItermax, stopThr: iterations, and the tolerance on monge's ``marginal_error``.

    ``log['total_cost']`` is the documented objective, mass terms included, not POT's 0.
    """
    results = _results(
        a,
        b,
        M,
        reg,
        reg_m,
        method,
        reg_type,
        c,
        warmstart,
        numItermax,
        stopThr,
        verbose,
        log,
        kwargs,
    )
    kind, single = Kind(M), columns(b) is None
    found = results[0].plan if single else kind.stack([r.value_linear for r in results])
    return (found, _log(results, kind, single)) if log else found


def sinkhorn_unbalanced2(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    reg_m: Any,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    returnCost: str = "linear",
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """``ot.unbalanced.sinkhorn_unbalanced2``: ``<P, M>`` with ``returnCost='linear'``, the documented objective with
    'total' (torch's gradients reach that one). The rest as ``sinkhorn_unbalanced``."""
    if returnCost not in ("linear", "total"):
        raise InvalidArgument(
            f"[pot] returnCost is {returnCost!r}, wanted 'linear' or 'total'", "returnCost"
        )
    results = _results(
        a,
        b,
        M,
        reg,
        reg_m,
        method,
        reg_type,
        c,
        warmstart,
        numItermax,
        stopThr,
        verbose,
        log,
        kwargs,
    )
    kind, single = Kind(M), columns(b) is None
    costs = [r.value if returnCost == "total" else r.value_linear for r in results]
    found = costs[0] if single else kind.stack(costs)
    return (found, _log(results, kind, single)) if log else found


def sinkhorn_knopp_unbalanced(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    reg_m: Any,
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """``ot.unbalanced.sinkhorn_knopp_unbalanced``: see ``sinkhorn_unbalanced``. ``method`` is taken and without
    effect, as POT's ``solve`` passes it."""
    kwargs.pop("method", None)
    return sinkhorn_unbalanced(
        a,
        b,
        M,
        reg,
        reg_m,
        "sinkhorn",
        reg_type,
        c,
        warmstart,
        numItermax,
        stopThr,
        verbose,
        log,
        **kwargs,
    )


sinkhorn_unbalanced_translation_invariant = sinkhorn_knopp_unbalanced


def sinkhorn_stabilized_unbalanced(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    reg_m: Any,
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    tau: float = 1e5,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """``ot.unbalanced.sinkhorn_stabilized_unbalanced``: see ``sinkhorn_unbalanced``."""
    kwargs["tau"] = tau
    return sinkhorn_unbalanced(
        a,
        b,
        M,
        reg,
        reg_m,
        "sinkhorn_stabilized",
        reg_type,
        c,
        warmstart,
        numItermax,
        stopThr,
        verbose,
        log,
        **kwargs,
    )
