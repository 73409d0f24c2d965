"""The verbs solve_batch and solve_sample_batch: many problems in one call."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from . import _core, _progress
from ._arrays import Array, ToFramework, as_array, cost_matrix, framework_of, points, vector
from ._device import current_stream, device_of
from ._errors import ConvergenceWarning, Error, InvalidArgument
from ._keywords import (
    Ground,
    Length,
    checked_callback,
    epsilon_of,
    fill,
    marginals_of,
    marginals_of_reach,
    mass_tolerance,
    number,
    start_of,
    thread_count,
    widened,
)
from ._marginals import Marginal, Marginals, to_spec
from ._options import documented
from ._solution import Cost, Solution

logger = logging.getLogger("monge")
Arrays = Array | list[Array]  # one array with an entry in front, or one for each entry


class Solutions(Sequence[Solution]):
    """What a batch returns: a sequence of ``Solution``, and their scalars as vectors.

    A ``Solution`` is made when it is asked for, so that a batch of thousands costs no more than its
    solves. Results are bit for bit those of solving each problem alone.
    """

    def __init__(
        self,
        batch: Any,
        wide: Any,
        went_on: list[int],
        *,
        cost: Cost | None,
        epsilon: list[float],
        to: ToFramework,
        threads: int,
        dtype: np.dtype[Any],
    ):
        self._batch = batch
        self._wide = wide  # of the entries in went_on, which began in float32
        self._went_on = went_on
        self._place = {entry: place for place, entry in enumerate(went_on)}
        self._cost = cost
        self._epsilon = epsilon
        self._to = to
        self._threads = threads
        self._dtype = dtype

    def __len__(self) -> int:
        return len(self._batch)

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> list[Solution]: ...
    def __getitem__(self, index: int | slice) -> Solution | list[Solution]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[
            index
        ]  # of negative indices, and of those out of range, as a list does
        batch, place = (self._wide, self._place[i]) if i in self._place else (self._batch, i)
        return Solution(
            batch.problem(place),
            None,
            batch.result(place),
            cost=self._cost,
            epsilon=self._epsilon[i if len(self._epsilon) > 1 else 0],
            reference="product",
            to=self._to,
            threads=self._threads,
            dtype=self._dtype,
        )

    def __iter__(self) -> Iterator[Solution]:
        return (self[i] for i in range(len(self)))

    def _column(self, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self._batch, name)()
        if self._went_on:
            column[self._went_on] = getattr(self._wide, name)()
        return column

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The dual values, (B,): ``Solution.value`` of each."""
        return self._column("values")

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """Which entries met their tolerance, (B,)."""
        return self._column("converged")

    @property
    def marginal_errors(self) -> npt.NDArray[np.float64]:
        """(B,): ``Solution.marginal_error`` of each."""
        return self._column("marginal_errors")

    @property
    def transported_masses(self) -> npt.NDArray[np.float64]:
        """(B,): ``Solution.transported_mass`` of each."""
        return self._column("transported_masses")

    @property
    def iterations(self) -> npt.NDArray[np.int64]:
        """(B,): ``Solution.iterations`` of each."""
        return self._column("iterations")

    @property
    def passes(self) -> npt.NDArray[np.int64]:
        """(B,): ``Solution.passes`` of each."""
        return self._column("passes")

    def __repr__(self) -> str:
        return f"Solutions({len(self)} problems, {int(self.converged.sum())} converged)"


def _listed(value: Any) -> bool:
    """Whether a keyword gives one value for each entry: a list or a vector; a tuple is a pair."""
    return isinstance(value, list) or getattr(value, "ndim", 0) == 1


def _each(value: Any, name: str, count: int, convert: Callable[[Any], Any]) -> list[Any]:
    """The values of a keyword: one, or one for each entry."""
    if not _listed(value):
        return [convert(value)]
    if len(value) != count:
        raise InvalidArgument(
            f"[batch] {name} has {len(value)} values for {count} problems, wanted one or one for each",
            name,
        )
    return [convert(v) for v in value]


