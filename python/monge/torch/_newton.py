"""A Newton direction in the source points, by conjugate gradients on Hessian products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

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

    def hessian(direction: Any) -> Any:
        found = at.hvp(direction, wrt=["x"], tolerance=inner_rtol, max_iterations=max_inner_iter)
        return found.dx

    return _conjugate_gradients(hessian, gr.detach(), max_outer_iter, outer_rtol)


def _conjugate_gradients(
    product: Callable[[Any], Any], right: Any, budget: int, tolerance: float
) -> tuple[Any, InverseHvpInfo]:
    solution = torch.zeros_like(right)
    residual, direction = right, right
    square = first = float(residual.square().sum())
    steps: list[float] = []
    ratios: list[float] = []
    negative = False
    while len(steps) < budget and square > tolerance**2 * first:
        image = product(direction)
        curvature = float((direction * image).sum())
        if curvature <= 0:
            negative = True
            solution = solution if steps else right
            break
        steps.append(square / curvature)
        solution = solution + steps[-1] * direction
        residual = residual - steps[-1] * image
        before, square = square, float(residual.square().sum())
        ratios.append(square / before)
        direction = residual + ratios[-1] * direction
    relative = (square / first) ** 0.5 if first > 0 else 0.0
    converged = not negative and relative <= tolerance
    return solution, InverseHvpInfo(
        converged, len(steps), relative, _condition(steps, ratios), negative
    )


def _condition(steps: list[float], ratios: list[float]) -> float:
    """Of the tridiagonal matrix that conjugate gradients build, whose eigenvalues are Ritz values."""
    if not steps:
        return 1.0
    diagonal = [1 / step for step in steps]
    for k in range(1, len(steps)):
        diagonal[k] += ratios[k - 1] / steps[k - 1]
    beside = torch.tensor(
        [ratio**0.5 / step for ratio, step in zip(ratios[:-1], steps[:-1], strict=True)],
        dtype=torch.float64,
    )
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    matrix += torch.diag(beside, 1) + torch.diag(beside, -1)
    values = torch.linalg.eigvalsh(matrix)
    return float(values[-1] / values[0])
