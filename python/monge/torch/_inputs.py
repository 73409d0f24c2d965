"""What the losses read: tensors of one type and device, single or batched."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .._errors import InvalidArgument

_HALF = (torch.float16, torch.bfloat16)
_REAL = (torch.float32, torch.float64)


class Clouds(NamedTuple):
    """Points (B, n, d) and (B, m, d), weights (B, n) and (B, m) or None; B = 1 where there is no batch."""

    x: Any
    y: Any
    a: Any
    b: Any
    batched: bool

    def points(self, tensor: Any) -> Any:
        """A result with an entry in front, as the clouds were given."""
        return tensor if self.batched else tensor[0]


def tensor(value: Any, name: str) -> Any:
    """A tensor that monge reads; half types become float32 under autocast, as there every loss promotes."""
    if not isinstance(value, torch.Tensor):
        raise InvalidArgument(
            f"[torch] {name} is {type(value).__name__}, wanted a torch.Tensor", name
        )
    if value.dtype in _HALF:
        if torch.is_autocast_enabled(value.device.type):
            return value.float()
        raise InvalidArgument(
            f"[torch] {name} is {value.dtype}, which monge reads under torch.autocast alone, as float32: cast it "
            "with .float()",
            name,
        )
    if value.dtype not in _REAL:
        raise InvalidArgument(
            f"[torch] {name} is {value.dtype}, wanted torch.float32 or torch.float64", name
        )
    return value


def same(x: Any, others: dict[str, Any], *, dtype: bool) -> None:
    """Refuses tensors elsewhere than x, and with dtype those of another type."""
    for name, value in others.items():
        if value is None:
            continue
        if value.device != x.device:
            raise InvalidArgument(
                f"[torch] x is on {x.device} but {name} on {value.device}: move one of them, as by "
                f"{name}.to(x.device)",
                name,
            )
        if dtype and value.dtype != x.dtype:
            raise InvalidArgument(
                f"[torch] x is {x.dtype} but {name} {value.dtype}: cast one of them, as by {name}.to(x.dtype)",
                name,
            )


def clouds(x: Any, y: Any, a: Any, b: Any) -> Clouds:
    """Checks what is read off shapes, types and devices; values are the core's to check."""
    x, y = tensor(x, "x"), tensor(y, "y")
    if x.ndim not in (2, 3) or y.ndim != x.ndim:
        raise InvalidArgument(
            f"[torch] x has shape {tuple(x.shape)} and y {tuple(y.shape)}, wanted (n, d) and (m, d), or (B, n, d) and "
            "(B, m, d)",
            "x",
        )
    if x.shape[-1] != y.shape[-1] or x.shape[:-2] != y.shape[:-2]:
        raise InvalidArgument(
            f"[torch] x has shape {tuple(x.shape)} and y {tuple(y.shape)}: they must agree in all but the number of "
            "points",
            "y",
        )
    a, b = _weights(a, "a", x, "x"), _weights(b, "b", y, "y")
    same(x, {"y": y}, dtype=True)
    same(x, {"a": a, "b": b}, dtype=False)
    if x.ndim == 3:
        return Clouds(x, y, a, b, True)
    return Clouds(x[None], y[None], _front(a), _front(b), False)


def _weights(value: Any, name: str, points: Any, beside: str) -> Any:
    if value is None:
        return None
    value = tensor(value, name)
    shape = points.shape[:-1]
    if value.shape == (*shape, 1):
        return value[..., 0]
    if value.shape != shape:
        raise InvalidArgument(
            f"[torch] {name} has shape {tuple(value.shape)} but {beside} {tuple(points.shape)}, wanted "
            f"{tuple(shape)}",
            name,
        )
    return value


def _front(value: Any) -> Any:
    return None if value is None else value[None]


_TUNING = (
    "allow_tf32",
    "autotune",
    "block_k",
    "block_m",
    "block_n",
    "num_stages",
    "num_warps",
    "use_compiled_cg",
    "use_dense_cg",
    "use_batched_cg",
    "use_exp2",
    "use_flashstyle",
    "use_fused_matvec",
)


def tuning(given: dict[str, Any], *more: str) -> None:
    """Takes the arguments by which FlashSinkhorn tunes its kernels: they have no effect on results here."""
    for name in given:
        if name not in _TUNING and name not in more:
            raise TypeError(f"unexpected keyword argument {name!r}")
