"""Lower bounds on a plan, and sparse plans by what they keep."""

import numpy as np
import pytest

import monge


@pytest.fixture
def bounds(clouds):
    rows, columns = np.array([0, 3, 3, 11]), np.array([8, 0, 5, 2])
    return rows, columns, 0.3 * np.minimum(clouds.a[rows], clouds.b[columns])


@pytest.mark.parametrize("marginals", [monge.KL(0.7), (monge.TV(0.3), monge.KL(1))], ids=str)
def test_the_plan_is_at_least_its_bounds(clouds, bounds, marginals):
    sparse = pytest.importorskip("scipy.sparse")
    x, y, a, b = clouds
    how = {"epsilon": 0.05, "marginals": marginals, "tolerance": 1e-12}
    free = monge.solve_sample(x, y, a, b, **how)
    bounded = monge.solve_sample(x, y, a, b, bounds=bounds, **how)
    rows, columns, values = bounds
    P = bounded.plan.dense()
    assert (P[rows, columns] >= values).all() and (free.plan.dense()[rows, columns] < values).any()
    assert bounded.value > free.value and abs(bounded.duality_gap) < 1e-11
    terms = bounded.plan.terms
    primal = terms.linear + 0.05 * terms.entropy + terms.penalty_a + terms.penalty_b
    assert bounded.value == pytest.approx(primal, rel=1e-11)
    np.testing.assert_allclose(bounded.marginal_a, P.sum(1), rtol=1e-12)
    np.testing.assert_allclose(bounded.a_to_b, P @ y / P.sum(1)[:, None], rtol=1e-11)
    L = sparse.coo_array((values, (rows, columns)), shape=(12, 9))
    for other in (
        monge.solve_sample(x, y, a, b, bounds=L, **how),
        monge.solve(clouds.cost(), a, b, bounds=L.tocsr(), **how),
    ):
        np.testing.assert_allclose(other.plan.dense(), P, atol=1e-13)


def test_bounds_that_cannot_be_are_refused(clouds, bounds):
    x, y, a, b = clouds
    a, b = a / a.sum(), b / b.sum()
    with pytest.raises(monge.InvalidArgument, match="balanced: lower them") as error:
        monge.solve_sample(x, y, a, b, epsilon=0.1, bounds=([2], [3], [0.9]))
    assert error.value.argument == "bounds"
    with pytest.raises(monge.InvalidArgument, match="rows, columns, values"):
        monge.solve_sample(x, y, a, b, epsilon=0.1, bounds=np.zeros((12, 9)))
    with pytest.raises(monge.NotAvailable, match="total mass"):
        monge.solve_sample(x, y, a, b, epsilon=0.1, bounds=bounds, total_mass=0.3)
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, bounds=bounds, marginals=monge.KL(1))
    with pytest.raises(monge.NotAvailable, match="lower bounds"):
        solved.plan.map(x)


def test_sparse_by_what_is_kept(clouds):
    plan = monge.solve_sample(*clouds, epsilon=0.05, marginals=monge.KL(1)).plan
    P = plan.dense()
    falling = np.sort(P.ravel())[::-1]
    for rule, least in (
        ({"percentile": 90}, falling[10]),
        ({"min_row": True}, P.max(1).min()),
        ({"mass": 0.8}, falling[np.searchsorted(falling.cumsum(), 0.8 * P.sum())]),
    ):
        got = plan.sparse(**rule)
        dense = np.zeros_like(P)
        dense[np.repeat(np.arange(12), np.diff(got.indptr)), got.indices] = got.data
        np.testing.assert_array_equal(dense, np.where(least <= P, P, 0))
        assert got.share == pytest.approx(dense.sum() / P.sum())
    assert plan.sparse(1e-3).share is None
    with pytest.raises(monge.InvalidArgument, match="exactly one of"):
        plan.sparse()
    with pytest.raises(monge.InvalidArgument, match="got threshold, mass"):
        plan.sparse(1e-3, mass=0.5)
