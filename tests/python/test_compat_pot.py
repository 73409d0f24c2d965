"""monge.compat.pot against dense arithmetic, and against POT itself where that is installed and right."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose

import monge
from monge.compat import pot

REG = 0.1
ABS = 1e-8  # of a plan; what `tol` below leaves is far under it
TIGHT = {"tol": 1e-12, "max_iter": 100000}


def kl(p, q):
    return np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0) - p + q)


def entropy(p):
    return np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0))


@pytest.fixture
def balanced(clouds):
    return clouds._replace(a=clouds.a / clouds.a.sum(), b=clouds.b / clouds.b.sum())


def pairs(strength):
    return strength if isinstance(strength, tuple) else (strength, strength)


def objective(P, clouds, reg_type, unbalanced, unbalanced_type, c=None):
    """POT's documented objective, by its definition."""
    if reg_type == "entropy":
        regular = entropy(P) - (P.sum() if unbalanced is not None else 0)
    else:
        regular = kl(P, np.outer(clouds.a, clouds.b) if c is None else c)
    total = np.sum(P * clouds.cost()) + REG * regular
    for rho, p, w in zip(
        pairs(unbalanced), (P.sum(1), P.sum(0)), (clouds.a, clouds.b), strict=True
    ):
        if rho is not None and np.isfinite(rho):
            total += rho * (kl(p, w) if unbalanced_type == "KL" else abs(p - w).sum())
    return total


GRID = [
    (reg_type, unbalanced, kind)
    for reg_type in ("KL", "entropy")
    for unbalanced, kind in (
        (None, "KL"),
        (1.0, "KL"),
        ((0.4, 2.0), "KL"),
        ((np.inf, 0.7), "KL"),
        (0.3, "TV"),
    )
]


# C1: the value is the documented objective, value_linear <P, C>; the plan is POT's at the end.
@pytest.mark.parametrize(("reg_type", "unbalanced", "kind"), GRID)
def test_value_is_the_documented_objective_of_the_plan(
    clouds, balanced, reg_type, unbalanced, kind
):
    problem = balanced if unbalanced is None else clouds
    terms = dict(reg=REG, reg_type=reg_type, unbalanced=unbalanced, unbalanced_type=kind, **TIGHT)
    r = pot.solve(problem.cost(), problem.a, problem.b, **terms)
    assert r.status == "converged"
    want = objective(r.plan, problem, reg_type, unbalanced, kind)
    assert r.value == pytest.approx(want, rel=1e-10)
    assert r.value_linear == pytest.approx(np.sum(r.plan * problem.cost()), rel=1e-12)
    assert_allclose(r.marginals[0], r.plan.sum(1), rtol=1e-12)
    assert_allclose(r.marginals[1], r.plan.sum(0), rtol=1e-12)
    sampled = pot.solve_sample(problem.x, problem.y, problem.a, problem.b, **terms)
    assert sampled.value == pytest.approx(r.value, rel=1e-10)
    assert_allclose(sampled.plan, r.plan, atol=1e-10)


@pytest.mark.parametrize(("reg_type", "unbalanced", "kind"), GRID)
def test_potentials_are_in_pots_units(clouds, balanced, reg_type, unbalanced, kind):
    problem = balanced if unbalanced is None else clouds
    r = pot.solve(
        problem.cost(), problem.a, problem.b, REG, None, reg_type, unbalanced, kind, **TIGHT
    )
    log_u, log_v = r.potentials
    scaled = np.exp(log_u[:, None] + log_v - problem.cost() / REG)
    if unbalanced is not None and reg_type == "KL":
        scaled *= np.outer(problem.a, problem.b)
    assert_allclose(scaled, r.plan, rtol=1e-11)
    again = pot.solve(
        problem.cost(),
        problem.a,
        problem.b,
        REG,
        None,
        reg_type,
        unbalanced,
        kind,
        potentials_init=r.potentials,
        tol=1e-9,
    )
    assert again.solution.iterations == 1


