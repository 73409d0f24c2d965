"""Second derivatives of a solution, and those of its potentials and maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import ToFramework, as_array
from ._device import current_stream
from ._errors import InvalidArgument

CoreLinearization = _core.LinearizationF32 | _core.LinearizationF64
CoreDivergence = _core.DivergenceLinearizationF32 | _core.DivergenceLinearizationF64


class Hvp(NamedTuple):
    """A Hessian product: how the gradients and the potentials move along a direction. What was not
    asked for is None."""

    dx: Any  #: (n, d)
    dy: Any  #: (m, d)
    da: Any  #: (n,)
    db: Any  #: (m,)
    df: Any  #: (n,) of the potentials, in their gauge
    dg: Any  #: (m,)
    depsilon: Any  #: a float, or one for each direction
    drho_a: Any
    drho_b: Any
    dlevel: Any  #: with a total mass: of its level, half the derivative in it
    report: _core.DerivativeReport


class InverseHvp(NamedTuple):
    """A solution of a system with the Hessian."""

    z: Any  #: (n, d)
    report: _core.InverseReport


class Jvp(NamedTuple):
    """How results move along a direction."""

    potential_a: Any  #: (n,), in its gauge
    potential_b: Any  #: (m,)
    marginal_a: Any  #: (n,)
    marginal_b: Any  #: (m,)
    a_to_b: Any  #: (n, d) images of the source points; None on a cost matrix
    value_linear: Any  #: a float, or one for each direction
    dlevel: Any  #: with a total mass: of its level
    report: _core.DerivativeReport


class Vjp(NamedTuple):
    """Derivatives of a cotangent of results. What was not asked for is None."""

    dx: Any  #: (n, d)
    dy: Any  #: (m, d)
    da: Any  #: (n,)
    db: Any  #: (m,)
    depsilon: Any  #: a float, or one for each cotangent
    drho_a: Any
    drho_b: Any
    dmass: Any  #: with a total mass
    report: _core.DerivativeReport


class _Products:
    """What Hessian products are taken of: a solution or a divergence, and its first derivatives."""

    def __init__(
        self,
        core: CoreLinearization | CoreDivergence,
        to: ToFramework,
        threads: int,
        dtype: np.dtype[Any],
    ):
        self._core: Any = core
        self._to = to
        self._threads = threads
        self._dtype = dtype

    def _call(self) -> _core.Call:
        return _core.Call(self._threads, stream=current_stream(self._core.device))

    def hvp(
        self,
        dx: Any = None,
        dy: Any = None,
        da: Any = None,
        db: Any = None,
        *,
        depsilon: float | Sequence[float] = (),
        drho_a: float | Sequence[float] = (),
        drho_b: float | Sequence[float] = (),
        dmass: float | Sequence[float] = (),
        wrt: Sequence[str] = ("x", "y", "a", "b"),
        start: Hvp | Jvp | None = None,
        tolerance: float = 1e-8,
        max_iterations: int = 2000,
        strict: bool = False,
    ) -> Hvp:
        """The derivative of ``gradient()`` along a direction of all parameters at once: exact at the
        returned pair, by one linear solve, 2 k + 2 passes for k iterations where points of one side move.

        Args:
            dx: (n, d) direction of the source points, or (k, n, d): k directions at once, which share
                their work; then all that is given has k of them, and results have them in front.
            dy: (m, d), of the target points.
            da: (n,), of the weights; 0 where the weight is 0. With two Balanced sides ``da`` and ``db``
                move the same mass.
            db: (m,).
            depsilon: of epsilon.
            drho_a, drho_b: of rho or lambda of a soft side.
            dmass: of the total mass, where there is one.
            wrt: what to return: some of 'x', 'y', 'a', 'b', 'epsilon', 'rho'.
            start: what ``hvp`` or ``jvp`` gave for a direction nearby, from which the linear solve starts.
            tolerance: of the linear solve, purely relative. In float32 about 5e-7 is reached.
            max_iterations: of the linear solve.
            strict: a ValueError where the solve does not converge, or where the solution is less exact
                than the tolerance asks.
        """
        directions = self._along(dx, dy, da, db, start)
        numbers = directions.numbers(depsilon=depsilon, drho_a=drho_a, drho_b=drho_b, dmass=dmass)
        *parts, in_epsilon, in_rho_a, in_rho_b, level, report = self._core.hvp(
            directions.count,
            *directions.arrays,
            *numbers,
            list(wrt),
            _core.SolveOptions(tolerance, max_iterations, strict),
            self._call(),
        )
        arrays = (self._answer(part, directions) for part in parts)
        strengths = (directions.number(part) for part in (in_epsilon, in_rho_a, in_rho_b, level))
        return Hvp._make([*arrays, *strengths, report])

    def _along(self, dx: Any, dy: Any, da: Any, db: Any, start: Hvp | Jvp | None) -> _Directions:
        df, dg = (None, None) if start is None else _moves(start)
        return _Directions(
            self._dtype, dx=(dx, 3), dy=(dy, 3), da=(da, 2), db=(db, 2), df=(df, 2), dg=(dg, 2)
        )

    def _answer(self, part: Any, directions: _Directions) -> Any:
        if part is None:
            return None
        found = self._to(part)
        return found if directions.several else found[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self._core.n}, m={self._core.m}, dtype={self._dtype})"


class Linearization(_Products):
    """A solution and its first derivatives, from which all others are solved: see
    ``Solution.linearize``. The same object serves any number of products."""

    @property
    def marginal_error(self) -> float:
        """L1 distance of the plan's marginals from what optimality asks for, over the mass."""
        return float(self._core.marginal_error)

    @property
    def tv_margin(self) -> float:
        """How far the potentials of TV sides are from their kinks, in units of cost; else infinite."""
        return float(self._core.tv_margin)

    def jvp(
        self,
        dx: Any = None,
        dy: Any = None,
        da: Any = None,
        db: Any = None,
        *,
        depsilon: float | Sequence[float] = (),
        drho_a: float | Sequence[float] = (),
        drho_b: float | Sequence[float] = (),
        dmass: float | Sequence[float] = (),
        start: Hvp | Jvp | None = None,
        tolerance: float = 1e-8,
        max_iterations: int = 2000,
        strict: bool = False,
    ) -> Jvp:
        """How potentials, marginals, images and transport cost move along a direction; arguments as in
        ``hvp``. Potentials plus t times theirs are a good ``start=`` for a problem moved by t."""
        directions = self._along(dx, dy, da, db, start)
        numbers = directions.numbers(depsilon=depsilon, drho_a=drho_a, drho_b=drho_b, dmass=dmass)
        *parts, cost, level, report = self._core.jvp(
            directions.count,
            *directions.arrays,
            *numbers,
            _core.SolveOptions(tolerance, max_iterations, strict),
            self._call(),
        )
        arrays = (self._answer(part, directions) for part in parts)
        return Jvp._make([*arrays, directions.number(cost), directions.number(level), report])

    def vjp(
        self,
        potential_a: Any = None,
        potential_b: Any = None,
        marginal_a: Any = None,
        marginal_b: Any = None,
        a_to_b: Any = None,
        *,
        value_linear: float | Sequence[float] = (),
        wrt: Sequence[str] = ("x", "y", "a", "b"),
        tolerance: float = 1e-8,
        max_iterations: int = 2000,
        strict: bool = False,
    ) -> Vjp:
        """The transpose of ``jvp``: derivatives of <cotangent, result> in what ``wrt`` names, some of 'x',
        'y', 'a', 'b', 'epsilon', 'rho'. Cotangents have the shapes of the results, or k of them in
        front, and are 0 at points of weight 0."""
        given = _Directions(
            self._dtype,
            potential_a=(potential_a, 2),
            potential_b=(potential_b, 2),
            marginal_a=(marginal_a, 2),
            marginal_b=(marginal_b, 2),
            a_to_b=(a_to_b, 3),
        )
        dx, dy, da, db, depsilon, drho_a, drho_b, dmass, report = self._core.vjp(
            given.count,
            *given.arrays,
            *given.numbers(value_linear=value_linear),
            list(wrt),
            _core.SolveOptions(tolerance, max_iterations, strict),
            self._call(),
        )
        arrays = (self._answer(part, given) for part in (dx, dy, da, db))
        numbers = (given.number(part) for part in (depsilon, drho_a, drho_b, dmass))
        return Vjp._make([*arrays, *numbers, report])

    def inverse_hvp(
        self,
        right: Any,
        of: str = "x",
        *,
        tolerance: float = 1e-6,
        max_iterations: int = 100,
        radius: float = math.inf,
        inner_tolerance: float = 1e-8,
        inner_iterations: int = 2000,
    ) -> InverseHvp:
        """z with ``H z = right``, H the Hessian of the value in the points of one side, 'x' or 'y', by
        conjugate gradients on Hessian products.

        H need not be positive: where conjugate gradients meet a direction of curvature <= 0 they end
        with the iterate before it (``right`` itself at the first), so that -z descends for a gradient.
        With a ``radius`` z stays within it (Steihaug), and such a direction leads to its boundary.

        Args:
            right: (n, d), for a Newton direction the gradient.
            of: 'x' or 'y'.
            tolerance: of the residual over the right-hand side.
            max_iterations: products.
            radius: of the Euclidean norm of z.
            inner_tolerance, inner_iterations: of the linear solve in each product.
        """
        side = _side(of)
        given = _Directions(self._dtype, right=(right, 3))
        if given.count != 1:
            raise InvalidArgument("[inverse_hvp] right holds several, wanted one", "right")
        inner = _core.SolveOptions(inner_tolerance, inner_iterations, False)
        options = _core.InverseOptions(tolerance, max_iterations, radius, inner)
        z, report = self._core.inverse_hvp(side, given.arrays[0], options, self._call())
        return InverseHvp(self._to(z)[0], report)

    def hessian(self, of: str = "x", *, limit: int = _core.DENSE_LIMIT) -> Any:
        """The dense Hessian of the value in the points of one side, (n, d, n, d): 'x' or 'y'. A
        ValueError above ``limit`` entries, before anything is allocated: then take ``hvp``."""
        value, _ = self._core.hessian(_side(of), limit, self._call())
        return self._to(value)


