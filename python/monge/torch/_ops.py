"""The operators that torch knows: transport and its derivatives, each an opaque call of the core.

`transport` returns value, potentials and gradient together. Its backward scales the gradient that it saved; where
torch differentiates that gradient again, the joint second-order product comes to it, an operator of its own, and where
it differentiates potentials, their vector-Jacobian product.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from . import _second
from ._batch import divergences, made_of, transports
from ._text import decode, terms

Weights: TypeAlias = Tensor | None
Slopes: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
Parts: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def taped(*tensors: Weights) -> str:
    """The letters of those of x, y, a, b that torch records what is done with."""
    if not torch.is_grad_enabled():
        return ""
    named = zip("xyab", tensors, strict=True)
    return "".join([name for name, part in named if part is not None and part.requires_grad])


def _transport(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    options: str,
    wrt: str,
) -> Parts:
    """Value (B,), potentials (B, k, n) and (B, k, m), and the gradients of the value in the inputs that `wrt` names by
    letters, empty elsewhere; of a divergence both of a measure, where one is wanted. `wrt` empty: autograd records
    nothing.

    k = 1, or with 'debias' among the options 3: those of the solve from x to y, and of the self term both.
    """
    if terms(options).debias:
        found = divergences(x, y, a, b, options, made_of(wrt))
    else:
        found = transports(x, y, a, b, options, wrt)
    return found[0], found[1], found[2], found[3], found[4], found[5], found[6]


# What torch.library.custom_op and register_autograd make of functions, in 45 us less forward and backward.
_LIBRARY = torch.library.Library("monge", "FRAGMENT")
_LIBRARY.define(
    "transport" + torch.library.infer_schema(_transport, mutates_args=()),
    tags=(torch.Tag.pt2_compliant_tag,),
)
_LIBRARY.impl("transport", _transport, "CompositeExplicitAutograd")
transport = torch.ops.monge.transport.default


def _entries(x: Tensor, *others: Weights) -> list[tuple[Any, ...]]:
    columns = [v if v is not None else [None] * len(x) for v in (x, *others)]
    return list(zip(*columns, strict=True))


def _stack(parts: list[Tensor], like: Tensor) -> Tensor:
    joined = parts[0][None] if len(parts) == 1 else torch.stack(parts)
    return joined if joined.dtype == like.dtype else joined.to(like.dtype)


@torch.library.register_fake("monge::transport", lib=_LIBRARY)
def _(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    options: str,
    wrt: str,
) -> Parts:
    debias = bool(decode(options).get("debias"))
    k = 3 if debias else 1
    batch, n, _ = x.shape
    m = y.shape[1]
    shapes: list[tuple[Any, ...]] = [
        (batch, n, x.shape[2]),
        (batch, m, x.shape[2]),
        (batch, n),
        (batch, m),
    ]
    made = made_of(wrt) if debias else wrt
    slopes = [
        x.new_empty(shape if name in made else (0,))
        for name, shape in zip("xyab", shapes, strict=True)
    ]
    return (
        x.new_empty(batch),
        x.new_empty(batch, k, n),
        x.new_empty(batch, k, m),
        slopes[0],
        slopes[1],
        slopes[2],
        slopes[3],
    )


class _Recorded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        output = _below(*inputs)
        ctx.set_materialize_grads(False)
        *tensors, ctx.options, _ = inputs
        ctx.save_for_backward(*tensors, *output[1:])
        return output

    @staticmethod
    def backward(ctx: Any, value: Any, f: Any, g: Any, dx: Any, dy: Any, da: Any, db: Any) -> Any:
        saved = ctx.saved_tensors  # refuses what was written to since
        point, slopes = saved[:6], saved[6:]
        needed = [i for i in range(4) if ctx.needs_input_grad[i]]
        out: list[Any] = [None] * 6
        if value is not None:
            for i in needed:
                out[i] = value.reshape(-1, *[1] * (slopes[i].ndim - 1)) * slopes[i]
        for product, cotangents in ((product_along, (dx, dy, da, db)), (pulled_back, (f, g))):
            if all(part is None for part in cotangents):
                continue
            wrt = "".join(["xyab"[i] for i in needed])
            parts = product(*point, *cotangents, ctx.options, wrt)
            for i in needed:
                out[i] = parts[i] if out[i] is None else out[i] + parts[i]
        return tuple(out)


def _below(*inputs: Any) -> Any:
    with torch._C._AutoDispatchBelowAutograd():
        return transport(*inputs)


def _autograd(*inputs: Any) -> Any:
    return _Recorded.apply(*inputs) if inputs[-1] else _below(*inputs)


_LIBRARY.impl("transport", _autograd, "Autograd")


@torch.library.custom_op("monge::transport_hvp", mutates_args=())
def product_along(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    f: Tensor,
    g: Tensor,
    dx: Weights,
    dy: Weights,
    da: Weights,
    db: Weights,
    options: str,
    wrt: str,
) -> Slopes:
    """The gradient's derivative along (dx, dy, da, db), in the inputs that `wrt` names by letters."""
    entries = _entries(x, y, a, b, f, g, dx, dy, da, db)
    return _joined(
        [_second.product(entry[:6], entry[6:], options, wrt) for entry in entries], x, y, wrt
    )


