"""Linearizations: shapes, kinds of arrays, errors. Numbers are tested in C++."""

import numpy as np
import pytest

import monge


@pytest.fixture
def solution(clouds):
    x, y, a, b = clouds
    return monge.solve_sample(
        x, y, a, b, epsilon=0.1, marginals=(monge.KL(1.0), monge.KL(0.5)), tolerance=1e-12
    )


def directions(solution, count=None, seed=0):
    rng = np.random.default_rng(seed)
    front = () if count is None else (count,)
    n, d = solution.gradient().dx.shape
    m = len(solution.potential_b)
    return {
        "dx": rng.standard_normal((*front, n, d)),
        "dy": rng.standard_normal((*front, m, d)),
        "da": rng.standard_normal((*front, n)) / 10,
        "db": rng.standard_normal((*front, m)) / 10,
    }


def test_hvp_is_the_derivative_of_the_gradient(clouds):
    x, y, a, b = clouds
    along = np.random.default_rng(1).standard_normal(x.shape)

    def gradient(t):
        return monge.solve_sample(
            x + t * along, y, a, b, epsilon=0.1, marginals=monge.KL(1.0), tolerance=1e-13
        ).gradient()

    step = 1e-4
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1.0), tolerance=1e-13)
    product = solved.linearize().hvp(along)
    for name in ("dx", "dy", "da", "db"):
        want = (getattr(gradient(step), name) - getattr(gradient(-step), name)) / (2 * step)
        np.testing.assert_allclose(getattr(product, name), want, atol=1e-5)
    assert product.report.converged
    assert product.report.passes == 2 * product.report.iterations + 3


def test_hvp_of_a_divergence_is_the_derivative_of_its_gradient(clouds):
    x, y, a, b = clouds
    rng = np.random.default_rng(1)
    along, weights = rng.standard_normal(x.shape), rng.standard_normal(len(a)) / 10
    options = {"epsilon": 0.1, "marginals": (monge.KL(1.0), monge.KL(0.5)), "tolerance": 1e-13}

    def gradient(t):
        moved = x + t * along, y, a + t * weights, b
        return monge.divergence(*moved, gradients=True, **options).gradient()

    step = 1e-4
    at = monge.divergence(x, y, a, b, **options).linearize()
    product = at.hvp(along, da=weights)
    for name in ("dx", "dy", "da", "db"):
        want = (getattr(gradient(step), name) - getattr(gradient(-step), name)) / (2 * step)
        np.testing.assert_allclose(getattr(product, name), want, atol=1e-5)
    assert product.report.converged and repr(at).startswith("DivergenceLinearization(n=12")
    # The Hessian is symmetric: the gradient in x along epsilon, paired with the direction.
    for name, by in (("depsilon", {"depsilon": 1.0}), ("drho_a", {"drho_a": 1.0})):
        moves = at.hvp(along, wrt=("epsilon", "rho"))
        back = at.hvp(**by, wrt=("x",)).dx
        assert getattr(moves, name) == pytest.approx((back * along).sum(), rel=1e-6)


def test_several_directions_stand_in_front(solution):
    at = solution.linearize()
    many = directions(solution, 3)
    products = at.hvp(**many, depsilon=0.1, drho_a=[0.1, 0.2, 0.3])
    moves = at.jvp(**many, depsilon=0.1, drho_a=[0.1, 0.2, 0.3])
    for k, rho in enumerate((0.1, 0.2, 0.3)):
        one = {name: value[k] for name, value in many.items()}
        product = at.hvp(**one, depsilon=0.1, drho_a=rho)
        move = at.jvp(**one, depsilon=0.1, drho_a=rho)
        for name in ("dx", "dy", "da", "db", "df", "dg"):
            np.testing.assert_allclose(
                getattr(products, name)[k], getattr(product, name), atol=1e-6
            )
        assert move.a_to_b.shape == one["dx"].shape
        np.testing.assert_allclose(moves.a_to_b[k], move.a_to_b, atol=1e-6)
        assert moves.value_linear[k] == pytest.approx(move.value_linear, abs=1e-6)


