"""The kind of the caller's arrays: framework, type and device, and the few operations the faces need."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .._errors import InvalidArgument, NotAvailable


def _module(value: Any) -> str:
    root = type(value).__module__.partition(".")[0]
    return {"torch": "torch", "jax": "jax.numpy", "jaxlib": "jax.numpy", "cupy": "cupy"}.get(
        root, "numpy"
    )


class Kind:
    """Makes arrays of the kind of the first array among the values; NumPy's doubles where all are lists."""

    def __init__(self, *values: Any):
        first = next((v for v in values if hasattr(v, "dtype")), None)
        self.xp: Any = importlib.import_module(_module(first))
        if self.xp.__name__ == "jax.numpy":
            tracer = importlib.import_module("jax").core.Tracer
            if any(isinstance(value, tracer) for value in values):
                raise NotAvailable(
                    "[compat] an array is being traced by jax.jit, jax.grad or jax.vmap, which monge is not part "
                    "of: call it on concrete arrays"
                )
        self.is_torch = self.xp.__name__ == "torch"
        self.dtype: Any = self.xp.float32 if "float32" in str(getattr(first, "dtype", "")) else None
        self.dtype = self.dtype or self.xp.float64
        self.device: Any = first.device if self.is_torch and first is not None else None

    @property
    def is_float32(self) -> bool:
        return bool(self.dtype == self.xp.float32)

    def __call__(self, value: Any) -> Any:
        """The value as an array of this kind, outside of any gradient."""
        if self.is_torch:
            return self.xp.as_tensor(value, dtype=self.dtype, device=self.device).detach()
        return self.xp.asarray(value, dtype=self.dtype)

    def scalar(self, value: float) -> Any:
        """A number as the framework's functions return one."""
        return self(value)[()]

    def weights(self, value: Any, size: int) -> Any:
        """(size,) weights; None and an empty list mean uniform with sum 1."""
        return self(np.full(size, 1 / size)) if absent(value) else self(value)

    def stack(self, values: list[Any], axis: int = 0) -> Any:
        return self.xp.stack(values, axis)


def absent(value: Any) -> bool:
    """Whether weights are left to the default: None, or [] as POT has it."""
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def host(value: Any) -> Any:
    """A NumPy array of doubles with the same numbers, wherever they live."""
    for move in ("detach", "cpu", "get"):  # torch, torch, CuPy
        value = getattr(value, move)() if hasattr(value, move) else value
    return np.asarray(value, dtype=np.float64)


def checked(name: str, value: Any, types: type | tuple[type, ...], wanted: str) -> None:
    """Refuses an argument of the wrong type, also where it only chooses an implementation."""
    integer = int in (types if isinstance(types, tuple) else (types,))
    if integer and isinstance(value, np.integer):
        return
    if not isinstance(value, types) or (integer and isinstance(value, bool)):
        raise InvalidArgument(f"[compat] {name} is {value!r}, wanted {wanted}", name)
