"""The verbs, their keywords, and the fields of what they return."""

import inspect
import logging
import math
import pickle
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import monge
from monge import _core, _options, _progress

VERBS = (
    monge.solve,
    monge.solve_sample,
    monge.solve_batch,
    monge.solve_sample_batch,
    monge.divergence,
    monge.divergence_batch,
    monge.solve_lattice,
    monge.divergence_lattice,
)
ROOT = Path(__file__).resolve().parents[2]


# ---- keywords


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_signature_and_docstring_are_the_table(verb):
    keywords = {
        name: p.default
        for name, p in inspect.signature(verb).parameters.items()
        if p.kind is p.KEYWORD_ONLY
    }
    own = {"gradients": False} if verb.__name__.startswith("divergence") else {}
    expected = {o.name: o.default_in(verb.__name__) for o in _options.of(verb.__name__)}
    assert keywords == expected | own
    for name in keywords:
        assert f"    {name}: " in verb.__doc__, name


@pytest.mark.parametrize(
    "keyword",
    ["reg"],
)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_keywords_of_other_parts_are_absent(verb, keyword):
    with pytest.raises(TypeError, match=keyword):
        verb([[0.0]], [[1.0]], epsilon=1.0, **{keyword: 1})


def test_torch_is_asked_for_by_name():
    code = "import sys; sys.modules['torch'] = None\nimport monge.torch"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (
        "ImportError: monge.torch needs PyTorch, which is not installed: pip install torch"
        in run.stderr
    )


def test_version_is_the_projects():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert f"VERSION {monge.__version__} " in text
    scikit = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    assert scikit["metadata"]["version"]["input"] == "CMakeLists.txt"


def test_lengths_mean_strengths_in_units_of_the_cost(clouds):
    x, y, a, b = clouds
    for cost, order in (("sqeuclidean", 2), ("euclidean", 1), (("power", 1.5), 1.5)):
        length = monge.solve_sample(
            x, y, a, b, cost=cost, blur=0.3, reach=(0.8, 0.5), cost_factor=2, tolerance=1e-9
        )
        strength = monge.solve_sample(
            x, y, a, b, cost=cost, epsilon=2 * 0.3**order, tolerance=1e-9,
            marginals=(monge.KL(2 * 0.8**order), monge.KL(2 * 0.5**order)),
        )  # fmt: skip
        assert length.value == strength.value
        assert length.epsilon == 2 * 0.3**order
        assert length.marginals == (monge.KL(2 * 0.8**order), monge.KL(2 * 0.5**order))
        assert length.cost == cost
    one_side = monge.solve_sample(x, y, a, b, blur=0.3, reach=(0.8, None))
    assert one_side.marginals == (monge.KL(0.8**2), monge.Balanced())


def test_half_cost_is_geomloss_scaling(clouds):
    x, y, a, b = clouds
    full = monge.solve_sample(x, y, a, b, blur=0.3, reach=0.8, cost_factor=2, tolerance=1e-12)
    half = monge.solve_sample(
        x, y, a, b, cost="half_sqeuclidean", blur=0.3, reach=0.8, tolerance=1e-12
    )
    assert full.value == pytest.approx(2 * half.value, rel=1e-11)


def test_marginals_compare_show_and_pickle():
    assert monge.KL(2) == monge.KL(2.0) != monge.KL(3)
    assert monge.TV(2) != monge.KL(2)
    assert monge.Balanced() == monge.Balanced()
    assert repr(monge.KL(0.5)) == "KL(rho=0.5)"
    assert repr(monge.Balanced()) == "Balanced()"
    assert len({monge.TV(1), monge.TV(1), monge.Balanced()}) == 2
    assert pickle.loads(pickle.dumps(monge.KL(2))) == monge.KL(2)


def test_infinite_strength_is_balanced(clouds):
    x, y, a, b = clouds
    r = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=(monge.KL(np.inf), monge.TV(0.2)))
    assert r.marginals == (monge.Balanced(), monge.TV(0.2))


def test_total_mass_alone_is_partial_transport(clouds):
    x, y, a, b = clouds
    r = monge.solve_sample(x, y, a, b, epsilon=0.05, total_mass=0.5, tolerance=1e-10)
    assert r.transported_mass == pytest.approx(0.5, rel=1e-9)
    assert (r.marginal_a <= a * (1 + 1e-9)).all() and (r.marginal_b <= b * (1 + 1e-9)).all()
    said = monge.solve_sample(
        x, y, a, b, epsilon=0.05, total_mass=0.5, tolerance=1e-10, marginals=monge.TV(np.inf)
    )
    assert said.value == r.value


