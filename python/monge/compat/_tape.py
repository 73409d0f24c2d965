"""What torch's autograd may know of a result: the value by the envelope theorem, and nothing else.

torch is imported only once an input is a tensor that requires a gradient.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from .._errors import NotAvailable


def is_taped(*inputs: Any) -> bool:
    """Whether any input is a tensor whose gradient torch is recording."""
    if not any(getattr(value, "requires_grad", False) for value in inputs):
        return False
    return bool(importlib.import_module("torch").is_grad_enabled())


@cache
def _functions() -> tuple[Any, Any]:
    torch = importlib.import_module("torch")
    once = importlib.import_module("torch.autograd.function").once_differentiable

    class Envelope(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, value: Any, derivatives: Any, *inputs: Any) -> Any:
            ctx.derivatives = derivatives
            ctx.save_for_backward(*(x for x in inputs if isinstance(x, torch.Tensor)))
            ctx.kinds = [
                (x.dtype, x.device) if isinstance(x, torch.Tensor) else None for x in inputs
            ]
            return value.clone()

        @staticmethod
        @once  # type: ignore[untyped-decorator]
        def backward(ctx: Any, grad: Any) -> Any:
            _ = ctx.saved_tensors  # refuses inputs that were written to since
            parts: list[Any] = [None, None]
            for kind, part, needed in zip(
                ctx.kinds, ctx.derivatives(), ctx.needs_input_grad[2:], strict=True
            ):
                if not needed or part is None or kind is None:
                    parts.append(None)
                    continue
                scale = grad.reshape(grad.shape + (1,) * (part.ndim - grad.ndim))
                parts.append((scale.to(part.dtype) * part).to(dtype=kind[0], device=kind[1]))
            return tuple(parts)

    class Refused(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, result: Any, message: str, *inputs: Any) -> Any:
            ctx.message = message
            return result.clone()

        @staticmethod
        def backward(ctx: Any, *_: Any) -> Any:
            raise NotAvailable(ctx.message)

    return Envelope, Refused


def differentiable(
    value: Any, derivatives: Callable[[], Sequence[Any]], inputs: Sequence[Any]
) -> Any:
    """The value, whose derivatives in the inputs are those given; computed when they are asked for."""
    return _functions()[0].apply(value, derivatives, *inputs)


def refused(result: Any, message: str, inputs: Sequence[Any]) -> Any:
    """The result, through which differentiating raises NotAvailable instead of being cut off silently."""
    return _functions()[1].apply(result, message, *inputs)
