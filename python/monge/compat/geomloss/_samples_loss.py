"""SamplesLoss: the transport losses between clouds, single and batched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import KL, Balanced, Solution, divergence, solve_sample, solve_sample_batch
from ..._divergence import Divergence
from ..._errors import InvalidArgument, NotAvailable
from ..._marginals import Marginal
from .._batch import entries
from .._kind import Kind, checked
from .._tape import differentiable, is_taped, refused
from .._terms import length_of

_COSTS = {1: "euclidean", 2: "half_sqeuclidean"}
_OTHERS = ("hausdorff", "energy", "gaussian", "laplacian")
_BACKENDS = ("auto", "tensorized", "online", "multiscale")
_NUMBER = (int, float)


class SamplesLoss:
    """``geomloss.SamplesLoss("sinkhorn")``: called with ``(x, y)``, ``(a, x, b, y)`` or ``(l_x, a, x, l_y, b, y)``.

    Clouds are (N, D) and (M, D), or batches (B, N, D) and (B, M, D) of them; weights (N,), (N, 1), (B, N) or (B, N, 1),
    uniform with sum 1 where there are none, and never normalised. Returns a number, or (B,) of them, in the kind of x;
    torch's gradients reach it in points and weights.

    Args:
        p: 2, the cost ``|x - y|^2 / 2``, or 1, ``|x - y|``.
        blur: ``epsilon = blur**p``.
        reach: ``rho = reach**p`` of both KL sides; None: Balanced, and masses that differ are a ValueError.
        debias: the Sinkhorn divergence, mass term included; else the transport objective itself.
        potentials: return the potentials instead, shaped as the weights: with ``debias`` the debiased ones
            ``(f_ab - f_aa, g_ab - f_bb)``, as GeomLoss does; ``plan_potentials`` returns those of the plan.
            Differentiating them raises NotImplementedError.
        scaling, diameter: of GeomLoss's schedule. Checked, and without effect: monge anneals by itself, and results
            meet its tolerance, 1e-6 (1e-5 in float32), whatever they are.
        truncate, cluster_scale, backend, verbose: checked, and without effect, as are cluster labels in a call.
        loss, cost, kernel: other losses than "sinkhorn", and any cost or kernel, raise NotImplementedError.

    It is no ``torch.nn.Module`` (torch is not imported for NumPy's sake): it has no parameters to be found.
    """

    def __init__(
        self,
        loss: str = "sinkhorn",
        p: int = 2,
        blur: float = 0.05,
        reach: float | None = None,
        diameter: float | None = None,
        scaling: float = 0.5,
        truncate: float | None = 5,
        cost: Any = None,
        kernel: Any = None,
        cluster_scale: float | None = None,
        debias: bool = True,
        potentials: bool = False,
        verbose: bool = False,
        backend: str = "auto",
    ):
        if loss in _OTHERS:
            raise NotAvailable(f"[compat] loss={loss!r} is not provided: 'sinkhorn' is", "loss")
        if loss != "sinkhorn":
            raise InvalidArgument(f"[compat] loss is {loss!r}, wanted 'sinkhorn'", "loss")
        if p not in _COSTS:
            raise NotAvailable(f"[compat] p={p!r} is not provided: 1 and 2 are", "p")
        for name, value in (("cost", cost), ("kernel", kernel)):
            if value is not None:
                raise NotAvailable(f"[compat] {name} is not provided: costs are those of p", name)
        for name, value in (("debias", debias), ("potentials", potentials), ("verbose", verbose)):
            checked(name, value, bool, "True or False")
        for name, value in (
            ("diameter", diameter),
            ("truncate", truncate),
            ("cluster_scale", cluster_scale),
        ):
            if value is not None:
                checked(name, value, _NUMBER, "a number or None")
        checked("scaling", scaling, _NUMBER, "a number")
        if not 0 < scaling < 1:
            raise InvalidArgument(
                f"[compat] scaling is {scaling}, wanted 0 < scaling < 1", "scaling"
            )
        if backend not in _BACKENDS:
            raise InvalidArgument(
                f"[compat] backend is {backend!r}, wanted one of {', '.join(map(repr, _BACKENDS))}",
                "backend",
            )
        self.loss, self.p, self.blur = loss, p, length_of(blur, "blur")
        self.reach = None if reach is None else length_of(reach, "reach")
        self.diameter, self.scaling, self.truncate = diameter, scaling, truncate
        self.cluster_scale, self.debias, self.potentials = cluster_scale, debias, potentials
        self.verbose, self.backend = verbose, backend

    def __call__(self, *args: Any) -> Any:
        if self.potentials:
            return self._potentials(args, self.debias)
        kind, problems, batched, _ = _read(args)
        taped = any(is_taped(*problem) for problem in problems)
        values = []
        found = self._solved(kind, problems, self.debias, taped)
        for one, problem in zip(found, problems, strict=True):
            value = kind.scalar(one.value)
            values.append(differentiable(value, _slopes(one), problem) if taped else value)
        return kind.stack(values) if batched else values[0]

    def plan_potentials(self, *args: Any) -> tuple[Any, Any]:
        """The potentials (f, g) of the plan, in units of the cost, whatever ``debias`` is: called as the loss."""
        return self._potentials(args, debias=False)

    def _solved(
        self, kind: Kind, problems: list[tuple[Any, ...]], debias: bool, gradients: bool = False
    ) -> Sequence[Solution | Divergence]:
        side: Marginal = Balanced() if self.reach is None else KL(self.reach**self.p)
        terms: dict[str, Any] = {
            "cost": _COSTS[self.p],
            "epsilon": self.blur**self.p,
            "marginals": side,
            "tolerance": 1e-5 if kind.is_float32 else 1e-6,
        }
        if debias:
            return [divergence(*problem, gradients=gradients, **terms) for problem in problems]
        if len(problems) == 1:
            return [solve_sample(*problems[0], **terms)]
        xs, ys, a, b = (list(column) for column in zip(*problems, strict=True))
        return solve_sample_batch(xs, ys, a, b, **terms)

    def _potentials(self, args: tuple[Any, ...], debias: bool) -> tuple[Any, Any]:
        kind, problems, batched, shapes = _read(args)
        found = self._solved(kind, problems, debias)
        message = "[compat] potentials carry no gradient: monge differentiates the value of a loss"
        pairs = [
            [
                refused(kind(p), message, problem) if is_taped(*problem) else kind(p)
                for p in one.potentials
            ]
            for one, problem in zip(found, problems, strict=True)
        ]
        f, g = (kind.stack(list(side)) if batched else side[0] for side in zip(*pairs, strict=True))
        return tuple(
            p if shape is None else p.reshape(shape)
            for p, shape in zip((f, g), shapes, strict=True)
        )


def _read(args: tuple[Any, ...]) -> tuple[Kind, list[tuple[Any, ...]], bool, list[Any]]:
    """The kind of the clouds, the problems (x, y, a, b), whether they are a batch, and the weights' shapes."""
    if len(args) not in (2, 4, 6):
        raise InvalidArgument(
            f"[compat] got {len(args)} arguments, wanted (x, y), (a, x, b, y) or (l_x, a, x, l_y, b, y)"
        )
    if len(args) == 2:
        args = (None, args[0], None, args[1])
    if len(args) == 4:
        args = (None, *args[:2], None, *args[2:])
    l_x, a, x, l_y, b, y = args
    dims = getattr(x, "ndim", 2)
    if dims not in (2, 3) or getattr(y, "ndim", 2) != dims:
        raise InvalidArgument(
            f"[compat] x has shape {getattr(x, 'shape', None)} and y {getattr(y, 'shape', None)}, wanted "
            "(N, D) and (M, D), or (B, N, D) and (B, M, D)"
        )
    for name, labels, cloud in (("l_x", l_x, x), ("l_y", l_y, y)):
        if labels is not None and (dims == 3 or len(labels) != len(cloud)):
            raise InvalidArgument(
                f"[compat] {name} has {len(labels)} labels, wanted one for each point of a single cloud",
                name,
            )
    shapes = [getattr(w, "shape", None) for w in (a, b)]
    a, b = (_flat(w, dims) for w in (a, b))
    if dims == 2:
        return Kind(x, y), [(x, y, a, b)], False, shapes
    others = ((y, "y"), (a, "a"), (b, "b"))
    columns = (x, *(entries(value, len(x), name) for value, name in others))
    return Kind(x, y), list(zip(*columns, strict=True)), True, shapes


def _slopes(found: Solution | Divergence) -> Callable[[], Sequence[Any]]:
    """Derivatives of the value in x, y, a, b."""
    return lambda: found.gradient()[:4]


def _flat(weights: Any, dims: int) -> Any:
    """(N,) of (N, 1), (B, N) of (B, N, 1)."""
    if getattr(weights, "ndim", 0) == dims and weights.shape[-1] == 1:
        return weights[..., 0]
    return weights