def _spread(pairs: list[Any]) -> tuple[list[Any], list[Any]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def _named(name: str, entry: int, take: Callable[..., Any], *args: Any) -> Any:
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


def _matrices(value: Any, name: str, take: Callable[[Any, str], Array]) -> Arrays:
    stack = _stack(value, name, 3)
    if stack is not None:
        return stack
    return [v if _is_plain(v, 2) else _named(name, i, take, v, name) for i, v in enumerate(value)]


def _weights(value: Any, name: str, count: int, dtype: np.dtype[Any]) -> Any:
    """(B, n), or a list with None where an entry's are uniform."""
    if value is None:
        return None
    stack = _stack(value, name, 2)
    if stack is not None:
        _check_count(stack, name, count)
        return stack.astype(dtype, copy=False)
    _check_count(value, name, count)
    return [
        v if _is_plain(v, 1) and v.dtype == dtype else _named(name, i, vector, v, name, dtype)
        for i, v in enumerate(value)
    ]


def _check_count(value: Any, name: str, count: int) -> None:
    if len(value) != count:
        raise InvalidArgument(f"[batch] {name} has {len(value)} entries, wanted {count}", name)


def _one_type(groups: dict[str, Arrays]) -> np.dtype[Any]:
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


def _cast(arrays: Arrays, dtype: np.dtype[Any]) -> Arrays:
    if not isinstance(arrays, list):
        return arrays.astype(dtype, copy=False)
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


def _picked(arrays: Any, which: list[int], dtype: np.dtype[Any]) -> Any:
    """Of some entries, in another type; None stays."""
    if arrays is None:
        return None
    if not isinstance(arrays, list):
        return [arrays[i].astype(dtype) for i in which]
    return [None if arrays[i] is None else arrays[i].astype(dtype) for i in which]


def _chosen(values: list[Any], which: list[int]) -> list[Any]:
    return values if len(values) == 1 else [values[i] for i in which]


def _finish(
    make: Callable[..., Any],
    geometry: tuple[Arrays, ...],
    weights: tuple[Any, Any],
    given: tuple[Any, Any],
    options: _core.SinkhornOptions,
    *,
    count: int,
    dtype: np.dtype[Any],
    given_type: np.dtype[Any],
    cost: Cost | None,
    epsilon: list[float],
    sides: list[tuple[Marginal, Marginal]],
    total_mass: list[float | None],
    start: Any,
    callback: Any,
    progress: Any,
    threads: Any,
    to: ToFramework,
) -> Solutions:
    first = geometry[0][0] if count else None
    stream = 0 if first is None else current_stream(device_of(first))
    side_a, side_b = _spread([(to_spec(a), to_spec(b)) for a, b in sides])
    tolerances = _mass_tolerances(given_type, given, count)
    starts_f = starts_g = None
    if start is not None:
        _check_count(start, "start", count)
        pairs = [_named("start", i, start_of, s, dtype) for i, s in enumerate(start)]
        starts_f, starts_g = _spread(pairs)
    checked, workers = checked_callback(callback), thread_count(threads)
    logger.debug("solving %d problems in %s", count, dtype)
    with _progress.hook(progress, "monge", count) as hook:
        call = _core.Call(workers, hook, stream)

        def problems(arrays: tuple[Any, ...], a: Any, b: Any, which: list[int] | None) -> Any:
            some = (lambda v: v) if which is None else (lambda v: _chosen(v, which))
            return make(
                *arrays, a, b, some(side_a), some(side_b), some(total_mass), some(tolerances), call
            )

        batch = problems(geometry, weights[0], weights[1], None)
        batch.solve(options, epsilon, starts_f, starts_g, checked, call)
        went_on = batch.goes_on(options) if dtype == np.float32 else []
        wide = None
        if went_on:
            logger.debug("float32 is at its floor in %d problems", len(went_on))
            double = np.dtype(np.float64)
            wide = problems(
                tuple(_picked(part, went_on, double) for part in geometry),
                _picked(weights[0], went_on, double),
                _picked(weights[1], went_on, double),
                went_on,
            )
            _core.go_on_batch(wide, options, epsilon, batch, went_on, checked, call)
    solutions = Solutions(
        batch, wide, went_on, cost=cost, epsilon=epsilon, to=to, threads=workers, dtype=dtype
    )
    logger.info("%r", solutions)
    _report_unmet(solutions, options.tolerance)
    return solutions


def _mass_tolerances(dtype: np.dtype[Any], given: tuple[Any, Any], count: int) -> list[float]:
    """One, or one for each entry where weights are given as lists."""
    if not any(isinstance(weights, (list, tuple)) for weights in given):
        return [mass_tolerance(dtype, *given)]
    if dtype == np.float32:
        return [1e-6]

    def of(weights: Any, i: int) -> Any:
        return weights[i] if isinstance(weights, (list, tuple)) else weights

    return [mass_tolerance(dtype, *(of(weights, i) for weights in given)) for i in range(count)]


def _report_unmet(solutions: Solutions, tolerance: float) -> None:
    unmet = np.flatnonzero(~solutions.converged)
    if unmet.size:
        entry = int(unmet[0])
        worst = solutions[entry]
        warnings.warn(
            f"{unmet.size} of {len(solutions)} problems did not meet the tolerance {tolerance:.2e}, the "
            f"first is entry {entry}: {worst.status} after {worst.iterations} iterations with "
            f"marginal_error {worst.marginal_error:.2e}",
            ConvergenceWarning,
            stacklevel=4,
        )
    empty = np.flatnonzero(solutions.transported_masses == 0)
    if empty.size:
        warnings.warn(
            f"{empty.size} of {len(solutions)} plans carry no mass, the first is entry {int(empty[0])}: every "
            "cost is far above the strengths of the marginals",
            ConvergenceWarning,
            stacklevel=4,
        )


@documented
def solve_sample_batch(
    xs: Any,
    ys: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Cost = "sqeuclidean",
    epsilon: float | Sequence[float] | None = None,
    blur: float | Sequence[float] | None = None,
    reach: float | tuple[Length, Length] | list[Any] | None = None,
    cost_factor: float = 1.0,
    marginals: Marginals | list[Marginals] | None = None,
    total_mass: float | Sequence[float | None] | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    seed: int = 0,
    precision: str = "automatic",
    schedule: str = "plain",
    geometry: str = "automatic",
    verify: bool = False,
    kernel_cache: int | None = None,
    translate: bool = True,
    start: Any = None,
    callback: Any = None,
    progress: Any = None,
    threads: int | None = None,
) -> Solutions:
    """Entropic optimal transport between many pairs of weighted point clouds, in one call.

    Each pair is the problem of ``solve_sample`` and gets its result bit for bit; sizes, dimensions and
    weights may differ from pair to pair. On the CPU pairs run side by side.

    Args:
        xs: source clouds: a list of (n, d) arrays, or one (B, n, d) array. All of one type.
        ys: target clouds, likewise.
        a: source weights: a list of (n,) arrays and None, or one (B, n) array; None: uniform with sum 1.
        b: target weights, likewise.
    Keywords:
    {options}

    ``epsilon``, ``blur``, ``marginals``, ``reach`` and ``total_mass`` take one value for all pairs, or a
    list (of numbers also a vector) with one for each; a tuple is a pair of sides. ``start`` is a list.
    The callback is called with the index of the pair and its report, and its False stops that pair.

    Returns:
        Solutions: a sequence of ``Solution``, with ``values``, ``converged``, ... as vectors.

    Raises:
        InvalidArgument: (a ValueError) malformed input; the message and ``index`` name the first pair to blame.
        NotAvailable: arrays on a device that this build lacks, precision 'fast' where it does not exist.

    Warns:
        ConvergenceWarning: some solves ended without meeting their tolerance.

    Example:
        >>> clouds = np.random.default_rng(0).normal(size=(3, 50, 2))
        >>> results = monge.solve_sample_batch(clouds, clouds[::-1] + 1.0, epsilon=0.5)
        >>> len(results), bool(results.converged.all())
        (3, True)
    """
    ground = Ground.of(cost, cost_factor)
    sources, targets = _matrices(xs, "xs", points), _matrices(ys, "ys", points)
    count = len(sources)
    _check_count(targets, "ys", count)
    given = _one_type({"xs": sources, "ys": targets})
    dtype = widened(np.empty(0, given), precision, tolerance).dtype
    if blur is not None and _listed(blur):
        strengths = _each(blur, "blur", count, lambda v: epsilon_of(epsilon, v, ground))
    else:
        strengths = _each(epsilon, "epsilon", count, lambda v: epsilon_of(v, blur, ground))
    masses = _each(total_mass, "total_mass", count, _mass)
    if isinstance(reach, list):
        lengths = _each(reach, "reach", count, lambda v: v)
        sides = _sides(lengths, masses, lambda v, m: marginals_of_reach(marginals, m, v, ground))
    else:
        pairs = _each(marginals, "marginals", count, lambda v: v)
        sides = _sides(pairs, masses, lambda v, m: marginals_of_reach(v, m, reach, ground))
    kind, exponent = ground.name, ground.power
    first = [v[0] for v in (xs, ys) if isinstance(v, (list, tuple)) and len(v)]
    return _finish(
        lambda x, y, *rest: _core.point_batch(x, y, kind, exponent, *rest),
        (_cast(sources, dtype), _cast(targets, dtype)),
        (_weights(a, "a", count, dtype), _weights(b, "b", count, dtype)),
        (a, b),
        fill(
            _core.SinkhornOptions(),
            epsilon=strengths[0] if strengths else 0.0,
            tolerance=tolerance,
            max_iterations=max_iterations,
            check_every=check_every,
            annealing=annealing,
            acceleration=acceleration,
            initializer=initializer,
            seed=seed,
            precision=precision,
            schedule=schedule,
            geometry=geometry,
            verify=verify,
            kernel_cache=kernel_cache,
            translate=translate,
        ),
        count=count,
        dtype=dtype,
        given_type=given,
        cost=ground.spec,
        epsilon=strengths,
        sides=sides,
        total_mass=masses,
        start=start,
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(*(first or (xs, ys))),
    )


def _sides(
    values: list[Any], masses: list[Any], of: Callable[[Any, Any], tuple[Marginal, Marginal]]
) -> list[tuple[Marginal, Marginal]]:
    """Both marginals, of one entry for all or of each; a total mass decides what None means."""
    count = max(len(values), len(masses))
    if len(values) != len(masses):
        values, masses = (v * count if len(v) == 1 else v for v in (values, masses))
    return [of(v, mass) for v, mass in zip(values, masses, strict=True)]


def _mass(value: Any) -> float | None:
    return None if value is None else number(value, "total_mass")


_OF_AN_ENTRY = ("C", "a", "b", "epsilon", "marginals", "total_mass", "start")


def _entry_of(value: Any, i: int) -> dict[str, Any]:
    """A problem of solve_batch by the names of solve's keywords."""
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in _OF_AN_ENTRY]
        if unknown or "C" not in value:
            raise InvalidArgument(
                f"[batch] entry {i}: it has {', '.join(map(repr, value))}, wanted C and perhaps "
                f"{', '.join(_OF_AN_ENTRY[1:])}; what all entries share are keywords of the call",
                "problems",
                i,
            )
        return dict(value)
    if isinstance(value, tuple) and 1 <= len(value) <= 3:
        return dict(zip(("C", "a", "b"), value, strict=False))
    raise InvalidArgument(
        f"[batch] entry {i} is a {type(value).__name__}, wanted a tuple (C, a, b) or a mapping",
        "problems",
        i,
    )