@pytest.mark.parametrize("unbalanced", [None, (0.4, 2.0)])
def test_a_reference_that_is_a_matrix(clouds, balanced, unbalanced):
    problem = balanced if unbalanced is None else clouds
    c = np.random.default_rng(1).random(problem.cost().shape) + 0.1
    r = pot.solve(problem.cost(), problem.a, problem.b, REG, c, unbalanced=unbalanced, **TIGHT)
    assert r.value == pytest.approx(
        objective(r.plan, problem, "KL", unbalanced, "KL", c), rel=1e-10
    )
    assert r.value_linear == pytest.approx(np.sum(r.plan * problem.cost()), rel=1e-12)
    # Optimality: P = c exp((f + g - M)/reg), and the marginals that f and g ask for.
    log_u, log_v = r.potentials
    assert_allclose(r.plan, c * np.exp(log_u[:, None] + log_v - problem.cost() / REG), rtol=1e-10)
    wanted = problem.a if unbalanced is None else problem.a * np.exp(-REG * log_u / unbalanced[0])
    assert_allclose(r.plan.sum(1), wanted, rtol=1e-9)
    product = np.outer(problem.a, problem.b)
    same = pot.solve(
        problem.cost(), problem.a, problem.b, REG, product, unbalanced=unbalanced, **TIGHT
    )
    plain = pot.solve(problem.cost(), problem.a, problem.b, REG, unbalanced=unbalanced, **TIGHT)
    assert same.value == pytest.approx(plain.value, rel=1e-12)
    sampled = pot.solve_sample(
        problem.x, problem.y, problem.a, problem.b, reg=REG, c=c, unbalanced=unbalanced, **TIGHT
    )
    assert sampled.value == pytest.approx(r.value, rel=1e-10)


def test_zero_weights_are_removed_points(balanced):
    a = balanced.a.copy()
    a[3] = 0
    a /= a.sum()
    keep = np.arange(12) != 3
    for terms in ({}, {"reg_type": "entropy"}, {"unbalanced": 1.0}):
        r = pot.solve(balanced.cost(), a, balanced.b, REG, **terms, **TIGHT)
        less = pot.solve(balanced.cost()[keep], a[keep], balanced.b, REG, **terms, **TIGHT)
        assert_allclose(r.plan[keep], less.plan, atol=1e-12)
        assert not r.plan[3].any()
        assert r.value == pytest.approx(less.value, rel=1e-10)
        warm = pot.solve(
            balanced.cost(), a, balanced.b, REG, **terms, tol=1e-9, potentials_init=r.potentials
        )
        assert warm.solution.iterations == 1
    c = pot.solve(balanced.cost(), a, balanced.b, REG, np.ones((12, 9)), **TIGHT)
    assert_allclose(
        c.plan, pot.solve(balanced.cost(), a, balanced.b, REG, **TIGHT).plan, atol=1e-11
    )


def test_infinite_strengths_are_balanced(balanced):
    plain = pot.solve(balanced.cost(), balanced.a, balanced.b, REG, **TIGHT)
    soft = pot.solve(balanced.cost(), balanced.a, balanced.b, REG, unbalanced=np.inf, **TIGHT)
    one = pot.solve(balanced.cost(), balanced.a, balanced.b, REG, unbalanced=[np.inf], **TIGHT)
    assert soft.value == one.value == plain.value
    for reg_type in ("KL", "entropy"):  # without a strength its type says nothing
        terms = dict(reg=REG, reg_type=reg_type, **TIGHT)
        kl = pot.solve(balanced.cost(), balanced.a, balanced.b, **terms)
        tv = pot.solve(balanced.cost(), balanced.a, balanced.b, unbalanced_type="TV", **terms)
        assert tv.value == kl.value
        assert_allclose(tv.potential_a, kl.potential_a, rtol=0)


