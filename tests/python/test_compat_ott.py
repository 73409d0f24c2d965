"""monge.compat.ott against OTT-JAX's iteration as anyone would write it, and against OTT-JAX where installed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from monge.compat import ott

TIGHT = {"tolerance": 1e-13, "max_iterations": 100000}
ULP = 2.0**-52


def lse(z, axis):
    top = z.max(axis, keepdims=True)
    return np.log(np.exp(z - top).sum(axis)) + top.squeeze(axis)


def iterate(C, a, b, epsilon, tau_a, tau_b, iterations=20000):
    """OTT-JAX's updates, in log domain: f, g with P = exp((f + g - C)/epsilon)."""
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(iterations):
        before = f
        g = tau_b * epsilon * (np.log(b) - lse((f[:, None] - C) / epsilon, 0))
        f = tau_a * epsilon * (np.log(a) - lse((g - C) / epsilon, 1))
        if abs(f - before).max() < 1e-15:
            break
    return f, g


def kl(p, q):
    return np.sum(p * np.log(p / q) - p + q)


@pytest.fixture
def problem(clouds):
    return clouds._replace(b=clouds.b * clouds.a.sum() / clouds.b.sum())


# R3
@pytest.mark.parametrize(("tau_a", "tau_b"), [(1, 1), (0.9, 0.8), (1, 0.9)])
@pytest.mark.parametrize("scale_cost", [1.0, 2.5, "mean", "max_cost"])
@pytest.mark.parametrize("epsilon", [None, 0.07])
def test_what_ott_iterates(problem, tau_a, tau_b, scale_cost, epsilon):
    C = problem.cost()
    C = C / {"mean": C.mean(), "max_cost": C.max()}.get(scale_cost, scale_cost)
    strength = 0.05 * C.std() if epsilon is None else epsilon
    f, g = iterate(C, problem.a, problem.b, strength, tau_a, tau_b)
    P = np.exp((f[:, None] + g - C) / strength)
    terms = dict(epsilon=epsilon, tau_a=tau_a, tau_b=tau_b, scale_cost=scale_cost, **TIGHT)
    rho = [ott.rho_from_tau(tau, strength) for tau in (tau_a, tau_b)]
    for r in (
        ott.solve(problem.x, problem.y, problem.a, problem.b, **terms),
        ott.solve(C=problem.cost(), a=problem.a, b=problem.b, **terms),
    ):
        assert r.converged and r.epsilon == pytest.approx(strength, rel=1e-13)
        assert_allclose(r.matrix, P, atol=1e-12 * P.sum())
        shift = (r.f - f)[0] if tau_a == tau_b == 1 else 0
        assert_allclose(r.f - shift, f, rtol=0, atol=1e-12 * abs(f).max())
        assert_allclose(r.g + shift, g, rtol=0, atol=1e-12 * abs(g).max())
        assert r.primal_cost == pytest.approx(np.sum(P * C), rel=1e-12)
        primal = np.sum(P * C) + strength * kl(P, np.ones_like(P))
        for p, w, strength_of_side in zip(
            (P.sum(1), P.sum(0)), (problem.a, problem.b), rho, strict=True
        ):
            primal += strength_of_side * kl(p, w) if np.isfinite(strength_of_side) else 0
        assert r.value == pytest.approx(primal, rel=1e-10)


@pytest.mark.parametrize(("tau_a", "tau_b"), [(0.9, 0.8), (1, 0.9)])
def test_both_references_by_their_weights(problem, tau_a, tau_b):
    """The product problem at a is OTT-JAX's at a^(1/tau): one plan, and both values are their primals."""
    terms = dict(epsilon=0.07, tau_a=tau_a, tau_b=tau_b, **TIGHT)
    product = ott.solve(problem.x, problem.y, problem.a, problem.b, reference="product", **terms)
    weights = ott.counting_weights(problem.a, tau_a), ott.counting_weights(problem.b, tau_b)
    f, g = iterate(problem.cost(), *weights, 0.07, tau_a, tau_b)
    P = np.exp((f[:, None] + g - problem.cost()) / 0.07)
    counting = ott.solve(problem.x, problem.y, *weights, **terms)
    for r in (product, counting):
        assert_allclose(r.matrix, P, atol=1e-12 * P.sum())
        assert_allclose(r.f, f, rtol=0, atol=1e-12 * abs(f).max())
    primal = np.sum(P * problem.cost()) + 0.07 * kl(P, np.outer(problem.a, problem.b))
    for tau, p, w in ((tau_a, P.sum(1), problem.a), (tau_b, P.sum(0), problem.b)):
        primal += ott.rho_from_tau(tau, 0.07) * kl(p, w) if tau < 1 else 0
    assert product.value == pytest.approx(primal, rel=1e-10)
    assert_allclose(ott.product_weights(weights[0], tau_a), problem.a, rtol=2 * ULP)


