"""POT's entropic solvers, by POT's names, on monge.

    from monge.compat import pot as ot

``solve, solve_sample, solve_batch, solve_sample_batch, sinkhorn, sinkhorn2, sinkhorn_unbalanced,
sinkhorn_unbalanced2`` and the modules ``bregman, unbalanced, partial, batch`` take POT 0.9.7's arguments. Results
meet ``tol`` in monge's measure, the L1 distance of the plan's marginals from what optimality asks for over the
transported mass; values are the documented objectives. Exact transport (``reg=None``), L2 penalties, user
functions, ``plan_init`` and Gromov-Wasserstein raise NotImplementedError.
"""

from . import batch, bregman, partial, unbalanced
from ._result import BatchResult, LazyPlan, OTResult
from ._solve import solve, solve_sample
from .batch import solve_batch, solve_sample_batch
from .bregman import sinkhorn, sinkhorn2
from .unbalanced import sinkhorn_unbalanced, sinkhorn_unbalanced2

__all__ = [
    "BatchResult",
    "LazyPlan",
    "OTResult",
    "batch",
    "bregman",
    "partial",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_unbalanced",
    "sinkhorn_unbalanced2",
    "solve",
    "solve_batch",
    "solve_sample",
    "solve_sample_batch",
    "unbalanced",
]
