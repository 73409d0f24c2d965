"""solve_lattice and divergence_lattice: the points of the grids, in their shapes."""

import warnings

import numpy as np
import pytest

import monge


def points(shape, spacing, origin):
    axes = [o + s * np.arange(n) for n, s, o in zip(shape, spacing, origin, strict=True)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


@pytest.fixture
def grids():
    """Masses 1.3 and 0.8 on grids of 5 x 4 and 3 x 6, some of them 0, and the grids' keywords."""
    rng = np.random.default_rng(5)
    a, b = rng.random((5, 4)), rng.random((3, 6))
    a[1] = 0
    b[0, 2] = 0
    keywords = {
        "spacing": (0.2, 0.3),
        "origin": (0.0, 0.1),
        "target_spacing": (0.4, 0.15),
        "target_origin": (0.1, 0.0),
    }
    return 1.3 * a / a.sum(), 0.8 * b / b.sum(), keywords


def test_answers_are_those_of_the_points_in_the_shapes_of_the_grids(grids):
    a, b, keywords = grids
    x = points(a.shape, keywords["spacing"], keywords["origin"])
    y = points(b.shape, keywords["target_spacing"], keywords["target_origin"])
    options = {"epsilon": 0.05, "marginals": monge.KL(0.6), "tolerance": 1e-11}
    got = monge.solve_lattice(a, b, **keywords, **options)
    want = monge.solve_sample(x, y, a.ravel(), b.ravel(), **options)
    assert got.converged and got.shape == (20, 18)
    assert got.value == pytest.approx(want.value, abs=1e-11)
    assert got.value_linear == pytest.approx(want.value_linear, abs=1e-9)
    for name in ("potential_a", "marginal_a"):
        assert getattr(got, name).shape == a.shape
        np.testing.assert_allclose(getattr(got, name).ravel(), getattr(want, name), atol=1e-9)
    for name in ("potential_b", "marginal_b"):
        assert getattr(got, name).shape == b.shape
    assert got.a_to_b.shape == (5, 4, 2) and got.b_to_a.shape == (3, 6, 2)
    np.testing.assert_allclose(got.a_to_b.reshape(-1, 2), want.a_to_b, atol=1e-9)
    np.testing.assert_array_equal(got.a_to_b_valid, a > 0)
    V = np.random.default_rng(1).random((18, 3))
    np.testing.assert_allclose(got.plan @ V, want.plan @ V, atol=1e-9)
    g, h = got.gradient(), want.gradient()
    assert g.dx.shape == (5, 4, 2) and g.da.shape == a.shape
    np.testing.assert_allclose(g.dx.reshape(-1, 2), h.dx, atol=1e-9)
    np.testing.assert_allclose(g.db.ravel(), h.db, atol=1e-9)
    again = monge.solve_lattice(a, b, **keywords, **options, start=got.potentials)
    assert again.iterations == 1


@pytest.mark.parametrize("shapes", [((7,), (5,)), ((3, 4, 2), (2, 3, 3))])
def test_one_and_three_axes(shapes):
    rng = np.random.default_rng(2)
    a, b = (rng.random(shape) + 0.1 for shape in shapes)
    b *= a.sum() / b.sum()
    got = monge.solve_lattice(a, b, spacing=0.2, epsilon=0.1, tolerance=1e-11)
    d = len(shapes[0])
    x, y = (points(shape, [0.2] * d, [0] * d) for shape in shapes)
    want = monge.solve_sample(x, y, a.ravel(), b.ravel(), epsilon=0.1, tolerance=1e-11)
    assert got.value == pytest.approx(want.value, rel=1e-9)
    assert got.a_to_b.shape == (*shapes[0], d)


def test_periodic_axes_go_the_shorter_way():
    a, b = np.zeros(10), np.zeros(10)
    a[9] = b[0] = 1
    around = monge.solve_lattice(a, b, periodic=True, epsilon=0.1)
    assert around.value_linear == pytest.approx(1) and around.a_to_b[9, 0] == pytest.approx(10)
    across = monge.solve_lattice(a, b, epsilon=0.1)
    assert across.value_linear == pytest.approx(81) and across.a_to_b[9, 0] == pytest.approx(0)
    assert monge.solve_lattice(np.outer(a, a), np.outer(b, b), periodic=(True, False), epsilon=0.1)


def test_round_an_axis_there_is_all_that_there_is_of_points():
    """Far from where a grid closes the circle its answers are those of its points."""
    a, b, z = np.zeros(40), np.zeros(40), np.array([[12.3], [15.0]])
    a[12:16], b[13:18] = 0.25, 0.2
    values = np.random.default_rng(0).random((40, 2))
    options = {"epsilon": 2.0, "tolerance": 1e-12}
    around = monge.solve_lattice(a, b, periodic=True, **options)
    across = monge.solve_lattice(a, b, **options)
    np.testing.assert_allclose(around.plan.dense(), across.plan.dense(), atol=1e-12)
    kept = a > 0
    for of in (values, None):
        got, want = around.plan.moments(of), across.plan.moments(of)
        np.testing.assert_allclose(got.mean[kept], want.mean[kept], atol=1e-10)
        np.testing.assert_allclose(got.covariance[kept], want.covariance[kept], atol=1e-10)
    np.testing.assert_allclose(around.plan.map(z), across.plan.map(z), atol=1e-10)
    np.testing.assert_allclose(around.plan.map(z + 40), across.plan.map(z) + 40, atol=1e-10)
    np.testing.assert_allclose(around.plan.potential(z), across.plan.potential(z), atol=1e-10)
    moves, wanted = (r.linearize().jvp(depsilon=1.0) for r in (around, across))
    np.testing.assert_allclose(moves.a_to_b[kept], wanted.a_to_b[kept], atol=1e-9)
    theta = np.where(kept[:, None], 1.0, 0.0)
    pulled = around.linearize().vjp(a_to_b=theta, wrt=("epsilon",))
    assert pulled.depsilon == pytest.approx((theta * moves.a_to_b).sum())


def test_types_and_frameworks_are_kept(grids):
    a, b, keywords = grids
    low = monge.solve_lattice(
        a.astype("f"),
        b.astype("f"),
        **keywords,
        epsilon=0.05,
        marginals=monge.KL(1),
        tolerance=1e-4,
    )
    assert low.potential_a.dtype == np.float32
    with pytest.raises(monge.InvalidArgument, match="cast"):
        monge.solve_lattice(a.astype("f"), b, epsilon=0.1)
    lists = monge.solve_lattice([[1, 0], [0, 0]], [[0, 0], [0, 1]], epsilon=0.1)
    assert lists.a_to_b[0, 0].tolist() == pytest.approx([1, 1])
    fortran = monge.solve_lattice(
        np.asfortranarray(a), b[::-1][::-1], **keywords, epsilon=0.05, marginals=monge.KL(1)
    )
    plain = monge.solve_lattice(a, b, **keywords, epsilon=0.05, marginals=monge.KL(1))
    np.testing.assert_array_equal(fortran.potential_a, plain.potential_a)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"spacing": (1, 1, 1)}, "spacing"),
        ({"spacing": 0}, "spacing"),
        ({"target_origin": "x"}, "target_origin"),
        ({"periodic": True, "target_spacing": 0.7}, "periodic"),
        ({"cost": "euclidean"}, "cost"),
    ],
)
def test_refusals_name_the_argument(change, argument):
    a = np.full((2, 2), 0.25)
    with pytest.raises(monge.InvalidArgument) as caught:
        monge.solve_lattice(a, a, epsilon=0.1, **change)
    assert caught.value.argument == argument


