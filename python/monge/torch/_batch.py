"""Transport or divergences of a batch in one call of the core.

A solve of few points takes less than what is asked of tensors around it. Hence they go to the core and come back as
capsules of DLPack, and no method is called that would do nothing: each takes microseconds.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.utils.dlpack import from_dlpack, to_dlpack

from .. import _core
from .._arrays import as_array
from .._batch import warn_unmet
from .._device import current_stream, has_cuda
from .._errors import ConvergenceWarning
from .._keywords import thread_count
from .._solve import Unmet
from ._text import options, terms


def made_of(wrt: str) -> str:
    """Of which inputs a divergence makes the gradients: both of a measure, points and weights."""
    return "".join([pair for pair in ("xa", "yb") if pair[0] in wrt or pair[1] in wrt])


def _given(x: Any, y: Any, a: Any, b: Any, text: str, made: str, *more: Any) -> Any:
    """What the core's function takes; `more`: between options and call."""
    asked = terms(text)
    if asked.widens:
        x, y = x.double(), y.double()
    return (
        _read(x, "x", x.dtype),
        _read(a, "a", x.dtype),
        _read(y, "y", x.dtype),
        _read(b, "b", x.dtype),
        options(text, torch.float32 in _types(x, a, b), made),
        *more,
        _core.Call(thread_count(asked.threads), stream=current_stream(str(x.device))),
    )


def _types(*tensors: Any) -> list[Any]:
    return [tensor.dtype for tensor in tensors if tensor is not None]


def _read(tensor: Any, name: str, dtype: Any) -> Any:
    """The core runs on torch's own stream, so that nothing need wait."""
    if tensor is None:
        return None
    if tensor.layout is not torch.strided or not (tensor.is_cpu or (tensor.is_cuda and has_cuda())):
        as_array(tensor, name)  # says why not
    return to_dlpack(tensor if tensor.dtype == dtype else tensor.to(dtype))


def _tensors(like: Any, parts: list[Any], text: str) -> list[Any]:
    """In the type of `like`; empty ones where the core gave None."""
    found = [like.new_empty(0) if part is None else from_dlpack(part) for part in parts]
    return [part.to(like.dtype) for part in found] if terms(text).widens else found


def transports(x: Any, y: Any, a: Any, b: Any, text: str, wrt: str) -> list[Any]:
    """Values (B,), potentials (B, 1, n) and (B, 1, m), and the gradients that `wrt` names by letters, as tensors."""
    given = _given(x, y, a, b, text, "", list(wrt))
    unmet, (mass_a, mass_b), *parts = _core.transport_stack(*given)
    if unmet:
        asked = terms(text)
        if x.shape[0] == 1:
            widens = x.dtype == torch.float32 or asked.precision == "mixed"
            Unmet(unmet[0][1], (mass_a, mass_b), asked.sides, widens).warn(
                asked.tolerance, stacklevel=3
            )
        else:
            failed = [one for one in unmet if not one[1].converged]
            empty = [i for i, report in unmet if report.transported_mass == 0]
            warn_unmet(x.shape[0], failed, len(failed), empty, asked.tolerance, stacklevel=3)
    return _tensors(x, parts, text)


def divergences(x: Any, y: Any, a: Any, b: Any, text: str, made: str) -> list[Any]:
    """Values (B,), potentials (B, 3, n) and (B, 3, m), and the gradients of `made_of`, as tensors."""
    unmet, *parts = _core.divergence_stack(*_given(x, y, a, b, text, made))
    if unmet:
        first, status, error = unmet[0]
        warnings.warn(
            f"{len(unmet)} of {x.shape[0]} divergences did not meet the tolerance {terms(text).tolerance:.2e}, the "
            f"first is entry {first}: {status} with marginal_error {error:.2e}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return _tensors(x, parts, text)
