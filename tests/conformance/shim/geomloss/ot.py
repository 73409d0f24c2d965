"""geomloss.ot on monge. The tests' max_iter is the length of GeomLoss's schedule, at whose end about 1e-2 is left: here
solves go on until they meet a tolerance. CONFORMANCE_EXACT asks for what double resolves."""

import functools
import os
from collections.abc import Callable
from typing import Any

from monge.compat.geomloss import ot

EXACT = {"tol": 1e-12} if os.environ.get("CONFORMANCE_EXACT") else {}


def until_converged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **terms: Any) -> Any:
        return function(*args, **{**terms, **EXACT, "max_iter": None})

    return call


solve = until_converged(ot.solve)
solve_batch = until_converged(ot.solve_batch)
solve_sample = until_converged(ot.solve_sample)
solve_sample_batch = until_converged(ot.solve_sample_batch)
