"""What the differentiable faces read and return: arrays of a framework, single or batched."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._errors import InvalidArgument


class Transport(NamedTuple):
    """A value and the potentials that it belongs to, all differentiable; with a batch, stacked."""

    value: Any  #: (), or (B,): the transport objective
    potential_a: Any  #: (n,), or (B, n), in units of the cost
    potential_b: Any  #: (m,), or (B, m)


class Clouds(NamedTuple):
    """Points (B, n, d) and (B, m, d), weights (B, n) and (B, m) or None; B = 1 where there is no batch."""

    x: Any
    y: Any
    a: Any
    b: Any
    batched: bool

    def points(self, array: Any) -> Any:
        """A result with an entry in front, as the clouds were given."""
        return array if self.batched else array.squeeze(0)


def gathered(room: str, x: Any, y: Any, a: Any, b: Any) -> Clouds:
    """Checks what is read off shapes; values are the core's to check."""
    if x.ndim not in (2, 3) or y.ndim != x.ndim:
        raise InvalidArgument(
            f"[{room}] x has shape {tuple(x.shape)} and y {tuple(y.shape)}, wanted (n, d) and (m, d), or (B, n, d) and "
            "(B, m, d)",
            "x",
        )
    if x.shape[-1] != y.shape[-1] or x.shape[:-2] != y.shape[:-2]:
        raise InvalidArgument(
            f"[{room}] x has shape {tuple(x.shape)} and y {tuple(y.shape)}: they must agree in all but the number of "
            "points",
            "y",
        )
    if x.ndim == 3 and len(x) == 0:
        raise InvalidArgument(f"[{room}] x holds no clouds, wanted at least one", "x")
    a, b = _weights(room, a, "a", x, "x"), _weights(room, b, "b", y, "y")
    if x.ndim == 3:
        return Clouds(x, y, a, b, True)
    return Clouds(x[None], y[None], _front(a), _front(b), False)


def _weights(room: str, value: Any, name: str, points: Any, beside: str) -> Any:
    if value is None:
        return None
    shape = points.shape[:-1]
    if value.shape == (*shape, 1):
        return value[..., 0]
    if value.shape != shape:
        raise InvalidArgument(
            f"[{room}] {name} has shape {tuple(value.shape)} but {beside} {tuple(points.shape)}, wanted "
            f"{tuple(shape)}",
            name,
        )
    return value


def _front(value: Any) -> Any:
    return None if value is None else value[None]