def test_result_fields(clouds):
    r = pot.solve_sample(clouds.x, clouds.y, clouds.a, clouds.b, reg=REG, unbalanced=1.0, lazy=True)
    images = r.plan @ clouds.y / r.plan.sum(1, keepdims=True)
    assert_allclose(r.a_to_b, images - clouds.x, atol=1e-12)
    assert_allclose(r.b_to_a + clouds.y, (r.plan.T @ clouds.x) / r.plan.sum(0)[:, None], atol=1e-12)
    lazy = r.lazy_plan
    assert lazy.shape == (12, 9)
    assert_allclose(lazy[:], r.plan)
    assert_allclose(lazy[2:5, 1:], r.plan[2:5, 1:], rtol=1e-12)
    assert_allclose(lazy[4], r.plan[4], rtol=1e-12)
    assert lazy[4, 3] == pytest.approx(r.plan[4, 3], rel=1e-12)
    pytest.importorskip("scipy")
    assert_allclose(r.sparse_plan.toarray(), r.plan)
    assert (
        r.value_quad is None and r.log["niter"] == r.solution.iterations and "OTResult" in repr(r)
    )
    with pytest.raises(NotImplementedError, match="solve_sample"):
        _ = pot.solve(clouds.cost(), clouds.a, clouds.b, REG, unbalanced=1.0).a_to_b


def test_float32_stays_float32(balanced):
    single = balanced.astype("float32")
    for tol in (None, 2e-8):  # the second is solved in double
        r = pot.solve(single.cost(), single.a, single.b, REG, tol=tol)
        kinds = (r.value, r.value_linear, r.plan, r.marginal_a, *r.potentials, r.lazy_plan[1:3])
        assert {array.dtype for array in kinds} == {np.dtype("float32")}
        exact = pot.solve(balanced.cost(), balanced.a, balanced.b, REG)
        assert r.value == pytest.approx(exact.value, rel=1e-5)


def test_debias_is_the_divergence(clouds):
    marginals = monge.KL(0.8)
    want = monge.divergence(
        clouds.x, clouds.y, clouds.a, clouds.b, epsilon=REG, marginals=marginals, tolerance=1e-11
    )
    r = pot.solve_sample(
        clouds.x, clouds.y, clouds.a, clouds.b, reg=REG, unbalanced=0.8, debias=True, tol=1e-11
    )
    assert r.value == pytest.approx(want.value, rel=1e-12)
    assert r.log["res_aa"].value == pytest.approx(want.aa.value, rel=1e-10)
    assert_allclose(r.plan, want.ab.plan.dense(), rtol=1e-10)
    linear = [part.value_linear for part in (want.ab, want.aa, want.bb)]
    assert r.value_linear == pytest.approx(linear[0] - (linear[1] + linear[2]) / 2, rel=1e-8)


def test_batches_are_their_entries(balanced):
    costs = np.stack([balanced.cost(), 2 * balanced.cost()])
    a, b = np.stack([balanced.a] * 2), np.stack([balanced.b] * 2)
    r = pot.solve_batch(costs, REG, a, b, tol=1e-11)
    singles = [
        pot.solve(M, balanced.a, balanced.b, REG, reg_type="entropy", tol=1e-11) for M in costs
    ]
    for name in ("value", "value_linear", "plan", "potential_a", "potential_b", "marginal_b"):
        assert_allclose(getattr(r, name), [getattr(s, name) for s in singles], rtol=1e-12)
    assert r.status == ["converged"] * 2 and r.log["n_iter"] > 0
    x, y = np.stack([balanced.x] * 2), np.stack([balanced.y] * 2)
    sampled = pot.solve_sample_batch(x, y, REG, a, b, metric="minkowski", reg_type="kl")
    single = pot.solve_sample(
        balanced.x,
        balanced.y,
        balanced.a,
        balanced.b,
        "euclidean",
        reg=REG,
        tol=1e-5,
        max_iter=1000,
    )
    assert_allclose(sampled.value, [single.value] * 2, rtol=1e-12)
    with pytest.raises(ValueError, match="a has 1 entries, wanted 2"):
        pot.solve_batch(costs, REG, a[:1], b)


