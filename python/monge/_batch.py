"""The verbs solve_batch and solve_sample_batch: many problems in one call."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from . import _core, _progress
from ._arrays import ToFramework, cost_matrix, framework_of
from ._device import current_stream, device_of
from ._entries import (
    Arrays,
    cast,
    check_count,
    chosen,
    clouds_of,
    each,
    mass_of,
    mass_tolerances,
    matrices,
    named,
    one_type,
    picked,
    references_of,
    sides_of,
    spread,
    strengths_of,
    weights_of,
)
from ._errors import ConvergenceWarning, InvalidArgument
from ._keywords import (
    Ground,
    Length,
    checked_callback,
    fill,
    marginals_of,
    number,
    start_of,
    thread_count,
    widened,
)
from ._marginals import Marginal, Marginals, to_spec
from ._options import documented
from ._solution import Cost, Solution

logger = logging.getLogger("monge")


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
        reference: str = "product",
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
        self._reference = reference

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
            batch.referenced(place),
            batch.result(place),
            cost=self._cost,
            epsilon=self._epsilon[i if len(self._epsilon) > 1 else 0],
            reference=self._reference,
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
    reference: Any,
    threads: Any,
    to: ToFramework,
) -> Solutions:
    first = geometry[0][0] if count else None
    stream = 0 if first is None else current_stream(device_of(first))
    side_a, side_b = spread([(to_spec(a), to_spec(b)) for a, b in sides])
    tolerances = mass_tolerances(given_type, given, count)
    starts_f = starts_g = None
    if start is not None:
        check_count(start, "start", count)
        pairs = [named("start", i, start_of, s, dtype) for i, s in enumerate(start)]
        starts_f, starts_g = spread(pairs)
    name, r_a, r_b = references_of(reference, count, dtype)
    checked, workers = checked_callback(callback), thread_count(threads)
    logger.debug("solving %d problems in %s", count, dtype)
    with _progress.hook(progress, "monge", count) as hook:
        call = _core.Call(workers, hook, stream)

        def problems(arrays: tuple[Any, ...], a: Any, b: Any, which: list[int] | None) -> Any:
            some = (lambda v: v) if which is None else (lambda v: chosen(v, which))
            made = make(
                *arrays, a, b, some(side_a), some(side_b), some(total_mass), some(tolerances), call
            )
            if name != "product":
                own = [
                    None if r is None or which is None else picked(r, which, np.dtype(np.float64))
                    for r in (r_a, r_b)
                ]
                made.refer(some(epsilon), *((r_a, r_b) if which is None else own))
            return made

        batch = problems(geometry, weights[0], weights[1], None)
        batch.solve(options, epsilon, starts_f, starts_g, checked, call)
        went_on = batch.goes_on(options) if dtype == np.float32 else []
        wide = None
        if went_on:
            logger.debug("float32 is at its floor in %d problems", len(went_on))
            double = np.dtype(np.float64)
            wide = problems(
                tuple(picked(part, went_on, double) for part in geometry),
                picked(weights[0], went_on, double),
                picked(weights[1], went_on, double),
                went_on,
            )
            _core.go_on_batch(wide, options, epsilon, batch, went_on, checked, call)
    solutions = Solutions(
        batch,
        wide,
        went_on,
        cost=cost,
        epsilon=epsilon,
        to=to,
        threads=workers,
        dtype=dtype,
        reference=name,
    )
    logger.info("%r", solutions)
    _report_unmet(solutions, options.tolerance)
    return solutions


def _report_unmet(solutions: Solutions, tolerance: float) -> None:
    unmet = np.flatnonzero(~solutions.converged)
    warn_unmet(
        len(solutions),
        [(int(i), solutions[int(i)]._report) for i in unmet[:1]],
        unmet.size,
        np.flatnonzero(solutions.transported_masses == 0).tolist(),
        tolerance,
        stacklevel=4,
    )


def warn_unmet(
    count: int,
    first: list[tuple[int, _core.SinkhornReport]],
    unmet: int,
    empty: list[int],
    tolerance: float,
    stacklevel: int,
) -> None:
    """Of `count` problems: how many did not meet the tolerance, the first of them, and whose plan is empty."""
    for entry, worst in first[:1]:
        warnings.warn(
            f"{unmet} of {count} problems did not meet the tolerance {tolerance:.2e}, the "
            f"first is entry {entry}: {worst.status} after {worst.iterations} iterations with "
            f"marginal_error {worst.marginal_error:.2e}",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    if empty:
        warnings.warn(
            f"{len(empty)} of {count} plans carry no mass, the first is entry {empty[0]}: every "
            "cost is far above the strengths of the marginals",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
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
    reference: Any = "product",
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
    list (of numbers also a vector) with one for each; a tuple is a pair of sides. ``start`` is a list;
    weights of a ``reference`` come as those of ``a`` and ``b`` do.
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
    clouds = clouds_of(xs, ys, precision, tolerance)
    count, dtype = len(clouds.x), clouds.dtype
    masses = each(total_mass, "total_mass", count, mass_of)
    strengths, sides = strengths_of(
        count, ground, epsilon=epsilon, blur=blur, reach=reach, marginals=marginals, masses=masses
    )
    kind, exponent = ground.name, ground.power
    return _finish(
        lambda x, y, *rest: _core.point_batch(x, y, kind, exponent, *rest),
        (clouds.x, clouds.y),
        (weights_of(a, "a", count, dtype), weights_of(b, "b", count, dtype)),
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
        given_type=clouds.given,
        cost=ground.spec,
        epsilon=strengths,
        sides=sides,
        total_mass=masses,
        start=start,
        callback=callback,
        progress=progress,
        reference=reference,
        threads=threads,
        to=clouds.to,
    )


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
    reference: Any = "product",
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
    vector) with one for each; a tuple is a pair of sides. Weights of a ``reference`` are lists. The callback
    is called with the index of the entry and its report, and its False stops that entry.

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
        values = each(shared, name, count, lambda v: v)
        if not any(name in entry for entry in entries):
            return [convert(v) for v in values]
        values = values * count if len(values) == 1 else values
        return [convert(entry.get(name, v)) for entry, v in zip(entries, values, strict=True)]

    costs = matrices([entry["C"] for entry in entries], "C", lambda v, _: cost_matrix(v))
    given = one_type({"C": costs})
    dtype = widened(np.empty(0, given), precision, tolerance).dtype
    strengths = own("epsilon", epsilon, lambda v: number(v, "epsilon"))
    masses = own("total_mass", total_mass, mass_of)
    sides = sides_of(own("marginals", marginals, lambda v: v), masses, marginals_of)
    starts = [entry.get("start") for entry in entries]
    given_a, given_b = ([entry.get(name) for entry in entries] for name in ("a", "b"))
    a, b = (None if all(v is None for v in side) else side for side in (given_a, given_b))
    return _finish(
        _core.matrix_batch,
        (cast(costs, dtype),),
        (weights_of(a, "a", count, dtype), weights_of(b, "b", count, dtype)),
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
        reference=reference,
        threads=threads,
        to=framework_of(*(entry["C"] for entry in entries[:1])),
    )
