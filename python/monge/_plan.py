"""The transport plan as an operator: applied, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import ToFramework, as_array, framework_of, matrix, new_points, rounded_to
from ._device import current_stream
from ._errors import InvalidArgument, NotAvailable

CorePlan = _core.PlanF32 | _core.PlanF64


class Images(NamedTuple):
    """Barycentric images and where they are averages under the plan itself."""

    points: Any  #: (n, k), an average of the other side's values at every point
    valid: Any  #: (n,) booleans: whether the row carries mass; elsewhere the softmax form stands in


class Moments(NamedTuple):
    """Conditional mean and covariance of the other side's values, given each row."""

    mean: Any  #: (n, k)
    covariance: Any  #: (n, k, k)


class Pairs(NamedTuple):
    """Indices of drawn pairs."""

    source: Any  #: (k,) int64
    target: Any  #: (k,) int64


@dataclass(frozen=True)
class SparsePlan:
    """Rows of a plan in CSR: columns ``indices[indptr[i]:indptr[i+1]]`` and their P_ij in ``data``."""

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    share: float | None = (
        None  #: of the plan's mass, that is kept, where a rule of ``sparse`` chose
    )

    def to_scipy(self) -> Any:
        """The same as a ``scipy.sparse.csr_array``; needs scipy."""
        from scipy.sparse import csr_array

        return csr_array(
            (np.asarray(self.data), np.asarray(self.indices), np.asarray(self.indptr)), self.shape
        )

    def __repr__(self) -> str:
        return f"SparsePlan(shape={self.shape}, stored={len(self.data)})"


