"""What the verbs of batches take: one value for all entries, or one for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._arrays import Array, ToFramework, as_array, framework_of, points, vector
from ._errors import Error, InvalidArgument
from ._keywords import (
    Ground,
    epsilon_of,
    marginals_of_reach,
    mass_tolerance,
    number,
    reference_of,
    widened,
)
from ._marginals import Marginal

Arrays = Array | list[Array]  # one array with an entry in front, or one for each entry


def listed(value: Any) -> bool:
    """Whether a keyword gives one value for each entry: a list or a vector; a tuple is a pair."""
    return isinstance(value, list) or getattr(value, "ndim", 0) == 1


def each(value: Any, name: str, count: int, convert: Callable[[Any], Any]) -> list[Any]:
    """The values of a keyword: one, or one for each entry."""
    if not listed(value):
        return [convert(value)]
    if len(value) != count:
        raise InvalidArgument(
            f"[batch] {name} has {len(value)} values for {count} problems, wanted one or one for each",
            name,
        )
    return [convert(v) for v in value]


def spread(pairs: list[Any]) -> tuple[list[Any], list[Any]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def named(name: str, entry: int, take: Callable[..., Any], *args: Any) -> Any:
    """What take(*args) gives; its error names the entry."""
    try:
        return take(*args)
    except Error as error:
        raise type(error)(f"[batch] entry {entry}: {error}", name, entry) from error


def _stack(value: Any, name: str, dims: int) -> Array | None:
    """The array of all entries, or None where there is a list of them."""
    if isinstance(value, (list, tuple)):
        return None
    array = as_array(value, name)
    if array.ndim != dims:
        raise InvalidArgument(
            f"[batch] {name} has shape {array.shape}, wanted {dims} axes, of which the first counts "
            "the problems, or a list of arrays",
            name,
        )
    return array


_PLAIN = {np.dtype(np.float32), np.dtype(np.float64)}


def _is_plain(value: Any, dims: int) -> bool:
    """Whether the core reads the array as it is: what is checked here costs least."""
    if type(value) is not np.ndarray or value.ndim != dims or value.dtype not in _PLAIN:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned and value.dtype.isnative


def matrices(value: Any, name: str, take: Callable[[Any, str], Array]) -> Arrays:
    stack = _stack(value, name, 3)
    if stack is not None:
        return stack
    return [v if _is_plain(v, 2) else named(name, i, take, v, name) for i, v in enumerate(value)]


def weights_of(value: Any, name: str, count: int, dtype: np.dtype[Any]) -> Any:
    """(B, n), or a list with None where an entry's are uniform."""
    if value is None:
        return None
    stack = _stack(value, name, 2)
    if stack is not None:
        check_count(stack, name, count)
        return stack.astype(dtype, copy=False)
    check_count(value, name, count)
    return [
        v if _is_plain(v, 1) and v.dtype == dtype else named(name, i, vector, v, name, dtype)
        for i, v in enumerate(value)
    ]


def check_count(value: Any, name: str, count: int) -> None:
    if len(value) != count:
        raise InvalidArgument(f"[batch] {name} has {len(value)} entries, wanted {count}", name)


def one_type(groups: dict[str, Arrays]) -> np.dtype[Any]:
    """The type of every array of a batch."""
    first: np.dtype[Any] | None = None
    for name, arrays in groups.items():
        for i, array in enumerate([arrays] if not isinstance(arrays, list) else arrays):
            if first is None:
                first = array.dtype
            elif array.dtype != first:
                raise InvalidArgument(
                    f"[batch] entry {i}: {name} is {array.dtype.name} and the first array is "
                    f"{first.name}: all problems of a batch share one type, cast by "
                    f"{name}[{i}].astype('{first.name}')",
                    name,
                    i,
                )
    return np.dtype(np.float64) if first is None else first


def cast(arrays: Arrays, dtype: np.dtype[Any]) -> Arrays:
    if not isinstance(arrays, list):
        return arrays.astype(dtype, copy=False)
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


