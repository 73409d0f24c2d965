"""
The C++ core: converts and calls. The public interface is the package monge.
"""

from collections.abc import Sequence
import enum
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


def version() -> str: ...

def devices() -> list[str]: ...

def components() -> list[str]: ...

def release_memory(arg: str, /) -> None: ...

class Grid:
    def __init__(self, shape: Sequence[int], spacing: Sequence[float], origin: Sequence[float]) -> None: ...

class Lattice:
    def __init__(self, source: Grid, target: Grid, cost: str, power: float, periodic: Sequence[bool], device: str) -> None: ...

class ProblemF32:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def stream(self) -> int: ...

    @property
    def mass_a(self) -> float: ...

    @property
    def mass_b(self) -> float: ...

    @property
    def marginal_a(self) -> tuple[str, float]: ...

    @property
    def marginal_b(self) -> tuple[str, float]: ...

@overload
def point_problem(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], cost: str, power: float, a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF32: ...

@overload
def point_problem(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], cost: str, power: float, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF64: ...

@overload
def matrix_problem(values: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF32: ...

@overload
def matrix_problem(values: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF64: ...

@overload
def lattice_problem(lattice: Lattice, a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int) -> ProblemF32: ...

@overload
def lattice_problem(lattice: Lattice, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int) -> ProblemF64: ...

class ProblemF64:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def stream(self) -> int: ...

    @property
    def mass_a(self) -> float: ...

    @property
    def mass_b(self) -> float: ...

    @property
    def marginal_a(self) -> tuple[str, float]: ...

    @property
    def marginal_b(self) -> tuple[str, float]: ...

def cost_order(cost: str, power: float) -> float:
    """The power in which a length enters the cost; 0 where there is none."""

class Call:
    """
    Threads (0: as the process may use), progress hook and CUDA stream of a call.
    """

    def __init__(self, threads: int = 0, progress: object | None = None, stream: int = 0) -> None: ...

class SinkhornCheck:
    """One check of a pair of potentials."""

    @property
    def iterations(self) -> int: ...

    @property
    def passes(self) -> int: ...

    @property
    def epsilon(self) -> float: ...

    @property
    def marginal_error(self) -> float: ...

    @property
    def residual_a(self) -> float: ...

    @property
    def residual_b(self) -> float: ...

    @property
    def dual_value(self) -> float: ...

    @property
    def transported_mass(self) -> float: ...

    @property
    def truncation(self) -> float: ...

    def __repr__(self) -> str: ...

class SinkhornPhase:
    """A stretch of a solve in which one method ran."""

    @property
    def name(self) -> str: ...

    @property
    def passes(self) -> float: ...

    @property
    def steps(self) -> int: ...

    @property
    def why(self) -> str: ...

    def __repr__(self) -> str: ...

class SinkhornReport(SinkhornCheck):
    """The state of a solve."""

    @property
    def status(self) -> str: ...

    @property
    def converged(self) -> bool: ...

    @property
    def duality_gap(self) -> float: ...

    @property
    def predicted_floor(self) -> float: ...

    @property
    def weight_error(self) -> float: ...

    @property
    def fast_passes(self) -> int: ...

    @property
    def absorbed(self) -> int: ...

    @property
    def mass_level(self) -> float: ...

    @property
    def omega(self) -> float: ...

    @property
    def phases(self) -> list[SinkhornPhase]: ...

    @property
    def geometry(self) -> str: ...

    @property
    def kept(self) -> float: ...

    @property
    def coarse_passes(self) -> int: ...

    @property
    def verified(self) -> float: ...

    @property
    def trace(self) -> list[SinkhornCheck]: ...

class Annealing(enum.Enum):
    automatic = 0

    off = 1

class Acceleration(enum.Enum):
    automatic = 0

    none = 1

    over_relaxation = 2

    anderson = 3

    newton = 4

    support = 5

class Initializer(enum.Enum):
    automatic = 0

    zero = 1

    gaussian = 2

    sorting = 3

    subsample = 4

    coarse = 5

class Precision(enum.Enum):
    automatic = 0

    accurate = 1

    fast = 2

    mixed = 3

    double = 4

class Schedule(enum.Enum):
    plain = 0

    staged = 1

class Sweeps(enum.Enum):
    automatic = 0

    dense = 1

    tree = 2

def widens(precision: Precision, tolerance: float) -> bool:
    """Whether float32 arrays are to be solved as a copy in float64."""

class SinkhornOptions:
    def __init__(self) -> None: ...

    @property
    def epsilon(self) -> float: ...

    @epsilon.setter
    def epsilon(self, arg: float, /) -> None: ...

    @property
    def tolerance(self) -> float: ...

    @tolerance.setter
    def tolerance(self, arg: float, /) -> None: ...

    @property
    def max_iterations(self) -> int: ...

    @max_iterations.setter
    def max_iterations(self, arg: int, /) -> None: ...

    @property
    def check_every(self) -> int: ...

    @check_every.setter
    def check_every(self, arg: int, /) -> None: ...

    @property
    def translate(self) -> bool: ...

    @translate.setter
    def translate(self, arg: bool, /) -> None: ...

    @property
    def annealing(self) -> Annealing: ...

    @annealing.setter
    def annealing(self, arg: Annealing, /) -> None: ...

    @property
    def acceleration(self) -> Acceleration: ...

    @acceleration.setter
    def acceleration(self, arg: Acceleration, /) -> None: ...

    @property
    def initializer(self) -> Initializer: ...

    @initializer.setter
    def initializer(self, arg: Initializer, /) -> None: ...

    @property
    def seed(self) -> int: ...

    @seed.setter
    def seed(self, arg: int, /) -> None: ...

    @property
    def precision(self) -> Precision: ...

    @precision.setter
    def precision(self, arg: Precision, /) -> None: ...

    @property
    def schedule(self) -> Schedule: ...

    @schedule.setter
    def schedule(self, arg: Schedule, /) -> None: ...

    @property
    def geometry(self) -> Sweeps: ...

    @geometry.setter
    def geometry(self, arg: Sweeps, /) -> None: ...

    @property
    def verify(self) -> bool: ...

    @verify.setter
    def verify(self, arg: bool, /) -> None: ...

    @property
    def kernel_cache(self) -> int: ...

    @kernel_cache.setter
    def kernel_cache(self, arg: int, /) -> None: ...

def goes_on(options: SinkhornOptions, report: SinkhornReport) -> bool:
    """Whether a solve in float32 ended where one in float64 is to go on."""

class SinkhornResultF32:
    @property
    def f(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    @property
    def g(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    @property
    def report(self) -> SinkhornReport: ...

@overload
def sinkhorn(problem: ProblemF32, options: SinkhornOptions, start_f: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, start_g: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, on_check: object | None, call: Call) -> SinkhornResultF32: ...

@overload
def sinkhorn(problem: ProblemF64, options: SinkhornOptions, start_f: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, start_g: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, on_check: object | None, call: Call) -> SinkhornResultF64: ...

@overload
def sinkhorn(problem: ReferencedProblemF32, options: SinkhornOptions, start_f: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, start_g: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, on_check: object | None, call: Call) -> SinkhornResultF32: ...

@overload
def sinkhorn(problem: ReferencedProblemF64, options: SinkhornOptions, start_f: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, start_g: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, on_check: object | None, call: Call) -> SinkhornResultF64: ...

class SinkhornResultF64:
    @property
    def f(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    @property
    def g(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    @property
    def report(self) -> SinkhornReport: ...

@overload
def go_on(problem: ProblemF64, options: SinkhornOptions, begun: SinkhornResultF32, on_check: object | None, call: Call) -> SinkhornResultF64: ...

@overload
def go_on(problem: ReferencedProblemF64, options: SinkhornOptions, begun: SinkhornResultF32, on_check: object | None, call: Call) -> SinkhornResultF64: ...

class ReferencedProblemF32:
    @property
    def problem(self) -> ProblemF32: ...

    def to_asked(self, result: SinkhornResultF32) -> SinkhornResultF32: ...

@overload
def with_reference(problem: ProblemF32, epsilon: float, r_a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, r_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None) -> ReferencedProblemF32: ...

@overload
def with_reference(problem: ProblemF64, epsilon: float, r_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, r_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None) -> ReferencedProblemF64:
    """The equivalent problem under r_a r_b^T; None means counting."""

@overload
def gradient(plan: PlanF32, referenced: ReferencedProblemF32, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, float, float, float]: ...

@overload
def gradient(plan: PlanF64, referenced: ReferencedProblemF64, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, float, float, float]: ...

@overload
def gradient(plan: PlanF32, wrt: Sequence[str] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, float, float, float]: ...

@overload
def gradient(plan: PlanF64, wrt: Sequence[str] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, float, float, float]: ...

class ReferencedProblemF64:
    @property
    def problem(self) -> ProblemF64: ...

    def to_asked(self, result: SinkhornResultF64) -> SinkhornResultF64: ...

class Side(enum.Enum):
    source = 0

    target = 1

class PlanTerms:
    """
    The parts of the objective at the plan, in units of the cost (entropy: of mass).
    """

    @property
    def linear(self) -> float: ...

    @property
    def entropy(self) -> float: ...

    @property
    def penalty_a(self) -> float: ...

    @property
    def penalty_b(self) -> float: ...

    def __repr__(self) -> str: ...

DENSE_LIMIT: int = 67108864

class PlanF32:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def truncation(self) -> float: ...

    def apply(self, rows: Side, v: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

    def marginal(self, side: Side, call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None,))]: ...

    def value(self, call: Call) -> float: ...

    def terms(self, call: Call) -> PlanTerms: ...

    def barycentric(self, rows: Side, values: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))], Annotated[NDArray[numpy.bool_], dict(shape=(None,))]]: ...

    def moments(self, rows: Side, values: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))], Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))]]: ...

    def potential(self, side: Side, z: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None,))]: ...

    def map(self, side: Side, z: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

    def top_k(self, k: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))]]: ...

    def sparse(self, threshold: float, limit: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))]]: ...

    def sparsify(self, rule: str, value: float, limit: int, call: Call) -> tuple[tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))]], float]: ...

    def draw_pairs(self, k: int, seed: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]: ...

    def draw_targets(self, k: int, seed: int, call: Call) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]: ...

    def dense(self, limit: int, call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

@overload
def plan(problem: ProblemF32, result: SinkhornResultF32) -> PlanF32: ...

@overload
def plan(problem: ProblemF32, epsilon: float, f: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], g: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]) -> PlanF32: ...

