"""What the verbs of grids return: solutions in the shapes of the grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._divergence import Divergence, DivergenceGradient
from ._grids import Shape
from ._solution import Gradient, Solution


class LatticeSolution(Solution):
    """A solved problem between two grids: a Solution whose potentials and marginals have the shapes of
    the grids, and whose images one more axis, the coordinates. The plan is an operator on masses in C
    order, (n, m)."""

    _shapes: tuple[Shape, Shape]

    @property
    def potential_a(self) -> Any:
        """f, in the shape of the source grid, in units of the cost. Two Balanced sides: gauge
        ``m_b sum a f = m_a sum b g``."""
        return super().potential_a.reshape(self._shapes[0])

    @property
    def potential_b(self) -> Any:
        """g, in the shape of the target grid, in units of the cost."""
        return super().potential_b.reshape(self._shapes[1])

    @property
    def marginal_a(self) -> Any:
        """P 1, in the shape of the source grid: the mass that each point sends. Lazy."""
        return super().marginal_a.reshape(self._shapes[0])

    @property
    def marginal_b(self) -> Any:
        """P^T 1, in the shape of the target grid: the mass that each point receives. Lazy."""
        return super().marginal_b.reshape(self._shapes[1])

    @property
    def a_to_b(self) -> Any:
        """Barycentric images of the source points, (shape of the source grid, d): on a periodic axis
        taken the shorter way round, so that they may lie beyond the grid. Lazy."""
        return super().a_to_b.reshape((*self._shapes[0], -1))

    @property
    def a_to_b_valid(self) -> Any:
        """Booleans in the shape of the source grid: whether the point sends mass. Lazy."""
        return super().a_to_b_valid.reshape(self._shapes[0])

    @property
    def b_to_a(self) -> Any:
        """Barycentric images of the target points, (shape of the target grid, d). Lazy."""
        return super().b_to_a.reshape((*self._shapes[1], -1))

    @property
    def b_to_a_valid(self) -> Any:
        """Booleans in the shape of the target grid: whether the point receives mass. Lazy."""
        return super().b_to_a_valid.reshape(self._shapes[1])

    def gradient(self, wrt: Sequence[str] | None = None) -> Gradient:
        """As ``Solution.gradient``, arrays in the shapes of the grids."""
        flat = super().gradient(wrt)
        a, b = self._shapes
        shapes = {"dx": (*a, -1), "dy": (*b, -1), "da": a, "db": b}
        return flat._replace(
            **{
                name: getattr(flat, name).reshape(shape)
                for name, shape in shapes.items()
                if getattr(flat, name) is not None
            }
        )


class LatticeDivergence(Divergence):
    """A divergence whose potentials and derivatives have the shapes of the grids."""

    _shapes: tuple[Shape, Shape]

    @property
    def potential_a(self) -> Any:
        """Debiased, in the shape of the source grid, in units of the cost."""
        return super().potential_a.reshape(self._shapes[0])

    @property
    def potential_b(self) -> Any:
        """Debiased, in the shape of the target grid, in units of the cost."""
        return super().potential_b.reshape(self._shapes[1])

    def gradient(self) -> DivergenceGradient:
        """Derivatives of the value in points and weights; needs ``gradients=True`` in the call."""
        flat = super().gradient()
        a, b = self._shapes
        return DivergenceGradient(
            flat.dx.reshape((*a, -1)),
            flat.dy.reshape((*b, -1)),
            flat.da.reshape(a),
            flat.db.reshape(b),
        )