def test_older_names(clouds, balanced):
    M, a, b = balanced.cost(), balanced.a, balanced.b
    plan = pot.solve(M, a, b, REG, **TIGHT).plan
    for solver in (
        pot.sinkhorn,
        pot.bregman.sinkhorn_knopp,
        pot.bregman.sinkhorn_log,
        pot.bregman.greenkhorn,
        pot.bregman.sinkhorn_stabilized,
        pot.bregman.sinkhorn_epsilon_scaling,
    ):
        found, log = solver(a, b, M, REG, stopThr=1e-12, log=True)
        assert_allclose(found, plan, atol=1e-11)
        assert_allclose(log["u"][:, None] * np.exp(-M / REG) * log["v"], plan, atol=1e-11)
        assert log["err"][-1] <= 1e-12 and log["niter"] > 0
        assert_allclose(solver(a, b, M, REG, warmstart=log["warmstart"]), plan, atol=1e-9)
    assert_allclose(pot.sinkhorn([], [], M, REG), pot.sinkhorn(np.full(12, 1 / 12), [], M, REG))
    linear = np.sum(plan * M)
    assert pot.sinkhorn2(a, b, M, REG, stopThr=1e-12) == pytest.approx(linear, rel=1e-10)
    several = np.stack([b, b[::-1]], 1)
    values, log = pot.sinkhorn(a, several, M, REG, log=True)
    assert values.shape == (2,) and log["u"].shape == (12, 2)
    assert values[1] == pytest.approx(pot.sinkhorn2(a, b[::-1], M, REG), rel=1e-10)
    assert_allclose(
        pot.sinkhorn(a, several, M, REG, warmstart=(log["log_u"], log["log_v"])), values, rtol=1e-8
    )

    x, y = balanced.x, balanced.y
    assert_allclose(pot.bregman.empirical_sinkhorn(x, y, REG, a, b), plan, atol=1e-9)
    f, g, lazy = pot.bregman.empirical_sinkhorn(x, y, REG, a, b, isLazy=True, log=True)
    assert_allclose(np.exp(f[:, None] + g - M / REG), lazy["lazy_plan"][:], rtol=1e-10)
    assert pot.bregman.empirical_sinkhorn2(x, y, REG, a, b) == pytest.approx(linear, rel=1e-8)
    value, losses = pot.bregman.empirical_sinkhorn_divergence(x, y, REG, a, b, log=True)
    assert value == pytest.approx(monge.divergence(x, y, a, b, epsilon=REG).value, rel=1e-8)
    assert losses["sinkhorn_loss_ab"] == pytest.approx(linear, rel=1e-8)

    r = pot.solve(clouds.cost(), clouds.a, clouds.b, REG, unbalanced=(0.4, np.inf), **TIGHT)
    for solver in (
        pot.sinkhorn_unbalanced,
        pot.unbalanced.sinkhorn_knopp_unbalanced,
        pot.unbalanced.sinkhorn_stabilized_unbalanced,
        pot.unbalanced.sinkhorn_unbalanced_translation_invariant,
    ):
        found, log = solver(
            clouds.a, clouds.b, clouds.cost(), REG, [0.4, np.inf], stopThr=1e-12, log=True
        )
        assert_allclose(found, r.plan, atol=1e-11)
        assert log["total_cost"] == pytest.approx(r.value, rel=1e-10)
        assert log["cost"] == pytest.approx(r.value_linear, rel=1e-10)
        assert_allclose(log["logu"], r.potential_a, atol=1e-9)
    unbalanced2 = pot.unbalanced.sinkhorn_unbalanced2
    assert unbalanced2(clouds.a, clouds.b, clouds.cost(), REG, (0.4, np.inf)) == pytest.approx(
        r.value_linear, rel=1e-4
    )
    total = unbalanced2(
        clouds.a, clouds.b, clouds.cost(), REG, (0.4, np.inf), returnCost="total", stopThr=1e-11
    )
    assert total == pytest.approx(r.value, rel=1e-10)
    targets = np.stack([clouds.b, clouds.b[::-1]], 1)
    values = unbalanced2(clouds.a, targets, clouds.cost(), REG, 0.4, stopThr=1e-10)
    single = unbalanced2(clouds.a, clouds.b[::-1], clouds.cost(), REG, 0.4, stopThr=1e-10)
    assert values[1] == pytest.approx(single, rel=1e-8)