# ---- the answer


def test_every_field_belongs_to_one_pair(clouds):
    x, y, a, b = clouds
    rho, eps = 0.7, 0.08
    r = monge.solve_sample(x, y, a, b, epsilon=eps, marginals=monge.KL(rho), tolerance=1e-12)
    f, g = r.potentials
    P = a[:, None] * b * np.exp((f[:, None] + g - clouds.cost()) / eps)
    near = {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(r.plan.dense(), P, **near)
    np.testing.assert_allclose(r.marginal_a, P.sum(1), **near)
    np.testing.assert_allclose(r.marginal_b, P.sum(0), **near)
    assert r.transported_mass == pytest.approx(P.sum(), rel=1e-11)
    assert r.value_linear == pytest.approx((P * clouds.cost()).sum(), rel=1e-11)
    assert r.value == pytest.approx(
        (rho * -np.expm1(-f / rho)) @ a + (rho * -np.expm1(-g / rho)) @ b
        + eps * (a.sum() * b.sum() - P.sum()), rel=1e-11,
    )  # fmt: skip
    terms = r.plan.terms
    total = terms.linear + eps * terms.entropy + terms.penalty_a + terms.penalty_b
    assert r.value == pytest.approx(total, rel=1e-10)
    assert r.plan.value == pytest.approx(r.value, rel=1e-12)
    assert r.duality_gap + 1e-14 >= 0 and r.duality_gap < 1e-10
    assert r.marginal_error == (r.residual_a + r.residual_b) / r.transported_mass <= 1e-12
    np.testing.assert_allclose(r.a_to_b, P @ y / P.sum(1)[:, None], **near)
    np.testing.assert_allclose(r.b_to_a, P.T @ x / P.sum(0)[:, None], **near)
    assert r.a_to_b_valid.all() and r.b_to_a_valid.all()
    assert r.masses == pytest.approx((1.4, 0.9), rel=1e-15)
    assert (r.cost, r.epsilon, r.reference) == ("sqeuclidean", eps, "product")
    assert r.status == "converged" and r.converged
    assert r.trace[-1].marginal_error == r.marginal_error
    assert r.trace[-1].passes <= r.passes and r.iterations > 1
    assert r.predicted_floor < 1e-12
    assert "2201.00730" in r.citation
    assert all(
        isinstance(v, float) for v in (r.value, r.value_linear, r.transported_mass, r.epsilon)
    )


def test_plan_is_an_operator(clouds):
    x, y, a, b = clouds
    plan = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1)).plan
    P = plan.dense()
    V, U = np.cos(np.arange(27.0)).reshape(9, 3), np.sin(np.arange(12.0))
    near = {"rtol": 1e-12, "atol": 1e-14}
    assert plan.shape == (12, 9) and plan.T.shape == (9, 12) and plan.T.T.shape == plan.shape
    np.testing.assert_allclose(plan @ V, P @ V, **near)
    np.testing.assert_allclose(plan.T @ U, P.T @ U, **near)
    np.testing.assert_allclose(plan.T.dense(), P.T, **near)
    # points beside the fitted ones: on a fitted point the map is its barycentric image
    np.testing.assert_allclose(plan.map(x[:4]), plan.barycentric().points[:4], rtol=1e-11)
    np.testing.assert_allclose(plan.T.map(y[:4]), plan.T.barycentric().points[:4], rtol=1e-11)
    assert plan.potential(x).shape == (12,) and plan.T.potential(y).shape == (9,)
    np.testing.assert_allclose(plan.barycentric(V).points, P @ V / P.sum(1)[:, None], **near)
    mean, covariance = plan.moments()
    np.testing.assert_allclose(mean, P @ y / P.sum(1)[:, None], **near)
    W = P / P.sum(1)[:, None]
    second = np.einsum("ij,jk,jl->ikl", W, y, y) - mean[:, :, None] * mean[:, None]
    np.testing.assert_allclose(covariance, second, rtol=1e-10, atol=1e-13)
    assert plan.T.moments(U[:, None]).mean.shape == (9, 1)