@overload
def plan(problem: ProblemF64, result: SinkhornResultF64) -> PlanF64: ...

@overload
def plan(problem: ProblemF64, epsilon: float, f: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]) -> PlanF64: ...

class PlanF64:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def truncation(self) -> float: ...

    def apply(self, rows: Side, v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]: ...

    def marginal(self, side: Side, call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def value(self, call: Call) -> float: ...

    def terms(self, call: Call) -> PlanTerms: ...

    def barycentric(self, rows: Side, values: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))], Annotated[NDArray[numpy.bool_], dict(shape=(None,))]]: ...

    def moments(self, rows: Side, values: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))]]: ...

    def potential(self, side: Side, z: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def map(self, side: Side, z: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]: ...

    def top_k(self, k: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]: ...

    def sparse(self, threshold: float, limit: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]: ...

    def sparsify(self, rule: str, value: float, limit: int, call: Call) -> tuple[tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]], float]: ...

    def draw_pairs(self, k: int, seed: int, call: Call) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]: ...

    def draw_targets(self, k: int, seed: int, call: Call) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None))]: ...

    def dense(self, limit: int, call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]: ...

class CompositionF32:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    def apply(self, rows: Side, v: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

    def marginal(self, side: Side, device: str, call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None,))]: ...

    def dense(self, limit: int, device: str, call: Call) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]: ...