def test_partial_mass(clouds):
    M, mass = clouds.cost(), 0.6
    P, log = pot.partial.entropic_partial_wasserstein(clouds.a, clouds.b, M, REG, mass, log=True)
    assert P.sum() == pytest.approx(mass, rel=1e-12)
    assert (P.sum(1) <= clouds.a * (1 + 1e-10)).all() and (P.sum(0) <= clouds.b * (1 + 1e-10)).all()
    assert log["partial_w_dist"] == pytest.approx(np.sum(P * M), rel=1e-12)
    # Optimality of <P, M> + reg sum P log P: the multipliers of both bounds are <= 0, and 0 off the bound.
    dual = REG * np.log(P) + M
    row = dual - dual[np.argmin(P.sum(1) / clouds.a)]
    assert np.ptp(row, axis=1).max() < 1e-9 and row.max() < 1e-9
    whole = pot.partial.entropic_partial_wasserstein_logscale(clouds.a, clouds.b, M, REG)
    assert_allclose(whole.sum(0), clouds.b, rtol=1e-10)
    for wrong in (-1.0, 2.0):
        with pytest.raises(ValueError, match="mass"):
            pot.partial.entropic_partial_wasserstein(clouds.a, clouds.b, M, REG, wrong)


M = np.ones((3, 2))
X, Y = np.ones((3, 2)), np.zeros((2, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pot.solve(M), "exact"),
        (lambda: pot.solve(M, reg=0), "exact"),
        (lambda: pot.solve(M, reg=1, reg_type="L2"), "reg_type='L2'"),
        (lambda: pot.solve(M, reg=1, reg_type=(np.sum, np.ones_like)), "reg_type"),
        (lambda: pot.solve(M, reg=1, unbalanced=1, unbalanced_type="L2"), "unbalanced_type='L2'"),
        (lambda: pot.solve(M, reg=1, plan_init=M), "potentials_init"),
        (lambda: pot.solve(M, reg=1, method="emd"), "method='emd'"),
        (lambda: pot.solve_sample(X, Y), "exact"),
        (lambda: pot.solve_sample(X, Y, reg=1, metric="cityblock"), "metric 'cityblock'"),
        (lambda: pot.solve_sample(X, Y, reg=1, metric=np.dot), "metric"),
        (lambda: pot.solve_sample(X, Y, reg=1, method="sliced"), "another problem"),
        (lambda: pot.solve_sample(X, Y, reg=1, method="lowrank"), "another problem"),
        (lambda: pot.solve_sample(X, Y, reg=1, debias="split"), "debias='split'"),
        (lambda: pot.solve_sample(X, Y, reg=1, reg_type="entropy", debias=True), "debias"),
        (lambda: pot.solve_sample(X, Y, reg=1, X_init=X), "X_init"),
        (lambda: pot.solve_sample(X, Y, reg=1, projections=X), "projections"),
        (lambda: pot.solve_sample(X, Y, reg=1, scaler=object()), "scaler"),
        (lambda: pot.solve_batch(M[None]), "exact"),
        (lambda: pot.solve_batch(M[None], 1.0, method="proximal"), "proximal"),
        (
            lambda: pot.solve_sample_batch(X[None], Y[None], 1.0, metric="minkowski", p=3),
            "minkowski",
        ),
        (lambda: pot.solve_sample_batch(X[None], Y[None], 1.0, metric="kl"), "metric 'kl'"),
        (
            lambda: pot.bregman.empirical_sinkhorn_divergence(X, Y, 1.0, warmstart=(M[:, 0], M[0])),
            "warmstart",
        ),
    ],
)
def test_what_is_not_provided_says_so(call, words):
    with pytest.raises(NotImplementedError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pot.solve(M, reg=1, method="typo"), "method is 'typo'"),
        (lambda: pot.solve(M, reg=1, n_threads="2"), "n_threads is '2'"),
        (lambda: pot.solve(M, reg=1, verbose=1), "verbose is 1"),
        (lambda: pot.solve(M, reg=1, grad="typo"), "grad is 'typo'"),
        (lambda: pot.solve(M, reg="1"), "reg is '1'"),
        (lambda: pot.solve(M, reg=-1), "epsilon"),
        (lambda: pot.solve(M, reg=1, c=M, reg_type="entropy"), "both c and reg_type"),
        (lambda: pot.solve(M, reg=1, unbalanced=[1, 2, 3]), "3 entries"),
        (lambda: pot.solve(M, reg=1, unbalanced=-1), "-1"),
        (lambda: pot.solve(M, [1, 1, 1], [1, 1], reg=1), "mass"),
        (lambda: pot.solve(M, reg=1, max_iter=0), "max_iterations"),
        (lambda: pot.solve(M, reg=1, potentials_init=(M[:, 0],)), "two starting potentials"),
        (lambda: pot.solve_sample(X, Y, reg=1, lazy="yes"), "lazy is 'yes'"),
        (lambda: pot.solve_sample(X, Y, reg=1, batch_size=1.5), "batch_size is 1.5"),
        (lambda: pot.solve_sample(X, Y, reg=1, rank=None, scaling="x"), "scaling is 'x'"),
        (lambda: pot.solve_batch(M[None], 1.0, inner_iter="1"), "inner_iter"),
        (lambda: pot.solve_batch(M[None], 1.0, method="typo"), "method is 'typo'"),
        (lambda: pot.sinkhorn([], [], M, 1, method="typo"), "method is 'typo'"),
        (lambda: pot.sinkhorn([], [], M, 1, numIter=3), "unknown argument numIter=3"),
        (lambda: pot.sinkhorn([], [], M, 1, tau="x"), "tau is 'x'"),
        (lambda: pot.sinkhorn_unbalanced([], [], M, 1, 1, method="typo"), "method is 'typo'"),
        (lambda: pot.sinkhorn_unbalanced2([], [], M, 1, 1, returnCost="x"), "returnCost is 'x'"),
        (
            lambda: pot.partial.entropic_partial_wasserstein([], [], M, 1, method="x"),
            "method is 'x'",
        ),
        (lambda: pot.bregman.empirical_sinkhorn(X, Y, 1, batchSize="x"), "batchSize is 'x'"),
    ],
)
def test_malformed_arguments(call, words):
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        call()