def test_sparse_plans(clouds):
    x, y, a, b = clouds
    plan = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1)).plan
    P = plan.dense()
    top = plan.top_k(3)
    assert top.shape == (12, 9) and top.indptr[-1] == 36
    np.testing.assert_array_equal(top.indices.reshape(12, 3), np.argsort(-P, axis=1)[:, :3])
    threshold = float(np.median(P))
    kept = plan.sparse(threshold).to_scipy().toarray()
    np.testing.assert_allclose(kept, np.where(threshold <= P, P, 0), rtol=1e-12)
    with pytest.raises(ValueError, match="limit"):
        plan.sparse(1e-300, limit=5)
    with pytest.raises(ValueError, match="limit"):
        plan.dense(limit=100)


def test_draws_repeat_with_their_seed(clouds):
    x, y, a, b = clouds
    plan = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1)).plan
    pairs = plan.draw_pairs(20_000, seed=5)
    np.testing.assert_array_equal(pairs.target, plan.draw_pairs(20_000, seed=5).target)
    assert (plan.draw_pairs(100).source != plan.draw_pairs(100, seed=1).source).any()
    P = plan.dense() / plan.dense().sum()
    counts = np.zeros(P.shape)
    np.add.at(counts, pairs, 1)
    # five standard deviations of a multinomial count, in every cell
    assert (abs(counts - 20_000 * P) <= 5 * np.sqrt(20_000 * P) + 5).all()
    targets = plan.draw_targets(7)
    assert targets.shape == (12, 7) and targets.min() >= 0 and targets.max() < 9


def test_cost_matrix_has_no_points(clouds):
    r = monge.solve(clouds.cost(), clouds.a, clouds.b, epsilon=0.1, marginals=monge.KL(1))
    points = monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1))
    assert r.value == pytest.approx(points.value, rel=1e-9)
    assert r.cost is None
    for ask in (lambda: r.a_to_b, lambda: r.plan.map(clouds.x), lambda: r.plan.potential(clouds.x)):
        with pytest.raises(monge.NotAvailable):
            ask()
    gradient = r.gradient()
    assert gradient.dx is None and gradient.dy is None and gradient.da.shape == (12,)
    np.testing.assert_allclose(
        r.plan.barycentric(clouds.y).points, points.a_to_b, rtol=1e-4
    )  # both within the default tolerance of the optimum


def test_gradient_by_central_differences(clouds):
    x, y, a, b = clouds
    options = {"epsilon": 0.1, "marginals": (monge.KL(0.8), monge.Balanced()), "tolerance": 1e-12}
    gradient = monge.solve_sample(x, y, a, b, **options).gradient()
    h = 1e-5

    def value(i, array):
        given = [x, y, a, b]
        given[i] = array
        return monge.solve_sample(*given, **options).value

    for i, (array, got) in enumerate(zip((x, y, a), gradient[:3], strict=True)):
        step = np.zeros(array.shape)
        step.flat[3] = h
        difference = (value(i, array + step) - value(i, array - step)) / (2 * h)
        assert got.flat[3] == pytest.approx(difference, abs=1e-8)
    assert gradient.depsilon > 0 and gradient.drho_a > 0 and gradient.drho_b == 0


def test_a_gradient_is_what_was_asked_for(clouds):
    x, y, a, b = clouds
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(0.8))
    everything, alone = solved.gradient(), solved.gradient(wrt=["x", "epsilon"])
    np.testing.assert_array_equal(alone.dx, everything.dx)
    assert alone.dy is None and alone.da is None and alone.db is None
    assert alone.depsilon == pytest.approx(everything.depsilon, rel=1e-12) and alone.drho_a == 0
    grid = monge.solve_lattice(np.ones((4, 3)) / 12, np.ones((3, 5)) / 15, epsilon=0.1)
    assert grid.gradient(wrt=["b"]).db.shape == (3, 5) and grid.gradient(wrt=["b"]).dx is None
    counting = monge.solve_sample(
        x, y, a, b, epsilon=0.1, reference="counting", marginals=monge.KL(0.8)
    )
    assert counting.gradient(wrt=["y"]).da is None
    np.testing.assert_array_equal(counting.gradient(wrt=["y"]).dy, counting.gradient().dy)
    with pytest.raises(monge.InvalidArgument, match="wrt holds 'z', wanted some of 'x'"):
        solved.gradient(wrt=["z"])


