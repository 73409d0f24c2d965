"""Laws of the optimum, on measures drawn by hypothesis: each relates the answers of several solves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge

KL = monge.KL
SETTINGS = settings(deadline=None, max_examples=25)
TOLERANCE = 1e-10
# At this residual potentials are off by less than a hundred times it, and values by less still:
# epsilon is at least a tenth of the range of costs in the unit cube.
NEAR = {"rtol": 1e-7, "atol": 1e-9}


@st.composite
def measures(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m, d = draw(st.integers(1, 30)), draw(st.integers(1, 30)), draw(st.integers(1, 6))
    x, y = rng.random((n, d)) / np.sqrt(d), rng.random((m, d)) / np.sqrt(d)
    if draw(st.booleans()):
        y[: min(n, m)] = x[: min(n, m)]  # duplicates
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a / a.sum() * draw(st.floats(0.3, 3)), b / b.sum() * draw(st.floats(0.3, 3))


STRENGTHS = st.floats(0.05, 10)
EPSILONS = st.floats(0.1, 2)


def solve(x, y, a, b, epsilon, marginals, **options):
    r = monge.solve_sample(
        x, y, a, b, epsilon=epsilon, marginals=marginals, tolerance=TOLERANCE, **options
    )
    assert r.converged
    return r


@given(measures(), EPSILONS, STRENGTHS, STRENGTHS)
@SETTINGS
def test_exchanging_the_sides_transposes(measure, epsilon, rho_a, rho_b):
    x, y, a, b = measure
    there = solve(x, y, a, b, epsilon, (KL(rho_a), KL(rho_b)))
    back = solve(y, x, b, a, epsilon, (KL(rho_b), KL(rho_a)))
    np.testing.assert_allclose(there.value, back.value, **NEAR)
    np.testing.assert_allclose(there.potential_a, back.potential_b, **NEAR)
    np.testing.assert_allclose(there.potential_b, back.potential_a, **NEAR)


@given(measures(), EPSILONS, STRENGTHS, st.floats(-3, 3))
@SETTINGS
def test_moving_both_clouds_changes_nothing(measure, epsilon, rho, by):
    x, y, a, b = measure
    here = solve(x, y, a, b, epsilon, KL(rho))
    there = solve(x + by, y + by, a, b, epsilon, KL(rho))
    np.testing.assert_allclose(there.value, here.value, **NEAR)
    np.testing.assert_allclose(there.potential_a, here.potential_a, **NEAR)


@given(measures(), st.floats(-2, 2))
@SETTINGS
def test_a_moved_copy_is_as_far_as_it_was_moved(measure, by):
    x, _, a, _ = measure
    d = monge.divergence(x, x + by, a, a, epsilon=0.5, tolerance=TOLERANCE)
    np.testing.assert_allclose(d.value, a.sum() * x.shape[1] * by**2, **NEAR)


@given(measures(), EPSILONS, STRENGTHS, st.sampled_from([1e-12, 1e-6, 1e-3, 1e3, 1e6, 1e12]))
@SETTINGS
def test_a_unit_of_length_is_a_choice(measure, epsilon, rho, unit):
    x, y, a, b = measure
    one = solve(x, y, a, b, epsilon, KL(rho))
    other = solve(unit * x, unit * y, a, b, unit**2 * epsilon, KL(unit**2 * rho))
    np.testing.assert_allclose(other.value / unit**2, one.value, **NEAR)
    np.testing.assert_allclose(other.potential_b / unit**2, one.potential_b, **NEAR)
    np.testing.assert_allclose(other.transported_mass, one.transported_mass, **NEAR)


@given(measures(), EPSILONS, STRENGTHS, STRENGTHS, st.floats(0.1, 10), st.floats(0.1, 10))
@SETTINGS
def test_masses_scale_the_plan(measure, epsilon, rho_a, rho_b, k_a, k_b):
    x, y, a, b = measure
    marginals = (KL(rho_a), KL(rho_b))
    one = solve(x, y, a, b, epsilon, marginals)
    scaled = solve(x, y, k_a * a, k_b * b, epsilon, marginals)
    total = epsilon + rho_a + rho_b
    factor = k_a ** ((epsilon + rho_a) / total) * k_b ** ((epsilon + rho_b) / total)
    np.testing.assert_allclose(
        scaled.plan.dense(), factor * one.plan.dense(), rtol=1e-6, atol=1e-10
    )


@given(measures(), EPSILONS, STRENGTHS, st.randoms(use_true_random=False))
@SETTINGS
def test_the_order_of_points_is_a_choice(measure, epsilon, rho, random):
    x, y, a, b = measure
    order = list(range(len(x)))
    random.shuffle(order)
    one = solve(x, y, a, b, epsilon, KL(rho))
    other = solve(x[order], y, a[order], b, epsilon, KL(rho))
    np.testing.assert_allclose(other.value, one.value, **NEAR)
    np.testing.assert_allclose(other.potential_a, one.potential_a[order], **NEAR)


@given(measures(), EPSILONS, STRENGTHS, st.integers(2, 5))
@SETTINGS
def test_splitting_every_point_moves_the_same_mass(measure, epsilon, rho, parts):
    x, y, a, b = measure
    one = solve(x, y, a, b, epsilon, KL(rho))
    split = solve(np.repeat(x, parts, 0), y, np.repeat(a, parts) / parts, b, epsilon, KL(rho))
    np.testing.assert_allclose(split.transported_mass, one.transported_mass, **NEAR)
    np.testing.assert_allclose(split.value, one.value, **NEAR)


@given(measures(), EPSILONS, STRENGTHS, STRENGTHS, st.integers(1, 40))
@SETTINGS
@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
def test_primal_bounds_dual_at_every_check(measure, epsilon, rho_a, rho_b, iterations):
    x, y, a, b = measure
    r = monge.solve_sample(
        x, y, a, b, epsilon=epsilon, marginals=(KL(rho_a), monge.TV(rho_b)),
        tolerance=1e-14, max_iterations=iterations,
    )  # fmt: skip
    assert r.duality_gap >= -1e-13 * (abs(r.value) + r.transported_mass)


@given(measures(), EPSILONS, STRENGTHS, st.floats(1.1, 10))
@SETTINGS
def test_a_stricter_side_deviates_less(measure, epsilon, rho, factor):
    x, y, a, b = measure

    def deviation(strength):  # the derivative of a concave function of rho
        return solve(x, y, a, b, epsilon, (KL(strength), monge.Balanced())).gradient().drho_a

    assert deviation(factor * rho) <= deviation(rho) + 1e-8 * a.sum()


@given(measures(), EPSILONS, STRENGTHS, st.floats(1.1, 10))
@SETTINGS
def test_mass_grows_with_the_strength(measure, epsilon, rho, factor):
    x, y, a, b = measure
    b = b * (a.sum() / b.sum())  # then the strict limit moves all of it, by costs >= 0
    loose, strict = (solve(x, y, a, b, epsilon, KL(r)) for r in (rho, factor * rho))
    if a.sum() <= 1:  # else the entropy alone asks for more mass than there is
        assert strict.transported_mass >= loose.transported_mass * (1 - 1e-8)


def test_hostile_shapes():
    rng = np.random.default_rng(0)
    for n, m in ((1, 1), (1, 500), (500, 1), (3, 2000), (2000, 3)):
        x, y = rng.random((n, 3)), rng.random((m, 3))
        r = monge.solve_sample(x, y, epsilon=0.1, tolerance=1e-9)
        np.testing.assert_allclose(r.marginal_a, np.full(n, 1 / n), rtol=1e-8)
    same = np.ones((40, 3))
    assert monge.solve_sample(same, same, epsilon=0.1).value == pytest.approx(0, abs=1e-15)
    alone = np.zeros(40)
    alone[7] = 1
    r = monge.solve_sample(rng.random((40, 3)), same, alone, epsilon=0.1, tolerance=1e-9)
    np.testing.assert_allclose(r.marginal_a, alone, atol=1e-9)
    for tiny in (5e-324, 1e-310, 1e-40):
        weights = np.full(40, 1 / 40)
        weights[3] = tiny
        r = monge.solve_sample(rng.random((40, 3)), same, weights, weights, epsilon=0.1)
        assert r.converged and np.isfinite(r.potential_a).all()
        r = monge.solve_sample(tiny * rng.random((40, 3)), np.zeros((1, 3)), epsilon=0.1)
        assert r.converged and r.value == pytest.approx(0, abs=1e-15)