class Clouds(NamedTuple):
    """The clouds of a batch of pairs."""

    x: Arrays
    y: Arrays
    given: np.dtype[Any]  #: the type that they came in
    dtype: np.dtype[Any]  #: the type that they are in
    to: ToFramework


def clouds_of(xs: Any, ys: Any, precision: Any, tolerance: Any) -> Clouds:
    """The checked clouds of a batch, in the type that a solve to this tolerance takes."""
    sources, targets = matrices(xs, "xs", points), matrices(ys, "ys", points)
    check_count(targets, "ys", len(sources))
    given = one_type({"xs": sources, "ys": targets})
    dtype = widened(np.empty(0, given), precision, tolerance).dtype
    first = [v[0] for v in (xs, ys) if isinstance(v, (list, tuple)) and len(v)]
    to = framework_of(*(first or (xs, ys)))
    return Clouds(cast(sources, dtype), cast(targets, dtype), given, dtype, to)


def picked(arrays: Any, which: list[int], dtype: np.dtype[Any]) -> Any:
    """Of some entries, in another type; None stays."""
    if arrays is None:
        return None
    if not isinstance(arrays, list):
        return [arrays[i].astype(dtype) for i in which]
    return [None if arrays[i] is None else arrays[i].astype(dtype) for i in which]


def chosen(values: list[Any], which: list[int]) -> list[Any]:
    return values if len(values) == 1 else [values[i] for i in which]


def mass_tolerances(dtype: np.dtype[Any], given: tuple[Any, Any], count: int) -> list[float]:
    """One, or one for each entry where weights are given as lists."""
    if not any(isinstance(weights, (list, tuple)) for weights in given):
        return [mass_tolerance(dtype, *given)]
    if dtype == np.float32:
        return [1e-6]

    def of(weights: Any, i: int) -> Any:
        return weights[i] if isinstance(weights, (list, tuple)) else weights

    return [mass_tolerance(dtype, *(of(weights, i) for weights in given)) for i in range(count)]


def sides_of(
    values: list[Any], masses: list[Any], of: Callable[[Any, Any], tuple[Marginal, Marginal]]
) -> list[tuple[Marginal, Marginal]]:
    """Both marginals, of one entry for all or of each; a total mass decides what None means."""
    count = max(len(values), len(masses))
    if len(values) != len(masses):
        values, masses = (v * count if len(v) == 1 else v for v in (values, masses))
    return [of(v, mass_of) for v, mass in zip(values, masses, strict=True)]


def mass_of(value: Any) -> float | None:
    return None if value is None else number(value, "total_mass")


def references_of(reference: Any, count: int, dtype: np.dtype[Any]) -> tuple[str, Any, Any]:
    """The name of the reference of all entries, and its weights, None meaning counting."""
    pair = isinstance(reference, (tuple, list)) and len(reference) == 2
    if not (pair and all(r is not None for r in reference)):
        return reference_of(reference, dtype)
    r_a, r_b = (weights_of(r, f"reference[{i}]", count, dtype) for i, r in enumerate(reference))
    return "custom", r_a, r_b


def strengths_of(
    count: int,
    ground: Ground,
    *,
    epsilon: Any,
    blur: Any,
    reach: Any,
    marginals: Any,
    masses: list[Any],
) -> tuple[list[float], list[tuple[Marginal, Marginal]]]:
    """Epsilons and marginals of the pairs of clouds, one for all or one for each."""
    if blur is not None and listed(blur):
        strengths = each(blur, "blur", count, lambda v: epsilon_of(epsilon, v, ground))
    else:
        strengths = each(epsilon, "epsilon", count, lambda v: epsilon_of(v, blur, ground))
    if isinstance(reach, list):
        lengths = each(reach, "reach", count, lambda v: v)
        return strengths, sides_of(
            lengths, masses, lambda v, m: marginals_of_reach(marginals, m, v, ground)
        )
    pairs = each(marginals, "marginals", count, lambda v: v)
    return strengths, sides_of(pairs, masses, lambda v, m: marginals_of_reach(v, m, reach, ground))