@overload
def compose(plans: Sequence[PlanF32], call: Call) -> CompositionF32: ...

@overload
def compose(plans: Sequence[PlanF64], call: Call) -> CompositionF64: ...

class CompositionF64:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    def apply(self, rows: Side, v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]: ...

    def marginal(self, side: Side, device: str, call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def dense(self, limit: int, device: str, call: Call) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]: ...

class SolveOptions:
    def __init__(self, tolerance: float, max_iterations: int, strict: bool) -> None: ...

class InverseOptions:
    def __init__(self, tolerance: float, max_iterations: int, radius: float, inner: SolveOptions) -> None: ...

class InverseReport:
    """How far conjugate gradients on a Hessian went."""

    @property
    def converged(self) -> bool:
        """Whether the residual met the tolerance."""

    @property
    def iterations(self) -> int:
        """Hessian products."""

    @property
    def passes(self) -> int:
        """Sweeps over all pairs, of all products."""

    @property
    def residual(self) -> float:
        """Relative."""

    @property
    def condition(self) -> float:
        """
        Ratio of the extreme Ritz values: the condition number that the right-hand side saw.
        """

    @property
    def negative_curvature(self) -> bool:
        """Whether it ended on a direction of curvature <= 0."""

    @property
    def boundary(self) -> bool:
        """Whether it ended on the radius."""

