"""How strictly each side of a plan keeps its weights: the penalty F in the objective."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ._errors import InvalidArgument

Spec = tuple[str, float]


@dataclass(frozen=True)
class Balanced:
    """The plan's marginal equals the weights."""


@dataclass(frozen=True)
class KL:
    """``rho * KL(p | a)`` for the plan's marginal p and the weights a.

    Args:
        rho: strength > 0 in units of the cost (``reach**2`` for a squared cost, POT's ``reg_m``);
            infinite means Balanced.
    """

    rho: float


@dataclass(frozen=True)
class TV:
    """``lam * sum |p - a|`` for the plan's marginal p and the weights a.

    Args:
        lam: strength > 0 in units of the cost: mass moves only where the cost is below the sum of
            both strengths. Infinite means Balanced, or ``p <= a`` where the total mass is fixed.
    """

    lam: float


Marginal = Balanced | KL | TV
Marginals = Marginal | tuple[Marginal, Marginal]


def to_spec(marginal: Marginal) -> Spec:
    if isinstance(marginal, KL):
        return "kl", float(marginal.rho)
    if isinstance(marginal, TV):
        return "tv", float(marginal.lam)
    return "balanced", 0.0


def from_spec(spec: Spec) -> Marginal:
    kind, strength = spec
    if kind == "kl":
        return KL(strength)
    return TV(strength) if kind == "tv" else Balanced()


def pair_of(value: object) -> tuple[Marginal, Marginal]:
    """The pair that the keyword ``marginals`` means."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(side, (Balanced, KL, TV)) for side in pair):
        raise InvalidArgument(
            f"[marginals] got {value!r}, wanted Balanced(), KL(rho), TV(lam) or a pair of them",
            "marginals",
        )
    return pair


PARTIAL = (TV(inf), TV(inf))  # what a total mass means when no marginals are given
