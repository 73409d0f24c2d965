"""What the losses read: tensors of one type and device, single or batched."""

from __future__ import annotations

from typing import Any

import torch

from .._clouds import Clouds, gathered
from .._errors import InvalidArgument

_HALF = (torch.float16, torch.bfloat16)
_REAL = (torch.float32, torch.float64)


def tensor(value: Any, name: str) -> Any:
    """A tensor that monge reads; half types become float32 under autocast, as there every loss promotes."""
    if not isinstance(value, torch.Tensor):
        raise InvalidArgument(
            f"[torch] {name} is {type(value).__name__}, wanted a torch.Tensor", name
        )
    if value.dtype in _REAL:
        return value
    if value.dtype in _HALF:
        if torch.is_autocast_enabled(value.device.type):
            return value.float()
        raise InvalidArgument(
            f"[torch] {name} is {value.dtype}, which monge reads under torch.autocast alone, as float32: cast it "
            "with .float()",
            name,
        )
    raise InvalidArgument(
        f"[torch] {name} is {value.dtype}, wanted torch.float32 or torch.float64", name
    )


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
    a, b = (None if w is None else tensor(w, name) for w, name in ((a, "a"), (b, "b")))
    found = gathered("torch", x, y, a, b)
    same(x, {"y": y}, dtype=True)
    same(x, {"a": a, "b": b}, dtype=False)
    return found


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