def test_a_solve_that_does_not_converge_warns_unless_told_not_to(balanced):
    with pytest.warns(monge.ConvergenceWarning):
        pot.sinkhorn(balanced.a, balanced.b, balanced.cost(), 1e-3, numItermax=3)
    pot.sinkhorn(balanced.a, balanced.b, balanced.cost(), 1e-3, numItermax=3, warn=False)


# ---- torch


@pytest.mark.parametrize("reg_type", ["KL", "entropy"])
@pytest.mark.parametrize("unbalanced", [None, (0.4, 2.0)])
def test_gradients_of_the_value(clouds, balanced, reg_type, unbalanced):
    torch = pytest.importorskip("torch")
    problem = balanced if unbalanced is None else clouds
    terms = dict(reg=REG, reg_type=reg_type, unbalanced=unbalanced, **TIGHT)
    x, y, a, b, M = (
        torch.tensor(v, requires_grad=True)
        for v in (problem.x, problem.y, problem.a, problem.b, problem.cost())
    )
    r = pot.solve_sample(x, y, a, b, **terms)
    matrix = pot.solve(M, a.detach(), b.detach(), **terms)
    (3 * r.value + matrix.value).backward()
    assert_allclose(M.grad, r.plan.detach(), atol=1e-10)
    rng = np.random.default_rng(5)
    for name, tensor in (("x", x), ("y", y), ("a", a), ("b", b)):
        step = rng.normal(size=tensor.shape)
        if unbalanced is None and tensor.ndim == 1:
            step -= step.mean()  # defined up to a constant where both masses are prescribed

        def value(h, name=name, step=step):
            moved = problem._replace(**{name: getattr(problem, name) + h * step})
            return pot.solve_sample(moved.x, moved.y, moved.a, moved.b, **terms).value

        slope = (value(1e-5) - value(-1e-5)) / 2e-5
        assert np.sum(step * tensor.grad.numpy()) == pytest.approx(3 * slope, rel=1e-6)


