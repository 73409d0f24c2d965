"""From the keywords of the verbs to what the core takes."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from . import _core
from ._arrays import Array, is_float32, points, same_type, vector, whole
from ._errors import InvalidArgument
from ._marginals import KL, PARTIAL, Balanced, Marginal, pair_of
from ._options import check_choice
from ._solution import Cost, Solution

Length = float | None
CoreOptions = TypeVar("CoreOptions", bound=_core.SinkhornOptions)


def number(value: Any, name: str) -> float:
    """A real number, also a 0-d array; the core checks its range."""
    if isinstance(value, str):
        raise InvalidArgument(f"[options] {name} is {value!r}, wanted a number", name)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"[options] {name} is {value!r}, wanted a number", name) from error


def integer(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise InvalidArgument(f"[options] {name} is {value!r}, wanted an integer", name) from error


def whole_number(value: Any, name: str) -> int:
    count = integer(value, name)
    if not 0 <= count < 2**64:
        raise InvalidArgument(f"[options] {name} is {count}, wanted 0 <= {name} < 2**64", name)
    return count


def thread_count(threads: int | None) -> int:
    if threads is None:
        return 0
    count = integer(threads, "threads")
    if count < 1:
        raise InvalidArgument(
            f"[options] threads is {count}, wanted at least 1, or None", "threads"
        )
    return count


@dataclass(frozen=True)
class Ground:
    """The cost between points, and what a length means in its units."""

    name: str
    power: float
    factor: float

    @staticmethod
    def of(cost: Any, factor: Any) -> Ground:
        pair = tuple(cost) if isinstance(cost, (tuple, list)) else (cost, 2.0)
        if (
            len(pair) != 2
            or not isinstance(pair[0], str)
            or (isinstance(cost, str) and cost == "power")
        ):
            raise InvalidArgument(
                f"[options] cost is {cost!r}, wanted a name such as 'sqeuclidean', or ('power', p)",
                "cost",
            )
        if not isinstance(cost, str) and pair[0] != "power":
            raise InvalidArgument(
                f"[options] cost is {cost!r}: only 'power' takes a parameter", "cost"
            )
        return Ground(pair[0], number(pair[1], "cost"), number(factor, "cost_factor"))

    @property
    def spec(self) -> Cost:
        return ("power", self.power) if self.name == "power" else self.name

    def strength(self, length: Any, name: str) -> float:
        """``factor * length**order``, in units of the cost."""
        order = _core.cost_order(self.name, self.power)
        if order == 0:
            raise InvalidArgument(
                f"[options] {name} is a length, and the cost {self.name!r} has none: give epsilon and "
                "marginals in units of the cost",
                name,
            )
        value = number(length, name)
        if not value > 0:
            raise InvalidArgument(f"[options] {name} is {value}, wanted a length > 0", name)
        return float(self.factor * value**order)


def epsilon_of(epsilon: Any, blur: Any, ground: Ground) -> float:
    if (epsilon is None) == (blur is None):
        given = "neither" if epsilon is None else "both"
        raise InvalidArgument(
            f"[options] wanted exactly one of epsilon, blur; got {given}", "epsilon"
        )
    return number(epsilon, "epsilon") if blur is None else ground.strength(blur, "blur")


def marginals_of(marginals: Any, total_mass: Any) -> tuple[Marginal, Marginal]:
    if marginals is not None:
        return pair_of(marginals)
    return PARTIAL if total_mass is not None else (Balanced(), Balanced())


def marginals_of_reach(
    marginals: Any, total_mass: Any, reach: Any, ground: Ground
) -> tuple[Marginal, Marginal]:
    if reach is None:
        return marginals_of(marginals, total_mass)
    if marginals is not None:
        raise InvalidArgument("[options] wanted at most one of marginals, reach; got both", "reach")
    pair = tuple(reach) if isinstance(reach, (tuple, list)) else (reach, reach)
    if len(pair) != 2:
        raise InvalidArgument(
            f"[options] reach is {reach!r}, wanted a length or a pair (None: Balanced)", "reach"
        )
    a, b = (Balanced() if side is None else KL(ground.strength(side, "reach")) for side in pair)
    return a, b


def bounds_of(bounds: Any) -> tuple[Array, Array, Array] | None:
    """Rows, columns and values of lower bounds, from three sequences or a sparse matrix of SciPy."""
    if bounds is None:
        return None
    if hasattr(bounds, "tocoo"):
        found = bounds.tocoo()
        bounds = (found.row, found.col, found.data)
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 3:
        raise InvalidArgument(
            f"[options] bounds is {type(bounds).__name__}, wanted (rows, columns, values) or a sparse matrix "
            "of SciPy",
            "bounds",
        )
    values = vector(bounds[2], "bounds[2]", np.float64)
    assert values is not None
    return whole(bounds[0], "bounds[0]"), whole(bounds[1], "bounds[1]"), values


def mass_tolerance(dtype: np.dtype[Any], *weights: Any) -> float:
    """How well two Balanced masses must agree: weights in float agree less closely than doubles."""
    return 1e-6 if dtype == np.float32 or any(is_float32(w) for w in weights) else 1e-12


def reference_of(reference: Any, dtype: np.dtype[Any]) -> tuple[str, Array | None, Array | None]:
    """The reference's name and its weights, None meaning counting."""
    if isinstance(reference, str) and reference in ("product", "counting"):
        return reference, None, None
    if (
        isinstance(reference, (tuple, list))
        and len(reference) == 2
        and all(r is not None for r in reference)
    ):
        r_a, r_b = reference
        return "custom", vector(r_a, "reference[0]", dtype), vector(r_b, "reference[1]", dtype)
    raise InvalidArgument(
        f"[options] reference is {reference!r}, wanted 'product', 'counting' or a pair (r_a, r_b)",
        "reference",
    )