@pytest.mark.parametrize("reference", ["counting", "custom"])
def test_other_references(clouds, reference):
    x, y, a, b = clouds
    r_a, r_b = np.linspace(0.5, 2, 12), np.linspace(2, 1, 9)
    given = "counting" if reference == "counting" else (r_a, r_b)
    if reference == "counting":
        r_a, r_b = np.ones(12), np.ones(9)
    eps, rho = 0.1, 0.6
    r = monge.solve_sample(
        x, y, a, b, epsilon=eps, marginals=monge.KL(rho), reference=given, tolerance=1e-12
    )
    f, g = r.potentials
    P = r_a[:, None] * r_b * np.exp((f[:, None] + g - clouds.cost()) / eps)
    np.testing.assert_allclose(r.plan.dense(), P, rtol=1e-10)
    np.testing.assert_allclose(P.sum(1), a * np.exp(-f / rho), rtol=1e-9)
    assert r.reference == reference and r.masses == pytest.approx((1.4, 0.9))
    assert r.trace[-1].dual_value == r.value
    seen = []
    again = monge.solve_sample(
        x, y, a, b, epsilon=eps, marginals=monge.KL(rho), reference=given, tolerance=1e-9,
        start=r.potentials, callback=lambda report: seen.append(report.dual_value),
    )  # fmt: skip
    assert again.iterations == 1
    assert seen[0] == pytest.approx(r.value, rel=1e-12)
    for ask in (lambda: r.plan.terms, lambda: r.plan.value, lambda: r.plan.potential(x)):
        with pytest.raises(monge.NotAvailable):
            ask()
    # the weight gradient with the reference held fixed
    h, step = 1e-5, 1e-5 * (np.arange(12) == 2)
    value = [
        monge.solve_sample(
            x, y, a + s * step, b, epsilon=eps, marginals=monge.KL(rho), reference=given, tolerance=1e-12
        ).value
        for s in (1, -1)
    ]  # fmt: skip
    assert r.gradient().da[2] == pytest.approx((value[0] - value[1]) / (2 * h), abs=1e-8)


def test_start_continues(clouds):
    x, y, a, b = clouds
    options = {"marginals": monge.KL(1), "tolerance": 1e-9}
    first = monge.solve_sample(x, y, a, b, epsilon=0.05, **options)
    assert (
        monge.solve_sample(x, y, a, b, epsilon=0.05, start=first.potentials, **options).iterations
        == 1
    )
    near = monge.solve_sample(x, y, a, b, epsilon=0.045, start=first.potential_b, **options)
    cold = monge.solve_sample(x, y, a, b, epsilon=0.045, **options)
    assert near.passes < cold.passes


@pytest.mark.parametrize(
    "name", ["annealing", "acceleration", "initializer", "precision", "schedule"]
)
def test_choices_are_those_of_the_library(name):
    members = getattr(_core, name.capitalize()).__members__
    assert tuple(members) == _options.TABLE[name].choices


def test_automatic_precision_widens_below_what_float32_reaches(clouds):
    x, y, a, b = clouds.astype("float32")
    options = {"epsilon": 0.1, "marginals": monge.KL(1)}
    for verb in (monge.solve_sample, monge.divergence):
        automatic = verb(x, y, a, b, tolerance=1e-10, **options)
        double = verb(x, y, a, b, tolerance=1e-10, precision="double", **options)
        assert automatic.value == double.value
        assert automatic.potential_a.dtype == np.float64
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    for tolerance, dtype in ((1e-10, np.float64), (1e-5, np.float32)):
        assert monge.solve(cost, a, b, tolerance=tolerance, **options).potential_a.dtype == dtype
    with pytest.warns(monge.ConvergenceWarning, match="precision='double'"):
        single = monge.solve_sample(x, y, a, b, tolerance=1e-10, precision="accurate", **options)
    assert single.potential_a.dtype == np.float32 and single.status == "precision_floor"


@pytest.mark.parametrize("reference", ["product", "counting"])
def test_automatic_precision_goes_on_where_float32_ends(reference):
    rng = np.random.default_rng(4)
    x, y = rng.random((300, 2), dtype="float32"), rng.random((240, 2), dtype="float32") ** 2
    cost = ((x[:, None].astype("float64") - y[None]) ** 2).sum(-1)
    options = {"epsilon": 2e-3, "tolerance": 2e-7, "reference": reference}
    with pytest.warns(monge.ConvergenceWarning, match="precision_floor"):
        single = monge.solve_sample(x, y, precision="accurate", **options)
    for solution, tolerance in (
        (monge.solve_sample(x, y, **options), 2e-7),
        (monge.solve_sample(x, y, precision="mixed", **options), 2e-7),
        (monge.solve(cost.astype("float32"), **options), 2e-6),  # its costs are those of float32
    ):
        assert solution.converged
        plan = solution.plan.dense().astype(
            "float64"
        )  # its entries are rounded, not its potentials
        assert abs(plan.sum(1) - 1 / 300).sum() + abs(plan.sum(0) - 1 / 240).sum() < 2 * tolerance
    on = monge.solve_sample(x, y, **options)
    assert on.iterations > single.iterations and on.passes > single.passes
    assert len(on.trace) > len(single.trace)
    for array in (*on.potentials, on.plan @ y, on.plan.T @ x[:, 0], on.marginal_a, on.a_to_b,
                  on.plan.map(x[:3]), on.plan.moments().covariance, on.plan.top_k(2).data):  # fmt: skip
        assert array.dtype == np.float32 == on.plan.dtype
    assert on.a_to_b_valid.dtype == bool and on.plan.top_k(2).indices.dtype == np.int64
    with pytest.raises(ValueError, match="the plan is float32"):
        on.plan.map(x.astype("float64"))
    assert (on.plan @ y.astype("float64")).dtype == np.float32