def test_nothing_is_cut_off_silently(balanced):
    torch = pytest.importorskip("torch")
    M = torch.tensor(balanced.cost(), requires_grad=True)
    r = pot.solve(M, reg=REG)
    for output in (
        r.plan,
        r.value_linear,
        r.potential_a,
        r.marginal_b,
        pot.sinkhorn([], [], M, REG),
    ):
        with pytest.raises(NotImplementedError, match="carries no gradient"):
            output.sum().backward()
    for grad in ("envelope", "detach"):
        detached = pot.solve(M, reg=REG, grad=grad)
        assert not detached.plan.requires_grad
        assert detached.value.requires_grad == (grad == "envelope")
    with torch.no_grad():
        assert not pot.solve(M, reg=REG).value.requires_grad
    for terms in (
        {"c": torch.ones(M.shape)},
        {"unbalanced": 1.0, "unbalanced_type": "TV", "reg_type": "entropy"},
    ):
        for grad in ("autodiff", "envelope"):
            with pytest.raises(NotImplementedError, match="carries no gradient"):
                pot.solve(M, reg=REG, grad=grad, **terms).value.backward()
    with pytest.raises(NotImplementedError, match="reg"):
        pot.solve(M, reg=torch.tensor(0.1, requires_grad=True))
    value = pot.solve(M, reg=REG).value
    with torch.no_grad():
        M.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        value.backward()


def test_torch_in_torch_out(balanced):
    torch = pytest.importorskip("torch")
    single = balanced.astype("float32")
    r = pot.solve(torch.tensor(single.cost()), reg=REG)
    for output in (r.value, r.value_linear, r.plan, r.marginal_a, r.potential_a, r.lazy_plan[:2]):
        assert isinstance(output, torch.Tensor) and output.dtype == torch.float32
    assert r.sparse_plan.is_sparse
    batch = pot.solve_batch(torch.tensor(single.cost())[None], REG)
    assert isinstance(batch.plan, torch.Tensor) and batch.plan.shape == (1, 12, 9)


# ---- against POT


def test_signatures_are_pots():
    ot = pytest.importorskip("ot")
    names = ["solve", "solve_sample", "solve_batch", "solve_sample_batch", "sinkhorn", "sinkhorn2"]
    modules = ("bregman", "unbalanced", "partial")
    for path in names + [f"{m}.{n}" for m in modules for n in getattr(pot, m).__all__]:
        ours, theirs = pot, ot
        for part in path.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        ours, theirs = (inspect.signature(f).parameters.values() for f in (ours, theirs))
        assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs], path