def test_operators(problem):
    r = ott.solve(problem.x, problem.y, problem.a, problem.b, **TIGHT)
    P = r.matrix
    assert_allclose(r.apply(problem.a), problem.a @ P, rtol=1e-12)
    assert_allclose(r.apply(problem.y.T, axis=1), problem.y.T @ P.T, rtol=1e-12)
    assert_allclose(r.marginal(0), P.sum(0), rtol=1e-12)
    assert_allclose(r.marginal(1), problem.a, rtol=1e-10)
    assert r.n_iters > 0 and "converged" in repr(r)
    with pytest.raises(ValueError, match="axis is 2"):
        r.marginal(2)


def test_units_round_trip():
    rng = np.random.default_rng(0)
    for tau, epsilon in rng.uniform([0.05, 1e-4], [0.95, 10], (1000, 2)):
        rho = ott.rho_from_tau(tau, epsilon)
        assert abs(ott.tau_from_rho(rho, epsilon) - tau) <= 2 * ULP
        # The ratio holds rho to (1 + rho/epsilon) ulps, whatever the formula.
        assert ott.rho_from_tau(ott.tau_from_rho(rho, epsilon), epsilon) == pytest.approx(
            rho, rel=4 * ULP * (1 + rho / epsilon)
        )
    assert ott.rho_from_tau(1, 0.1) == np.inf and ott.tau_from_rho(np.inf, 0.1) == 1
    f, a = rng.normal(size=50), rng.random(50)
    back = ott.from_ott_potentials(ott.to_ott_potentials(f, a, 0.3), a, 0.3)
    assert_allclose(back, f, atol=4 * ULP * (1 + abs(np.log(a)).max()))
    assert_allclose(ott.counting_weights(ott.product_weights(a, 0.8), 0.8), a, rtol=2 * ULP)


def test_far_from_the_origin(problem):
    """The default epsilon and the mean come from moments of centred clouds."""
    near = ott.solve(problem.x, problem.y, scale_cost="mean")
    far = ott.solve(problem.x + 1e4, problem.y + 1e4, scale_cost="mean")
    assert far.epsilon == pytest.approx(near.epsilon, rel=1e-9)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (dict(x=[[0.0]]), "either the clouds"),
        (dict(x=[[0.0]], y=[[0.0]], C=[[0.0]]), "either the clouds"),
        (dict(C=[[1.0]], tau_a=0), "tau is 0"),
        (dict(C=[[1.0]], tau_b=1.5), "tau is 1.5"),
        (dict(C=[[1.0]], reference="counted"), "reference is 'counted'"),
        (dict(C=[[1.0]], scale_cost="median"), "scale_cost is 'median'"),
        (dict(C=[[1.0]], scale_cost=0), "scale_cost is 0"),
        (dict(C=[[1.0]], epsilon=lambda step: 0.1, tau_a=0.9), "schedule"),
        (dict(C=[[1.0]], epsilon=(1.0, 0.1)), "schedule"),
    ],
)
def test_malformed_arguments(terms, words):
    with pytest.raises(ValueError, match=words):
        ott.solve(**{"epsilon": 0.1, **terms})
    with pytest.raises(ValueError, match="rho is 0"):
        ott.tau_from_rho(0, 1)


@pytest.mark.parametrize(("tau_a", "tau_b"), [(1, 1), (0.9, 0.8)])
def test_against_ott_jax(problem, tau_a, tau_b):
    pytest.importorskip("ott")
    jax = pytest.importorskip("jax")
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    jax.config.update("jax_enable_x64", True)
    x, y, a, b = (jax.numpy.asarray(v) for v in problem)
    geometry = pointcloud.PointCloud(x, y, scale_cost="mean")
    theirs = sinkhorn.Sinkhorn(threshold=1e-13, max_iterations=20000)(
        linear_problem.LinearProblem(geometry, a=a, b=b, tau_a=tau_a, tau_b=tau_b)
    )
    ours = ott.solve(x, y, a, b, tau_a=tau_a, tau_b=tau_b, scale_cost="mean", **TIGHT)
    assert isinstance(ours.matrix, jax.Array) and isinstance(ours.f, jax.Array)
    assert ours.epsilon == pytest.approx(float(geometry.epsilon), rel=1e-12)
    assert_allclose(ours.matrix, theirs.matrix, atol=1e-11)
    for axis, inputs in ((0, x.T), (1, y.T)):
        assert_allclose(ours.apply(inputs, axis), theirs.apply(inputs, axis), rtol=1e-9)
        assert_allclose(ours.marginal(axis), theirs.marginal(axis), rtol=1e-9)
    shift = np.asarray(ours.f - theirs.f)
    assert_allclose(shift, shift[0], atol=1e-10)


def test_tracing_is_refused(problem):
    jax = pytest.importorskip("jax")
    x, y = jax.numpy.asarray(problem.x), jax.numpy.asarray(problem.y)
    for transform in (jax.jit, jax.grad):
        with pytest.raises(NotImplementedError, match="traced"):
            transform(lambda x: ott.solve(x, y, epsilon=0.1).value)(x)
