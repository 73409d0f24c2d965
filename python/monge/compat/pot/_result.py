"""What POT's solvers return, in POT's units."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..._errors import NotAvailable
from ..._solution import Solution
from .._batch import Stacked
from .._kind import Kind
from .._tape import differentiable, refused

_VALUE_ONLY = (
    "[compat] {} carries no gradient: monge differentiates OTResult.value, by the envelope theorem; "
    "detach() what is not to be differentiated"
)


class LazyPlan:
    """Rows and columns of a plan that is never stored: ``lazy[i]``, ``lazy[i0:i1, j0:j1]``, ``lazy[:]``."""

    def __init__(self, solution: Solution, kind: Kind):
        self._plan = solution.plan
        self._kind = kind
        self.shape = solution.shape
        self.ndim = 2

    def __getitem__(self, key: Any) -> Any:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(rows, slice) and rows == slice(None):
            return self._kind(self._plan.dense())[:, columns]
        index = np.arange(self.shape[0])[rows]
        picks = np.zeros((self.shape[0], index.size))
        picks[index, np.arange(index.size)] = 1
        found = self._kind(self._plan.T @ self._kind(picks)).T  # row i of P is P^T e_i
        return (found[0] if index.ndim == 0 else found)[..., columns]

    def __matmul__(self, values: Any) -> Any:
        return self._plan @ values

    def __repr__(self) -> str:
        return f"LazyPlan(shape={self.shape})"


class OTResult:
    """The fields of POT's OTResult. Arrays come in the kind of the input and are computed when asked for.

    ``potentials`` are in POT's units: with Balanced sides the logarithms (log_u, log_v) of the scalings, so that
    ``plan = exp(log_u + log_v - M/reg)``; with unbalanced sides (log u, log v) beside the reference, so that
    ``plan = c exp(log_u + log_v - M/reg)``. ``solution`` is monge's own result.
    """

    value_quad = None

    def __init__(
        self,
        solution: Solution,
        kind: Kind,
        *,
        potentials: tuple[Any, Any],
        value: float,
        value_linear: Callable[[], float] | None = None,
        points: tuple[Any, Any] | None = None,
        inputs: Sequence[Any] = (),
        derivatives: Callable[[], Sequence[Any]] | None = None,
        detached: bool = False,
        log: dict[str, Any] | None = None,
    ):
        self.solution = solution
        self._kind = kind
        self._inputs = inputs  # those of a torch call that is recorded, else none
        self._detached = detached
        self._points = points
        self._linear = value_linear or (lambda: solution.value_linear)
        self.potentials = tuple(self._cut(p, "a potential") for p in potentials)
        plain = kind.scalar(value)
        if inputs and derivatives is not None:
            self.value = differentiable(plain, derivatives, inputs)
        else:
            what = "the value under a reference that is a matrix"
            self.value = refused(plain, _VALUE_ONLY.format(what), inputs) if inputs else plain
        self._log = log

    def _cut(self, result: Any, what: str) -> Any:
        if not self._inputs or self._detached:
            return result
        return refused(result, _VALUE_ONLY.format(what), self._inputs)

    @property
    def potential_a(self) -> Any:
        return self.potentials[0]

    @property
    def potential_b(self) -> Any:
        return self.potentials[1]

    @cached_property
    def value_linear(self) -> Any:
        """<P, M>."""
        return self._cut(self._kind.scalar(self._linear()), "value_linear")

    @cached_property
    def plan(self) -> Any:
        """The dense plan; a ValueError above monge's limit on its size: use ``lazy_plan`` there."""
        return self._cut(self._kind(self.solution.plan.dense()), "the plan")

    @property
    def lazy_plan(self) -> LazyPlan:
        return LazyPlan(self.solution, self._kind)

    @property
    def sparse_plan(self) -> Any:
        """The plan as a sparse matrix of the framework: scipy's CSR for NumPy, torch's COO for torch."""
        if self._kind.is_torch:
            return self.plan.to_sparse()
        if self._kind.xp is np:
            return importlib.import_module("scipy.sparse").csr_matrix(self.plan)
        raise NotAvailable("[pot] sparse_plan is known for NumPy and torch alone")

    @cached_property
    def marginal_a(self) -> Any:
        return self._cut(self._kind(self.solution.marginal_a), "a marginal")

    @cached_property
    def marginal_b(self) -> Any:
        return self._cut(self._kind(self.solution.marginal_b), "a marginal")

    @property
    def marginals(self) -> tuple[Any, Any]:
        return self.marginal_a, self.marginal_b

    @property
    def status(self) -> str:
        """monge's status, 'converged' or why not."""
        return self.solution.status

    @property
    def log(self) -> dict[str, Any]:
        """``err``: marginal_error at each check, ``niter``: iterations; a debiased result has its three parts."""
        if self._log is not None:
            return self._log
        return {
            "err": [check.marginal_error for check in self.solution.trace],
            "niter": self.solution.iterations,
        }

    @property
    def a_to_b(self) -> Any:
        """Displacements of the source points under the plan, as POT's documentation defines them."""
        return self._displacement(0)

    @property
    def b_to_a(self) -> Any:
        return self._displacement(1)

    def _displacement(self, side: int) -> Any:
        if self._points is None:
            raise NotAvailable("[pot] a cost matrix has no points to displace: use solve_sample")
        image = (self.solution.a_to_b, self.solution.b_to_a)[side]
        return self._kind(image) - self._kind(self._points[side])

    @property
    def citation(self) -> str:
        return self.solution.citation

    def __repr__(self) -> str:
        n, m = self.solution.shape
        return f"OTResult(value={float(self.value.detach() if self._kind.is_torch else self.value):.8g}, plan of {n} x {m}, status={self.status!r})"


class BatchResult(Stacked):
    """The fields of an OTResult, stacked over the problems of a batch. ``results`` are the single ones."""

    fields = (
        "value",
        "value_linear",
        "plan",
        "potentials",
        "potential_a",
        "potential_b",
        "marginals",
        "marginal_a",
        "marginal_b",
    )

    @property
    def status(self) -> list[str]:
        return [r.status for r in self.results]

    @property
    def log(self) -> dict[str, Any]:
        """``n_iter``: the most iterations that any of the problems took."""
        return {"n_iter": max(r.solution.iterations for r in self.results)}