class DerivativeReport:
    """How far a derivative's linear solve went."""

    @property
    def converged(self) -> bool:
        """Whether the residual met the tolerance."""

    @property
    def iterations(self) -> int:
        """Of block conjugate gradients."""

    @property
    def passes(self) -> int:
        """Sweeps over all pairs."""

    @property
    def residual(self) -> float:
        """Relative, the worst of all directions."""

    @property
    def marginal_error(self) -> float:
        """Of the plan: derivatives inherit it."""

    @property
    def error_estimate(self) -> float:
        """Relative, from both."""

    @property
    def gap(self) -> float:
        """
        Least eigenvalue of the scaled Schur complement; 0: not estimated, as with several directions.
        """

    @property
    def deflated(self) -> int:
        """
        Smooth functions that were solved for directly: two-level conjugate gradients.
        """

    @property
    def diagonal_ratio(self) -> float:
        """Least of the Schur complement's diagonal over the marginals'."""

    @property
    def tv_margin(self) -> float:
        """
        Distance of the potentials of a TV side from its kinks, in units of cost.
        """

@overload
def linearize(plan: PlanF32, kernel_cache: int | None, call: Call) -> LinearizationF32: ...

@overload
def linearize(plan: PlanF64, kernel_cache: int | None, call: Call) -> LinearizationF64: ...

class LinearizationF32:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def dim(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def marginal_error(self) -> float: ...

    @property
    def tv_margin(self) -> float: ...

    def hvp(self, count: int, dx: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

    def jvp(self, count: int, dx: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, list[float], list[float], DerivativeReport]: ...

    def vjp(self, count: int, f: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, g: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, source: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, target: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, map: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, transport_cost: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

    def inverse_hvp(self, side: Side, right: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, options: InverseOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, InverseReport]: ...

    def hessian(self, side: Side, limit: int, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None))], int]: ...

class LinearizationF64:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def dim(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def marginal_error(self) -> float: ...

    @property
    def tv_margin(self) -> float: ...

    def hvp(self, count: int, dx: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

    def jvp(self, count: int, dx: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, list[float], list[float], DerivativeReport]: ...

    def vjp(self, count: int, f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, source: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, target: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, map: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, transport_cost: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

    def inverse_hvp(self, side: Side, right: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, options: InverseOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, InverseReport]: ...

    def hessian(self, side: Side, limit: int, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None))], int]: ...