# C1
@pytest.mark.parametrize("reg_type", ["KL", "entropy"])
def test_against_pot_balanced(balanced, reg_type):
    ot = pytest.importorskip("ot")
    problem = balanced.cost(), balanced.a, balanced.b, REG, None, reg_type
    theirs = ot.solve(*problem, tol=1e-13, max_iter=100000)
    ours = pot.solve(*problem, **TIGHT)
    assert_allclose(ours.plan, theirs.plan, atol=ABS)
    assert ours.value_linear == pytest.approx(theirs.value_linear, rel=1e-10)
    assert ours.value == pytest.approx(theirs.value, rel=1e-10)
    shift = ours.potential_a - theirs.potential_a
    assert_allclose(shift, shift[0], atol=1e-8)
    batch = ot.solve_batch(problem[0][None], REG, balanced.a[None], balanced.b[None], tol=1e-12)
    ours = pot.solve_batch(problem[0][None], REG, balanced.a[None], balanced.b[None], tol=1e-12)
    assert_allclose(ours.plan, batch.plan, atol=ABS)
    assert_allclose(ours.value, batch.value, rtol=1e-9)


@pytest.mark.parametrize("reg_type", ["kl", "entropy"])
@pytest.mark.parametrize("reg_m", [0.5, (0.4, 2.0), (np.inf, 0.7)])
@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
def test_against_pot_unbalanced(clouds, reg_type, reg_m):
    ot = pytest.importorskip("ot")
    problem = clouds.a, clouds.b, clouds.cost(), REG, reg_m
    theirs, log = ot.unbalanced.sinkhorn_unbalanced(
        *problem, reg_type=reg_type, stopThr=1e-15, numItermax=100000, log=True
    )
    ours, logged = pot.sinkhorn_unbalanced(*problem, reg_type=reg_type, stopThr=1e-12, log=True)
    assert_allclose(ours, theirs, atol=ABS)
    assert logged["cost"] == pytest.approx(log["cost"], rel=1e-10)
    assert_allclose(logged["logu"], log["logu"], atol=1e-9)
    warm = pot.sinkhorn_unbalanced(
        *problem, reg_type=reg_type, warmstart=(log["logu"], log["logv"]), numItermax=1
    )
    assert_allclose(warm, theirs, atol=ABS)


def test_against_pot_partial(clouds):
    ot = pytest.importorskip("ot")
    problem = clouds.a, clouds.b, clouds.cost(), REG, 0.6
    theirs = ot.partial.entropic_partial_wasserstein(*problem, numItermax=100000, stopThr=1e-16)
    assert_allclose(pot.partial.entropic_partial_wasserstein(*problem), theirs, atol=ABS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_against_pot_partial_of_uniform_weights(seed):
    """I5: with these POT's reference is the product, and its plan monge's own."""
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(seed)
    M = ((rng.random((12, 1, 2)) - 0.8 * rng.random((9, 2)) - 0.3) ** 2).sum(-1)
    a, b = np.full(12, 1.4 / 12), np.full(9, 0.9 / 9)
    theirs = ot.partial.entropic_partial_wasserstein(
        a, b, M, REG, 0.6, numItermax=100000, stopThr=1e-16
    )
    ours = monge.solve(M, a, b, epsilon=REG, total_mass=0.6, tolerance=1e-13)
    assert_allclose(ours.plan.dense(), theirs, rtol=0, atol=1e-10)


def test_against_pot_mm(clouds):
    """The documented objective again, by the one of POT's solvers that computes it."""
    ot = pytest.importorskip("ot")
    problem = clouds.a, clouds.b, clouds.cost()
    _, log = ot.unbalanced.lbfgsb_unbalanced(
        *problem, REG, (0.4, 2.0), numItermax=100000, stopThr=1e-16, log=True
    )
    ours = pot.solve(clouds.cost(), clouds.a, clouds.b, REG, unbalanced=(0.4, 2.0), **TIGHT)
    assert ours.value == pytest.approx(log["total_cost"], rel=1e-9)
    assert ours.value <= log["total_cost"] * (1 + 1e-12)
    zero = ot.solve(clouds.cost(), clouds.a, clouds.b, REG, unbalanced=(0.4, 2.0), max_iter=100000)
    assert abs(zero.value) < 1e-8 < 0.1 < ours.value  # what monge.compat.pot does not reproduce
