"""ot.bregman: balanced entropic transport, by the names of POT's algorithms.

All names solve the same problem with monge's solver: they choose an implementation in POT, and nothing here.
``tau, print_period, epsilon0, numInnerItermax``, which tune one, are checked and without effect, as is ``verbose``:
monge never prints. Potentials start from ``warmstart = (log_u, log_v)``.
"""

from __future__ import annotations

from typing import Any

from ... import divergence
from ..._errors import InvalidArgument
from .._kind import Kind, absent, checked
from .._tape import differentiable, is_taped
from .._terms import refuse, strength_of, warnings_of
from ._linear import Ask, Geometry, metric_of, solved
from ._result import LazyPlan, OTResult

__all__ = [
    "empirical_sinkhorn",
    "empirical_sinkhorn2",
    "empirical_sinkhorn_divergence",
    "greenkhorn",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_epsilon_scaling",
    "sinkhorn_knopp",
    "sinkhorn_log",
    "sinkhorn_stabilized",
]

_METHODS = (
    "sinkhorn",
    "sinkhorn_log",
    "greenkhorn",
    "sinkhorn_stabilized",
    "sinkhorn_epsilon_scaling",
)
_TUNING: dict[str, Any] = {
    "tau": (int, float),
    "print_period": int,
    "epsilon0": (int, float),
    "numInnerItermax": int,
}


def check_tuning(kwargs: dict[str, Any], **flags: Any) -> None:
    """Types of the arguments without effect; unknown ones are refused."""
    for name, value in kwargs.items():
        if name not in _TUNING:
            raise InvalidArgument(f"[pot] unknown argument {name}={value!r}", name)
        checked(name, value, _TUNING[name], "a number")
    for name, value in flags.items():
        checked(name, value, bool, "True or False")


def _log(result: OTResult) -> dict[str, Any]:
    """Names that POT's algorithms give to the two potentials."""
    log_u, log_v = result.potentials
    kind, reg = result._kind, result.solution.epsilon
    return {
        **result.log,
        "log_u": log_u,
        "log_v": log_v,
        "logu": log_u,
        "logv": log_v,
        "u": kind.xp.exp(log_u),
        "v": kind.xp.exp(log_v),
        "alpha": reg * log_u,
        "beta": reg * log_v,
        "warmstart": (log_u, log_v),
    }


def columns(b: Any) -> list[Any] | None:
    """The histograms of (m, k) weights; None for (m,)."""
    if absent(b) or getattr(b, "ndim", 1) < 2:
        return None
    return [b[:, k] for k in range(b.shape[1])]