class DivergenceOptions(SinkhornOptions):
    def __init__(self) -> None: ...

    def set_cost(self, cost: str, power: float) -> None: ...

    @property
    def marginal_a(self) -> tuple[str, float]: ...

    @marginal_a.setter
    def marginal_a(self, arg: tuple[str, float], /) -> None: ...

    @property
    def marginal_b(self) -> tuple[str, float]: ...

    @marginal_b.setter
    def marginal_b(self, arg: tuple[str, float], /) -> None: ...

    @property
    def mass_tolerance(self) -> float: ...

    @mass_tolerance.setter
    def mass_tolerance(self, arg: float, /) -> None: ...

    @property
    def gradients(self) -> bool: ...

    @gradients.setter
    def gradients(self, arg: bool, /) -> None: ...

    @property
    def gradients_of(self) -> Side | None: ...

    @gradients_of.setter
    def gradients_of(self, arg: Side | None, /) -> None: ...

class DivergenceF32:
    @property
    def value(self) -> float: ...

    @property
    def ab(self) -> SinkhornResultF32: ...

    @property
    def aa(self) -> SinkhornResultF32: ...

    @property
    def bb(self) -> SinkhornResultF32: ...

    @property
    def potential_a(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    @property
    def potential_b(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    def take_gradient(self) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))]]: ...

@overload
def divergence(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, options: DivergenceOptions, on_check: object | None, call: Call) -> DivergenceF32: ...

@overload
def divergence(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, options: DivergenceOptions, on_check: object | None, call: Call) -> DivergenceF64: ...

@overload
def divergence_batch(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, epsilon: Sequence[float], marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], mass_tolerance: Sequence[float], on_check: object | None, call: Call) -> list[DivergenceF32]: ...

@overload
def divergence_batch(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, epsilon: Sequence[float], marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], mass_tolerance: Sequence[float], on_check: object | None, call: Call) -> list[DivergenceF64]: ...

@overload
def divergence_lattice(lattice: Lattice, a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], options: DivergenceOptions, on_check: object | None, call: Call) -> DivergenceF32: ...

@overload
def divergence_lattice(lattice: Lattice, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], options: DivergenceOptions, on_check: object | None, call: Call) -> DivergenceF64: ...

class DivergenceF64:
    @property
    def value(self) -> float: ...

    @property
    def ab(self) -> SinkhornResultF64: ...

    @property
    def aa(self) -> SinkhornResultF64: ...

    @property
    def bb(self) -> SinkhornResultF64: ...

    @property
    def potential_a(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    @property
    def potential_b(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    def take_gradient(self) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]: ...

class DivergenceLinearizationF32:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    def hvp(self, count: int, dx: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

@overload
def linearize_divergence(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, options: DivergenceOptions, f_ab: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], g_ab: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], f_aa: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], g_aa: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], f_bb: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], g_bb: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', writable=False)], call: Call) -> DivergenceLinearizationF32: ...

@overload
def linearize_divergence(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, options: DivergenceOptions, f_ab: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], g_ab: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], f_aa: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], g_aa: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], f_bb: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], g_bb: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', writable=False)], call: Call) -> DivergenceLinearizationF64: ...

class DivergenceLinearizationF64:
    @property
    def n(self) -> int: ...

    @property
    def m(self) -> int: ...

    @property
    def device(self) -> str: ...

    def hvp(self, count: int, dx: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, dy: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', writable=False)] | None, da: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, db: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, df: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, dg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', writable=False)] | None, depsilon: Sequence[float], drho_a: Sequence[float], drho_b: Sequence[float], dmass: Sequence[float], wrt: Sequence[str], options: SolveOptions, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, list[float], list[float], list[float], list[float], DerivativeReport]: ...

