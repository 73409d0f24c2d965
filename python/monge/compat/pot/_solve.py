"""ot.solve and ot.solve_sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ... import divergence
from ..._errors import InvalidArgument, NotAvailable
from .._kind import Kind, checked
from .._tape import is_taped
from .._terms import marginals_of, refuse, strength_of
from ._linear import Ask, Geometry, metric_of, reference_of, solved
from ._result import OTResult

_NUMBER = (int, float)
_METHODS = ("sinkhorn", "sinkhorn_log", "mm", "lbfgsb")
_GEOMLOSS = (
    "geomloss",
    "geomloss_auto",
    "geomloss_tensorized",
    "geomloss_online",
    "geomloss_multiscale",
)
_OTHERS = (
    "1d",
    "gaussian",
    "gaussian_hd",
    "lowrank",
    "nystroem",
    "factored",
    "sliced",
    "max_sliced",
    "bsp",
)


def _method(method: Any, known: tuple[str, ...], others: tuple[str, ...] = ()) -> None:
    if method is None:
        return
    checked("method", method, str, "a name or None")
    if method.lower() in others or method.lower().startswith("emd"):
        raise NotAvailable(
            f"[pot] method={method!r} solves another problem, which is not provided", "method"
        )
    if method.lower() not in known:
        raise InvalidArgument(
            f"[pot] method is {method!r}, wanted one of {', '.join(map(repr, known))}", "method"
        )


def solve(
    M: Any,
    a: Any = None,
    b: Any = None,
    reg: Any = None,
    c: Any = None,
    reg_type: Any = "KL",
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: Any = None,
    potentials_init: Any = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
) -> OTResult:
    """``ot.solve``: entropic transport for a cost matrix.

    Args:
        M: (n, m) costs.
        a, b: weights, never normalised; None: uniform with sum 1.
        reg: strength > 0 of the entropy. None and 0, exact transport: NotImplementedError.
        c: (n, m) reference of the entropy, also with Balanced sides; None: ``a b^T``.
        reg_type: 'KL', relative to c, or 'entropy', ``sum P log P`` (minus ``sum P`` with unbalanced sides).
        unbalanced: strength of both sides, or of each: a number, or one or two of them, inf for Balanced.
        unbalanced_type: 'KL' or 'TV'. 'L2': NotImplementedError.
        max_iter: iterations; None: 10000.
        potentials_init: potentials of another result to start from, in the units of ``OTResult.potentials``.
        tol: on monge's ``marginal_error``; None: 1e-9, and 1e-6 for float32.
        grad: 'detach', or any other name: torch's gradients reach ``value`` alone, by the envelope theorem.
            With 'envelope' the other outputs are detached; with 'autodiff' and 'last_step' differentiating
            them raises NotImplementedError.
        plan_init: NotImplementedError.
        method, n_threads, verbose: checked, and without effect on the result: 'sinkhorn', 'sinkhorn_log',
            'mm', 'lbfgsb' choose an implementation, n_threads is the exact solver's, and monge never prints.
    """
    _method(method, _METHODS)
    _implementation(n_threads=n_threads, verbose=verbose)
    refuse("plan_init", plan_init, "pass potentials_init")
    return solved(
        Ask(
            Geometry(matrix=M),
            a,
            b,
            strength_of(reg),
            reference_of(reg_type),
            c,
            unbalanced,
            unbalanced_type,
            start=potentials_init,
            tolerance=tol,
            max_iterations=max_iter,
            grad=grad,
        )
    )


def _implementation(**given: Any) -> None:
    """Types of the arguments that choose an implementation, or print."""
    for name, value in given.items():
        if name in ("verbose", "lazy", "warn", "log"):
            checked(name, value, bool, "True or False")
        elif name == "scaling":
            checked(name, value, _NUMBER, "a number")
        elif name == "random_state":
            continue  # POT takes an integer, a generator or None, for methods that are not provided
        elif value is not None:
            checked(name, value, int, "an integer")


def solve_sample(
    X_a: Any,
    X_b: Any,
    a: Any = None,
    b: Any = None,
    metric: Any = "sqeuclidean",
    reg: Any = None,
    c: Any = None,
    reg_type: Any = "KL",
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    lazy: bool = False,
    batch_size: int | None = None,
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: Any = None,
    rank: int = 100,
    scaling: float = 0.95,
    potentials_init: Any = None,
    X_init: Any = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
    random_state: Any = None,
    debias: Any = False,
    n_projections: int = 50,
    projections: Any = None,
    scaler: Any = None,
) -> OTResult:
    """``ot.solve_sample``: entropic transport between clouds; costs are never stored (but under a given ``c``).

    Args:
        X_a, X_b: (n, d) and (m, d) points.
        metric: 'sqeuclidean', 'half_sqeuclidean', 'euclidean', 'cosine', 'dot' or ('power', p); other names:
            NotImplementedError.
        debias: True: the debiased divergence of ``monge.divergence``, mass term included, for
            ``reg_type='KL'``; plan and potentials are those of the solve from a to b, and ``log`` has
            'res_ab', 'res_aa', 'res_bb'. 'split': NotImplementedError.
        a, b, reg, c, reg_type, unbalanced, unbalanced_type, max_iter, potentials_init, tol, grad: as ``solve``.
        plan_init, X_init, projections, scaler: NotImplementedError.
        lazy, batch_size, method, n_threads, verbose, rank, scaling, random_state, n_projections: checked, and
            without effect on the result. ``method``: 'sinkhorn', 'sinkhorn_log', 'mm', 'lbfgsb' and
            'geomloss*' are implementations of the same problem; '1d', 'gaussian', 'lowrank', 'sliced' and the
            like are other problems: NotImplementedError.
    """
    _method(method, _METHODS + _GEOMLOSS, _OTHERS)
    _implementation(
        lazy=lazy,
        batch_size=batch_size,
        n_threads=n_threads,
        verbose=verbose,
        rank=rank,
        scaling=scaling,
        random_state=random_state,
        n_projections=n_projections,
    )
    refuse("plan_init", plan_init, "pass potentials_init")
    refuse("X_init", X_init, "no method here moves points")
    refuse("projections", projections, "no method here projects")
    refuse("scaler", scaler, "scale the points before the call")
    ask = Ask(
        Geometry(x=X_a, y=X_b, metric=metric_of(metric)),
        a,
        b,
        strength_of(reg),
        reference_of(reg_type),
        c,
        unbalanced,
        unbalanced_type,
        start=potentials_init,
        tolerance=tol,
        max_iterations=max_iter,
        grad=grad,
    )
    if isinstance(debias, str):
        raise NotAvailable(f"[pot] debias={debias!r} is not provided: True is", "debias")
    checked("debias", debias, bool, "True or False")
    return _debiased(ask) if debias else solved(ask)


def _debiased(ask: Ask) -> OTResult:
    if ask.reg_type != "kl" or ask.c is not None:
        raise NotAvailable(
            "[pot] debias needs reg_type='KL' and no c: other references have no debiased form"
        )
    if ask.start is not None:
        raise NotAvailable("[pot] debias takes no potentials_init", "potentials_init")
    x, y, kind = ask.geometry.x, ask.geometry.y, Kind(*ask.geometry.arrays)
    inputs = (x, y, ask.a, ask.b)
    taped = is_taped(*inputs) and ask.grad != "detach"
    parts = {
        "res_ab": solved(replace(ask, grad="detach")),
        "res_aa": solved(replace(ask, geometry=replace(ask.geometry, y=x), b=ask.a, grad="detach")),
        "res_bb": solved(replace(ask, geometry=replace(ask.geometry, x=y), a=ask.b, grad="detach")),
    }
    found = divergence(
        x,
        y,
        ask.a,
        ask.b,
        cost=ask.geometry.metric,
        epsilon=ask.reg,
        marginals=marginals_of(ask.reg_m, ask.marginal_type, "unbalanced"),
        tolerance=ask.tolerance or (1e-6 if kind.is_float32 else 1e-9),
        max_iterations=ask.max_iterations or 10000,
        gradients=taped,
    )
    ab, aa, bb = parts.values()
    return OTResult(
        found.ab,
        kind,
        potentials=ab.potentials,
        value=found.value,
        value_linear=lambda: float(ab.value_linear - (aa.value_linear + bb.value_linear) / 2),
        points=(x, y),
        inputs=inputs if taped else (),
        derivatives=found.gradient,
        detached=ask.grad == "envelope",
        log=parts,
    )
