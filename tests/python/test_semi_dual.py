"""c_transform and semi_dual: kinds of arrays, both geometries, what is refused."""

import numpy as np
import pytest

import monge


def test_c_transform_is_the_minimum(clouds):
    x, y, _, _ = clouds
    g = np.linspace(-0.2, 0.2, len(y))
    reduced = clouds.cost() - g
    for found in (monge.c_transform(g, x, y), monge.c_transform(g, C=clouds.cost())):
        assert found.column.dtype == np.int64
        np.testing.assert_array_equal(found.column, reduced.argmin(1))
        np.testing.assert_allclose(found.values, reduced.min(1), rtol=0, atol=1e-15)


def test_removed_points_are_no_partners(clouds):
    x, y, _, _ = clouds.astype("float32")
    g = np.full(len(y), -np.inf)
    found = monge.c_transform(g, x, y)
    assert found.values.dtype == np.float32
    assert (found.column == -1).all() and np.isinf(found.values).all()


def test_semi_dual_climbs_to_the_value(clouds):
    x, y, a, b = clouds
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(0.7), tolerance=1e-11)
    at = monge.semi_dual(solved.potential_b, x, y, a, b, epsilon=0.1, marginals=monge.KL(0.7))
    assert at.value == pytest.approx(solved.value, rel=1e-12)
    np.testing.assert_allclose(at.f, solved.potential_a, atol=1e-10)
    np.testing.assert_allclose(at.dg, 0, atol=1e-11)
    np.testing.assert_allclose(at.dy, solved.gradient().dy, atol=1e-10)
    on_matrix = monge.semi_dual(
        solved.potential_b, None, None, a, b, C=clouds.cost(), epsilon=0.1, marginals=monge.KL(0.7)
    )
    assert on_matrix.dy is None and on_matrix.value == pytest.approx(at.value, rel=1e-13)


def test_ascent_on_samples_divides_a_square():
    """Cells of equal mass for two targets of a uniform source, whatever the sample."""
    rng = np.random.default_rng(0)
    y = np.array([[0.2, 0.5], [0.6, 0.5]])
    g = np.zeros(2)
    for step in range(400):
        g += 0.5 / np.sqrt(step + 1) * monge.semi_dual(g, rng.random((200, 2)), y).dg
    # The boundary is at x = 1/2: |x - y_0|^2 - g_0 = |x - y_1|^2 - g_1 there.
    assert g[1] - g[0] == pytest.approx((0.1**2 - 0.3**2), abs=0.01)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x, y: monge.c_transform(np.zeros(3), x, y), "potential"),
        (lambda x, y: monge.c_transform(np.full(len(y), np.nan), x, y), "potential"),
        (lambda x, y: monge.c_transform(np.zeros(3), x), "x"),
        (lambda x, y: monge.c_transform(np.zeros(3), x, y, C=np.ones((2, 2))), "x"),
        (lambda x, y: monge.semi_dual(np.zeros(len(y)), x, y, epsilon=-1), "epsilon"),
    ],
)
def test_malformed_calls_say_what_is_wrong(clouds, call, argument):
    with pytest.raises(monge.InvalidArgument) as error:
        call(clouds.x, clouds.y)
    assert error.value.argument == argument


def test_tv_sides_are_not_available(clouds):
    with pytest.raises(monge.NotAvailable, match="TV"):
        monge.semi_dual(np.zeros(len(clouds.y)), clouds.x, clouds.y, marginals=monge.TV(1))
