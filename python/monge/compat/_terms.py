"""Strengths, marginals and warnings: what the faces read alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from .. import KL, TV, Balanced, ConvergenceWarning
from .._errors import InvalidArgument, NotAvailable
from .._keywords import number
from .._marginals import Marginal
from ._kind import checked
from ._tape import is_taped


def strength_of(reg: Any) -> float:
    _untaped(reg, "reg")
    value = 0.0 if reg is None else number(reg, "reg")
    if value == 0:
        raise NotAvailable(
            "[compat] reg is None or 0, exact transport, which monge does not solve: give reg > 0, or use POT",
            "reg",
        )
    return value


def length_of(value: Any, name: str) -> float:
    _untaped(value, name)
    length = number(value, name)
    if not length > 0:
        raise InvalidArgument(f"[compat] {name} is {length}, wanted a length > 0", name)
    return length


def refuse(name: str, value: Any, why: str) -> None:
    """Refuses what monge has no counterpart of."""
    if value is not None:
        raise NotAvailable(f"[compat] {name} is not provided: {why}", name)


@contextmanager
def warnings_of(wanted: bool) -> Iterator[None]:
    """Leaves the warnings of a solve that did not converge, or drops them."""
    with warnings.catch_warnings():
        if not wanted:
            warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _untaped(value: Any, name: str) -> None:
    if is_taped(value):
        raise NotAvailable(f"[compat] no gradient in {name} is provided: pass it detached", name)


def pair_of(value: Any, name: str) -> tuple[float, float]:
    """Two strengths from a number, or from an indexable of one or two."""
    _untaped(value, name)
    if hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0:
        parts = [number(part, name) for part in value]
        if len(parts) not in (1, 2):
            raise InvalidArgument(f"[compat] {name} has {len(parts)} entries, wanted 1 or 2", name)
        return parts[0], parts[-1]
    return number(value, name), number(value, name)


def marginals_of(reg_m: Any, kind: Any, name: str) -> tuple[Marginal, Marginal]:
    """Both sides; None: Balanced, as is an infinite strength."""
    checked("unbalanced_type", kind, str, "'KL' or 'TV'")
    if kind.lower() not in ("kl", "tv"):
        raise NotAvailable(
            f"[compat] unbalanced_type={kind!r} is not provided: wanted 'KL' or 'TV'",
            "unbalanced_type",
        )
    if reg_m is None:
        return Balanced(), Balanced()
    make = KL if kind.lower() == "kl" else TV
    a, b = (Balanced() if rho == inf else make(rho) for rho in pair_of(reg_m, name))
    return a, b