def test_fast_precision_is_never_something_else(clouds):
    x, y, a, b = clouds.astype("float32")
    with pytest.raises(monge.NotAvailable, match="the problem is on cpu"):
        monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), precision="fast")
    with pytest.raises(monge.NotAvailable, match="the problem is on cpu"):
        monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), schedule="staged")
    with pytest.raises(ValueError, match="schedule is staged and precision is fast"):
        monge.solve_sample(
            x, y, a, b, epsilon=0.1, marginals=monge.KL(1), precision="fast", schedule="staged"
        )
    accurate = monge.solve_sample(
        x, y, a, b, epsilon=0.1, marginals=monge.KL(1), precision="accurate"
    )
    assert accurate.weight_error == accurate.fast_passes == 0


def test_kernel_cache_bounds_what_is_kept(clouds):
    x, y = (np.tile(v, (4, 8)) for v in clouds.astype("float64")[:2])
    options = {"epsilon": 0.01, "tolerance": 1e-10, "marginals": monge.KL(1)}
    streamed = monge.solve_sample(x, y, kernel_cache=0, **options)
    kept = monge.solve_sample(x, y, **options)
    assert streamed.absorbed == 0 < kept.absorbed <= kept.passes
    assert kept.value == pytest.approx(streamed.value, rel=1e-12)


def test_double_precision_on_float_points(clouds):
    x, y, a, b = clouds.astype("float32")
    single = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1))
    double = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), precision="double")
    exact = monge.solve_sample(
        *(v.astype("float64") for v in (x, y, a, b)), epsilon=0.1, marginals=monge.KL(1)
    )
    assert single.potential_a.dtype == np.float32 and double.potential_a.dtype == np.float64
    assert double.value == exact.value


def test_divergence(clouds):
    x, y, a, b = clouds
    options = {"epsilon": 0.1, "marginals": monge.KL(0.8), "tolerance": 1e-12}
    d = monge.divergence(x, y, a, b, gradients=True, **options)
    ab, aa, bb = (
        monge.solve_sample(*args, **options) for args in ((x, y, a, b), (x, x, a, a), (y, y, b, b))
    )
    want = ab.value - aa.value / 2 - bb.value / 2 + 0.05 * (1.4 - 0.9) ** 2
    assert d.value == pytest.approx(want, rel=1e-9)
    assert d.converged and d.statuses == ("converged",) * 3
    np.testing.assert_allclose(d.ab.potential_a, ab.potential_a, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(d.potential_a, ab.potential_a - aa.potential_a, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(d.plan.dense(), ab.plan.dense(), rtol=1e-8, atol=1e-12)
    step = np.zeros(x.shape)
    step[3, 1] = 1e-5
    moved = [monge.divergence(x + s * step, y, a, b, **options).value for s in (1, -1)]
    assert d.gradient().dx[3, 1] == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=1e-8)
    assert d.gradient().da.shape == (12,)
    same = monge.divergence(x, x, a, a, **options)
    assert abs(same.value) <= 1e-12 * 1.4
    with pytest.raises(ValueError, match="gradients=True"):
        same.gradient()


def test_reprs_tell_at_one_glance(clouds):
    r = monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1))
    assert repr(r).startswith("Solution(12 x 9, converged: value=")
    assert repr(r.plan) == "Plan(shape=(12, 9), dtype=float64)"
    assert repr(r.plan.T) == "TransposedPlan(shape=(9, 12), dtype=float64)"
    assert repr(r.plan.top_k(2)) == "SparsePlan(shape=(12, 9), stored=24)"
    assert "marginal_error=" in repr(r.trace[-1])
    d = monge.divergence(*clouds, epsilon=0.1, marginals=monge.KL(1))
    assert repr(d).startswith("Divergence(12 x 9, converged: value=")


