"""The functions of FlashSinkhorn on given potentials, with its names and its two kinds of potentials.

Its arguments that tune kernels (``allow_tf32``, ``use_exp2``, ``autotune``, ``block_m``, ...) are taken and have no
effect. ``f, g`` are the potentials of monge, ``P_ij = a_i b_j exp((f_i + g_j - C_ij)/eps)``; ``f_hat, g_hat``
those that hold the weights, ``P_ij = exp((f_hat_i + g_hat_j - C_ij)/eps)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from .. import _core, solve_sample
from .._arrays import framework_of
from .._device import current_stream
from .._errors import InvalidArgument
from .._keywords import Ground, number
from .._marginals import KL, Balanced, Marginal
from . import _inputs
from ._second import linearize, plan_of
from ._semi_dual import cost_of


def geomloss_to_ott_potentials(f: Any, g: Any, a: Any, b: Any, *, eps: float) -> tuple[Any, Any]:
    """``f_hat = f + eps log a``, ``g_hat = g + eps log b``; -inf at points of weight 0."""
    return f + eps * a.log(), g + eps * b.log()


def ott_to_geomloss_potentials(
    f_hat: Any, g_hat: Any, a: Any, b: Any, *, eps: float
) -> tuple[Any, Any]:
    """``f = f_hat - eps log a``, ``g = g_hat - eps log b``: undefined, NaN, at points of weight 0."""
    return f_hat - eps * a.log(), g_hat - eps * b.log()


def sinkhorn_geomloss_online_potentials_sqeuclid(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    *,
    blur: float = 0.05,
    eps: float | None = None,
    eps_list: Sequence[float] | None = None,
    use_epsilon_scaling: bool = True,
    n_iters: int | None = None,
    threshold: float | None = None,
    check_every: int = 5,
    rho: float | None = None,
    reach: float | None = None,
    rho_x: float | None = None,
    rho_y: float | None = None,
    reach_x: float | None = None,
    reach_y: float | None = None,
    cost_scale: float = 1.0,
    return_n_iters: bool = False,
    **tuning: Any,
) -> tuple[Any, ...]:
    """Converged potentials ``f`` (n,), ``g`` (m,) of monge, which carry no gradient: those of ``sinkhorn`` do.

    Args:
        x, y, a, b: (n, d), (m, d), (n,), (m,) tensors.
        blur: ``epsilon = blur**2``, unless ``eps`` or the last of ``eps_list`` says it.
        use_epsilon_scaling: whether epsilon is annealed.
        n_iters: budget of iterations; None: 10000. ``threshold``, ``check_every``: tolerance on
            ``marginal_error``, None: 1e-6, and 1e-5 in float32; iterations between checks.
        rho, rho_x, rho_y: strengths of the KL sides, of both or one; None: Balanced. Or lengths:
        reach, reach_x, reach_y: ``rho = reach**2``.
        cost_scale: 1.0 or 0.5 times the squared distance.
        return_n_iters: the number of iterations as a third result.
        tuning: of kernels, and ``scaling``, ``diameter``, ``last_extrapolation`` of a schedule: without effect.
    """
    _inputs.tuning(tuning, "scaling", "diameter", "last_extrapolation")
    clouds = _inputs.clouds(x, y, a, b)
    if eps_list is not None:
        eps = eps_list[-1]
    if threshold is None:
        threshold = 1e-5 if clouds.x.element_size() == 4 else 1e-6
    found = solve_sample(
        *(None if part is None else part[0] for part in clouds[:4]),
        cost=cost_of(cost_scale),
        epsilon=number(blur, "blur") ** 2 if eps is None else eps,
        marginals=(
            _side("x", (rho_x, reach_x), (rho, reach)),
            _side("y", (rho_y, reach_y), (rho, reach)),
        ),
        tolerance=threshold,
        max_iterations=10000 if n_iters is None else n_iters,
        check_every=check_every,
        annealing="automatic" if use_epsilon_scaling else "off",
    )
    return (*found.potentials, found.iterations) if return_n_iters else found.potentials


def _side(side: str, *given: tuple[float | None, float | None]) -> Marginal:
    """KL of the first strength or length that is given."""
    for rho, reach in given:
        if rho is not None and reach is not None:
            raise InvalidArgument(
                f"[torch] got both rho and reach of {side}: give one", f"reach_{side}"
            )
        if rho is not None:
            return KL(rho)
        if reach is not None:
            return KL(reach**2)
    return Balanced()


def sinkhorn_geomloss_online_grad_sqeuclid(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    f: Any,
    g: Any,
    *,
    eps: float,
    grad_scale: Any = None,
    compute_grad_x: bool = True,
    compute_grad_y: bool = True,
    cost_scale: float = 1.0,
    **tuning: Any,
) -> tuple[Any, Any]:
    """Gradients (n, d), (m, d) of the transport objective in the points, at given potentials: of the plan that they
    make, its own marginals included, whatever those are asked to be.

    Args:
        x, y, a, b: (n, d), (m, d), (n,), (m,) tensors.
        f, g: (n,), (m,) potentials of monge.
        eps: strength of the entropy.
        grad_scale: what both gradients are multiplied by.
        compute_grad_x, compute_grad_y: False: None in its place.
        cost_scale: 1.0 or 0.5 times the squared distance.
        tuning: of kernels, without effect.
    """
    _inputs.tuning(tuning)
    clouds = _inputs.clouds(x, y, a, b)
    _inputs.same(clouds.x, {"f": f, "g": g}, dtype=True)
    soft = KL(1.0)  # nothing is asked of the sides
    plan = plan_of(
        [part[0] for part in clouds[:4]],
        (f, g),
        ground=Ground.of(cost_of(cost_scale), 1.0),
        epsilon=number(eps, "eps"),
        sides=(soft, soft),
    )
    to, call = framework_of(x), _core.Call(stream=current_stream(plan.device))
    asked = [name for name, is_asked in (("x", compute_grad_x), ("y", compute_grad_y)) if is_asked]
    found = [None if part is None else to(part) for part in _core.gradient(plan, asked, call)[:2]]
    if grad_scale is not None:
        found = [None if part is None else part * grad_scale for part in found]
    return found[0], found[1]


class HvpInfo(NamedTuple):
    """How far a linear solve went."""

    cg_converged: bool
    cg_iters: int
    cg_residual: float  #: relative
    report: Any  #: monge's own, with the condition estimate


CG_ARGUMENTS = (
    "cg_atol",
    "cg_stabilise_every",
    "preconditioner",
    "precond_terms",
    "tau2",
    "use_preconditioner",
)


def _info(report: Any) -> HvpInfo:
    return HvpInfo(report.converged, report.iterations, report.residual, report)


def penalty(rho: float | None) -> Marginal:
    return Balanced() if rho is None else KL(rho)


def linearized_at(
    x: Any,
    y: Any,
    f_hat: Any,
    g_hat: Any,
    eps: float,
    cost_scale: float,
    sides: tuple[Marginal, Marginal],
) -> Any:
    """The linearised plan of potentials that hold the weights: which weights those are, it does not depend on."""
    clouds = _inputs.clouds(x, y, None, None)
    weights, potentials = [], []
    for name, hat in (("f_hat", f_hat), ("g_hat", g_hat)):
        _inputs.same(clouds.x, {name: hat}, dtype=True)
        there = hat.detach().isfinite().to(hat.dtype)
        weight = there / there.sum()
        weights.append(weight)
        potentials.append(torch.where(there > 0, hat.detach() - eps * weight.log(), 0.0))
    plan = plan_of(
        (x, y, *weights),
        potentials,
        ground=Ground.of(cost_of(cost_scale), 1.0),
        epsilon=number(eps, "eps"),
        sides=sides,
    )
    return linearize(plan, x)


def hvp_x_sqeuclid_from_potentials(
    x: Any,
    y: Any,
    f_hat: Any,
    g_hat: Any,
    A: Any,
    *,
    eps: float,
    rho_x: float | None = None,
    rho_y: float | None = None,
    cost_scale: float = 1.0,
    cg_rtol: float = 1e-6,
    max_cg_iter: int = 300,
    **tuning: Any,
) -> tuple[Any, HvpInfo]:
    """The Hessian of the transport objective in x, applied to A (n, d), at converged potentials; carries no gradient.

    Args:
        x, y: (n, d), (m, d) points.
        f_hat, g_hat: (n,), (m,) potentials that hold the weights (``geomloss_to_ott_potentials``); -inf removes a point.
        eps: strength of the entropy.
        rho_x, rho_y: strengths of the KL sides; None: Balanced.
        cost_scale: 1.0 or 0.5 times the squared distance.
        cg_rtol, max_cg_iter: of the linear solve, purely relative; of its iterations.
        tuning: of kernels, and ``tau2``, ``cg_atol``, ``preconditioner``, ... of FlashSinkhorn's conjugate gradients:
            without effect, no ridge and no absolute tolerance biases a product here.
    """
    _inputs.tuning(tuning, *CG_ARGUMENTS)
    at = linearized_at(x, y, f_hat, g_hat, eps, cost_scale, (penalty(rho_x), penalty(rho_y)))
    found = at.hvp(A.detach(), wrt=["x"], tolerance=cg_rtol, max_iterations=max_cg_iter)
    return found.dx, _info(found.report)


def hvp_x_sqeuclid(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    A: Any,
    *,
    eps_list: Sequence[float],
    cg_rtol: float = 1e-6,
    max_cg_iter: int = 300,
    **tuning: Any,
) -> tuple[Any, HvpInfo]:
    """The same from points and Balanced weights, which are solved first, at the last of ``eps_list``."""
    _inputs.tuning(tuning, *CG_ARGUMENTS)
    eps = eps_list[-1]
    f, g = sinkhorn_geomloss_online_potentials_sqeuclid(x, y, a, b, eps=eps)
    hats = geomloss_to_ott_potentials(f, g, a.detach(), b.detach(), eps=eps)
    return hvp_x_sqeuclid_from_potentials(
        x, y, *hats, A, eps=eps, cg_rtol=cg_rtol, max_cg_iter=max_cg_iter
    )


def implicit_grad_x(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    grad_f: Any,
    grad_g: Any,
    *,
    eps: float,
    cost_scale: float = 1.0,
    n_iters: int | None = None,
    cg_rtol: float = 1e-6,
    max_cg_iter: int = 100,
    **tuning: Any,
) -> tuple[Any, HvpInfo]:
    """The derivative of ``<grad_f, f> + <grad_g, g>`` in x (n, d), f and g the potentials of Balanced transport in
    their gauge: what differentiating ``sinkhorn``'s potentials gives. Carries no gradient.

    Args:
        x, y, a, b: (n, d), (m, d), (n,), (m,) tensors, which are solved first with the budget ``n_iters``.
        grad_f, grad_g: (n,), (m,) cotangents.
        eps, cost_scale, cg_rtol, max_cg_iter, tuning: as in ``hvp_x_sqeuclid_from_potentials``.
    """
    _inputs.tuning(tuning, *CG_ARGUMENTS)
    clouds = _inputs.clouds(x, y, a, b)
    _inputs.same(clouds.x, {"grad_f": grad_f, "grad_g": grad_g}, dtype=True)
    given = [part[0].detach() for part in clouds[:4]]
    potentials = sinkhorn_geomloss_online_potentials_sqeuclid(
        *given, eps=eps, n_iters=n_iters, cost_scale=cost_scale
    )
    plan = plan_of(
        given,
        potentials,
        ground=Ground.of(cost_of(cost_scale), 1.0),
        epsilon=number(eps, "eps"),
        sides=(Balanced(), Balanced()),
    )
    found = linearize(plan, x).vjp(
        grad_f.detach(),
        grad_g.detach(),
        wrt=["x"],
        tolerance=cg_rtol,
        max_iterations=max_cg_iter,
    )
    return found.dx, _info(found.report)
