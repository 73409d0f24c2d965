"""The verb divergence_batch: many debiased divergences in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from . import _core, _progress
from ._arrays import Array, ToFramework
from ._device import current_stream, device_of
from ._divergence import Cloud, Divergence, between, undebiased
from ._entries import (
    Arrays,
    clouds_of,
    mass_tolerances,
    spread,
    strengths_of,
    weights_of,
)
from ._errors import ConvergenceWarning
from ._keywords import (
    Ground,
    Length,
    checked_callback,
    fill,
    thread_count,
)
from ._marginals import Marginals, to_spec
from ._options import documented
from ._solution import Cost
from ._solve import logger


class Divergences(Sequence[Divergence]):
    """What a batch returns: a sequence of ``Divergence``, and their scalars as vectors.

    A ``Divergence`` is made when it is asked for. Results are bit for bit those of each pair alone.
    """

    def __init__(
        self,
        cores: list[Any],
        clouds: tuple[tuple[Arrays, Any], tuple[Arrays, Any]],
        *,
        ground: Ground,
        sides: tuple[list[Any], list[Any]],
        mass_tolerance: list[float],
        epsilon: list[float],
        gradients: bool,
        to: ToFramework,
        threads: int,
    ):
        self._cores = cores
        self._clouds = clouds
        self._ground = ground
        self._sides = sides
        self._mass_tolerance = mass_tolerance
        self._epsilon = epsilon
        self._gradients = gradients
        self._to = to
        self._threads = threads

    def __len__(self) -> int:
        return len(self._cores)

    @overload
    def __getitem__(self, index: int) -> Divergence: ...
    @overload
    def __getitem__(self, index: slice) -> list[Divergence]: ...
    def __getitem__(self, index: int | slice) -> Divergence | list[Divergence]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]

        def own(values: list[Any]) -> Any:
            return values[i if len(values) > 1 else 0]

        def cloud(side: int) -> Cloud:
            arrays, weights = self._clouds[side]
            return arrays[i], None if weights is None else weights[i]

        return between(
            self._cores[i],
            cloud(0),
            cloud(1),
            ground=self._ground,
            sides=(own(self._sides[0]), own(self._sides[1])),
            mass_tolerance=own(self._mass_tolerance),
            epsilon=own(self._epsilon),
            gradients=self._gradients,
            to=self._to,
            threads=self._threads,
        )

    def __iter__(self) -> Iterator[Divergence]:
        return (self[i] for i in range(len(self)))

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """(B,): ``Divergence.value`` of each."""
        return np.array([core.value for core in self._cores], np.float64)

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """(B,): whether all three solves did, of each."""
        return np.array(
            [all(part.report.converged for part in _parts(core)) for core in self._cores], bool
        )

    @property
    def marginal_errors(self) -> npt.NDArray[np.float64]:
        """(B, 3): ``Solution.marginal_error`` of the solves ab, aa and bb of each."""
        errors = [[part.report.marginal_error for part in _parts(core)] for core in self._cores]
        return np.array(errors, np.float64).reshape(-1, 3)

    @property
    def passes(self) -> npt.NDArray[np.int64]:
        """(B, 3): ``Solution.passes`` of the solves ab, aa and bb of each."""
        counts = [[part.report.passes for part in _parts(core)] for core in self._cores]
        return np.array(counts, np.int64).reshape(-1, 3)

    def __repr__(self) -> str:
        return f"Divergences({len(self)} pairs, {int(self.converged.sum())} converged)"


def _parts(core: Any) -> tuple[Any, Any, Any]:
    return core.ab, core.aa, core.bb


@documented
def divergence_batch(
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
    total_mass: float | None = None,
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
    gradients: bool = False,
) -> Divergences:
    """Debiased Sinkhorn divergences of many pairs of weighted point clouds, in one call.

    Each pair is that of ``divergence`` and gets its result bit for bit; sizes, dimensions and weights may
    differ from pair to pair. On the CPU pairs run side by side.

    Args:
        xs: source clouds: a list of (n, d) arrays, or one (B, n, d) array. All of one type.
        ys: target clouds, likewise.
        a: source weights: a list of (n,) arrays and None, or one (B, n) array; None: uniform with sum 1.
        b: target weights, likewise.
    Keywords:
    {options}
        gradients: also compute ``gradient()`` of each: derivatives in points and weights. (default False)

    ``epsilon``, ``blur``, ``marginals`` and ``reach`` take one value for all pairs, or a list (of numbers
    also a vector) with one for each; a tuple is a pair of sides. The callback is called with the index of
    the pair and its report, and its False stops that solve.

    Returns:
        Divergences: a sequence of ``Divergence``, with ``values``, ``converged``, ... as vectors.

    Raises:
        InvalidArgument: (a ValueError) malformed input; the message and ``index`` name the first pair to blame.
        NotAvailable: a total mass, another reference, or arrays on a device that this build lacks.

    Warns:
        ConvergenceWarning: some solves ended without meeting their tolerance.

    Example:
        >>> clouds = np.random.default_rng(0).normal(size=(3, 50, 2))
        >>> results = monge.divergence_batch(clouds, clouds[::-1], epsilon=0.5)
        >>> bool(abs(results.values[1]) < 1e-12)
        True
    """
    undebiased(total_mass, reference, "solve_sample_batch")
    ground = Ground.of(cost, cost_factor)
    clouds = clouds_of(xs, ys, precision, tolerance)
    count, dtype = len(clouds.x), clouds.dtype
    strengths, sides = strengths_of(
        count, ground, epsilon=epsilon, blur=blur, reach=reach, marginals=marginals, masses=[None]
    )
    options = fill(
        _core.DivergenceOptions(),
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
    )
    options.set_cost(ground.name, ground.power)
    options.gradients = bool(gradients)
    side_a, side_b = spread([(to_spec(one), to_spec(two)) for one, two in sides])
    tolerances = mass_tolerances(clouds.given, (a, b), count)
    alpha = clouds.x, weights_of(a, "a", count, dtype)
    beta = clouds.y, weights_of(b, "b", count, dtype)
    workers = thread_count(threads)
    first: Array | None = alpha[0][0] if count else None
    stream = 0 if first is None else current_stream(device_of(first))
    logger.debug("%d divergences in %s", count, dtype)
    with _progress.hook(progress, "monge", count) as hook:
        cores = _core.divergence_batch(
            *alpha,
            *beta,
            options,
            strengths,
            side_a,
            side_b,
            tolerances,
            checked_callback(callback),
            _core.Call(workers, hook, stream),
        )
    answers = Divergences(
        cores,
        (alpha, beta),
        ground=ground,
        sides=(side_a, side_b),
        mass_tolerance=tolerances,
        epsilon=strengths,
        gradients=options.gradients,
        to=clouds.to,
        threads=workers,
    )
    logger.info("%r", answers)
    unmet = np.flatnonzero(~answers.converged)
    if unmet.size:
        entry = int(unmet[0])
        warnings.warn(
            f"{unmet.size} of {count} divergences did not meet the tolerance {tolerance:.2e}, the first is "
            f"entry {entry}: {'/'.join(answers[entry].statuses)} with marginal errors "
            f"{', '.join(f'{e:.2e}' for e in answers.marginal_errors[entry])}",
            ConvergenceWarning,
            stacklevel=2,
        )
    return answers