def test_vjp_is_the_transpose_of_jvp(solution):
    at = solution.linearize()
    along = directions(solution)
    moves = at.jvp(**along, tolerance=1e-12)
    rng = np.random.default_rng(2)
    of = {
        name: rng.standard_normal(np.shape(getattr(moves, name)))
        for name in ("potential_a", "potential_b", "marginal_a", "marginal_b", "a_to_b")
    }
    pulled = at.vjp(**of, value_linear=2.0, tolerance=1e-12)
    want = sum(np.sum(of[name] * getattr(moves, name)) for name in of) + 2 * moves.value_linear
    got = sum(np.sum(along[name] * getattr(pulled, name)) for name in along)
    assert got == pytest.approx(want, rel=1e-9)
    assert pulled.depsilon is None
    strengths = at.vjp(**of, wrt=("epsilon", "rho"))
    assert strengths.dx is None and isinstance(strengths.drho_a, float)


def test_float32_answers_in_float32(clouds):
    x, y, a, b = (v.astype(np.float32) for v in clouds)
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1.0))
    product = solved.linearize().hvp(np.ones_like(x), wrt=("x",))
    assert product.dx.dtype == np.float32
    assert product.dy is None and product.da is None
    assert product.df.dtype == np.float32


def test_what_is_refused(solution):
    at = solution.linearize()
    along = directions(solution)
    with pytest.raises(monge.InvalidArgument, match="dx has shape") as error:
        at.hvp(along["dx"][:2])
    assert error.value.argument == "dx"
    with pytest.raises(monge.InvalidArgument, match="several directions"):
        at.hvp(along["dx"][None], along["dy"])
    with pytest.raises(monge.InvalidArgument, match="wrt holds 'z'"):
        at.hvp(along["dx"], wrt=("z",))
    with pytest.raises(monge.InvalidArgument, match="strict"):
        at.hvp(along["dx"], max_iterations=1, strict=True)
    with pytest.raises(monge.InvalidArgument, match="no total mass"):
        at.jvp(dmass=1.0)
    matrix = monge.solve(np.ones((2, 3)), epsilon=0.1).linearize()
    with pytest.raises(monge.NotAvailable, match="no points"):
        matrix.hvp(np.ones((2, 2)))


def test_a_total_mass_is_a_parameter(clouds):
    x, y, a, b = clouds
    half = min(a.sum(), b.sum()) / 2

    def solved(mass):
        return monge.solve_sample(x, y, a, b, epsilon=0.1, total_mass=mass, tolerance=1e-13)

    step = 1e-4 * half
    at = solved(half).linearize()
    want = (solved(half + step).potential_a - solved(half - step).potential_a) / (2 * step)
    moves = at.jvp(dmass=1.0)
    np.testing.assert_allclose(moves.potential_a, want, atol=1e-5)
    np.testing.assert_allclose(moves.marginal_a.sum(), 1)
    assert moves.dlevel == pytest.approx(at.hvp(dmass=1.0).dlevel)
    cotangent = np.cos(np.arange(len(a)))
    assert at.vjp(cotangent).dmass == pytest.approx(cotangent @ moves.potential_a)
    dense = at.hessian()
    along = np.sin(np.arange(x.size)).reshape(x.shape)
    np.testing.assert_allclose(np.tensordot(dense, along, 2), at.hvp(along).dx, atol=1e-6)


def test_a_solve_starts_from_the_answer_before(solution):
    at, along = solution.linearize(), directions(solution)
    for verb, fields in ((at.hvp, ("dx", "df")), (at.jvp, ("potential_a", "a_to_b"))):
        cold = verb(**along)
        warm = verb(**along, start=cold)
        assert warm.report.iterations == 0 < cold.report.iterations
        for name in fields:
            np.testing.assert_allclose(getattr(warm, name), getattr(cold, name), atol=1e-7)


