"""Solutions from files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _core
from ._arrays import as_array, cost_matrix, framework_of, matrix, vector
from ._keywords import thread_count
from ._labels import Labelled
from ._lattice_solution import LatticeSolution
from ._solution import Cost, Solution


def _flat(masses: Any, name: str) -> Any:
    return as_array(masses, name).reshape(-1)


def _labelled(saved: Any, x: Any, y: Any) -> Labelled:
    labels_x, labels_y, table, columns, lambda_x, lambda_y = saved.labels
    source = saved.x.reshape(len(labels_x), -1) if x is None else x
    target = saved.y.reshape(len(labels_y), -1) if y is None else y
    table = table.reshape(-1, columns)
    arguments = source, labels_x, target, labels_y, table, lambda_x, lambda_y
    return Labelled(saved.labelled(x, y), arguments, source, target)


def load(
    path: Any,
    *,
    x: Any = None,
    y: Any = None,
    C: Any = None,
    a: Any = None,
    b: Any = None,
    threads: int | None = None,
) -> Solution:
    """The solution that ``Solution.save`` wrote to ``path``, on the CPU: the same potentials, report and
    plan, bit for bit.

    Args:
        path: the .npz file.
        x, y, a, b: points and weights, or masses on grids, for a file saved without them.
        C: the cost matrix, which no file holds. Arrays that are given are checked by a hash of their
            values against those that were solved; results come in the kind of the first of them.
        threads: as in ``solve``.

    Raises:
        InvalidArgument: (a ValueError) an array is missing, or another than the one that was solved.
        IoError: (an OSError) the file cannot be read, is no solution, or was written by a newer monge.
    """
    count = thread_count(threads)
    saved: Any = _core.load(os.fspath(path))
    dtype = np.dtype(np.float32 if isinstance(saved, _core.SavedSolutionF32) else np.float64)
    if saved.shapes is not None:
        a, b = (None if of is None else _flat(of, name) for of, name in ((a, "a"), (b, "b")))
    on_x = None if x is None else matrix(x, "x", dtype)
    on_y = None if y is None else matrix(y, "y", dtype)
    labelled = None if saved.labels is None else _labelled(saved, on_x, on_y)
    problem = saved.problem(
        on_x,
        on_y,
        None if C is None else cost_matrix(C).astype(dtype, copy=False),
        vector(a, "a", dtype),
        vector(b, "b", dtype),
        None if labelled is None else labelled.core,
    )
    epsilon = saved.options.epsilon
    weights = saved.reference_weights or (None, None)
    referenced = (
        None
        if saved.reference == "product"
        else _core.with_reference(problem, epsilon, weights[0], weights[1])
    )
    cost: Cost | None = None
    if saved.cost is not None:
        cost = saved.cost if saved.cost[0] == "power" else saved.cost[0]
    if labelled is not None:
        cost = "sqeuclidean"
    given = [array for array in (x, y, C, a, b) if array is not None]
    kind = Solution if saved.shapes is None else LatticeSolution
    solution = kind(
        problem,
        referenced,
        saved.result,
        cost=cost,
        epsilon=epsilon,
        reference=saved.reference,
        to=framework_of(*given),
        threads=count,
        dtype=np.dtype(saved.given_type),
        options=saved.options,
        reference_weights=weights,
        labelled=labelled,
    )
    if isinstance(solution, LatticeSolution):
        solution._shapes = tuple(saved.shapes[0]), tuple(saved.shapes[1])
    return solution
