"""Invariants that hold for any measures: shapes, weights, marginals and costs drawn by hypothesis."""

import warnings

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import monge

COORDINATES = st.floats(-10, 10, width=32)
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.01, 10))
COSTS = st.sampled_from(
    ["sqeuclidean", "half_sqeuclidean", "euclidean", ("power", 1.5), ("power", 3.0), "dot"]
)
SIDES = st.one_of(
    st.just(monge.Balanced()),
    st.floats(0.05, 20).map(monge.KL),
    st.floats(0.05, 20).map(monge.TV),
)


@st.composite
def measures(draw):
    n, m, d = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    points = [draw(hnp.arrays(dtype, (k, d), elements=COORDINATES)) for k in (n, m)]
    weights = [draw(hnp.arrays(np.float64, k, elements=WEIGHTS)) for k in (n, m)]
    assume(all(w.sum() > 0 for w in weights))
    return *points, *weights


@st.composite
def problems(draw):
    x, y, a, b = draw(measures())
    marginals = draw(st.tuples(SIDES, SIDES))
    if marginals == (monge.Balanced(), monge.Balanced()):
        b = b * (a.sum() / b.sum())
    cost = draw(COSTS)
    # A cost of -500 between sides of TV lets the plan reach exp(540 / epsilon): no number at 0.1.
    epsilon = draw(st.sampled_from([1.0, 10.0] if cost == "dot" else [0.1, 1.0, 10.0]))
    return (x, y, a, b), {"marginals": marginals, "epsilon": epsilon, "cost": cost}


def solve(measures, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)
        return monge.solve_sample(*measures, max_iterations=300, **options)


@given(problems())
@settings(deadline=None, max_examples=60)
def test_answers_are_finite_and_belong_together(problem):
    (x, y, a, b), options = problem
    before = [v.tobytes() for v in (x, y, a, b)]
    r = solve((x, y, a, b), **options)
    assert [v.tobytes() for v in (x, y, a, b)] == before
    u = np.finfo(x.dtype).eps
    assert (
        np.isfinite(r.value)
        and np.isfinite(r.potential_a).all()
        and np.isfinite(r.potential_b).all()
    )
    assert r.potential_a.dtype == r.marginal_b.dtype == x.dtype
    assert r.converged == (r.status == "converged")
    assert (r.marginal_a >= 0).all() and (r.marginal_b >= 0).all()
    # a zero weight sends nothing
    assert (r.marginal_a[a == 0] == 0).all() and (r.marginal_b[b == 0] == 0).all()
    # both marginals carry the plan's mass: 2 rounding errors of each exponent, which sums potentials
    # and a cost; no distance here exceeds 20 sqrt(5), no cost its cube
    top = abs(r.potential_a).max() + abs(r.potential_b).max() + 45.0**3
    # and an entry below the least normal number may be anything down to 0
    slack = 4 * u * (16 + top / r.epsilon)
    for marginal in (r.marginal_a, r.marginal_b):
        lost = slack * r.transported_mass + len(marginal) * float(np.finfo(x.dtype).tiny)
        assert abs(float(marginal.sum()) - r.transported_mass) <= lost
    # images are averages of the target points
    images = r.a_to_b
    room = 8 * u * (1 + abs(y).max())
    kept = y[b > 0]
    assert (images >= kept.min(0) - room).all() and (images <= kept.max(0) + room).all()


@given(problems())
@settings(deadline=None, max_examples=40)
def test_answers_repeat_bit_for_bit(problem):
    measures, options = problem
    one, two = (solve(measures, threads=t, **options) for t in (1, 2))
    assert one.potential_a.tobytes() == two.potential_a.tobytes()
    assert (one.value, one.iterations, one.status) == (two.value, two.iterations, two.status)


@given(measures(), st.floats(0.1, 5))
@settings(deadline=None, max_examples=40)
def test_blur_is_epsilon(measures, blur):
    options = {"tolerance": 1e-3}
    by_blur = solve(measures, blur=blur, reach=2.0, **options)
    by_epsilon = solve(measures, epsilon=blur**2, marginals=monge.KL(4.0), **options)
    assert by_blur.value == by_epsilon.value


# A residual r moves a value by at most r times the mass times the distance of the potentials from
# the optimal ones, about twice the range of the cost plus 50 epsilon.
def value_slack(measures, tolerance, epsilon):
    x, y, a, b = measures
    costs = ((x[:, None].astype(float) - y[None]) ** 2).sum(-1)
    return tolerance * (1 + a.sum() + b.sum()) * (2 * np.ptp(costs) + 50 * epsilon)


@given(measures())
@settings(deadline=None, max_examples=40)
def test_divergence_of_a_measure_from_itself_is_nothing(measures):
    x, _, a, _ = measures
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-10
    d = monge.divergence(x, x, a, a, epsilon=1.0, marginals=monge.KL(3.0), tolerance=tolerance)
    assert d.converged
    assert abs(d.value) <= value_slack((x, x, a, a), tolerance, 1.0)


@given(measures())
@settings(deadline=None, max_examples=40)
def test_zero_weights_are_as_if_removed(measures):
    x, y, a, b = measures
    tolerance = 1e-4 if x.dtype == np.float32 else 1e-10
    options = {"epsilon": 0.5, "marginals": monge.KL(2.0), "tolerance": tolerance}
    whole = monge.solve_sample(x, y, a, b, **options)
    part = monge.solve_sample(x[a > 0], y, a[a > 0], b, **options)
    assert whole.converged and part.converged
    assert abs(whole.value - part.value) <= value_slack(measures, tolerance, 0.5)