# ---- watching


def test_callback_sees_reports_and_stops(clouds):
    reports = []
    with pytest.warns(monge.ConvergenceWarning, match="stopped"):
        r = monge.solve_sample(
            *clouds, epsilon=0.01, marginals=monge.KL(1), check_every=1, tolerance=1e-14, annealing="off",
            callback=lambda report: reports.append(report) or len(reports) < 4,
        )  # fmt: skip
    assert r.status == "stopped" and len(reports) == 4
    assert [report.iterations for report in reports] == [1, 2, 3, 4]
    assert r.marginal_error == reports[-1].marginal_error  # copies: still there after the solve
    assert len(reports[-1].trace) == 4


def test_exception_in_callback_propagates(clouds):
    def fail(report):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1), callback=fail)


class Bar:
    """Like tqdm, but only counts."""

    def __init__(self, desc=None, unit=None):
        self.total, self.postfix, self.closed = 0.0, {}, False

    def update(self, step):
        assert step >= -1e-9
        self.total += step

    def set_postfix(self, refresh=True, **values):
        self.postfix = values

    def close(self):
        self.closed = True


def test_progress_moves_within_a_pass():
    rng = np.random.default_rng(0)
    x, y = rng.random((8000, 3)), rng.random((8000, 3))  # far more than 0.1 s on one thread
    bar = Bar()
    with pytest.warns(monge.ConvergenceWarning):
        r = monge.solve_sample(
            x, y, epsilon=0.01, max_iterations=8, annealing="off", threads=1, progress=bar
        )
    assert 0 < bar.total <= r.passes + 1
    assert "epsilon" in bar.postfix and not bar.closed  # the caller's own bar stays open


def test_progress_never_goes_back():
    bar = Bar()
    with _progress.hook(bar, "solve") as tell:
        for passes in (0.0, 0.3, 0.0, 1.0, 1.2):
            tell(0, passes, 1.0, math.nan, 0)
    assert bar.total == pytest.approx(1.2)


def test_progress_makes_and_closes_a_bar():
    made = []

    class Made(Bar):
        def __init__(self, **keywords):
            super().__init__(**keywords)
            made.append(self)

    monge.solve_sample([[0.0]], [[1.0]], epsilon=1.0, progress=Made)
    assert len(made) == 1 and made[0].closed
    with pytest.raises(ValueError, match="progress"):
        monge.solve_sample([[0.0]], [[1.0]], epsilon=1.0, progress=3)


def test_progress_true_is_tqdm(capfd):
    pytest.importorskip("tqdm")
    monge.solve_sample([[0.0]], [[1.0]], epsilon=1.0, progress=True)
    assert "pass" in capfd.readouterr().err


def test_silent_but_for_the_logger(clouds, capfd, caplog):
    with caplog.at_level(logging.DEBUG, logger="monge"):
        monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1))
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO"]
    assert "12 x 9" in caplog.text
    assert capfd.readouterr() == ("", "")
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("monge").handlers)


def test_import_starts_no_thread_and_brings_numpy_alone():
    code = (
        "import numpy, os, sys; before = len(os.listdir('/proc/self/task')); seen = set(sys.modules)\n"
        "import monge; assert len(os.listdir('/proc/self/task')) == before\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - seen}))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    brought = set(run.stdout.split())
    assert brought <= {"monge", "numpy"} | sys.stdlib_module_names


def test_threads_do_not_change_the_bits():
    rng = np.random.default_rng(1)
    x, y = rng.random((700, 3)), rng.random((500, 3))
    one, two = (monge.solve_sample(x, y, epsilon=0.05, threads=t) for t in (1, 2))
    assert one.potential_a.tobytes() == two.potential_a.tobytes()
    assert one.value == two.value


def test_gil_is_released():
    rng = np.random.default_rng(0)
    x, y = rng.random((1500, 3)), rng.random((1500, 3))
    times = []

    def solve():
        times.append(time.perf_counter())
        monge.solve_sample(x, y, epsilon=0.1, max_iterations=20, tolerance=1e-3, threads=1)
        times.append(time.perf_counter())

    solver = threading.Thread(target=solve)
    solver.start()
    longest, last = 0.0, time.perf_counter()
    while solver.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    # a solve that held the lock would stop this thread for nearly all of its time
    assert longest < 0.5 * (times[1] - times[0])
