"""Transport or divergences of a batch in one call of the core."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from .. import _core
from .._arrays import as_array, framework_of
from .._batch import warn_unmet
from .._device import current_stream, device_of
from .._errors import ConvergenceWarning
from .._keywords import mass_tolerance, thread_count, widened
from .._solve import Unmet
from ._text import terms


class _Stack:
    """What the core reads of a batch, and tensors of its answers."""

    def __init__(self, x: Any, y: Any, a: Any, b: Any, text: str):
        self.like = x
        self.terms = terms(text)
        source, target = (
            widened(as_array(part, name), self.terms.precision, self.terms.tolerance)
            for part, name in ((x, "x"), (y, "y"))
        )
        weights = [
            None if part is None else as_array(part, name).astype(source.dtype, copy=False)
            for part, name in ((a, "a"), (b, "b"))
        ]
        self.arrays = (source, weights[0], target, weights[1])
        self.masses = mass_tolerance(source.dtype, a, b)
        self.call = _core.Call(
            thread_count(self.terms.threads), stream=current_stream(device_of(source))
        )

    def given(self, *more: Any, gradients: bool = False) -> Any:
        """What the core's function takes; `more`: between options and call."""
        return (*self.arrays, self.terms.options(self.masses, gradients), *more, self.call)

    def tensors(self, values: list[float], parts: list[Any]) -> list[Any]:
        """Empty ones where the core gave None."""
        x, to = self.like, framework_of(self.like)
        out = [x.new_empty(0) if part is None else to(part).to(x.dtype) for part in parts]
        return [torch.tensor(values, dtype=x.dtype, device=x.device), *out]


def transports(x: Any, y: Any, a: Any, b: Any, text: str, wrt: str) -> list[Any]:
    """Values (B,), potentials (B, 1, n) and (B, 1, m), and the gradients that `wrt` names by letters, as tensors."""
    stack = _Stack(x, y, a, b, text)
    found = _core.transport_stack(*stack.given(list(wrt)))
    values, unmet, (mass_a, mass_b), f, g, *slopes = found
    asked = stack.terms
    if unmet and len(values) == 1:
        widens = x.dtype == torch.float32 or asked.precision == "mixed"
        Unmet(unmet[0][1], (mass_a, mass_b), asked.sides, widens).warn(
            asked.tolerance, stacklevel=3
        )
    elif unmet:
        failed = [one for one in unmet if not one[1].converged]
        empty = [i for i, report in unmet if report.transported_mass == 0]
        warn_unmet(len(values), failed, len(failed), empty, asked.tolerance, stacklevel=3)
    value, potential_a, potential_b, *gradients = stack.tensors(values, [f, g, *slopes])
    return [value, potential_a[:, None], potential_b[:, None], *gradients]


def divergences(x: Any, y: Any, a: Any, b: Any, text: str, gradients: bool) -> list[Any]:
    """Values (B,), potentials (B, 3, n) and (B, 3, m), gradients or empty ones, as tensors."""
    stack = _Stack(x, y, a, b, text)
    found = _core.divergence_stack(*stack.given(gradients=gradients))
    values, statuses, errors, *parts = found
    unmet = [i for i, status in enumerate(statuses) if status != "converged"]
    if unmet:
        first = unmet[0]
        warnings.warn(
            f"{len(unmet)} of {len(values)} divergences did not meet the tolerance {stack.terms.tolerance:.2e}, the "
            f"first is entry {first}: {statuses[first]} with marginal_error {errors[first]:.2e}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return stack.tensors(values, parts)
