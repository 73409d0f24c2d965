"""Second derivatives of a solution, and those of its potentials and maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import ToFramework, as_array
from ._device import current_stream
from ._errors import InvalidArgument

CoreLinearization = _core.LinearizationF32 | _core.LinearizationF64


class Hvp(NamedTuple):
    """A Hessian product: how the gradients and the potentials move along a direction. What was not
    asked for is None."""

    dx: Any  #: (n, d)
    dy: Any  #: (m, d)
    da: Any  #: (n,)
    db: Any  #: (m,)
    df: Any  #: (n,) of the potentials, in their gauge
    dg: Any  #: (m,)
    report: _core.DerivativeReport


class Linearization:
    """A solution and its first derivatives, from which all others are solved: see
    ``Solution.linearize``. The same object serves any number of products."""

    def __init__(
        self,
        core: CoreLinearization,
        to: ToFramework,
        threads: int,
        dtype: np.dtype[Any],
    ):
        self._core = core
        self._to = to
        self._threads = threads
        self._dtype = dtype

    @property
    def marginal_error(self) -> float:
        """L1 distance of the plan's marginals from what optimality asks for, over the mass."""
        return self._core.marginal_error

    @property
    def tv_margin(self) -> float:
        """How far the potentials of TV sides are from their kinks, in units of cost; else infinite."""
        return self._core.tv_margin

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
        wrt: Sequence[str] = ("x", "y", "a", "b"),
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
            wrt: what to return: some of 'x', 'y', 'a', 'b'.
            tolerance: of the linear solve, purely relative. In float32 about 5e-7 is reached.
            max_iterations: of the linear solve.
            strict: a ValueError where the solve does not converge, or where the solution is less exact
                than the tolerance asks.
        """
        directions = _Directions(self._dtype, dx=(dx, 3), dy=(dy, 3), da=(da, 2), db=(db, 2))
        numbers = directions.numbers(depsilon=depsilon, drho_a=drho_a, drho_b=drho_b)
        *parts, report = self._core.hvp(
            directions.count,
            *directions.arrays,
            *numbers,
            list(wrt),
            _core.SolveOptions(tolerance, max_iterations, strict),
            self._call(),
        )
        return Hvp(*(self._answer(part, directions) for part in parts), report)

    def _answer(self, part: Any, directions: _Directions) -> Any:
        if part is None:
            return None
        found = self._to(part)
        return found if directions.several else found[0]

    def __repr__(self) -> str:
        return f"Linearization(n={self._core.n}, m={self._core.m}, dtype={self._dtype})"


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