class _Rows:
    """What a plan and its transpose share: every operation streams over all pairs, nothing of size
    n x m is ever allocated but by ``dense``. A float32 plan answers in float32, also where it was
    solved and is computed in float64."""

    def __init__(
        self,
        core: CorePlan,
        side: _core.Side,
        to: ToFramework,
        threads: int,
        referenced: bool,
        dtype: np.dtype[Any],
        points: tuple[Any, Any] | None,
    ):
        self._core = core
        self._side = side
        self._points = points
        self._to = rounded_to(dtype, to)
        self._threads = threads
        self._referenced = referenced
        self.dtype = dtype
        """float32 or float64."""

    @property
    def _computed_in(self) -> np.dtype[Any]:
        return np.dtype(np.float32 if isinstance(self._core, _core.PlanF32) else np.float64)

    def _values(self, given: Any) -> Any:
        """Those given on the other side; of labelled points the points themselves; None: all points."""
        if given is None and self._points is not None:
            given = self._points[self._side == _core.Side.source]
        return None if given is None else matrix(given, "values", self._computed_in)

    def _new_points(self, z: Any) -> Any:
        if self._points is not None:
            raise NotAvailable("[plan] new points have no labels")
        return new_points(z, self.dtype).astype(self._computed_in, copy=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self._core.n, self._core.m
        return (n, m) if self._side == _core.Side.source else (m, n)

    @property
    def truncation(self) -> float:
        """A bound on what the marginals lose to pairs that are left out, over the mass; 0: all are there."""
        return self._core.truncation

    def _call(self) -> _core.Call:
        return _core.Call(self._threads, stream=current_stream(self._core.device))

    def _product_only(self, what: str) -> None:
        if self._referenced:
            raise NotAvailable(f"[plan] {what} is known for the product reference alone")

    def __matmul__(self, values: Any) -> Any:
        """``P @ V`` for signed V of shape (m,) or (m, k), in the kind of V; one pass."""
        return self._product(self._core, self._side, values)

    def _product(self, core: Any, side: _core.Side, values: Any) -> Any:
        array = as_array(values, "V")
        columns = array[:, None] if array.ndim == 1 else array
        out = core.apply(side, matrix(columns, "V", self._computed_in), self._call())
        to = rounded_to(self.dtype, framework_of(values))
        if array.ndim == 2:
            return to(out)
        # What is on a GPU is an array that can be indexed only once the framework has it.
        return to(out[:, 0]) if isinstance(out, np.ndarray) else to(out)[:, 0]

    def marginal(self) -> Any:
        """(n,) sums of the rows; one pass."""
        return self._to(self._core.marginal(self._side, self._call()))

    def barycentric(self, values: Any = None) -> Images:
        """Averages of the other side's points (or of ``values`` (m, k)) under each row of the plan.

        Where a row carries no mass (its weight is 0 or it underflows) the average takes the weights'
        limit, so that images are finite averages at every point; ``valid`` tells these rows.
        Without values NotAvailable on a cost matrix, which has no points.
        """
        given = self._values(values)
        images, valid = self._core.barycentric(self._side, given, self._call())
        return Images(self._to(images), self._to(valid))

    def moments(self, values: Any = None) -> Moments:
        """Conditional mean (n, k) and covariance (n, k, k) of the other side's points, or of values
        (m, k) given there, under each row; one pass."""
        given = self._values(values)
        mean, covariance = self._core.moments(self._side, given, self._call())
        return Moments(self._to(mean), self._to(covariance))

    def potential(self, z: Any) -> Any:
        """(k,) potential at new points z (k, d) of this side: the half-step there, in units of the
        cost. NotAvailable on a cost matrix and under a reference other than the product."""
        self._product_only("a potential at new points")
        out = self._core.potential(self._side, self._new_points(z), self._call())
        return rounded_to(self.dtype, framework_of(z))(out)

    def map(self, z: Any) -> Any:
        """(k, d) images of new points z (k, d) of this side: the entropic map
        ``sum_j w_j y_j / sum_j w_j``, ``w_j = b_j exp((g_j - c(z, y_j))/epsilon)``; on a training point it
        equals ``barycentric``. On a periodic axis of grids each y_j is taken the shorter way round from
        z. NotAvailable on a cost matrix."""
        out = self._core.map(self._side, self._new_points(z), self._call())
        return rounded_to(self.dtype, framework_of(z))(out)

    def dense(self, limit: int = _core.DENSE_LIMIT) -> Any:
        """The (n, m) array; a ValueError above ``limit`` entries, before anything is allocated."""
        out = self._core.dense(limit, self._call())
        if self._side == _core.Side.source:
            return self._to(out)
        return self._to(out.T) if isinstance(out, np.ndarray) else self._to(out).T


class TransposedPlan(_Rows):
    """``P^T``: rows are target points."""

    @property
    def T(self) -> Plan:
        return Plan(self._core, self._to, self._threads, self._referenced, self.dtype, self._points)

    def __repr__(self) -> str:
        return f"TransposedPlan(shape={self.shape}, dtype={self.dtype})"


class Plan(_Rows):
    """``P_ij = a_i b_j exp((f_i + g_j - C_ij)/epsilon)``: rows are source points, columns targets.

    The plan reads the caller's arrays where they were taken without a copy: leave them as they are
    while it is in use.
    """

    def __init__(
        self,
        core: CorePlan,
        to: ToFramework,
        threads: int,
        referenced: bool,
        dtype: np.dtype[Any],
        points: tuple[Any, Any] | None = None,
    ):
        super().__init__(core, _core.Side.source, to, threads, referenced, dtype, points)

    @property
    def T(self) -> TransposedPlan:
        """The transpose, an operator again."""
        return TransposedPlan(
            self._core,
            _core.Side.target,
            self._to,
            self._threads,
            self._referenced,
            self.dtype,
            self._points,
        )

    @property
    def terms(self) -> _core.PlanTerms:
        """The parts of the objective: ``linear`` <P, C>, ``entropy`` KL(P | a b^T), ``penalty_a`` and
        ``penalty_b``; one pass. NotAvailable under a reference other than the product."""
        self._product_only("the terms of the objective")
        return self._core.terms(self._call())

    @property
    def value(self) -> float:
        """The dual objective at the plan's potentials: a lower bound, exact at the optimum; one pass.
        NotAvailable under a reference other than the product."""
        self._product_only("the value of a plan")
        return self._core.value(self._call())

    def top_k(self, k: int) -> SparsePlan:
        """The k largest entries of each row, by falling value (ties: the lower column); one pass."""
        return self._sparse(self._core.top_k(k, self._call()))

    def sparse(
        self,
        threshold: float | None = None,
        limit: int = _core.DENSE_LIMIT,
        *,
        percentile: float | None = None,
        min_row: bool = False,
        mass: float | None = None,
    ) -> SparsePlan:
        """The entries that one rule keeps, columns ascending; ties at the rule's threshold all stay.

        Args:
            threshold: all ``P_ij >= threshold > 0``; two passes.
            limit: a ValueError where more entries would be kept.
            percentile: what is at least this percentile, in [0, 100), of all n m entries.
            min_row: what is at least the least of the rows' largest entries: no row is lost.
            mass: the fewest of the largest entries that carry this share, in (0, 1], of the mass.

        The result's ``share`` tells, but for a threshold, what part of the mass is kept.
        """
        rules = {"threshold": threshold, "percentile": percentile, "mass": mass}
        given = {name: float(value) for name, value in rules.items() if value is not None}
        if min_row:
            given["min_row"] = 0.0
        if len(given) != 1:
            raise InvalidArgument(
                "[plan] sparse: wanted exactly one of threshold, percentile, min_row, mass; got "
                + (", ".join(given) or "none"),
                "threshold",
            )
        ((rule, value),) = given.items()
        if rule == "threshold":
            return self._sparse(self._core.sparse(value, limit, self._call()))
        parts, share = self._core.sparsify(rule, value, limit, self._call())
        return self._sparse(parts, share)

    def draw_pairs(self, k: int, seed: int = 0) -> Pairs:
        """k pairs (i, j) drawn from P over its mass; the same seed and plan give the same pairs."""
        source, target = self._core.draw_pairs(k, seed, self._call())
        return Pairs(self._to(source), self._to(target))

    def draw_targets(self, k: int, seed: int = 0) -> Any:
        """(n, k) targets drawn for every source given its row; -1 where the row carries no mass."""
        return self._to(self._core.draw_targets(k, seed, self._call()))

    def then(self, other: Plan) -> ComposedPlan:
        """``P diag(1/m) Q``, Q the other plan and m its row sums, as an operator: what arrives at a point
        goes on as Q sends what it has there. The target of P and the source of Q must be the same
        measure; plans of one type on one device.
        """
        return ComposedPlan._of((self,)).then(other)

    def _sparse(self, parts: tuple[Any, Any, Any], share: float | None = None) -> SparsePlan:
        offsets, columns, values = parts
        return SparsePlan(self._to(values), self._to(columns), self._to(offsets), self.shape, share)

    def __repr__(self) -> str:
        return f"Plan(shape={self.shape}, dtype={self.dtype})"


class ComposedPlan:
    """Plans one after the other, an operator: products, marginals, ``dense``, and ``then`` again."""

    def __init__(self, plans: tuple[Plan, ...], core: Any, side: _core.Side):
        self._plans = plans
        self._core = core
        self._side = side
        self.dtype = plans[0].dtype
        """float32 or float64."""

    @staticmethod
    def _of(plans: tuple[Plan, ...]) -> ComposedPlan:
        core: Any = None
        if len(plans) > 1:
            first = plans[0]
            for plan in plans[1:]:
                if type(plan._core) is not type(first._core):
                    raise InvalidArgument(
                        f"[composition] a plan of {first._computed_in} meets one of {plan._computed_in}: "
                        "solve both in one type",
                        "other",
                    )
            cores: Any = [plan._core for plan in plans]
            core = _core.compose(cores, first._call())
        return ComposedPlan(plans, core, _core.Side.source)

    def then(self, other: Plan) -> ComposedPlan:
        """Composed with one more plan; see ``Plan.then``."""
        if not isinstance(other, Plan) or self._side == _core.Side.target:
            raise InvalidArgument(
                f"[composition] wanted a plan after plans, got {type(other).__name__}"
                + (" after a transpose" if self._side == _core.Side.target else ""),
                "other",
            )
        return ComposedPlan._of((*self._plans, other))

    @property
    def T(self) -> ComposedPlan:
        """The transpose."""
        side = _core.Side.source if self._side == _core.Side.target else _core.Side.target
        return ComposedPlan(self._plans, self._core, side)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self._core.n, self._core.m
        return (n, m) if self._side == _core.Side.source else (m, n)

    def __matmul__(self, values: Any) -> Any:
        """Its product with signed V of shape (m,) or (m, k), in the kind of V; a pass over each plan."""
        return self._plans[0]._product(self._core, self._side, values)

    def marginal(self) -> Any:
        """(n,) sums of the rows; a pass over each plan."""
        first = self._plans[0]
        return first._to(self._core.marginal(self._side, first._core.device, first._call()))

    def dense(self, limit: int = _core.DENSE_LIMIT) -> Any:
        """The (n, m) array; a ValueError above ``limit`` entries, before anything is allocated."""
        first = self._plans[0]
        out = self._core.dense(limit, first._core.device, first._call())
        if self._side == _core.Side.source:
            return first._to(out)
        return first._to(out.T) if isinstance(out, np.ndarray) else first._to(out).T

    def __repr__(self) -> str:
        return f"ComposedPlan(shape={self.shape}, plans={len(self._plans)}, dtype={self.dtype})"
