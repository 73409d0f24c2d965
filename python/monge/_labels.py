"""Labels of points, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ._arrays import Array


@dataclass(frozen=True)
class Labels:
    """Adds labels to the squared cost, ``lambda_x |x_i - y_j|^2 + lambda_y table[s_i, t_j]``, as the
    distance between data sets does (OTDD; Alvarez-Melis, Fusi 2020). Any finite table will do, of
    either sign and without symmetry; it has a row for each label of the source and a column for each
    of the target.
    """

    source: Any  #: (n,) integers s
    target: Any  #: (m,) integers t
    table: Any  #: (L, K) costs between labels
    lambda_x: float = 1.0
    lambda_y: float = 1.0


class Labelled(NamedTuple):
    """Of a solution: the points with coordinates appended, what the core made them of, and the points."""

    core: Any
    arguments: tuple[Any, ...]
    source: Array
    target: Array
