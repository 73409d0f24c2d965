"""Costs between labels of points."""

import numpy as np
import pytest

import monge


@pytest.fixture
def labels():
    rng = np.random.default_rng(5)
    table = rng.random((3, 4)) - 0.3  # of either sign, no symmetry
    return monge.Labels(np.arange(12) % 3, np.arange(9) % 4, table, lambda_x=0.7, lambda_y=1.3)


def costs(clouds, labels):
    table = np.asarray(labels.table)[np.asarray(labels.source)[:, None], np.asarray(labels.target)]
    return labels.lambda_x * clouds.cost() + labels.lambda_y * table


@pytest.mark.parametrize(
    "options",
    [
        {"marginals": monge.KL(0.7)},
        {"marginals": (monge.TV(0.4), monge.Balanced())},
        {"total_mass": 0.5},
        {"marginals": monge.KL(0.7), "reference": "counting"},
    ],
    ids=str,
)
def test_a_solve_is_that_of_the_matrix(clouds, labels, options):
    x, y, a, b = clouds
    near = {"epsilon": 0.1, "tolerance": 1e-11, **options}
    got = monge.solve_sample(x, y, a, b, labels=labels, **near)
    want = monge.solve(costs(clouds, labels), a, b, **near)
    assert got.value == pytest.approx(want.value, rel=1e-10)
    assert got.value_linear == pytest.approx(want.value_linear, rel=1e-9)
    P = want.plan.dense()
    np.testing.assert_allclose(got.plan.dense(), P, atol=1e-11)
    np.testing.assert_allclose(got.a_to_b, P @ y / P.sum(1)[:, None], atol=1e-9)
    np.testing.assert_allclose(got.b_to_a, P.T @ x / P.sum(0)[:, None], atol=1e-9)
    assert got.plan.moments().covariance.shape == (12, 2, 2)
    assert got.cost == "sqeuclidean"


def test_gradients_are_in_the_points(clouds, labels):
    x, y, a, b = clouds
    r = monge.solve_sample(
        x, y, a, b, labels=labels, epsilon=0.1, marginals=monge.KL(0.7), tolerance=1e-11
    )
    P = r.plan.dense()
    difference = 2 * labels.lambda_x * P[:, :, None] * (x[:, None] - y[None])
    gradient = r.gradient()
    np.testing.assert_allclose(gradient.dx, difference.sum(1), atol=1e-13)
    np.testing.assert_allclose(gradient.dy, -difference.sum(0), atol=1e-13)


def test_float32_goes_on_in_mixed_and_answers_in_float32(clouds, labels):
    x, y, a, b = clouds.astype("float32")
    r = monge.solve_sample(
        x, y, a, b, labels=labels, epsilon=0.01, marginals=monge.KL(0.7), tolerance=2e-7
    )
    assert r.potential_a.dtype == r.a_to_b.dtype == r.gradient().dx.dtype == np.float32


def test_what_has_no_labels_is_refused(clouds, labels):
    x, y, a, b = clouds
    r = monge.solve_sample(x, y, a, b, labels=labels, epsilon=0.1, marginals=monge.KL(0.7))
    for call in (r.plan.map, r.plan.potential, r.plan.T.map):
        with pytest.raises(monge.NotAvailable, match="no labels"):
            call(x)
    with pytest.raises(monge.InvalidArgument, match="go with the cost 'sqeuclidean'"):
        monge.solve_sample(x, y, labels=labels, epsilon=0.1, cost="euclidean")
    wrong = monge.Labels(np.arange(12), labels.target, labels.table)
    with pytest.raises(monge.InvalidArgument, match="wanted a label of the table, 0 to 2") as error:
        monge.solve_sample(x, y, labels=wrong, epsilon=0.1)
    assert error.value.index == 3
    wrong = monge.Labels(np.arange(12) / 2, labels.target, labels.table)
    with pytest.raises(monge.InvalidArgument, match="wanted integers"):
        monge.solve_sample(x, y, labels=wrong, epsilon=0.1)
    with pytest.raises(TypeError, match="labels"):
        monge.divergence(x, y, labels=labels, epsilon=0.1)
