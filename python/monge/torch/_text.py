"""Keywords as text, the form in which they pass through an operator of torch and its compiler."""

from __future__ import annotations

import ast
import atexit
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from .. import _core
from .._errors import InvalidArgument
from .._keywords import mass_tolerance
from .._marginals import KL, TV, Balanced, from_spec, to_spec
from .._terms import Terms

_LINEAR = {"hvp_tolerance": "tolerance", "hvp_max_iterations": "max_iterations"}


def encode(**keywords: Any) -> str:
    """Those that are not None. torch.compile runs this while it traces: hence neither json nor repr of tuples."""
    parts = [
        f"{name!r}: {_text(name, value)}" for name, value in keywords.items() if value is not None
    ]
    return "{" + ", ".join(parts) + "}"


def _text(name: str, value: Any) -> str:
    if value is None or isinstance(value, (str, int, float)):
        return "1e999" if value == inf else f"{value!r}"
    if isinstance(value, (Balanced, KL, TV)):
        kind, strength = to_spec(value)
        return f"({kind!r}, {_text(name, strength)})"
    if isinstance(value, (tuple, list)):
        return "(" + "".join([f"{_text(name, part)}, " for part in value]) + ")"
    raise InvalidArgument(
        f"[torch] {name} is {value!r}, wanted a number, a name or what monge.solve_sample takes: derivatives "
        "reach points and weights alone",
        name,
    )


@lru_cache
def decode(text: str) -> dict[str, Any]:
    """The keywords, as encode was given them."""
    keywords: dict[str, Any] = ast.literal_eval(text)
    spec = keywords.get("marginals")
    if spec is not None:
        keywords["marginals"] = (
            from_spec(spec) if isinstance(spec[0], str) else tuple(from_spec(s) for s in spec)
        )
    return keywords


@lru_cache
def terms(text: str) -> Terms:
    """What the keywords say of the problem and its solves: a step of training repeats them."""
    return Terms({name: value for name, value in decode(text).items() if name not in _LINEAR})


@lru_cache
def options(text: str, single: bool, made: str) -> _core.DivergenceOptions:
    """What the core takes, not to be written to; `single`: of float32, solved so or as weights; `made`: the gradients
    of a divergence, by letters."""
    masses = mass_tolerance(np.dtype(np.float32 if single else np.float64))
    found = terms(text).options(masses, made != "")
    found.gradients_of = {"xa": _core.Side.source, "yb": _core.Side.target}.get(made)
    return found


atexit.register(options.cache_clear)  # the extension counts what outlives it


def of_products(text: str) -> dict[str, Any]:
    """The keywords of ``Linearization.hvp``."""
    return {_LINEAR[name]: value for name, value in decode(text).items() if name in _LINEAR}
