"""The functions of FlashSinkhorn on given potentials, with its names and its two kinds of potentials.

Its arguments that tune kernels (``allow_tf32``, ``use_exp2``, ``autotune``, ``block_m``, ...) are taken and have no
effect. ``f, g`` are the potentials of monge, ``P_ij = a_i b_j exp((f_i + g_j - C_ij)/eps)``; ``f_hat, g_hat``
those that hold the weights, ``P_ij = exp((f_hat_i + g_hat_j - C_ij)/eps)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _core, solve_sample
from .._arrays import framework_of, points, vector
from .._device import current_stream, device_of
from .._errors import InvalidArgument
from .._keywords import number
from .._marginals import KL, Balanced, Marginal, to_spec
from . import _inputs
from ._semi_dual import cost_of


def geomloss_to_ott_potentials(f: Any, g: Any, a: Any, b: Any, *, eps: float) -> tuple[Any, Any]:
    """``f_hat = f + eps log a``, ``g_hat = g + eps log b``; -inf at points of weight 0."""
    return f + eps * a.log(), g + eps * b.log()


def ott_to_geomloss_potentials(
    f_hat: Any, g_hat: Any, a: Any, b: Any, *, eps: float
) -> tuple[Any, Any]:
    """``f = f_hat - eps log a``, ``g = g_hat - eps log b``: undefined, NaN, at points of weight 0."""
    return f_hat - eps * a.log(), g_hat - eps * b.log()


def sinkhorn_geomloss_online_potentials_sqeuclid(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    *,
    blur: float = 0.05,
    eps: float | None = None,
    eps_list: Sequence[float] | None = None,
    use_epsilon_scaling: bool = True,
    n_iters: int | None = None,
    threshold: float | None = None,
    check_every: int = 5,
    rho: float | None = None,
    reach: float | None = None,
    rho_x: float | None = None,
    rho_y: float | None = None,
    reach_x: float | None = None,
    reach_y: float | None = None,
    cost_scale: float = 1.0,
    return_n_iters: bool = False,
    **tuning: Any,
) -> tuple[Any, ...]:
    """Converged potentials ``f`` (n,), ``g`` (m,) of monge, which carry no gradient: those of ``sinkhorn`` do.

    Args:
        x, y, a, b: (n, d), (m, d), (n,), (m,) tensors.
        blur: ``epsilon = blur**2``, unless ``eps`` or the last of ``eps_list`` says it.
        use_epsilon_scaling: whether epsilon is annealed.
        n_iters: budget of iterations; None: 10000. ``threshold``, ``check_every``: tolerance on
            ``marginal_error``, None: 1e-6, and 1e-5 in float32; iterations between checks.
        rho, rho_x, rho_y: strengths of the KL sides, of both or one; None: Balanced. Or lengths:
        reach, reach_x, reach_y: ``rho = reach**2``.
        cost_scale: 1.0 or 0.5 times the squared distance.
        return_n_iters: the number of iterations as a third result.
        tuning: of kernels, and ``scaling``, ``diameter``, ``last_extrapolation`` of a schedule: without effect.
    """
    _inputs.tuning(tuning, "scaling", "diameter", "last_extrapolation")
    clouds = _inputs.clouds(x, y, a, b)
    if eps_list is not None:
        eps = eps_list[-1]
    if threshold is None:
        threshold = 1e-5 if clouds.x.element_size() == 4 else 1e-6
    found = solve_sample(
        *(None if part is None else part[0] for part in clouds[:4]),
        cost=cost_of(cost_scale),
        epsilon=number(blur, "blur") ** 2 if eps is None else eps,
        marginals=(
            _side("x", (rho_x, reach_x), (rho, reach)),
            _side("y", (rho_y, reach_y), (rho, reach)),
        ),
        tolerance=threshold,
        max_iterations=10000 if n_iters is None else n_iters,
        check_every=check_every,
        annealing="automatic" if use_epsilon_scaling else "off",
    )
    return (*found.potentials, found.iterations) if return_n_iters else found.potentials


def _side(side: str, *given: tuple[float | None, float | None]) -> Marginal:
    """KL of the first strength or length that is given."""
    for rho, reach in given:
        if rho is not None and reach is not None:
            raise InvalidArgument(
                f"[torch] got both rho and reach of {side}: give one", f"reach_{side}"
            )
        if rho is not None:
            return KL(rho)
        if reach is not None:
            return KL(reach**2)
    return Balanced()


def _plan(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    f: Any,
    g: Any,
    eps: Any,
    cost: str,
    sides: tuple[Marginal, Marginal],
) -> Any:
    source, target = points(x, "x"), points(y, "y")
    stream = current_stream(device_of(source))
    problem = _core.point_problem(
        source,
        target,
        cost,
        2.0,
        vector(a, "a", source.dtype),
        vector(b, "b", source.dtype),
        to_spec(sides[0]),
        to_spec(sides[1]),
        None,
        1e-6,
        stream,
    )
    potentials: Any = (vector(f, "f", source.dtype), vector(g, "g", source.dtype))
    return _core.plan(problem, number(eps, "eps"), *potentials), _core.Call(stream=stream)


def sinkhorn_geomloss_online_grad_sqeuclid(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    f: Any,
    g: Any,
    *,
    eps: float,
    grad_scale: Any = None,
    compute_grad_x: bool = True,
    compute_grad_y: bool = True,
    cost_scale: float = 1.0,
    **tuning: Any,
) -> tuple[Any, Any]:
    """Gradients (n, d), (m, d) of the transport objective in the points, at given potentials: of the plan that they
    make, its own marginals included, whatever those are asked to be.

    Args:
        x, y, a, b: (n, d), (m, d), (n,), (m,) tensors.
        f, g: (n,), (m,) potentials of monge.
        eps: strength of the entropy.
        grad_scale: what both gradients are multiplied by.
        compute_grad_x, compute_grad_y: False: None in its place.
        cost_scale: 1.0 or 0.5 times the squared distance.
        tuning: of kernels, without effect.
    """
    _inputs.tuning(tuning)
    clouds = _inputs.clouds(x, y, a, b)
    _inputs.same(clouds.x, {"f": f, "g": g}, dtype=True)
    soft = KL(1.0)  # nothing is asked of the sides
    plan, call = _plan(x, y, clouds.a[0], clouds.b[0], f, g, eps, cost_of(cost_scale), (soft, soft))
    to = framework_of(x)
    found = [to(part) for part in _core.gradient(plan, call)[:2]]
    if grad_scale is not None:
        found = [part * grad_scale for part in found]
    return found[0] if compute_grad_x else None, found[1] if compute_grad_y else None
