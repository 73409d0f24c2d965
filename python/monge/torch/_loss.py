"""SamplesLoss: transport as a loss module, with the arguments of FlashSinkhorn's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._clouds import Clouds
from .._errors import InvalidArgument, NotAvailable
from .._keywords import integer, number
from .._marginals import KL, Balanced, Marginal
from . import _inputs
from ._functional import solve
from ._labels import with_labels
from ._text import encode

_BACKENDS = ("symmetric", "alternating", "multiscale", "auto", "triton")
_ITERATIONS = 10000


class SamplesLoss(torch.nn.Module):
    """Transport between samples: called with ``(x, y)`` or ``(a, x, b, y)``.

    Clouds are (n, d) and (m, d), or batches (B, n, d) and (B, m, d); weights (n,), (n, 1), (B, n) or (B, n, 1),
    uniform with sum 1 where there are none, and never normalised unless ``normalize`` says so. Returns a scalar, or
    (B,), of the type of x. float32 and float64 on the CPU or a GPU; half types are promoted under
    ``torch.autocast`` and refused elsewhere. Gradients are exact in points and weights.

    Args:
        loss, p: "sinkhorn" and 2, the only ones: the squared Euclidean cost.
        blur: ``epsilon = blur**2``, in units of the cost.
        debias: the Sinkhorn divergence, mass term included; False: the transport objective itself.
        half_cost: the cost ``|x - y|^2 / 2``, GeomLoss's, instead of ``|x - y|^2``.
        reach: ``rho = reach**2`` of both KL sides; None: Balanced, and masses that differ are a ValueError.
        reach_x, reach_y: of one side each, before ``reach``; one alone makes a semi-unbalanced problem.
        potentials: return the pair (f, g) of the plan instead, shaped as the weights, whatever ``debias`` is.
        n_iters: budget of iterations, those of the annealing included; None: 10000.
        threshold: tolerance on ``marginal_error`` (not on the change of potentials); None: 1e-6, in float32 1e-5.
        inner_iterations: iterations between checks.
        eps: epsilon itself, instead of ``blur**2``; ``eps_list``: the last of them is.
        use_epsilon_scaling: whether epsilon is annealed.
        normalize: divide the weights of each side by their sum first.
        allow_tf32: precision 'fast' of monge, where it exists. ``truncate_tf32`` is NotAvailable.
        label_cost_matrix, lambda_x, lambda_y: adds costs between labels, called with ``label_x=, label_y=``: the cost
            is ``lambda_x |x - y|^2 + lambda_y table[label_x, label_y]``, both halved by ``half_cost``.
        backend: 'multiscale' leaves out pairs that carry nothing (``geometry='tree'`` of monge, dimension <= 3);
            all others are one solver. ``tol``: the threshold of 'multiscale'.
        hvp_cg_rtol, hvp_max_cg_iter: relative tolerance and budget of the solves for second derivatives.
        scaling, diameter, last_extrapolation: of a schedule. Checked, and without effect: monge anneals by itself, and
            results meet the threshold whatever they are.
        hvp_tau2, hvp_cg_atol, hvp_cg_stabilise_every, hvp_preconditioner, hvp_precond_terms, hvp_use_preconditioner:
            of FlashSinkhorn's conjugate gradients. Checked, and without effect: no ridge and no absolute tolerance
            biases a second derivative here.
        pad_to_multiple, use_exp2, autotune, block_m, block_n, block_k, num_warps, num_stages, use_flashstyle: of its
            kernels. Checked, and without effect on results; nothing is padded here.
    """

    def __init__(
        self,
        loss: str = "sinkhorn",
        p: int = 2,
        blur: float = 0.05,
        *,
        debias: bool = True,
        half_cost: bool = False,
        reach: float | None = None,
        reach_x: float | None = None,
        reach_y: float | None = None,
        scaling: float = 0.5,
        n_iters: int | None = None,
        threshold: float | None = None,
        inner_iterations: int = 10,
        potentials: bool = False,
        normalize: bool = False,
        eps: float | None = None,
        eps_list: Sequence[float] | None = None,
        diameter: float | None = None,
        use_epsilon_scaling: bool = True,
        last_extrapolation: bool = True,
        backend: str = "symmetric",
        tol: float | None = None,
        allow_tf32: bool = False,
        truncate_tf32: bool | None = None,
        label_cost_matrix: Any = None,
        lambda_x: float = 1.0,
        lambda_y: float = 0.0,
        hvp_cg_rtol: float = 1e-8,
        hvp_max_cg_iter: int = 2000,
        hvp_tau2: float = 0.0,
        hvp_cg_atol: float = 0.0,
        hvp_cg_stabilise_every: int = 0,
        hvp_preconditioner: str = "none",
        hvp_precond_terms: int = 3,
        hvp_use_preconditioner: bool = True,
        pad_to_multiple: int | None = None,
        use_exp2: bool = True,
        autotune: bool = True,
        block_m: int | None = None,
        block_n: int | None = None,
        block_k: int | None = None,
        num_warps: int | None = None,
        num_stages: int = 2,
        use_flashstyle: bool | None = None,
    ):
        super().__init__()
        if loss != "sinkhorn":
            raise NotAvailable(f"[torch] loss={loss!r} is not provided: 'sinkhorn' is", "loss")
        if p != 2:
            raise NotAvailable(
                f"[torch] p={p!r} is not provided: 2 is, the squared cost; sinkhorn_divergence takes other costs",
                "p",
            )
        if backend not in _BACKENDS:
            raise InvalidArgument(
                f"[torch] backend is {backend!r}, wanted one of {', '.join(map(repr, _BACKENDS))}",
                "backend",
            )
        if tol is not None and backend != "multiscale":
            raise InvalidArgument(
                "[torch] tol goes with backend='multiscale': give threshold", "tol"
            )
        if tol is not None and threshold is not None:
            raise InvalidArgument("[torch] wanted at most one of tol, threshold; got both", "tol")
        if truncate_tf32:
            raise NotAvailable(
                "[torch] truncate_tf32 is not provided: coordinates are used as they are",
                "truncate_tf32",
            )
        if pad_to_multiple is not None and (
            integer(pad_to_multiple, "pad_to_multiple") < 32 or pad_to_multiple % 32
        ):
            raise InvalidArgument(
                f"[torch] pad_to_multiple is {pad_to_multiple}, wanted a multiple of 32",
                "pad_to_multiple",
            )
        _positive(scaling=scaling, diameter=diameter, num_stages=num_stages)
        _not_negative(
            lambda_x=lambda_x,
            hvp_tau2=hvp_tau2,
            hvp_cg_atol=hvp_cg_atol,
            hvp_cg_stabilise_every=hvp_cg_stabilise_every,
        )
        if not use_epsilon_scaling and eps is None and eps_list is None:
            raise InvalidArgument("[torch] use_epsilon_scaling=False wants eps", "eps")
        reach_x = reach if reach_x is None else reach_x
        reach_y = reach if reach_y is None else reach_y
        _positive(blur=blur, reach_x=reach_x, reach_y=reach_y, eps=eps)
        self.loss, self.p, self.blur, self.scaling = loss, p, float(blur), float(scaling)
        self.eps_list = None if eps_list is None else [number(e, "eps_list") for e in eps_list]
        if self.eps_list is not None and not self.eps_list:
            raise InvalidArgument(
                "[torch] eps_list is empty, wanted at least one epsilon", "eps_list"
            )
        self.eps = None if eps is None else float(eps)
        self.reach_x = None if reach_x is None else float(reach_x)
        self.reach_y = None if reach_y is None else float(reach_y)
        self.debias, self.potentials, self.normalize = (
            bool(debias),
            bool(potentials),
            bool(normalize),
        )
        self.half_cost, self.backend = bool(half_cost), backend
        self.threshold = threshold if tol is None else tol
        self.n_iters = _ITERATIONS if n_iters is None else integer(n_iters, "n_iters")
        self.inner_iterations = integer(inner_iterations, "inner_iterations")
        self.use_epsilon_scaling, self.allow_tf32 = bool(use_epsilon_scaling), bool(allow_tf32)
        self.label_cost_matrix = label_cost_matrix
        self.lambda_x, self.lambda_y = float(lambda_x), float(lambda_y)
        self.hvp_cg_rtol = number(hvp_cg_rtol, "hvp_cg_rtol")
        self.hvp_max_cg_iter = integer(hvp_max_cg_iter, "hvp_max_cg_iter")

    @property
    def epsilon(self) -> float:
        """Strength of the entropy, in units of the cost."""
        if self.eps_list is not None:
            return self.eps_list[-1]
        return self.blur**2 if self.eps is None else self.eps

    @property
    def cost_scale(self) -> float:
        """What the cost multiplies ``|x - y|^2`` with."""
        return 0.5 if self.half_cost else 1.0

    def _options(self, dtype: Any, debias: bool, labelled: bool) -> str:
        sides: list[Marginal] = [
            Balanced() if reach is None else KL(reach**2) for reach in (self.reach_x, self.reach_y)
        ]
        cost = "half_sqeuclidean" if self.half_cost else "sqeuclidean"
        if labelled:
            cost = "dot"
        threshold = self.threshold
        if threshold is None:
            threshold = 1e-5 if dtype == torch.float32 else 1e-6
        return encode(
            debias=debias or None,
            cost=cost,
            epsilon=self.epsilon,
            marginals=(sides[0], sides[1]),
            tolerance=threshold,
            max_iterations=self.n_iters,
            check_every=self.inner_iterations,
            annealing="automatic" if self.use_epsilon_scaling else "off",
            precision="fast" if self.allow_tf32 else "automatic",
            geometry="tree" if self.backend == "multiscale" else "automatic",
            hvp_tolerance=self.hvp_cg_rtol,
            hvp_max_iterations=self.hvp_max_cg_iter,
        )

    def forward(self, *args: Any, label_x: Any = None, label_y: Any = None) -> Any:
        if len(args) not in (2, 4):
            raise InvalidArgument(f"[torch] got {len(args)} tensors, wanted (x, y) or (a, x, b, y)")
        a, x, b, y = (None, args[0], None, args[1]) if len(args) == 2 else args
        clouds = _inputs.clouds(x, y, a, b)
        if self.normalize:
            clouds = clouds._replace(a=_normalized(clouds.a), b=_normalized(clouds.b))
        labels = self._labels(label_x, label_y)
        if labels is not None and self.debias and not self.potentials:
            return clouds.points(self._labelled_divergence(clouds, *labels))
        options = self._options(
            clouds.x.dtype, self.debias and not self.potentials, labels is not None
        )
        value, f, g, *_ = solve(
            clouds if labels is None else self._longer(clouds, *labels), options
        )
        if not self.potentials:
            return clouds.points(value)
        return _shaped(clouds.points(f.squeeze(1)), a), _shaped(clouds.points(g.squeeze(1)), b)

    def _labels(self, label_x: Any, label_y: Any) -> Any:
        given = (self.label_cost_matrix, label_x, label_y)
        if all(part is None for part in given):
            return None
        if any(part is None for part in given):
            raise InvalidArgument(
                "[torch] label costs want label_cost_matrix, and label_x and label_y in the call",
                "label_x",
            )
        return label_x, label_y

    def _longer(self, clouds: Clouds, label_x: Any, label_y: Any) -> Clouds:
        scales = self.cost_scale * self.lambda_x, self.cost_scale * self.lambda_y
        return with_labels(clouds, label_x, label_y, self.label_cost_matrix, *scales)

    def _labelled_divergence(self, clouds: Clouds, label_x: Any, label_y: Any) -> Any:
        """By its definition, each self term with its labels on both sides."""
        x, y, a, b, _ = clouds
        options = self._options(x.dtype, False, True)
        terms = (
            (1.0, clouds, label_x, label_y),
            (-0.5, clouds._replace(y=x, b=a), label_x, label_x),
            (-0.5, clouds._replace(x=y, a=b), label_y, label_y),
        )
        value = sum(
            factor * solve(self._longer(pair, *labels), options)[0]
            for factor, pair, *labels in terms
        )
        masses = [1.0 if w is None else w.sum(-1) for w in (a, b)]
        return value + self.epsilon / 2 * (masses[0] - masses[1]) ** 2


def _normalized(weights: Any) -> Any:
    return None if weights is None else weights / weights.sum(-1, keepdim=True)


def _shaped(potential: Any, weights: Any) -> Any:
    return potential if weights is None else potential.reshape(weights.shape)


def _positive(**values: Any) -> None:
    for name, value in values.items():
        if value is not None and not number(value, name) > 0:
            raise InvalidArgument(f"[torch] {name} is {value}, wanted {name} > 0", name)


def _not_negative(**values: Any) -> None:
    for name, value in values.items():
        if not number(value, name) >= 0:
            raise InvalidArgument(f"[torch] {name} is {value}, wanted {name} >= 0", name)
