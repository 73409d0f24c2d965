"""Costs between labels of points, as products of longer points through which torch differentiates.

``lambda_x |x - y|^2 + lambda_y table[s, t]`` is ``-X.Y`` for ``X = (2 lambda_x x, -lambda_x |x|^2, 1, -lambda_y table[s])``
and ``Y = (y, 1, -lambda_x |y|^2, e_t)``, as monge.Labels makes it (src/ot/labels.cpp). Both are functions of the points, so that
derivatives of any order are those of the cost 'dot' by the chain rule.
"""

from __future__ import annotations

from typing import Any

import torch

from .._clouds import Clouds
from .._errors import InvalidArgument


@torch.library.custom_op("monge::labels", mutates_args=())
def _checked(labels: torch.Tensor, like: torch.Tensor, count: int, name: str) -> torch.Tensor:
    """Labels as indices on the device of `like`; opaque, as checks of values are."""
    if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype == torch.bool:
        raise InvalidArgument(f"[torch] {name} is {labels.dtype}, wanted integers", name)
    wrong = (labels < 0) | (labels >= count)
    if bool(wrong.any()):
        i = int(wrong.nonzero()[0])
        raise InvalidArgument(
            f"[torch] {name}[{i}] is {int(labels[i])}, wanted a label of the table, 0 to {count - 1}",
            name,
        )
    return labels.to(like.device, torch.int64, copy=True)


@_checked.register_fake
def _(labels: torch.Tensor, like: torch.Tensor, count: int, name: str) -> torch.Tensor:
    return torch.empty(labels.shape, dtype=torch.int64, device=like.device)


@torch.library.custom_op("monge::label_costs", mutates_args=())
def _finite(table: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not bool(table.isfinite().all()):
        raise InvalidArgument(
            "[torch] label_cost_matrix is not finite, wanted finite costs", "label_cost_matrix"
        )
    return table.to(like, copy=True)


@_finite.register_fake
def _(table: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.empty(table.shape, dtype=like.dtype, device=like.device)


def with_labels(
    clouds: Clouds, label_x: Any, label_y: Any, table: Any, lambda_x: float, lambda_y: float
) -> Clouds:
    """The longer points; labels (n,) and (m,) are those of every entry of a batch."""
    for value, name in ((label_x, "label_x"), (label_y, "label_y"), (table, "label_cost_matrix")):
        if not isinstance(value, torch.Tensor):
            raise InvalidArgument(
                f"[torch] {name} is {type(value).__name__}, wanted a torch.Tensor", name
            )
    if table.ndim != 2:
        raise InvalidArgument(
            f"[torch] label_cost_matrix has shape {tuple(table.shape)}, wanted (L, K)",
            "label_cost_matrix",
        )
    x, y = clouds.x, clouds.y
    indices = []
    for labels, points, count, name in (
        (label_x, x, table.shape[0], "label_x"),
        (label_y, y, table.shape[1], "label_y"),
    ):
        if labels.shape != points.shape[1:2]:
            raise InvalidArgument(
                f"[torch] {name} has shape {tuple(labels.shape)}, wanted ({points.shape[1]},)", name
            )
        indices.append(_checked(labels, points.detach(), count, name))
    costs = -lambda_y * _finite(table.detach(), x.detach())
    units = torch.eye(min(costs.shape), dtype=x.dtype, device=x.device)
    shorter = costs.shape[0] < costs.shape[1]
    rows = (units if shorter else costs)[indices[0]].expand(len(x), -1, -1)
    columns = (costs.mT if shorter else units)[indices[1]].expand(len(y), -1, -1)
    # Centred, so that squares cost no more digits than they must.
    origin = (x.detach().sum(1, keepdim=True) + y.detach().sum(1, keepdim=True)) / (
        x.shape[1] + y.shape[1]
    )
    x, y = x - origin, y - origin
    one = torch.ones_like
    square_x, square_y = -lambda_x * _square(x), -lambda_x * _square(y)
    source = torch.cat([2 * lambda_x * x, square_x, one(square_x), rows], -1)
    target = torch.cat([y, one(square_y), square_y, columns], -1)
    return clouds._replace(x=source, y=target)


def _square(points: Any) -> Any:
    return points.double().square().sum(-1, keepdim=True).to(points.dtype)
