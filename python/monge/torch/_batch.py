"""Divergences of a batch in one call of the core."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from .. import _core
from .._arrays import as_array, framework_of
from .._device import current_stream, device_of
from .._errors import ConvergenceWarning
from .._keywords import mass_tolerance, thread_count, widened
from .._terms import Terms
from ._text import of_solves


def divergences(x: Any, y: Any, a: Any, b: Any, text: str, gradients: bool) -> list[Any]:
    """Values (B,), potentials (B, 3, n) and (B, 3, m), gradients or None, as tensors."""
    terms = Terms(of_solves(text))
    source, target = (
        widened(as_array(part, name), terms.precision, terms.tolerance)
        for part, name in ((x, "x"), (y, "y"))
    )
    weights = [
        None if part is None else as_array(part, name).astype(source.dtype, copy=False)
        for part, name in ((a, "a"), (b, "b"))
    ]
    given: Any = (
        source,
        weights[0],
        target,
        weights[1],
        terms.options(mass_tolerance(source.dtype, a, b), gradients),
        _core.Call(thread_count(terms.threads), stream=current_stream(device_of(source))),
    )
    values, statuses, errors, *parts = _core.divergence_stack(*given)
    unmet = [i for i, status in enumerate(statuses) if status != "converged"]
    if unmet:
        first = unmet[0]
        warnings.warn(
            f"{len(unmet)} of {len(values)} divergences did not meet the tolerance {terms.tolerance:.2e}, the first is "
            f"entry {first}: {statuses[first]} with marginal_error {errors[first]:.2e}",
            ConvergenceWarning,
            stacklevel=3,
        )
    to = framework_of(x)
    tensors = [x.new_empty(0) if part is None else to(part).to(x.dtype) for part in parts]
    return [torch.tensor(values, dtype=x.dtype, device=x.device), *tensors]
