"""ot.partial: entropic transport of a fixed mass."""

from __future__ import annotations

from typing import Any

from ..._errors import InvalidArgument
from ..._keywords import number
from .._kind import Kind, checked
from .._terms import strength_of
from ._linear import Ask, Geometry, solved

__all__ = ["entropic_partial_wasserstein", "entropic_partial_wasserstein_logscale"]


def entropic_partial_wasserstein(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    m: Any = None,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-100,
    verbose: bool = False,
    log: bool = False,
) -> Any:
    """``ot.partial.entropic_partial_wasserstein``: the plan of mass m with ``P 1 <= a``, ``P^T 1 <= b`` that minimises
    ``<P, M> + reg sum P log P``.

    Args:
        m: the mass; None: the smaller of both masses.
        method: 'sinkhorn' or 'sinkhorn_log': one problem and one solver.
        stopThr: tolerance on monge's ``marginal_error``, at least 1e-12 (POT's default, 1e-100, is never met).

    With ``log`` also a dictionary: 'partial_w_dist' is ``<P, M>``.
    """
    if not isinstance(method, str) or method.lower() not in ("sinkhorn", "sinkhorn_log"):
        raise InvalidArgument(
            f"[pot] method is {method!r}, wanted 'sinkhorn' or 'sinkhorn_log'", "method"
        )
    checked("verbose", verbose, bool, "True or False")
    checked("log", log, bool, "True or False")
    kind = Kind(M)
    n, columns = len(M), len(M[0])
    masses = [float(kind.weights(w, size).sum()) for w, size in ((a, n), (b, columns))]
    result = solved(
        Ask(
            Geometry(matrix=M),
            a,
            b,
            strength_of(reg),
            "entropy",
            mass=min(masses) if m is None else number(m, "m"),
            tolerance=stopThr,
            max_iterations=numItermax,
            grad="autodiff",
            scalings=False,
        )
    )
    if not log:
        return result.plan
    return result.plan, {**result.log, "partial_w_dist": result.value_linear}


def entropic_partial_wasserstein_logscale(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    m: Any = None,
    numItermax: int = 1000,
    stopThr: float = 1e-100,
    verbose: bool = False,
    log: bool = False,
) -> Any:
    """``ot.partial.entropic_partial_wasserstein_logscale``: see ``entropic_partial_wasserstein``."""
    return entropic_partial_wasserstein(
        a, b, M, reg, m, "sinkhorn_log", numItermax, stopThr, verbose, log
    )
