"""What GeomLoss's tests ask of its ot module, asked of monge.compat.geomloss at 1e-9 where theirs have 1e-2: symmetry,
scaling of the cost, and answers known in closed form. Written anew; tests/conformance runs theirs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from monge.compat.geomloss import ot

CLOSE = dict(rtol=1e-9, atol=1e-9)
profile = settings(max_examples=25, deadline=None, derandomize=True, database=None)
strengths = st.floats(min_value=0.02, max_value=5.0)


@st.composite
def problems(draw):
    """Costs (N, M) or (B, N, M) in [-5, 5], weights in [0.1, 2], balanced or not."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    C = rng.uniform(-5, 5, shape)
    a, b = rng.uniform(0.1, 2, shape[:-1]), rng.uniform(0.1, 2, (*shape[:-2], shape[-1]))
    rho = draw(st.none() | st.floats(min_value=0.1, max_value=20.0))
    if rho is None:
        b *= a.sum(-1, keepdims=True) / b.sum(-1, keepdims=True)
    return C, a, b, draw(strengths), rho


def solved(C, a, b, reg, rho):
    solve = ot.solve if C.ndim == 2 else ot.solve_batch
    return solve(C, a=a, b=b, reg=reg, unbalanced=rho, tol=1e-12)


@given(problem=problems())
@profile
def test_symmetry(problem):
    C, a, b, reg, rho = problem
    there, back = solved(C, a, b, reg, rho), solved(np.swapaxes(C, -1, -2), b, a, reg, rho)
    assert_allclose(there.value, back.value, **CLOSE)
    assert_allclose(there.plan, np.swapaxes(back.plan, -1, -2), **CLOSE)
    assert_allclose(there.marginal_a, back.marginal_b, **CLOSE)
    mean = there.potential_a.mean(-1) + there.potential_b.mean(-1)
    assert_allclose(
        back.potential_a.mean(-1) + back.potential_b.mean(-1), mean, rtol=1e-8, atol=1e-8
    )


@given(problem=problems(), scale=st.floats(min_value=0.01, max_value=100.0))
@profile
def test_the_scale_of_the_cost(problem, scale):
    C, a, b, reg, rho = problem
    one = solved(C, a, b, reg, rho)
    scaled = solved(scale * C, a, b, scale * reg, None if rho is None else scale * rho)
    assert_allclose(scaled.value, scale * one.value, rtol=1e-9, atol=1e-9 * scale)
    assert_allclose(scaled.plan, one.plan, **CLOSE)


@given(problem=problems(), offset=st.floats(min_value=-50.0, max_value=50.0))
@profile
def test_a_constant_in_the_cost_of_a_balanced_problem(problem, offset):
    C, a, b, reg, _ = problem
    b = b * a.sum(-1, keepdims=True) / b.sum(-1, keepdims=True)
    one, moved = solved(C, a, b, reg, None), solved(C + offset, a, b, reg, None)
    assert_allclose(moved.value, one.value + offset * a.sum(-1), rtol=1e-9, atol=1e-8)
    assert_allclose(moved.plan, one.plan, **CLOSE)


@given(
    c=st.floats(min_value=-20, max_value=20),
    a=st.floats(min_value=0.1, max_value=3),
    b=st.floats(min_value=0.1, max_value=3),
    reg=strengths,
    rho=st.floats(min_value=0.1, max_value=20.0),
)
@profile
def test_diracs(c, a, b, reg, rho):
    """One point on each side: P is known, unbalanced too, and with it the objective."""
    P = np.exp(((reg + rho) * (np.log(a) + np.log(b)) - c) / (reg + 2 * rho))
    r = ot.solve([[c]], a=[a], b=[b], reg=reg, unbalanced=rho, tol=1e-13)

    def kl(p, q):
        return p * np.log(p / q) - p + q

    value = c * P + reg * kl(P, a * b) + rho * (kl(P, a) + kl(P, b))
    assert_allclose(r.plan, [[P]], rtol=1e-10)
    assert r.value == pytest.approx(value, rel=1e-10, abs=1e-11)
    balanced = ot.solve([[c]], a=[a], b=[a], reg=reg)
    assert_allclose(balanced.plan, [[a]], rtol=1e-13)
    assert balanced.value == pytest.approx(c * a + reg * (a * np.log(1 / a) - a + a * a), rel=1e-11)


@given(order=st.permutations(range(7)), gap=st.floats(min_value=5, max_value=10))
@profile
def test_permutations(order, gap):
    """N points of mass 1 and costs that leave one way: the value has the entropy of that permutation."""
    rng = np.random.default_rng(int(gap * 1e6))
    C = rng.uniform(0, 10, (7, 7))
    C[np.arange(7), order] = rng.uniform(-20, -gap, 7)
    P = np.zeros((7, 7))
    P[np.arange(7), order] = 1
    r = ot.solve(C, a=np.ones(7), b=np.ones(7), reg=0.1)
    assert_allclose(r.plan, P, atol=1e-9)
    assert r.value == pytest.approx(np.sum(C * P) + 0.1 * (49 - 7), rel=1e-9)


@given(
    shift=st.floats(min_value=-1, max_value=1),
    spread=st.floats(min_value=0.3, max_value=0.6),
    blur=st.floats(min_value=0.2, max_value=1.0),
)
@profile
def test_gaussians_on_a_grid(shift, spread, blur):
    """Janati, Muzellec, Peyre, Cuturi 2020, one dimension; 8 deviations of each, sampled where sums are integrals."""
    s, t = 0.4, spread  # deviations
    grids = [np.linspace(m - 9 * d, m + 9 * d, 121) for m, d in ((0, s), (shift, t))]
    weights = [
        np.exp(-0.5 * ((z - m) / d) ** 2) for z, m, d in zip(grids, (0, shift), (s, t), strict=True)
    ]
    a, b = (w / w.sum() for w in weights)
    r = ot.solve_sample(grids[0][:, None], grids[1][:, None], a, b, blur=blur, tol=1e-12)
    v = blur**2  # reg = 2 v
    D = np.sqrt(4 * s**2 * t**2 + v**2)
    value = shift**2 + s**2 + t**2 - D + v * (1 - np.log(2 * v)) + v * np.log(D + v)
    assert r.value == pytest.approx(value, abs=1e-9)
    covariance = grids[0] @ r.plan @ grids[1] - (grids[0] @ a) * (grids[1] @ b)
    assert covariance == pytest.approx((D - v) / 2, abs=1e-9)
