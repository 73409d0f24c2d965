"""monge: entropic optimal transport on clouds of any size, streamed and unbalanced.

    result = monge.solve_sample(x, y, a, b, epsilon=0.05, marginals=monge.KL(1.0))
    result.value, result.plan @ values, result.a_to_b

`solve_sample` takes points, `solve_lattice` masses on grids, `solve` a cost matrix; `divergence` gives
the debiased distance. Numbers are in units of the cost; weights are never normalised.
"""

import logging

from ._batch import Solutions, solve_batch, solve_sample_batch
from ._core import (
    DerivativeReport,
    InverseReport,
    SinkhornCheck,
    SinkhornPhase,
    SinkhornReport,
    version,
)
from ._derivatives import DivergenceLinearization, Hvp, InverseHvp, Jvp, Linearization, Vjp
from ._device import release_memory
from ._divergence import Divergence, DivergenceGradient, divergence
from ._divergence_batch import Divergences, divergence_batch
from ._errors import (
    ConvergenceWarning,
    DeviceError,
    Error,
    InvalidArgument,
    IoError,
    NotAvailable,
    OutOfMemory,
)
from ._labels import Labels
from ._lattice import divergence_lattice, solve_lattice
from ._lattice_solution import LatticeDivergence, LatticeSolution
from ._load import load
from ._marginals import KL, TV, Balanced
from ._plan import ComposedPlan, Images, Moments, Pairs, Plan, SparsePlan, TransposedPlan
from ._semi_dual import CTransform, SemiDual, c_transform, semi_dual
from ._solution import Gradient, Solution
from ._solve import solve, solve_sample

__version__ = version()
del version
logging.getLogger("monge").addHandler(logging.NullHandler())

__all__ = [
    "KL",
    "TV",
    "Balanced",
    "CTransform",
    "ComposedPlan",
    "ConvergenceWarning",
    "DerivativeReport",
    "DeviceError",
    "Divergence",
    "DivergenceGradient",
    "DivergenceLinearization",
    "Divergences",
    "Error",
    "Gradient",
    "Hvp",
    "Images",
    "InvalidArgument",
    "InverseHvp",
    "InverseReport",
    "IoError",
    "Jvp",
    "Labels",
    "LatticeDivergence",
    "LatticeSolution",
    "Linearization",
    "Moments",
    "NotAvailable",
    "OutOfMemory",
    "Pairs",
    "Plan",
    "SemiDual",
    "SinkhornCheck",
    "SinkhornPhase",
    "SinkhornReport",
    "Solution",
    "Solutions",
    "SparsePlan",
    "TransposedPlan",
    "Vjp",
    "__version__",
    "c_transform",
    "divergence",
    "divergence_batch",
    "divergence_lattice",
    "load",
    "release_memory",
    "semi_dual",
    "solve",
    "solve_batch",
    "solve_lattice",
    "solve_sample",
    "solve_sample_batch",
]