class DivergenceLinearization(_Products):
    """A divergence and its first derivatives: see ``Divergence.linearize``. Of its products ``df`` and
    ``dg`` are those of the plan's potentials."""


def _moves(start: Hvp | Jvp) -> tuple[Any, Any]:
    return (
        (start.df, start.dg) if isinstance(start, Hvp) else (start.potential_a, start.potential_b)
    )


def _side(of: str) -> _core.Side:
    if of not in ("x", "y"):
        raise InvalidArgument(f"[derivatives] of is {of!r}, wanted 'x' or 'y'", "of")
    return _core.Side.source if of == "x" else _core.Side.target


class _Directions:
    """Arrays of one direction, or of several in front."""

    def __init__(self, dtype: np.dtype[Any], **given: tuple[Any, int]):
        arrays = {
            name: as_array(value, name).astype(dtype, copy=False)
            for name, (value, _) in given.items()
            if value is not None
        }
        self.several = any(array.ndim == given[name][1] for name, array in arrays.items())
        for name, array in arrays.items():
            wanted = given[name][1] - (0 if self.several else 1)
            if array.ndim != wanted:
                raise InvalidArgument(
                    f"[derivatives] {name} has shape {array.shape}, wanted {wanted} dimensions"
                    + (", as another argument holds several directions" if self.several else ""),
                    name,
                )
        counts = {array.shape[0] for array in arrays.values()} if self.several else {1}
        if len(counts) > 1:
            raise InvalidArgument(
                f"[derivatives] {' and '.join(arrays)} hold {sorted(counts)} directions, wanted the same",
                next(iter(arrays)),
            )
        self.count = counts.pop()
        self.arrays = [
            None if name not in arrays else arrays[name] if self.several else arrays[name][None]
            for name in given
        ]

    def numbers(self, **given: float | Sequence[float]) -> list[list[float]]:
        """Numbers, one for each direction or the same for all; none stay none."""
        out = []
        for value in given.values():
            flat = np.atleast_1d(np.asarray(value, np.float64))
            out.append(list(np.repeat(flat, self.count) if flat.size == 1 else flat))
        return out

    def number(self, values: list[float]) -> Any:
        """Of one direction a float, of several an array; None where there are none."""
        if not values:
            return None
        return np.array(values) if self.several else values[0]
