"""What OTT-JAX's tests ask of a linear solver, asked of monge: the scenarios, on clouds of our own, at their tolerances
or tighter. Their names are in the comments (tests/solvers/linear, tests/problems/linear, tests/tools of OTT-JAX 0.6).

Left out: jit and vmap, which monge has none of; Jacobians of potentials and Hessians; low rank and barycentres.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import monge
from monge._options import TABLE
from monge.compat import ott

EPSILON = 0.1


@pytest.fixture(params=[0, 1, 2])
def clouds(request):
    """17 and 29 points in 4 dimensions; one weight of each side is 0."""
    rng = np.random.default_rng(request.param)
    x, y, a, b = rng.random((17, 4)), rng.random((29, 4)), rng.random(17), rng.random(29)
    a[0] = b[3] = 0
    return x, y, a / a.sum(), b / b.sum()


def squares(x, y):
    return ((x[:, None] - y) ** 2).sum(-1)


def centred(f):
    return f - f[np.isfinite(f)].mean()


def test_a_cloud_with_itself_stays_where_it_is(clouds):
    """test_diag_sum: mass leaves a point as exp(-distance to the next/epsilon)."""
    x = clouds[0]
    P = monge.solve_sample(x, x, epsilon=1e-3).plan.dense()
    assert 0.99 < np.trace(P) <= 1 + 1e-6


def test_the_cost_dot_and_the_assignment(clouds):
    """test_SqEucl_matches_hungarian: |x - y|^2 and -2 x.y differ by terms of one point, so plans agree."""
    optimize = pytest.importorskip("scipy.optimize")
    x, y = clouds[0], clouds[1][:17]
    squared = monge.solve_sample(x, y, epsilon=0.02, tolerance=1e-11).plan.dense()
    dot = monge.solve_sample(x, y, epsilon=0.01, cost="dot", tolerance=1e-11).plan.dense()
    assert_allclose(dot, squared, atol=1e-9)
    C = squares(x, y)
    rows, columns = optimize.linear_sum_assignment(C)
    assert 0 <= np.sum(squared * C) - C[rows, columns].mean() <= 0.02 * np.log(17) + 1e-9


@pytest.mark.parametrize(("tau_a", "tau_b"), [(1, 1), (0.93, 0.91)])
def test_costs_on_the_fly_or_as_a_matrix(clouds, tau_a, tau_b):
    """test_geom_vs_point_cloud, test_online_vs_batch_euclidean_point_cloud, test_lse_matches."""
    x, y, a, b = clouds
    terms = dict(a=a, b=b, tau_a=tau_a, tau_b=tau_b, epsilon=EPSILON, tolerance=1e-11)
    online, offline = ott.solve(x, y, **terms), ott.solve(C=squares(x, y), **terms)
    assert_allclose(centred(online.f), centred(offline.f), atol=1e-9)
    assert_allclose(online.matrix, offline.matrix, atol=1e-10)
    assert online.value == pytest.approx(offline.value, rel=1e-10)
    assert online.primal_cost == pytest.approx(offline.primal_cost, rel=1e-9)
    assert online.matrix.sum() == pytest.approx(offline.matrix.sum(), rel=1e-10)


@pytest.mark.parametrize(
    "cost", ["sqeuclidean", ("power", 2.2), "euclidean", ("power", 1.0), "cosine"]
)
@pytest.mark.parametrize("acceleration", TABLE["acceleration"].choices)
def test_costs_and_accelerations(clouds, cost, acceleration):
    """test_euclidean_point_cloud, test_anderson: any combination meets its tolerance, and zero weights leave no NaN."""
    x, y, a, b = clouds
    r = monge.solve_sample(
        x, y, a, b, cost=cost, epsilon=EPSILON, acceleration=acceleration, tolerance=1e-9
    )
    P = r.plan.dense()
    assert r.converged
    assert abs(P.sum(1) - a).sum() + abs(P.sum(0) - b).sum() <= 1e-9 * (1 + 1e-6) + 1e-15
    plain = monge.solve_sample(
        x, y, a, b, cost=cost, epsilon=EPSILON, acceleration="none", tolerance=1e-9
    )
    assert r.value == pytest.approx(plain.value, rel=1e-8)
    for array in (P, *r.potentials, *r.a_to_b, *r.b_to_a):
        assert np.isfinite(array).all()
    assert not P[0].any() and not P[:, 3].any()


@pytest.mark.parametrize(("tau_a", "tau_b"), [(0.99, 0.97), (1, 1)])
def test_the_default_epsilon_follows_the_scale(clouds, tau_a, tau_b):
    """test_autoepsilon: lengths times s, so costs, epsilon and potentials times s^2."""
    x, y, a, b = clouds
    terms = dict(a=a, b=b, tau_a=tau_a, tau_b=tau_b, tolerance=1e-11)
    one, scaled = ott.solve(x, y, **terms), ott.solve(2.77 * x, 2.77 * y, **terms)
    assert scaled.epsilon == pytest.approx(2.77**2 * one.epsilon, rel=1e-12)
    finite = np.isfinite(one.f)
    assert_allclose(centred(scaled.f[finite]), 2.77**2 * centred(one.f[finite]), atol=1e-8)
    assert_allclose(scaled.matrix, one.matrix, atol=1e-10)


@pytest.mark.parametrize("tau_a", [1, 0.93])
@pytest.mark.parametrize("tau_b", [1, 0.91])
def test_annealing_changes_the_way_and_not_the_end(clouds, tau_a, tau_b):
    """test_autoepsilon_with_decay."""
    x, y, a, b = clouds
    sides = tuple(
        monge.Balanced() if tau == 1 else monge.KL(ott.rho_from_tau(tau, EPSILON))
        for tau in (tau_a, tau_b)
    )
    terms = dict(epsilon=EPSILON, marginals=sides, tolerance=1e-10)
    off = monge.solve_sample(x, y, a, b, annealing="off", **terms)
    on = monge.solve_sample(x, y, a, b, **terms)
    assert off.converged and on.converged
    assert_allclose(centred(on.potential_a), centred(off.potential_a), atol=1e-8)


def test_restart(clouds):
    """test_restart: from its own potentials a solve takes one iteration, and does not get worse."""
    x, y, a, b = clouds
    first = monge.solve_sample(x, y, a, b, epsilon=0.05, tolerance=1e-2, check_every=1)
    again = monge.solve_sample(
        x, y, a, b, epsilon=0.05, tolerance=1e-2, check_every=1, start=first.potentials
    )
    assert first.iterations > 1 and again.iterations == 1
    assert again.marginal_error <= first.marginal_error * (1 + 1e-12)
    tight = dict(epsilon=0.05, tolerance=1e-9)
    cold = monge.solve_sample(x, y, a, b, **tight)
    warm = monge.solve_sample(x, y, a, b, start=first.potentials, **tight)
    assert warm.passes < cold.passes
    assert_allclose(centred(warm.potential_a), centred(cold.potential_a), atol=1e-7)


@pytest.mark.parametrize("epsilon", [0.1, 0.01])
@pytest.mark.parametrize("tau_a", [0.9, 0.9999])
@pytest.mark.parametrize("tau_b", [0.95, 0.997])
def test_the_translation_only_helps(clouds, epsilon, tau_a, tau_b):
    """test_sinkhorn_unbalanced_recenter_acceleration, whose last line compares a value with itself."""
    x, y, a, b = clouds
    sides = tuple(monge.KL(ott.rho_from_tau(tau, epsilon)) for tau in (tau_a, tau_b))
    terms = dict(
        epsilon=epsilon,
        marginals=sides,
        tolerance=1e-7,
        check_every=1,
        max_iterations=10**6,
        annealing="off",
        acceleration="none",
    )
    plain = monge.solve_sample(x, y, a, b, translate=False, **terms)
    moved = monge.solve_sample(x, y, a, b, translate=True, **terms)
    assert plain.converged and moved.converged
    assert moved.iterations <= plain.iterations
    assert moved.value == pytest.approx(plain.value, rel=1e-9)


def test_parts_of_the_objective(clouds):
    """test_primal_cost_pointcloud, test_entropy."""
    x, y, a, b = clouds
    r = monge.solve_sample(x, y, a, b, epsilon=EPSILON, tolerance=1e-12)
    P, C = r.plan.dense(), squares(x, y)
    q = P[P > 0]
    entropy = np.sum(q * np.log(q / np.outer(a, b)[P > 0])) - P.sum() + 1
    assert r.value_linear == pytest.approx(np.sum(P * C), rel=1e-12)
    assert r.plan.terms.entropy == pytest.approx(entropy, rel=1e-10)
    assert r.value == pytest.approx(r.value_linear + EPSILON * entropy, rel=1e-11)
    f, g = r.potentials
    assert a @ f == pytest.approx(
        b @ g, rel=1e-9
    )  # test_f_potential_is_zero_centered: monge's gauge


def test_types(clouds):
    """test_sinkhorn_dtype; zero weights in float32 gave NaN there (OTT-JAX issue 185)."""
    for dtype in (np.float32, np.float64):
        x, y, a, b = (array.astype(dtype) for array in clouds)
        r = monge.solve_sample(x, y, a, b, epsilon=EPSILON, tolerance=1e-5)
        for array in (*r.potentials, r.marginal_a, r.a_to_b, r.plan.dense()):
            assert array.dtype == dtype and np.isfinite(array).all()


def test_potentials_at_new_points(clouds):
    """test_entropic_potentials_displacement: new points of the same law land near the target's, and points of the
    cloud exactly where the plan sends them, with weights b once."""
    x, y, a, b = clouds
    r = monge.solve_sample(x, y, a, b, epsilon=EPSILON, tolerance=1e-11)
    keep = a > 0
    assert_allclose(r.plan.map(x)[keep], r.a_to_b[keep], atol=1e-9)
    assert_allclose(r.plan.potential(x)[keep], r.potential_a[keep], atol=1e-9)
    new = np.random.default_rng(9).random((50, 4))
    lower, upper = y[b > 0].min(0), y[b > 0].max(0)
    images = r.plan.map(new)
    assert ((images >= lower) & (images <= upper)).all()


@pytest.mark.parametrize("balanced", [True, False])
def test_gradients(clouds, balanced):
    """test_gradient_sinkhorn_euclidean, test_autograd_sinkhorn: along random directions, by central differences."""
    x, y, a, b = clouds
    sides = monge.Balanced() if balanced else (monge.KL(0.8), monge.KL(0.5))
    terms = dict(epsilon=EPSILON, marginals=sides, tolerance=1e-12, max_iterations=10**5)
    grad = monge.solve_sample(x, y, a, b, **terms).gradient()
    rng = np.random.default_rng(3)
    given = {"x": x, "y": y, "a": a, "b": b}
    for name, slope in (("x", grad.dx), ("y", grad.dy), ("a", grad.da), ("b", grad.db)):
        step = rng.normal(size=given[name].shape)
        if given[name].ndim == 1:
            step *= given[name] > 0
            if balanced:
                step -= given[name] * step.sum()  # masses stay equal

        def value(h, name=name, step=step):
            return monge.solve_sample(**{**given, name: given[name] + h * step}, **terms).value

        assert np.sum(slope * step) == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-6)


def test_divergences(clouds):
    """test_euclidean_point_cloud, test_euclidean_point_cloud_weights_unb and test_segment_sinkdiv_result of
    sinkhorn_divergence_test.py: positive, 0 for a cloud with itself, and order does not matter."""
    x, y, a, b = clouds
    for sides in (monge.Balanced(), monge.KL(0.4)):
        terms = dict(epsilon=EPSILON, marginals=sides, tolerance=1e-10)
        d = monge.divergence(x, y, a, b, **terms)
        assert d.converged and d.value > 0
        assert monge.divergence(x, x, a, a, **terms).value == pytest.approx(0, abs=1e-12)
        order = np.random.default_rng(4).permutation(17)
        shuffled = monge.divergence(x[order], y, a[order], b, **terms)
        assert shuffled.value == pytest.approx(d.value, rel=1e-10)
        padded = monge.divergence(
            np.vstack([x, 99 * np.ones((5, 4))]), y, np.append(a, np.zeros(5)), b, **terms
        )
        assert padded.value == pytest.approx(
            d.value, rel=1e-10
        )  # test_segment_sinkdiv_custom_padding
    two = monge.KL(ott.rho_from_tau(0.8, EPSILON)), monge.KL(ott.rho_from_tau(0.9, EPSILON))
    assert monge.divergence(x, y, a, b, epsilon=EPSILON, marginals=two).value > 0


@pytest.mark.parametrize("balanced", [True, False])
def test_a_grid_is_its_points(balanced):
    """test_grid_vs_euclidean, test_apply_transport_grid, test_separable_grid with its planes of weight 0."""
    shape = (5, 6, 7)
    rng = np.random.default_rng(0)
    a, b = rng.random(shape), rng.random(shape)
    a[0], b[3] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    spacing = [1 / (n - 1) for n in shape]
    points = np.stack(np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij"), -1)
    points = points.reshape(-1, 3)
    sides = monge.Balanced() if balanced else (monge.KL(0.5), monge.KL(0.2))
    terms = dict(epsilon=EPSILON, marginals=sides, tolerance=1e-11)
    grid = monge.solve_lattice(a, b, spacing=spacing, **terms)
    cloud = monge.solve_sample(points, points, a.ravel(), b.ravel(), **terms)
    assert grid.value == pytest.approx(cloud.value, rel=1e-10)
    assert_allclose(centred(grid.potential_a.ravel()), centred(cloud.potential_a), atol=1e-9)
    assert_allclose(np.ravel(grid.marginal_b), cloud.marginal_b, atol=1e-11)
    V = rng.normal(size=(a.size, 4))
    assert_allclose(grid.plan @ V, cloud.plan @ V, atol=1e-10)
    assert_allclose(grid.plan.T @ V, cloud.plan.T @ V, atol=1e-10)
    assert np.isfinite(grid.potential_a).all() and np.isfinite(grid.potential_b).all()
