"""What the functions read: JAX arrays of one type, and keywords as static attributes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .._clouds import Clouds, gathered
from .._errors import InvalidArgument
from .._keywords import integer, mass_tolerance, number, thread_count
from .._marginals import to_spec
from .._terms import Terms

Attributes = tuple[tuple[str, Any], ...]


def array(value: Any, name: str) -> Any:
    found = jnp.asarray(value)
    if found.dtype not in (jnp.float32, jnp.float64):
        raise InvalidArgument(
            f"[jax] {name} is {found.dtype}, wanted float32 or float64: cast it, as by {name}.astype('float32')",
            name,
        )
    return found


def clouds(x: Any, y: Any, a: Any, b: Any) -> Clouds:
    """Checks what is read off shapes and types; values are the core's to check."""
    x, y = array(x, "x"), array(y, "y")
    a, b = (None if w is None else array(w, name) for w, name in ((a, "a"), (b, "b")))
    if y.dtype != x.dtype:
        raise InvalidArgument(
            f"[jax] x is {x.dtype} but y {y.dtype}: cast one of them, as by y.astype(x.dtype)", "y"
        )
    found = gathered("jax", x, y, a, b)
    return found._replace(a=_weights(found.a, found.x), b=_weights(found.b, found.y))


def _weights(given: Any, points: Any) -> Any:
    """Where there are none something of their shape: the core makes its own, exact in any type."""
    if given is None:
        return jnp.zeros(points.shape[:-1], points.dtype)
    return given.astype(points.dtype)


def split_epsilon(epsilon: Any, x: Any) -> tuple[Any, Any]:
    """The keyword, and the operand (B,): an array is one, beside which the keyword is 0."""
    if not isinstance(epsilon, jax.Array):
        return epsilon, jnp.zeros(len(x), x.dtype)
    given = array(epsilon, "epsilon")
    if given.ndim > 1 or given.shape not in ((), (len(x),)):
        raise InvalidArgument(
            f"[jax] epsilon has shape {given.shape}, wanted () or ({len(x)},), one for each cloud",
            "epsilon",
        )
    return 0.0, jnp.broadcast_to(given.astype(x.dtype), (len(x),))


def attributes(
    x: Any, a: Any, b: Any, hvp_tolerance: Any, hvp_max_iterations: Any, **keywords: Any
) -> Attributes:
    """The keywords, checked, as the foreign functions read them."""
    terms = Terms(keywords)
    masses = mass_tolerance(x.dtype, a, b)
    options = terms.options(masses, gradients=False)
    names = ("annealing", "acceleration", "initializer", "precision", "schedule", "geometry")
    numbers = ("epsilon", "tolerance", "max_iterations", "check_every", "seed", "kernel_cache")
    sides = [to_spec(side) for side in terms.sides]
    found = {
        "debias": bool(terms.debias),
        "cost": terms.ground.name,
        "power": terms.ground.power,
        "marginal_a": sides[0][0],
        "strength_a": sides[0][1],
        "marginal_b": sides[1][0],
        "strength_b": sides[1][1],
        "mass_tolerance": masses,
        "uniform": "".join(name for name, w in (("a", a), ("b", b)) if w is None),
        "translate": options.translate,
        "threads": thread_count(terms.threads),
        "hvp_tolerance": number(hvp_tolerance, "hvp_tolerance"),
        "hvp_max_iterations": integer(hvp_max_iterations, "hvp_max_iterations"),
        **{name: getattr(options, name) for name in numbers},
        **{name: terms.solver[name] for name in names},
    }
    return tuple(found.items())
