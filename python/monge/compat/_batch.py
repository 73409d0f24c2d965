"""Many results at once."""

from __future__ import annotations

from typing import Any

from .._errors import InvalidArgument
from ._kind import Kind


def entries(value: Any, count: int, name: str) -> list[Any]:
    """What each problem of a batch is given; None for all where nothing is."""
    if value is None:
        return [None] * count
    if len(value) != count:
        raise InvalidArgument(f"[compat] {name} has {len(value)} entries, wanted {count}", name)
    return list(value)


class Stacked:
    """The fields of single results, stacked along a first axis. ``results`` are the single ones."""

    fields: tuple[str, ...] = ()

    def __init__(self, results: list[Any], kind: Kind):
        self.results = results
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        if name not in type(self).fields:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        parts = [getattr(result, name) for result in self.results]
        if parts[0] is None:
            return None
        if isinstance(parts[0], tuple):
            return tuple(self._kind.stack(list(side)) for side in zip(*parts, strict=True))
        return self._kind.stack(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.results)} problems)"