class LabelledCloudsF32:
    def problem(self, a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF32: ...

    def gradient(self, plan: PlanF32, call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float32], dict(shape=(None,))] | None, float, float, float]: ...

@overload
def with_labels(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], labels_x: Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], labels_y: Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], table: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], lambda_x: float, lambda_y: float, call: Call) -> LabelledCloudsF32: ...

@overload
def with_labels(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], labels_x: Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], labels_y: Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], table: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], lambda_x: float, lambda_y: float, call: Call) -> LabelledCloudsF64: ...

class LabelledCloudsF64:
    def problem(self, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, marginal_a: tuple[str, float], marginal_b: tuple[str, float], total_mass: float | None, mass_tolerance: float, stream: int, bounds: tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None = None) -> ProblemF64: ...

    def gradient(self, plan: PlanF64, call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,))] | None, float, float, float]: ...

@overload
def c_transform(problem: ProblemF32, rows: Side, potential: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], call: Call) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]: ...

@overload
def c_transform(problem: ProblemF64, rows: Side, potential: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], call: Call) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]: ...

@overload
def semi_dual(problem: ProblemF32, epsilon: float, g: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], call: Call) -> tuple[float, Annotated[NDArray[numpy.float32], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None,))], Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None]: ...

@overload
def semi_dual(problem: ProblemF64, epsilon: float, g: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], call: Call) -> tuple[float, Annotated[NDArray[numpy.float64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))] | None]: ...

class SavedSolutionF32:
    @property
    def version(self) -> str: ...

    @property
    def given_type(self) -> str: ...

    @property
    def options(self) -> SinkhornOptions: ...

    @property
    def reference(self) -> str: ...

    @property
    def cost(self) -> tuple[str, float] | None: ...

    @property
    def shapes(self) -> tuple[list[int], list[int]] | None: ...

    @property
    def labels(self) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], int, float, float] | None: ...

    @property
    def x(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    @property
    def y(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]: ...

    def labelled(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None) -> LabelledCloudsF32: ...

    @property
    def reference_weights(self) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)]] | None: ...

    @property
    def result(self) -> SinkhornResultF32: ...

    def problem(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, C: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | None, a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, labelled: LabelledCloudsF32 | None = None) -> ProblemF32: ...

@overload
def save(path: str, problem: ProblemF32, result: SinkhornResultF32, options: SinkhornOptions, points: bool, given_type: str, reference: str, r_a: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, r_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None, labels: tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], float, float] | None = None) -> None: ...

@overload
def save(path: str, problem: ProblemF64, result: SinkhornResultF64, options: SinkhornOptions, points: bool, given_type: str, reference: str, r_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, r_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, labels: tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)], float, float] | None = None) -> None: ...

class SavedSolutionF64:
    @property
    def version(self) -> str: ...

    @property
    def given_type(self) -> str: ...

    @property
    def options(self) -> SinkhornOptions: ...

    @property
    def reference(self) -> str: ...

    @property
    def cost(self) -> tuple[str, float] | None: ...

    @property
    def shapes(self) -> tuple[list[int], list[int]] | None: ...

    @property
    def labels(self) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.int64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], int, float, float] | None: ...

    @property
    def x(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    @property
    def y(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]: ...

    def labelled(self, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None) -> LabelledCloudsF64: ...

    @property
    def reference_weights(self) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)]] | None: ...

    @property
    def result(self) -> SinkhornResultF64: ...

    def problem(self, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, C: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | None, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None, labelled: LabelledCloudsF64 | None = None) -> ProblemF64: ...

def load(path: str) -> object: ...

