"""Grids and masses on them, as the core takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _core
from ._arrays import Array, as_array
from ._device import current_stream, device_of
from ._errors import InvalidArgument
from ._keywords import Ground, number

Shape = tuple[int, ...]


def per_axis(value: Any, name: str, dim: int) -> list[float]:
    """One number for every axis, or one for each."""
    if np.ndim(value) == 0:
        return [number(value, name)] * dim
    numbers = [number(one, name) for one in value]
    if len(numbers) != dim:
        raise InvalidArgument(
            f"[arrays] {name} has {len(numbers)} entries, wanted one number or one for each of {dim} axes",
            name,
        )
    return numbers


def masses_of(value: Any, name: str) -> tuple[Array, Shape]:
    """The masses in C order, and the shape of their grid."""
    array = as_array(value, name)
    if not 1 <= array.ndim <= 3:
        raise InvalidArgument(
            f"[arrays] {name} has shape {tuple(array.shape)}, wanted a grid of masses of 1 to 3 axes",
            name,
        )
    flat = array.reshape(-1) if isinstance(array, np.ndarray) else as_array(value.reshape(-1), name)
    return flat, tuple(array.shape)


@dataclass(frozen=True)
class Grids:
    """Two grids and the cost between their points, as the core takes them."""

    source: Shape
    target: Shape
    ground: Ground
    sides: tuple[list[float], ...]  # spacing, origin of the source, of the target
    periodic: list[bool] = field(default_factory=list)

    @staticmethod
    def of(
        source: Shape,
        target: Shape,
        ground: Ground,
        spacing: Any,
        origin: Any,
        target_spacing: Any,
        target_origin: Any,
        periodic: Any,
    ) -> Grids:
        sides = tuple(
            per_axis(value, name, len(shape))
            for value, name, shape in (
                (spacing, "spacing", source),
                (origin, "origin", source),
                (spacing if target_spacing is None else target_spacing, "target_spacing", target),
                (origin if target_origin is None else target_origin, "target_origin", target),
            )
        )
        around = [bool(one) for one in per_axis(periodic, "periodic", len(source))]
        return Grids(source, target, ground, sides, around)

    def lattice(self, device: str) -> _core.Lattice:
        spacing, origin, target_spacing, target_origin = self.sides
        return _core.Lattice(
            _core.Grid(self.source, spacing, origin),
            _core.Grid(self.target, target_spacing, target_origin),
            self.ground.name,
            self.ground.power,
            self.periodic,
            device,
        )

    def alone(self, side: int) -> Grids:
        """One of the grids against itself."""
        shape = (self.source, self.target)[side]
        half = self.sides[2 * side : 2 * side + 2]
        return Grids(shape, shape, self.ground, half + half, self.periodic)


def flat_start(start: Any) -> Any:
    """Potentials in the shapes of the grids, as the core takes them."""

    def flat(one: Any) -> Any:
        if one is None:
            return None
        return one.reshape(-1) if hasattr(one, "reshape") else np.asarray(one).reshape(-1)

    if start is None:
        return None
    if isinstance(start, (tuple, list)) and len(start) == 2:
        return tuple(flat(one) for one in start)
    return flat(start)


def lattice_problem(
    grids: Grids,
    a: Array,
    b: Array,
    side_a: Any,
    side_b: Any,
    total_mass: float | None,
    tolerance: float,
) -> Any:
    return _core.lattice_problem(
        grids.lattice(device_of(a)),
        a,
        b,
        side_a,
        side_b,
        total_mass,
        tolerance,
        current_stream(device_of(a)),
    )