def start_of(start: Any, dtype: np.dtype[Any]) -> tuple[Array | None, Array | None]:
    """(f, g) from a pair, from g alone, or those of a solution."""
    if start is None:
        return None, None
    if isinstance(start, Solution):
        start = start.potentials
    f, g = start if isinstance(start, (tuple, list)) and len(start) == 2 else (None, start)
    if f is None and g is None:
        raise InvalidArgument("[options] start has no potential: give (f, g) or g alone", "start")
    return vector(f, "start[0]", dtype), vector(g, "start[1]", dtype)


def fill(
    options: CoreOptions,
    *,
    epsilon: float,
    tolerance: Any,
    max_iterations: Any,
    check_every: Any,
    annealing: Any,
    acceleration: Any,
    initializer: Any,
    seed: Any,
    precision: Any,
    schedule: Any,
    geometry: Any,
    verify: Any,
    kernel_cache: Any,
    translate: Any,
) -> CoreOptions:
    options.epsilon = epsilon
    options.tolerance = number(tolerance, "tolerance")
    options.max_iterations = integer(max_iterations, "max_iterations")
    options.check_every = integer(check_every, "check_every")
    options.annealing = getattr(_core.Annealing, check_choice("annealing", annealing))
    options.acceleration = getattr(_core.Acceleration, check_choice("acceleration", acceleration))
    options.initializer = getattr(_core.Initializer, check_choice("initializer", initializer))
    options.seed = whole_number(seed, "seed")
    options.precision = precision_of(precision)
    options.schedule = getattr(_core.Schedule, check_choice("schedule", schedule))
    options.geometry = getattr(_core.Sweeps, check_choice("geometry", geometry))
    options.verify = bool(verify)
    if kernel_cache is not None:
        options.kernel_cache = integer(kernel_cache, "kernel_cache")
    options.translate = bool(translate)
    return options


def checked_callback(callback: Any) -> Any:
    if callback is not None and not callable(callback):
        raise InvalidArgument(f"[options] callback is {callback!r}, wanted a callable", "callback")
    return callback


def precision_of(precision: Any) -> _core.Precision:
    member: _core.Precision = getattr(_core.Precision, check_choice("precision", precision))
    return member


def widened(array: Array, precision: Any, tolerance: Any) -> Array:
    """The array in the type in which the problem is solved: as it is, or a copy in float64."""
    if _core.widens(precision_of(precision), number(tolerance, "tolerance")):
        return array.astype(np.float64, copy=False)
    return array


def typed_points(x: Any, y: Any, precision: Any, tolerance: Any) -> tuple[Array, Array]:
    """Both clouds in the one type in which the problem is solved."""
    source, target = points(x, "x"), points(y, "y")
    same_type({"x": source, "y": target})
    return widened(source, precision, tolerance), widened(target, precision, tolerance)