class BatchF32:
    def __len__(self) -> int: ...

    def problem(self, entry: int) -> ProblemF32: ...

    def result(self, entry: int) -> SinkhornResultF32: ...

    def referenced(self, entry: int) -> ReferencedProblemF32: ...

    def refer(self, epsilon: Sequence[float], r_a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, r_b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None) -> None:
        """Every problem under r_a r_b^T; None means counting."""

    def values(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def marginal_errors(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def transported_masses(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def iterations(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]: ...

    def passes(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]: ...

    def converged(self) -> Annotated[NDArray[numpy.bool_], dict(shape=(None,))]: ...

    def goes_on(self, options: SinkhornOptions) -> list[int]:
        """The entries whose solve in float32 is to go on in float64."""

    def solve(self, options: SinkhornOptions, epsilon: Sequence[float], start_f: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, start_g: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, on_check: object | None, call: Call) -> None: ...

@overload
def point_batch(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], cost: str, power: float, a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], total_mass: Sequence[float | None], mass_tolerance: Sequence[float], call: Call) -> BatchF32: ...

@overload
def point_batch(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], cost: str, power: float, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], total_mass: Sequence[float | None], mass_tolerance: Sequence[float], call: Call) -> BatchF64: ...

@overload
def matrix_batch(values: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], total_mass: Sequence[float | None], mass_tolerance: Sequence[float], call: Call) -> BatchF32: ...

@overload
def matrix_batch(values: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, marginal_a: Sequence[tuple[str, float]], marginal_b: Sequence[tuple[str, float]], total_mass: Sequence[float | None], mass_tolerance: Sequence[float], call: Call) -> BatchF64: ...

class BatchF64:
    def __len__(self) -> int: ...

    def problem(self, entry: int) -> ProblemF64: ...

    def result(self, entry: int) -> SinkhornResultF64: ...

    def referenced(self, entry: int) -> ReferencedProblemF64: ...

    def refer(self, epsilon: Sequence[float], r_a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, r_b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None) -> None:
        """Every problem under r_a r_b^T; None means counting."""

    def values(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def marginal_errors(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def transported_masses(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    def iterations(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]: ...

    def passes(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]: ...

    def converged(self) -> Annotated[NDArray[numpy.bool_], dict(shape=(None,))]: ...

    def goes_on(self, options: SinkhornOptions) -> list[int]:
        """The entries whose solve in float32 is to go on in float64."""

    def solve(self, options: SinkhornOptions, epsilon: Sequence[float], start_f: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, start_g: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, on_check: object | None, call: Call) -> None: ...

def go_on_batch(batch: BatchF64, options: SinkhornOptions, epsilon: Sequence[float], begun: BatchF32, which: Sequence[int], on_check: object | None, call: Call) -> None: ...

@overload
def divergence_stack(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, call: Call) -> tuple[list[tuple[int, str, float]], object, object, object, object, object, object, object]: ...

@overload
def divergence_stack(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, call: Call) -> tuple[list[tuple[int, str, float]], object, object, object, object, object, object, object]:
    """
    Of at least one entry, all of one size: (entry, status, error) of those that did not converge, by the first solve that did not and the worst marginal error; values; potentials [B, 3, n] (f of ab, f and g of aa) and [B, 3, m] (g of ab, f and g of bb); gradients. Arrays are capsules of DLPack, ready in the order of the call's stream.
    """

@overload
def transport_stack(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, wrt: Sequence[str], call: Call) -> tuple[list[tuple[int, SinkhornReport]], list[float], object, object, object, object, object, object, object]: ...

@overload
def transport_stack(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)]], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), writable=False)] | Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), writable=False)] | None] | None, options: DivergenceOptions, wrt: Sequence[str], call: Call) -> tuple[list[tuple[int, SinkhornReport]], list[float], object, object, object, object, object, object, object]:
    """
    Of at least one entry, all of one size: (entry, report) of those that did not converge or carry no mass; both masses of the first; values; potentials [B, 1, n] and [B, 1, m]; the gradients that wrt names, by letters. Arrays are capsules of DLPack, ready in the order of the call's stream.
    """

def xla_targets() -> list[tuple[str, str, object]]:
    """
    (name, platform, capsule) of each foreign function of XLA; none where the build had no jaxlib.
    """