def sinkhorn(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """``ot.sinkhorn``: the plan (n, m), and with ``log`` a dictionary of potentials and errors.

    Args:
        a, b: weights; [] means uniform. With b (m, k): the k values ``<P, M>`` instead of a plan.
        M: (n, m) costs; reg: strength > 0 of the entropy.
        method: 'sinkhorn', 'sinkhorn_log', 'greenkhorn', 'sinkhorn_stabilized', 'sinkhorn_epsilon_scaling':
            one problem and one solver.
        numItermax, stopThr: iterations, and the tolerance on monge's ``marginal_error``.
        warn: whether a solve that misses it warns (monge.ConvergenceWarning).
        warmstart: (log_u, log_v) of an earlier log.
    """
    if not isinstance(method, str) or method.lower() not in _METHODS:
        raise InvalidArgument(
            f"[pot] method is {method!r}, wanted one of {', '.join(map(repr, _METHODS))}", "method"
        )
    check_tuning(kwargs, verbose=verbose, log=log, warn=warn)
    several = columns(b)

    def one(target: Any, start: Any) -> OTResult:
        return solved(
            Ask(
                Geometry(matrix=M),
                a,
                target,
                strength_of(reg),
                start=start,
                tolerance=stopThr,
                max_iterations=numItermax,
                grad="autodiff",
                warn=warn,
            )
        )

    if several is None:
        result = one(b, warmstart)
        return (result.plan, _log(result)) if log else result.plan
    starts = [None] * len(several) if warmstart is None else _starts(warmstart, len(several))
    results = [one(target, start) for target, start in zip(several, starts, strict=True)]
    kind = Kind(M)
    values = kind.stack([r.value_linear for r in results])
    if not log:
        return values
    logs = [_log(r) for r in results]
    names = ("log_u", "log_v", "u", "v")
    together = {name: kind.stack([entry[name] for entry in logs], 1) for name in names}
    return values, {**together, "err": [entry["err"] for entry in logs]}


def _starts(warmstart: Any, count: int) -> list[Any]:
    """A start for each histogram: a list of pairs, or a pair of (n, k) and (m, k)."""
    if len(warmstart) == 2 and getattr(warmstart[0], "ndim", 0) == 2:
        return [(warmstart[0][:, k], warmstart[1][:, k]) for k in range(count)]
    return list(warmstart)


def sinkhorn2(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = False,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """``ot.sinkhorn2``: ``<P, M>`` at the plan of ``sinkhorn``, whose arguments it takes, without the entropy."""
    found = sinkhorn(
        a, b, M, reg, method, numItermax, stopThr, verbose, True, warn, warmstart, **kwargs
    )
    if columns(b) is not None:
        return found if log else found[0]
    plan, logged = found
    value = (Kind(M).xp.where(plan > 0, Kind(M)(M), 0 * plan) * plan).sum()
    return (value, logged) if log else value


def sinkhorn_knopp(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """``ot.bregman.sinkhorn_knopp``: see ``sinkhorn``."""
    return sinkhorn(
        a, b, M, reg, "sinkhorn", numItermax, stopThr, verbose, log, warn, warmstart, **kwargs
    )


sinkhorn_log = sinkhorn_knopp


def greenkhorn(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    numItermax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
) -> Any:
    """``ot.bregman.greenkhorn``: see ``sinkhorn``."""
    return sinkhorn(a, b, M, reg, "greenkhorn", numItermax, stopThr, verbose, log, warn, warmstart)


def sinkhorn_stabilized(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    numItermax: int = 1000,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: Any = None,
    verbose: bool = False,
    print_period: int = 20,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """``ot.bregman.sinkhorn_stabilized``: see ``sinkhorn``."""
    kwargs |= {"tau": tau, "print_period": print_period}
    return sinkhorn(
        a,
        b,
        M,
        reg,
        "sinkhorn_stabilized",
        numItermax,
        stopThr,
        verbose,
        log,
        warn,
        warmstart,
        **kwargs,
    )


def sinkhorn_epsilon_scaling(
    a: Any,
    b: Any,
    M: Any,
    reg: Any,
    numItermax: int = 100,
    epsilon0: float = 1e4,
    numInnerItermax: int = 100,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: Any = None,
    verbose: bool = False,
    print_period: int = 10,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """``ot.bregman.sinkhorn_epsilon_scaling``: see ``sinkhorn``. As there, ``numItermax`` counts outer iterations of
    at most ``numInnerItermax``: their product is the budget."""
    kwargs |= {"tau": tau, "print_period": print_period, "epsilon0": epsilon0}
    checked("numInnerItermax", numInnerItermax, int, "an integer")
    budget = numItermax * numInnerItermax
    return sinkhorn(
        a,
        b,
        M,
        reg,
        "sinkhorn_epsilon_scaling",
        budget,
        stopThr,
        verbose,
        log,
        warn,
        warmstart,
        **kwargs,
    )


def _empirical(
    X_s: Any,
    X_t: Any,
    reg: Any,
    a: Any,
    b: Any,
    metric: Any,
    numIterMax: int,
    stopThr: float,
    warn: bool,
    warmstart: Any,
) -> OTResult:
    return solved(
        Ask(
            Geometry(x=X_s, y=X_t, metric=metric_of(metric)),
            a,
            b,
            strength_of(reg),
            start=warmstart,
            tolerance=stopThr,
            max_iterations=numIterMax,
            grad="autodiff",
            warn=warn,
        )
    )


def _check_empirical(kwargs: dict[str, Any], batchSize: Any, **flags: Any) -> None:
    kwargs = dict(kwargs)
    method = kwargs.pop("method", "sinkhorn")
    if not isinstance(method, str) or method.lower() not in _METHODS:
        raise InvalidArgument(f"[pot] method is {method!r}, wanted one of {_METHODS}", "method")
    check_tuning(kwargs, **flags)
    for size in batchSize if isinstance(batchSize, tuple) and len(batchSize) == 2 else (batchSize,):
        checked("batchSize", size, int, "an integer or a pair of them")


def empirical_sinkhorn(
    X_s: Any,
    X_t: Any,
    reg: Any,
    a: Any = None,
    b: Any = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: Any = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """``ot.bregman.empirical_sinkhorn``: the plan between clouds; with ``isLazy`` (log_u, log_v) and, with ``log``, a
    dictionary whose 'lazy_plan' is never stored. ``batchSize`` is checked and without effect."""
    _check_empirical(kwargs, batchSize, isLazy=isLazy, verbose=verbose, log=log, warn=warn)
    result = _empirical(X_s, X_t, reg, a, b, metric, numIterMax, stopThr, warn, warmstart)
    if not isLazy:
        return (result.plan, _log(result)) if log else result.plan
    log_u, log_v = result.potentials
    if not log:
        return log_u, log_v
    lazy: LazyPlan = result.lazy_plan
    return log_u, log_v, {**result.log, "u": log_u, "v": log_v, "lazy_plan": lazy}


def empirical_sinkhorn2(
    X_s: Any,
    X_t: Any,
    reg: Any,
    a: Any = None,
    b: Any = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: Any = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """``ot.bregman.empirical_sinkhorn2``: ``<P, C>`` at the plan of ``empirical_sinkhorn``; nothing of size n x m."""
    _check_empirical(kwargs, batchSize, isLazy=isLazy, verbose=verbose, log=log, warn=warn)
    result = _empirical(X_s, X_t, reg, a, b, metric, numIterMax, stopThr, warn, warmstart)
    if not log:
        return result.value_linear
    lazy = {"u": result.potential_a, "v": result.potential_b, "lazy_plan": result.lazy_plan}
    return result.value_linear, {**_log(result), **(lazy if isLazy else {})}


def empirical_sinkhorn_divergence(
    X_s: Any,
    X_t: Any,
    reg: Any,
    a: Any = None,
    b: Any = None,
    metric: Any = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """The Sinkhorn divergence ``OT(a, b) - OT(a, a)/2 - OT(b, b)/2`` of the entropic objectives.

    POT returns the same combination of ``<P, C>`` alone, clamped at 0, and calls it preliminary: that number is
    ``log['sinkhorn_loss_ab'] - (log['sinkhorn_loss_a'] + log['sinkhorn_loss_b'])/2``. Torch's gradients reach the
    value. ``warmstart`` raises NotImplementedError; ``isLazy`` and ``batchSize`` are checked and without effect.
    """
    lazy, size = kwargs.pop("isLazy", False), kwargs.pop("batchSize", 100)
    _check_empirical(kwargs, size, isLazy=lazy, verbose=verbose, log=log, warn=warn)
    refuse("warmstart", warmstart, "a divergence starts by itself")
    kind = Kind(X_s, X_t)
    taped = is_taped(X_s, X_t, a, b)
    with warnings_of(warn):
        found = divergence(
            X_s,
            X_t,
            None if absent(a) else a,
            None if absent(b) else b,
            cost=metric_of(metric),
            epsilon=strength_of(reg),
            tolerance=max(stopThr, 1e-6) if kind.is_float32 else stopThr,
            max_iterations=numIterMax,
            gradients=taped,
        )
    value = kind.scalar(found.value)
    if taped:
        value = differentiable(value, found.gradient, (X_s, X_t, a, b))
    if not log:
        return value
    losses = {
        f"sinkhorn_loss_{name}": kind.scalar(part.value_linear)
        for name, part in (("ab", found.ab), ("a", found.aa), ("b", found.bb))
    }
    return value, losses
