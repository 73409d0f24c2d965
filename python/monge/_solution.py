"""What a solve returns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import ToFramework, rounded_to
from ._derivatives import Linearization
from ._device import current_stream
from ._errors import InvalidArgument, NotAvailable
from ._labels import Labelled
from ._marginals import Balanced, Marginal, from_spec
from ._plan import Images, Plan

Cost = str | tuple[str, float]
_ALL = ("x", "y", "a", "b", "epsilon", "rho")

_BASIS = (
    "Cuturi 2013, Sinkhorn distances; Chizat, Peyre, Schmitzer, Vialard 2018, Scaling algorithms for "
    "unbalanced optimal transport"
)
_TRANSLATION = (
    "Sejourne, Vialard, Peyre 2022, Faster unbalanced optimal transport, arXiv 2201.00730"
)
_RELAXATION = "Thibault, Chizat, Dossal, Papadakis 2017, Overrelaxed Sinkhorn-Knopp algorithm, arXiv 1711.01851"


class Gradient(NamedTuple):
    """Derivatives of the value by the envelope theorem at the returned pair; error O(residual).

    With two Balanced sides ``da`` and ``db`` are defined up to a constant (c, -c).
    """

    dx: Any  #: (n, d); None on a cost matrix, whose derivative in C is the plan
    dy: Any  #: (m, d), or None
    da: Any  #: (n,), or None
    db: Any  #: (m,), or None
    depsilon: float  #: KL(P | a b^T)
    drho_a: float  #: KL(p | a) of a KL side, sum |p - a| of a TV side, else 0
    drho_b: float


class Solution:
    """A solved problem: value, potentials, plan, report, and the problem itself.

    Scalars are floats of double precision whatever the arrays are; arrays come in the caller's kind
    and type. ``value``, residuals, marginals and gradients all belong to the same pair of potentials,
    the last one checked. Properties marked *lazy* take one pass over all pairs at first use; they read
    the caller's arrays where these were taken without a copy, so leave them as they are until then.
    """

    def __init__(
        self,
        problem: Any,
        referenced: Any,
        result: Any,
        *,
        cost: Cost | None,
        epsilon: float,
        reference: str,
        to: ToFramework,
        threads: int,
        dtype: np.dtype[Any],
        options: _core.SinkhornOptions | None = None,
        reference_weights: tuple[Any, Any] = (None, None),
        labelled: Labelled | None = None,
    ):
        # The equivalent result goes on making plans; the one that was asked for is shown.
        self._problem = problem
        self._referenced = referenced
        self._solved = result
        self._result = result if referenced is None else referenced.to_asked(result)
        self._report: _core.SinkhornReport = self._result.report
        self._to = rounded_to(dtype, to)
        self._dtype = dtype
        self._threads = threads
        self._options = options
        self._reference_weights = reference_weights
        self._labelled = labelled
        self.cost = cost
        """The cost, as the keyword names it; None for a cost matrix."""
        self.epsilon = epsilon
        """Strength of the entropy, in units of the cost."""
        self.reference = reference
        """'product', 'counting' or 'custom'."""

    @cached_property
    def _core_plan(self) -> Any:
        problem = self._problem if self._referenced is None else self._referenced.problem
        return _core.plan(problem, self._solved)

    @property
    def _may_widen(self) -> bool:
        """Whether precision 'double' would have solved in more than was."""
        mixed = self._options is not None and self._options.precision == _core.Precision.mixed
        single = isinstance(self._solved, _core.SinkhornResultF32)
        return single or mixed or self._dtype == np.float32

    def _call(self) -> _core.Call:
        return _core.Call(self._threads, stream=current_stream(self._problem.device))

    @cached_property
    def _a_to_b(self) -> Images:
        return self.plan.barycentric()

    @cached_property
    def _b_to_a(self) -> Images:
        return self.plan.T.barycentric()

    # ---- the answer

    @property
    def value(self) -> float:
        """The dual objective at the returned pair: a lower bound of the optimum, its error quadratic in
        the residual; in units of the cost times mass."""
        return self._report.dual_value

    @cached_property
    def value_linear(self) -> float:
        """<P, C>, the transport cost alone. Lazy."""
        return float(self._core_plan.terms(self._call()).linear)

    @property
    def potential_a(self) -> Any:
        """f, (n,), in units of the cost. Two Balanced sides: gauge ``m_b sum a f = m_a sum b g``."""
        return self._to(self._result.f)

    @property
    def potential_b(self) -> Any:
        """g, (m,), in units of the cost."""
        return self._to(self._result.g)

    @property
    def potentials(self) -> tuple[Any, Any]:
        """(f, g)."""
        return self.potential_a, self.potential_b

    @cached_property
    def marginal_a(self) -> Any:
        """P 1, (n,): the mass that each source sends. Lazy."""
        return self.plan.marginal()

    @cached_property
    def marginal_b(self) -> Any:
        """P^T 1, (m,): the mass that each target receives. Lazy."""
        return self.plan.T.marginal()

    @property
    def transported_mass(self) -> float:
        """Sum of the plan."""
        return self._report.transported_mass

    @cached_property
    def plan(self) -> Plan:
        """The plan as an operator: ``plan @ V``, ``plan.T @ U``, ``plan.top_k(k)``, ..."""
        referenced = self._referenced is not None
        points = None
        if self._labelled is not None:
            points = self._labelled.source, self._labelled.target
        return Plan(self._core_plan, self._to, self._threads, referenced, self._dtype, points)

    @property
    def a_to_b(self) -> Any:
        """Barycentric images of the source points, (n, d): finite averages of target points at every
        source, also where it sends nothing (see ``a_to_b_valid``). Lazy; NotAvailable on a cost matrix."""
        return self._a_to_b.points

    @property
    def a_to_b_valid(self) -> Any:
        """(n,) booleans: whether the source sends mass. Lazy."""
        return self._a_to_b.valid

    @property
    def b_to_a(self) -> Any:
        """Barycentric images of the target points, (m, d). Lazy; NotAvailable on a cost matrix."""
        return self._b_to_a.points

    @property
    def b_to_a_valid(self) -> Any:
        """(m,) booleans: whether the target receives mass. Lazy."""
        return self._b_to_a.valid

    def gradient(self, wrt: Sequence[str] | None = None) -> Gradient:
        """Derivatives of the value in points, weights, epsilon and strengths: a pass for each side's points.

        Args:
            wrt: names among 'x', 'y', 'a', 'b', 'epsilon' and 'rho', what is wanted; the rest is None, or 0. None: all.
        """
        wanted = _ALL if wrt is None else tuple(wrt)
        if unknown := [name for name in wanted if name not in _ALL]:
            raise InvalidArgument(
                f"[gradient] wrt holds {unknown[0]!r}, wanted some of {', '.join(map(repr, _ALL))}",
                "wrt",
            )
        if self._labelled is not None:
            if self._referenced is not None:
                raise NotAvailable(
                    "[gradient] of labelled points it is known for the product reference alone"
                )
            parts = self._labelled.core.gradient(self._core_plan, self._call())
        elif self._referenced is None:
            parts = _core.gradient(
                self._core_plan, None if wrt is None else list(wanted), self._call()
            )
        else:
            parts = _core.gradient(self._core_plan, self._referenced, self._call())
        dx, dy, da, db = (
            self._to(part) if part is not None and name in wanted else None
            for name, part in zip("xyab", parts[:4], strict=True)
        )
        depsilon = parts[4] if "epsilon" in wanted else 0.0
        drho_a, drho_b = parts[5:] if "rho" in wanted else (0.0, 0.0)
        return Gradient(dx, dy, da, db, depsilon, drho_a, drho_b)

    def linearize(self, *, kernel_cache: int | None = None) -> Linearization:
        """The solution and its first derivatives, for Hessian products (``.hvp``): three passes. Solve
        to a small ``tolerance``, as derivatives inherit the marginal error; they read the caller's
        arrays where these were taken without a copy. Of grids arrays are flat, in C order, and points
        stand still.

        Args:
            kernel_cache: bytes that a CPU may keep a kernel of size n x m in for each side that is solved
                for, from the first product on, which iterations then read; 0: nothing of that size exists.
                None: 512 MiB.

        Raises:
            NotAvailable: (a NotImplementedError) for labels and another reference than the product.
            InvalidArgument: (a ValueError) a potential of a TV side, or an entry with a lower bound, is
                on its kink.
        """
        if self._labelled is not None or self._referenced is not None:
            raise NotAvailable(
                "[derivatives] second derivatives are known without labels, for the product reference"
            )
        core = _core.linearize(self._core_plan, kernel_cache, self._call())
        dtype = np.dtype(np.float32 if isinstance(core, _core.LinearizationF32) else np.float64)
        return Linearization(core, self._to, self._threads, dtype)

    def save(self, path: Any, *, points: bool = True) -> None:
        """Writes the solution to one .npz file, at once: pair, report, how the problem was posed, and
        with ``points`` its points and weights, O((n + m) d); never a cost matrix. ``monge.load`` brings
        it back, its plan bit for bit; ``start=`` takes it.

        Raises:
            IoError: (an OSError) the file cannot be written.
        """
        r_a, r_b = self._reference_weights
        _core.save(
            os.fspath(path),
            self._problem,
            self._solved,
            self._options or _core.SinkhornOptions(),
            points,
            self._dtype.name,
            self.reference,
            r_a,
            r_b,
            None if self._labelled is None else self._labelled.arguments,
        )

    # ---- the report

    @property
    def status(self) -> str:
        """'converged', 'max_iterations', 'precision_floor', 'diverged' or 'stopped'."""
        return self._report.status

    @property
    def converged(self) -> bool:
        """Whether the returned pair meets the tolerance at the target epsilon."""
        return self._report.converged

    @property
    def marginal_error(self) -> float:
        """(residual_a + residual_b) / transported_mass."""
        return self._report.marginal_error

    @property
    def residual_a(self) -> float:
        """L1 distance of the plan's marginal from the one that f asks for."""
        return self._report.residual_a

    @property
    def residual_b(self) -> float:
        """L1 distance of the plan's marginal from the one that g asks for."""
        return self._report.residual_b

    @property
    def duality_gap(self) -> float:
        """Primal minus dual at the returned pair; infinite where a Balanced marginal is not exact."""
        return self._report.duality_gap

    @property
    def iterations(self) -> int:
        """Iterations spent, annealing included; one updates both potentials."""
        return self._report.iterations

    @property
    def passes(self) -> int:
        """Sweeps over all pairs."""
        return self._report.passes

    @property
    def phases(self) -> list[_core.SinkhornPhase]:
        """What ran, in order: name, passes (a subsample's by their share of the pairs), steps, and why it began."""
        return self._report.phases

    @property
    def predicted_floor(self) -> float:
        """The marginal error below which rounding may keep the solve from going."""
        return self._report.predicted_floor

    @property
    def absorbed(self) -> int:
        """How many of the passes read a kernel kept in memory, see kernel_cache."""
        return self._report.absorbed

    @property
    def weight_error(self) -> float:
        """With precision 'fast' the estimated relative error of the plan's weights by one half-step; else 0."""
        return self._report.weight_error

    @property
    def fast_passes(self) -> int:
        """Of the passes, those in precision 'fast': all of them there, the first with schedule 'staged'."""
        return self._report.fast_passes

    @property
    def geometry(self) -> str:
        """Which pairs a sweep visited: 'dense', all, or 'tree'."""
        return self._report.geometry

    @property
    def kept(self) -> float:
        """Of the pairs, those that the last sweep visited."""
        return self._report.kept

    @property
    def truncation(self) -> float:
        """A bound on what the marginals lose to pairs that are left out, over the transported mass; counted as
        residual. The plan and all that is read from it lose no more."""
        return self._report.truncation

    @property
    def verified(self) -> float:
        """With verify=True what the target's marginal does lose to them, measured; else NaN."""
        return self._report.verified

    @property
    def coarse_passes(self) -> int:
        """Sweeps over nodes of the trees, which made the start; not among the passes."""
        return self._report.coarse_passes

    @cached_property
    def trace(self) -> tuple[_core.SinkhornCheck, ...]:
        """Every check, oldest first, levels of the annealing included."""
        return tuple(self._report.trace)

    # ---- the problem that was solved

    @property
    def marginals(self) -> tuple[Marginal, Marginal]:
        """Both marginals as they acted: an infinite strength has become Balanced."""
        return from_spec(self._problem.marginal_a), from_spec(self._problem.marginal_b)

    @property
    def masses(self) -> tuple[float, float]:
        """Sums of the weights, never normalised."""
        return self._problem.mass_a, self._problem.mass_b

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self._problem.n, self._problem.m

    @property
    def citation(self) -> str:
        """Papers that the methods used here come from."""
        papers = [_BASIS]
        if any(side != Balanced() for side in self.marginals):
            papers.append(_TRANSLATION)
        if self._report.omega != 1:
            papers.append(_RELAXATION)
        return "; ".join(papers)

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"Solution({n} x {m}, {self.status}: value={self.value:.8g}, "
            f"transported_mass={self.transported_mass:.6g}, marginal_error={self.marginal_error:.2e}, "
            f"iterations={self.iterations}, epsilon={self.epsilon:.4g})"
        )
