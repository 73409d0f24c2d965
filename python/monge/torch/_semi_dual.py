"""The hard c-transform and the semi-dual that is made of it, for autograd."""

from __future__ import annotations

from typing import Any

import torch

from .._errors import InvalidArgument
from .._semi_dual import c_transform
from . import _inputs


def _checked(x: Any, y: Any, psi: Any) -> tuple[Any, Any, Any]:
    x, y, psi = (_inputs.tensor(v, name) for name, v in {"x": x, "y": y, "psi": psi}.items())
    _inputs.same(x, {"y": y, "psi": psi}, dtype=True)
    return x, y, psi


@torch.library.custom_op("monge::c_transform_column", mutates_args=())
def _column(
    x: torch.Tensor, y: torch.Tensor, psi: torch.Tensor, cost: str
) -> tuple[torch.Tensor, torch.Tensor]:
    values, column = c_transform(psi, x, y, cost=cost)
    return values, column


@_column.register_fake
def _(
    x: torch.Tensor, y: torch.Tensor, psi: torch.Tensor, cost: str
) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(x.shape[0]), x.new_empty(x.shape[0], dtype=torch.int64)


def cost_of(cost_scale: Any) -> str:
    """The cost of monge that is ``cost_scale |x - y|^2``."""
    costs = {1.0: "sqeuclidean", 0.5: "half_sqeuclidean"}
    if cost_scale not in costs:
        raise InvalidArgument(
            f"[torch] cost_scale is {cost_scale!r}, wanted 1.0 or 0.5", "cost_scale"
        )
    return costs[cost_scale]


def c_transform_fwd(
    x: Any, y: Any, psi: Any, *, cost_scale: float = 1.0, **tuning: Any
) -> tuple[Any, Any]:
    """``min_j cost_scale |x_i - y_j|^2 - psi_j`` (n,), and the lowest j that attains it (n,), int64. Carries no
    gradient: ``c_transform_cost`` does.

    Args:
        x, y: (n, d) and (m, d) points.
        psi: (m,) potential of the target points.
        cost_scale: 1.0 or 0.5.
        tuning: FlashSinkhorn's of its kernels (``allow_tf32``, ``autotune``, ``block_m``, ...): without effect.
    """
    _inputs.tuning(tuning)
    x, y, psi = _checked(x, y, psi)
    values, column = _column(x.detach(), y.detach(), psi.detach(), cost_of(cost_scale))
    return values, column


def c_transform_cost(
    x: Any,
    y: Any,
    psi: Any,
    *,
    cost_scale: float = 1.0,
    a: Any = None,
    b: Any = None,
    **tuning: Any,
) -> Any:
    """The semi-dual ``sum a_i c_i + sum b_j psi_j``, c the c-transform of psi: a lower bound of transport.
    Differentiable in x, y, psi, a and b, at the cells as they are (Danskin).

    Args:
        x, y, psi, cost_scale, tuning: as in ``c_transform_fwd``.
        a, b: (n,) and (m,) weights; None: uniform with sum 1.
    """
    x, y, psi = _checked(x, y, psi)
    column = c_transform_fwd(x, y, psi, cost_scale=cost_scale, **tuning)[1]
    costs = cost_scale * (x - y[column]).square().sum(-1) - psi[column]
    return _mean(costs, a, "a") + _mean(psi, b, "b")


def _mean(values: Any, weights: Any, name: str) -> Any:
    if weights is None:
        return values.mean()
    weights = _inputs.tensor(weights, name)
    _inputs.same(values, {name: weights}, dtype=True)
    if weights.shape != values.shape:
        raise InvalidArgument(
            f"[torch] {name} has shape {tuple(weights.shape)}, wanted {tuple(values.shape)}", name
        )
    return weights @ values
