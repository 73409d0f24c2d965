"""A Newton direction in the source points, by conjugate gradients on Hessian products."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _inputs
from ._flash import CG_ARGUMENTS, linearized_at, penalty


class InverseHvpInfo(NamedTuple):
    """How far the outer solve went, and how well the Hessian is conditioned where it looked."""

    cg_converged: bool
    cg_iters: int
    cg_residual: float  #: relative
    condition: float  #: ratio of the extreme Ritz values: the condition number seen from the right-hand side
    hit_neg_curv: bool  #: it ended on a direction of curvature <= 0, with the iterate before


def inverse_hvp_x_sqeuclid_from_potentials(
    x: Any,
    y: Any,
    f_hat: Any,
    g_hat: Any,
    gr: Any,
    *,
    eps: float,
    rho_x: float | None = None,
    rho_y: float | None = None,
    cost_scale: float = 1.0,
    max_outer_iter: int = 100,
    outer_rtol: float = 1e-6,
    max_inner_iter: int = 2000,
    inner_rtol: float = 1e-8,
    **tuning: Any,
) -> tuple[Any, InverseHvpInfo]:
    """z (n, d) with ``H z = gr``, H the Hessian of ``hvp_x_sqeuclid_from_potentials``; carries no gradient.

    H need not be positive: where conjugate gradients meet a direction of curvature <= 0 they end, with the iterate
    before it (gr itself at the first), which still is a direction of descent for gr a gradient.

    Args:
        x, y, f_hat, g_hat, eps, rho_x, rho_y, cost_scale, tuning: as in ``hvp_x_sqeuclid_from_potentials``.
        gr: (n, d) right-hand side, for a Newton direction the gradient.
        max_outer_iter, outer_rtol: of the conjugate gradients on H: iterations, and relative residual.
        max_inner_iter, inner_rtol: of the linear solve in each product.
    """
    _inputs.tuning(tuning, *CG_ARGUMENTS, "outer_atol", "inner_atol")
    sides = penalty(rho_x), penalty(rho_y)
    at = linearized_at(x, y, f_hat, g_hat, eps, cost_scale, sides)

    z, report = at.inverse_hvp(
        gr.detach(),
        tolerance=outer_rtol,
        max_iterations=max_outer_iter,
        inner_tolerance=inner_rtol,
        inner_iterations=max_inner_iter,
    )
    return z, InverseHvpInfo(
        report.converged,
        report.iterations,
        report.residual,
        report.condition,
        report.negative_curvature,
    )
