"""The operators that torch knows: transport and its derivatives, each an opaque call of the core.

`transport` returns the value and its gradient together. Its backward is therefore linear in what it saved, plus,
where torch differentiates the gradient, the joint second-order product, which is an operator again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .. import Labels, divergence, solve_sample, solve_sample_batch
from .._errors import NotAvailable
from ._text import decode

Weights: TypeAlias = Tensor | None
Parts: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@torch.library.custom_op("monge::transport", mutates_args=())
def transport(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    label_x: Weights,
    label_y: Weights,
    table: Weights,
    options: str,
    gradients: bool,
) -> Parts:
    """Value (B,), potentials (B, k, n) and (B, k, m), and with `gradients` those of the value in x, y, a, b.

    k = 1, or with 'debias' among the options 3: those of the solve from x to y, and of the self term both.
    """
    keywords = dict(decode(options))
    debias = keywords.pop("debias", False)
    for name in ("hvp_tolerance", "hvp_max_iterations"):
        keywords.pop(name, None)
    found: Sequence[Any]
    if debias:
        found = [
            divergence(*entry, gradients=gradients, **keywords) for entry in _entries(x, y, a, b)
        ]
    elif table is not None:
        scale = {name: keywords.pop(name) for name in ("lambda_x", "lambda_y")}
        labels = Labels(label_x, label_y, table, **scale)
        found = [solve_sample(*entry, labels=labels, **keywords) for entry in _entries(x, y, a, b)]
    elif len(x) == 1:
        found = [solve_sample(*entry, **keywords) for entry in _entries(x, y, a, b)]
    else:
        found = solve_sample_batch(x, y, a, b, **keywords)
    found = list(found)
    slopes = [one.gradient()[:4] for one in found] if gradients else []
    values = torch.tensor([one.value for one in found], dtype=x.dtype, device=x.device)
    potentials = [_potentials(one) for one in found]
    parts = [_stack([side[i] for side in potentials], x) for i in range(2)]
    if gradients:
        parts += [_stack([slope[i] for slope in slopes], x) for i in range(4)]
    else:
        parts += [x.new_empty(0) for _ in range(4)]
    return values, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]


def _entries(x: Tensor, y: Tensor, a: Weights, b: Weights) -> list[tuple[Any, ...]]:
    count = len(x)
    columns = [v if v is not None else [None] * count for v in (x, y, a, b)]
    return list(zip(*columns, strict=True))


def _potentials(found: Any) -> tuple[Tensor, Tensor]:
    """(k, n) and (k, m)."""
    if hasattr(found, "ab"):
        ab, aa, bb = found.ab.potentials, found.aa.potentials, found.bb.potentials
        return torch.stack([ab[0], *aa]), torch.stack([ab[1], *bb])
    f, g = found.potentials
    return f[None], g[None]


def _stack(parts: list[Tensor], like: Tensor) -> Tensor:
    joined = parts[0][None] if len(parts) == 1 else torch.stack(parts)
    return joined.to(like.dtype)


@transport.register_fake
def _(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    label_x: Weights,
    label_y: Weights,
    table: Weights,
    options: str,
    gradients: bool,
) -> Parts:
    k = 3 if decode(options).get("debias") else 1
    batch, n, _ = x.shape
    m = y.shape[1]
    shapes: list[tuple[Any, ...]] = [
        (batch, n, x.shape[2]),
        (batch, m, x.shape[2]),
        (batch, n),
        (batch, m),
    ]
    slopes = [x.new_empty(shape if gradients else (0,)) for shape in shapes]
    return (
        x.new_empty(batch),
        x.new_empty(batch, k, n),
        x.new_empty(batch, k, m),
        slopes[0],
        slopes[1],
        slopes[2],
        slopes[3],
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Parts) -> None:
    ctx.set_materialize_grads(False)
    *tensors, ctx.options, _ = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _backward(
    ctx: Any, value: Any, f: Any, g: Any, dx: Any, dy: Any, da: Any, db: Any
) -> tuple[Any, ...]:
    saved = ctx.saved_tensors  # refuses what was written to since
    if f is not None or g is not None:
        raise NotAvailable("[torch] potentials are not differentiated yet: differentiate the value")
    if any(part is not None for part in (dx, dy, da, db)):
        raise NotAvailable("[torch] second derivatives are not provided yet")
    out: list[Any] = []
    for given, slope, needed in zip(saved[:4], saved[9:], ctx.needs_input_grad[:4], strict=True):
        if not needed or value is None:
            out.append(None)
            continue
        out.append((value.reshape(-1, *[1] * (slope.ndim - 1)) * slope).to(given.dtype))
    return (*out, None, None, None, None, None)


transport.register_autograd(_backward, setup_context=_setup)
