"""The keywords that the verbs share: one table, against which signatures, docs and tests are checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ._errors import InvalidArgument

LATTICES = ("solve_lattice", "divergence_lattice")
# Of monge.torch and monge.jax: nothing that is no number can be given to an operator of theirs, or come back from one.
TAPED = ("sinkhorn", "sinkhorn_divergence")
SAMPLES = (
    "solve_sample",
    "solve_sample_batch",
    "divergence",
    "divergence_batch",
    *LATTICES,
    *TAPED,
)
# In solve_batch a start is an entry's.
STARTED = ("solve", "solve_sample", "solve_sample_batch", "solve_lattice")
STREAMED = (
    "solve",
    "solve_sample",
    "solve_batch",
    "solve_sample_batch",
    "divergence",
    "divergence_batch",
    *TAPED,
)
ALL = (*STREAMED, *LATTICES)
HOST = tuple(verb for verb in ALL if verb not in TAPED)
REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    name: str
    default: Any
    doc: str
    verbs: tuple[str, ...] = ALL
    choices: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()

    def default_in(self, verb: str) -> Any:
        return REQUIRED if verb in self.required_by else self.default


OPTIONS = (
    Option(
        "spacing",
        1.0,
        "distance between neighbours on the grid of a, in units of length: one number, or one for each axis.",
        LATTICES,
    ),
    Option(
        "origin",
        0.0,
        "coordinates of the first point of the grid of a: one number, or one for each axis.",
        LATTICES,
    ),
    Option("target_spacing", None, "of the grid of b; None: as that of a.", LATTICES),
    Option("target_origin", None, "of the grid of b; None: as that of a.", LATTICES),
    Option(
        "periodic",
        False,
        "whether the cost is that of the shorter way round, for all axes or for each. The way round an axis is "
        "its length times its spacing, and must be the same on both grids.",
        LATTICES,
    ),
    Option(
        "cost",
        "sqeuclidean",
        "'sqeuclidean' |x-y|^2, 'half_sqeuclidean' |x-y|^2/2 (GeomLoss's p=2), 'euclidean' |x-y|, "
        "('power', p) |x-y|^p with p >= 1, 'cosine' 1 - x.y/(|x||y|), 'dot' -x.y. Grids of more than one axis "
        "take the first two.",
        SAMPLES,
    ),
    Option(
        "labels",
        None,
        "a monge.Labels: adds a table of costs between labels of the points to the cost 'sqeuclidean'. Potentials "
        "and maps at new points are NotAvailable then.",
        ("solve_sample",),
    ),
    Option(
        "epsilon",
        None,
        "strength > 0 of the entropy, in units of the cost. Exactly one of epsilon, blur.",
        required_by=("solve",),
    ),
    Option(
        "blur",
        None,
        "a length: epsilon = cost_factor * blur**p, p the order of the cost (2 squared, 1 Euclidean, "
        "p Power). A ValueError with 'cosine' and 'dot'.",
        SAMPLES,
    ),
    Option(
        "reach",
        None,
        "a length, or a pair with None for a Balanced side: KL(cost_factor * reach**p). At most one of "
        "reach, marginals.",
        SAMPLES,
    ),
    Option(
        "cost_factor",
        1.0,
        "see blur and reach; 2 gives GeomLoss's blur on the full squared cost.",
        SAMPLES,
    ),
    Option(
        "marginals",
        None,
        "Balanced(), KL(rho), TV(lam), or a pair of them for (a, b). None means Balanced.",
    ),
    Option(
        "total_mass",
        None,
        "mass M to transport, 0 < M <= min of the masses: partial transport with P 1 <= a and "
        "P^T 1 <= b. Marginals, where given, must be TV(inf). NotAvailable for a divergence.",
        HOST,
    ),
    Option(
        "bounds",
        None,
        "lower bounds L <= P on some pairs: (rows, columns, values), or a sparse matrix of SciPy. Without a "
        "total mass, by plain iterations; a Balanced row or column must have room for its bounds.",
        ("solve", "solve_sample"),
    ),
    Option(
        "tolerance",
        1e-6,
        "a solve has converged when the L1 residual of both marginals from their optimality targets, "
        "over the transported mass, is at most this, at the target epsilon.",
    ),
    Option(
        "max_iterations", 10000, "budget >= 1; one iteration updates both potentials: two passes."
    ),
    Option("check_every", 10, "iterations >= 1 between checks."),
    Option(
        "annealing",
        "automatic",
        "'automatic': epsilon starts at the range of the cost and halves; 'off'. With a start there is none.",
        choices=("automatic", "off"),
    ),
    Option(
        "acceleration",
        "automatic",
        "'automatic': of these what pays; 'none': plain iterations; 'over_relaxation'; 'anderson': mixes the last "
        "20 iterations; 'newton': Newton-CG on the dual; 'support': Newton on the few entries that carry the plan, "
        "once they are few (on the CPU, within kernel_cache). The last three are NotAvailable with a total mass.",
        choices=("automatic", "none", "over_relaxation", "anderson", "newton", "support"),
    ),
    Option(
        "initializer",
        "automatic",
        "where a solve without a start begins. 'automatic': 'coarse' on grids of 256 points, 'subsample' from 1 000 "
        "points a side on (on a GPU 262 144, in up to 4 dimensions), else 'zero'; "
        "'gaussian': the closed form between Gaussians of the same moments (squared costs); 'sorting': the monotone "
        "plan, in dimension 1; 'subsample': the solution of a quarter of the points; 'coarse': of masses on grids, the "
        "solution between grids of half the points an axis, which starts alike. NotAvailable where it does not "
        "know the problem, as but zero none does a cost matrix.",
        choices=("automatic", "zero", "gaussian", "sorting", "subsample", "coarse"),
    ),
    Option("seed", 0, "integer >= 0 by which a subsample is drawn.", STREAMED),
    Option(
        "precision",
        "automatic",
        "'automatic': 'accurate', but 'double' where the tolerance is below 1e-7, and a solve of float32 "
        "input that ends at its floor goes on in 'mixed', its arrays being rounded to float32 at the end; "
        "'accurate': in the type of the input; 'fast': one product in half precision on tensor cores, whose error is "
        "estimated in weight_error, NotAvailable but for float32 points of dimension > 4 with a cost "
        "that is a product on a GPU of compute capability 9.0; 'mixed': float64 with exponentials in "
        "float32; 'double': float64. For both, float32 input is copied to float64, and results are "
        "float64.",
        choices=("automatic", "accurate", "fast", "mixed", "double"),
    ),
    Option(
        "schedule",
        "plain",
        "'plain': one precision; 'staged': 'fast' until its error would show, then 'accurate' to the end, "
        "NotAvailable where 'fast' is (the solves of a cloud with itself in a divergence are accurate throughout).",
        STREAMED,
        choices=("plain", "staged"),
    ),
    Option(
        "geometry",
        "automatic",
        "'tree': sweeps leave out blocks of pairs of which a bound proves that they carry almost nothing, "
        "solved from coarse to fine and certified by truncation, NotAvailable but for points of dimension "
        "<= 3 with cost 'sqeuclidean' or 'half_sqeuclidean'; 'dense': all pairs; 'automatic': 'tree' where it is "
        "predicted to visit less than a quarter of them, on the CPU.",
        STREAMED,
        choices=("automatic", "dense", "tree"),
    ),
    Option(
        "verify",
        False,
        "one more pass over all pairs, which measures what the certificate bounds: see verified.",
        tuple(verb for verb in STREAMED if verb in HOST),
    ),
    Option(
        "kernel_cache",
        None,
        "bytes that a solve may take for a kernel of size n x m, which it keeps at the target epsilon "
        "where that is predicted to be faster; 0: nothing of that size exists. None: 512 MiB, on a GPU a "
        "sixteenth of its memory.",
        STREAMED,
    ),
    Option(
        "translate",
        True,
        "the closed-form step along (f + c, g - c) for KL sides after each iteration.",
    ),
    Option(
        "start",
        None,
        "(f, g), g alone, or a Solution (see load) to start from, in units of the cost; one of a pair may be None.",
        STARTED,
    ),
    Option(
        "callback",
        None,
        "called at each check with a report (iterations, passes, epsilon, marginal_error, residual_a, "
        "residual_b, dual_value, transported_mass, trace); returning False stops the solve, and what it "
        "raises ends it.",
        HOST,
    ),
    Option(
        "progress",
        None,
        "True (needs tqdm), or a tqdm-compatible class or object: moves at least every two seconds.",
        HOST,
    ),
    Option(
        "reference",
        "product",
        "measure of the entropy: 'product' a b^T, 'counting' (POT's 'entropy', OTT-JAX), or a pair "
        "(r_a, r_b) of positive weights. NotAvailable for TV sides, a total mass and a divergence.",
        HOST,
    ),
    Option(
        "threads",
        None,
        "number of threads; None: affinity, cgroup quota and OMP_NUM_THREADS, whichever is least.",
    ),
)
TABLE = {option.name: option for option in OPTIONS}


def of(verb: str) -> tuple[Option, ...]:
    """The options that a verb takes, in the order of its signature."""
    return tuple(option for option in OPTIONS if verb in option.verbs)


def check_choice(name: str, value: object) -> str:
    """The value, if it is one of the table's choices."""
    choices = TABLE[name].choices
    if value not in choices:
        raise InvalidArgument(
            f"[options] {name} is {value!r}, wanted one of {', '.join(map(repr, choices))}", name
        )
    return str(value)


Function = TypeVar("Function", bound=Callable[..., Any])


def documented(function: Function, verb: str = "") -> Function:
    """Puts the table's text of the verb, by default the function's name, where the docstring says ``{options}``."""
    verb = verb or function.__name__
    lines = []
    for option in of(verb):
        default = option.default_in(verb)
        shown = "required" if default is REQUIRED else f"default {default!r}"
        lines.append(f"    {option.name}: {option.doc} ({shown})")
    assert function.__doc__ is not None
    function.__doc__ = inspect.cleandoc(function.__doc__).replace("{options}", "\n".join(lines))
    return function