def test_grids_and_bounds_have_derivatives(clouds):
    a, b = np.ones((3, 4)) / 12, np.linspace(1, 2, 12).reshape(3, 4) / 18
    at = monge.solve_lattice(a, b, epsilon=0.5, marginals=monge.KL(1.0)).linearize()
    moves = at.jvp(da=np.ones(12), depsilon=0.1)
    assert moves.potential_a.shape == (12,) and moves.a_to_b.shape == (12, 2)
    assert at.vjp(np.ones(12), wrt=("a", "epsilon")).da.shape == (12,)
    with pytest.raises(monge.NotAvailable, match="stand still"):
        at.hvp(np.ones((12, 2)))
    x, y, a, b = clouds
    held = monge.solve_sample(
        x, y, a, b, epsilon=0.1, marginals=monge.KL(1.0), bounds=([0], [1], [a[0]]), tolerance=1e-12
    )
    along = np.ones_like(x)
    dense = held.linearize().hessian()
    np.testing.assert_allclose(
        np.tensordot(dense, along, 2), held.linearize().hvp(along).dx, atol=1e-6
    )


def test_a_kernel_that_products_read(solution):
    along = directions(solution)["dx"]
    kept, streamed = solution.linearize(), solution.linearize(kernel_cache=0)
    got, want = kept.hvp(along, tolerance=1e-12).dx, streamed.hvp(along, tolerance=1e-12).dx
    np.testing.assert_allclose(got, want, atol=1e-9 * np.abs(want).max())
    with pytest.raises(ValueError, match="kernel_cache"):
        solution.linearize(kernel_cache=-2)


def test_products_in_epsilon_and_strengths(solution):
    at = solution.linearize()
    along = directions(solution)
    got = at.hvp(along["dx"], wrt=("epsilon", "rho"))
    assert got.dx is None and got.da is None
    # The Hessian is symmetric: the gradient in x along epsilon, paired with the direction.
    back = at.hvp(depsilon=1.0, wrt=("x",)).dx
    np.testing.assert_allclose(got.depsilon, (back * along["dx"]).sum(), rtol=1e-6)
    back = at.hvp(drho_b=1.0, wrt=("x",)).dx
    np.testing.assert_allclose(got.drho_b, (back * along["dx"]).sum(), rtol=1e-6)
    several = at.hvp(np.stack([along["dx"], 2 * along["dx"]]), wrt=("epsilon",))
    np.testing.assert_allclose(several.depsilon, [got.depsilon, 2 * got.depsilon], rtol=1e-6)
    assert several.drho_a is None


def test_inverse_hvp_undoes_the_product(clouds):
    x, y, a, b = clouds
    at = monge.solve_sample(x, y, a, b, epsilon=5.0, marginals=monge.KL(1.0)).linearize()
    right = np.random.default_rng(2).standard_normal(x.shape)
    z, report = at.inverse_hvp(right, tolerance=1e-10)
    assert report.converged and report.condition >= 1 and not report.negative_curvature
    np.testing.assert_allclose(at.hvp(z).dx, right, atol=1e-7)
    step, report = at.inverse_hvp(right, radius=1e-2)
    assert report.boundary
    np.testing.assert_allclose(np.linalg.norm(step), 1e-2)
    with pytest.raises(monge.InvalidArgument, match="radius"):
        at.inverse_hvp(right, radius=0.0)
    with pytest.raises(monge.InvalidArgument, match="wanted 'x' or 'y'"):
        at.inverse_hvp(right, "z")
    with pytest.raises(monge.InvalidArgument, match="several, wanted one"):
        at.inverse_hvp(np.stack([right, right]))


def test_hessian_is_what_products_are(solution):
    at = solution.linearize()
    along = directions(solution)
    for of, name in (("x", "dx"), ("y", "dy")):
        dense = at.hessian(of)
        product = getattr(at.hvp(**{name: along[name]}, tolerance=1e-12), name)
        np.testing.assert_allclose(np.tensordot(dense, along[name], 2), product, atol=1e-11)
    with pytest.raises(monge.InvalidArgument, match="limit"):
        at.hessian(limit=10)
    with pytest.raises(monge.InvalidArgument, match="wanted 'x' or 'y'"):
        at.hessian("z")