@documented
def solve_batch(
    problems: Any,
    *,
    epsilon: float | Sequence[float] | None = None,
    marginals: Marginals | list[Marginals] | None = None,
    total_mass: float | Sequence[float | None] | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10000,
    check_every: int = 10,
    annealing: str = "automatic",
    acceleration: str = "automatic",
    initializer: str = "automatic",
    seed: int = 0,
    precision: str = "automatic",
    schedule: str = "plain",
    geometry: str = "automatic",
    verify: bool = False,
    kernel_cache: int | None = None,
    translate: bool = True,
    callback: Any = None,
    progress: Any = None,
    threads: int | None = None,
) -> Solutions:
    """Entropic optimal transport with many cost matrices, in one call.

    Each entry is the problem of ``solve`` and gets its result bit for bit; shapes may differ. On the CPU
    entries run side by side.

    Args:
        problems: a sequence with one entry for each problem: a tuple ``(C,)``, ``(C, a)`` or ``(C, a, b)``, or
            a mapping with ``C`` and any of ``a``, ``b``, ``epsilon``, ``marginals``, ``total_mass``, ``start``,
            which go before those of the call. All costs of one type.
    Keywords:
    {options}

    ``epsilon``, ``marginals`` and ``total_mass`` take one value for all entries, or a list (of numbers also a
    vector) with one for each; a tuple is a pair of sides. The callback is called with the index of the
    entry and its report, and its False stops that entry.

    Returns:
        Solutions: a sequence of ``Solution``, with ``values``, ``converged``, ... as vectors.

    Raises:
        InvalidArgument: (a ValueError) malformed input; the message and ``index`` name the first entry to blame.
        NotAvailable: arrays on a device that this build lacks.

    Warns:
        ConvergenceWarning: some solves ended without meeting their tolerance.
    """
    entries = [_entry_of(value, i) for i, value in enumerate(problems)]
    count = len(entries)

    def own(name: str, shared: Any, convert: Callable[[Any], Any]) -> list[Any]:
        values = _each(shared, name, count, lambda v: v)
        if not any(name in entry for entry in entries):
            return [convert(v) for v in values]
        values = values * count if len(values) == 1 else values
        return [convert(entry.get(name, v)) for entry, v in zip(entries, values, strict=True)]

    costs = _matrices([entry["C"] for entry in entries], "C", lambda v, _: cost_matrix(v))
    given = _one_type({"C": costs})
    dtype = widened(np.empty(0, given), precision, tolerance).dtype
    strengths = own("epsilon", epsilon, lambda v: number(v, "epsilon"))
    masses = own("total_mass", total_mass, _mass)
    sides = _sides(own("marginals", marginals, lambda v: v), masses, marginals_of)
    starts = [entry.get("start") for entry in entries]
    given_a, given_b = ([entry.get(name) for entry in entries] for name in ("a", "b"))
    a, b = (None if all(v is None for v in side) else side for side in (given_a, given_b))
    return _finish(
        _core.matrix_batch,
        (_cast(costs, dtype),),
        (_weights(a, "a", count, dtype), _weights(b, "b", count, dtype)),
        (a, b),
        fill(
            _core.SinkhornOptions(),
            epsilon=strengths[0] if strengths else 0.0,
            tolerance=tolerance,
            max_iterations=max_iterations,
            check_every=check_every,
            annealing=annealing,
            acceleration=acceleration,
            initializer=initializer,
            seed=seed,
            precision=precision,
            schedule=schedule,
            geometry=geometry,
            verify=verify,
            kernel_cache=kernel_cache,
            translate=translate,
        ),
        count=count,
        dtype=dtype,
        given_type=given,
        cost=None,
        epsilon=strengths,
        sides=sides,
        total_mass=masses,
        start=starts if any(s is not None for s in starts) else None,
        callback=callback,
        progress=progress,
        threads=threads,
        to=framework_of(*(entry["C"] for entry in entries[:1])),
    )