@torch.library.custom_op("monge::transport_vjp", mutates_args=())
def pulled_back(
    x: Tensor,
    y: Tensor,
    a: Weights,
    b: Weights,
    f: Tensor,
    g: Tensor,
    of_f: Weights,
    of_g: Weights,
    options: str,
    wrt: str,
) -> Slopes:
    """The derivative of <of_f, f> + <of_g, g>, f and g the potentials, in the inputs that `wrt` names."""
    entries = _entries(x, y, a, b, f, g, of_f, of_g)
    return _joined(
        [_second.pullback(entry[:6], entry[6:], options, wrt) for entry in entries], x, y, wrt
    )


def _joined(parts: list[tuple[Any, ...]], x: Tensor, y: Tensor, wrt: str) -> Slopes:
    """Entries stacked; zeros in place of what was not asked for."""
    out = [
        _stack([part[i] for part in parts], x) if name in wrt else shape
        for i, (name, shape) in enumerate(zip("xyab", _like(x, y), strict=True))
    ]
    return out[0], out[1], out[2], out[3]


def _like(x: Tensor, y: Tensor) -> Slopes:
    return (
        torch.zeros_like(x, memory_format=torch.contiguous_format),
        torch.zeros_like(y, memory_format=torch.contiguous_format),
        x.new_zeros(x.shape[:-1]),
        y.new_zeros(y.shape[:-1]),
    )


@product_along.register_fake
@pulled_back.register_fake
def _(x: Tensor, y: Tensor, *_: Any) -> Slopes:
    return _like(x, y)


def _vmapped(operator: Any, tensors: int) -> None:
    """torch.vmap over an operator: its own axis, which counts entries, takes the mapped one in."""

    def rule(info: Any, dims: tuple[Any, ...], *given: Any) -> tuple[Any, Any]:
        size = info.batch_size

        def merged(tensor: Any, dim: Any) -> Any:
            if tensor is None:
                return None
            spread = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            return spread.flatten(0, 1)

        inputs = [merged(t, d) for t, d in zip(given[:tensors], dims[:tensors], strict=True)]
        options, wrt = given[tensors:]
        if operator is transport:  # what is mapped over does not say that it is recorded
            wrt = taped(*inputs)
        parts = operator(*inputs, options, wrt)
        out = [part if part.numel() == 0 else part.unflatten(0, (size, -1)) for part in parts]
        return tuple(out), tuple(None if part.numel() == 0 else 0 for part in parts)

    torch.library.register_vmap(operator, rule)


_vmapped(transport, 4)
_vmapped(product_along, 10)
_vmapped(pulled_back, 8)