def test_masses_are_grids():
    a = np.full((2, 2), 0.25)
    with pytest.raises(monge.InvalidArgument, match="axes"):
        monge.solve_lattice(a, np.full(4, 0.25), epsilon=0.1)
    with pytest.raises(monge.InvalidArgument, match="1 to 3 axes"):
        monge.solve_lattice(np.float64(1), a, epsilon=0.1)
    with pytest.raises(monge.InvalidArgument, match="1 to 3 axes"):
        monge.solve_lattice(np.full((1, 1, 1, 1), 1.0), a, epsilon=0.1)
    with pytest.raises(monge.NotAvailable, match="fast"):
        monge.solve_lattice(a, a, epsilon=0.1, precision="fast")


def test_divergence(grids):
    a, b, keywords = grids
    options = {"epsilon": 0.05, "marginals": monge.KL(0.6), "tolerance": 1e-11, "gradients": True}
    got = monge.divergence_lattice(a, b, **keywords, **options)
    x = points(a.shape, keywords["spacing"], keywords["origin"])
    y = points(b.shape, keywords["target_spacing"], keywords["target_origin"])
    want = monge.divergence(x, y, a.ravel(), b.ravel(), **options)
    assert got.converged
    assert got.value == pytest.approx(want.value, abs=1e-10)
    assert got.potential_a.shape == a.shape and got.aa.potential_b.shape == a.shape
    g, h = got.gradient(), want.gradient()
    assert g.dy.shape == (3, 6, 2)
    np.testing.assert_allclose(g.db.ravel(), h.db, atol=1e-9)
    np.testing.assert_allclose(g.dx.reshape(-1, 2), h.dx, atol=1e-9)
    with pytest.raises(monge.NotAvailable, match="between points"):
        got.linearize()
    with pytest.raises(monge.NotAvailable, match="solve_lattice"):
        monge.divergence_lattice(a, b, epsilon=0.1, total_mass=0.1)


def test_float32_goes_on_in_mixed():
    rng = np.random.default_rng(0)
    a, b = (rng.random((12, 12)).astype("f") for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = monge.solve_lattice(
            a, b, spacing=1 / 12, epsilon=1e-4, marginals=monge.KL(1), tolerance=1e-6
        )
    assert r.converged and r.potential_a.dtype == np.float32 and r.marginal_a.dtype == np.float32
