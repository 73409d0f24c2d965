"""monge.compat.geomloss against dense arithmetic, and against GeomLoss itself where that is installed and right."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose

from monge.compat.geomloss import SamplesLoss, ot

BLUR, REACH = 0.3, 0.8


def lse(z, axis):
    top = z.max(axis, keepdims=True)
    return np.log(np.exp(z - top).sum(axis)) + top.squeeze(axis)


def kl(p, q):
    return np.sum(p * np.log(p / q) - p + q)


def costs(x, y, p):
    squared = ((x[:, None] - y) ** 2).sum(-1)
    return squared / 2 if p == 2 else squared**0.5


def exact(C, a, b, epsilon, rho):
    """Value, potentials and plan by plain iterations to the last bits; rho None: Balanced."""
    tau = 1 if rho is None else rho / (rho + epsilon)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(20000):
        before = f
        g = -tau * epsilon * lse((f[:, None] - C) / epsilon + np.log(a)[:, None], 0)
        f = -tau * epsilon * lse((g - C) / epsilon + np.log(b), 1)
        if abs(f - before).max() < 1e-15:
            break
    P = a[:, None] * b * np.exp((f[:, None] + g - C) / epsilon)
    value = np.sum(P * C) + epsilon * kl(P, np.outer(a, b))
    if rho is not None:
        value += rho * (kl(P.sum(1), a) + kl(P.sum(0), b))
    return value, f, g, P


def loss(x, y, a, b, p, reach, debias):
    """GeomLoss's loss by its definition, its missing mass term included."""
    epsilon, rho = BLUR**p, None if reach is None else reach**p
    value = exact(costs(x, y, p), a, b, epsilon, rho)[0]
    if debias:
        value -= exact(costs(x, x, p), a, a, epsilon, rho)[0] / 2
        value -= exact(costs(y, y, p), b, b, epsilon, rho)[0] / 2
        value += epsilon / 2 * (a.sum() - b.sum()) ** 2
    return value


@pytest.fixture
def problem(clouds):
    """Of equal masses, so that it can be balanced too."""
    return clouds._replace(b=clouds.b * clouds.a.sum() / clouds.b.sum())


CASES = [(p, reach, debias) for p in (1, 2) for reach in (None, REACH) for debias in (True, False)]


# C3
@pytest.mark.parametrize(("p", "reach", "debias"), CASES)
@pytest.mark.parametrize("scaling", [0.1, 0.5, 0.99])
def test_values(problem, p, reach, debias, scaling):
    x, y, a, b = problem
    b = b * (0.7 if reach else 1)
    criterion = SamplesLoss("sinkhorn", p, BLUR, reach, scaling=scaling, debias=debias)
    value = criterion(a, x, b, y)
    assert isinstance(value, float)
    assert value == pytest.approx(loss(x, y, a, b, p, reach, debias), rel=1e-5)
    uniform = np.full(12, 1 / 12), np.full(9, 1 / 9)
    assert criterion(x, y) == pytest.approx(loss(x, y, *uniform, p, reach, debias), rel=1e-5)


def test_arguments_that_choose_an_implementation_change_nothing(problem):
    x, y, a, b = problem
    want = SamplesLoss()(a, x, b, y)
    for given in (
        {"diameter": 3.0},
        {"truncate": None},
        {"cluster_scale": 0.2},
        {"verbose": True},
        {"backend": "multiscale"},
        {"backend": "tensorized"},
    ):
        assert SamplesLoss(**given)(a, x, b, y) == want
    assert SamplesLoss()(np.arange(12), a, x, np.arange(9), b, y) == want


@pytest.mark.parametrize("reach", [None, REACH])
def test_potentials(problem, reach):
    x, y, a, b = problem
    epsilon, rho = BLUR**2, None if reach is None else reach**2
    _, f, g, _ = exact(costs(x, y, 2), a, b, epsilon, rho)
    _, f_aa, g_aa, _ = exact(costs(x, x, 2), a, a, epsilon, rho)
    _, f_bb, g_bb, _ = exact(costs(y, y, 2), b, b, epsilon, rho)
    biased = SamplesLoss(blur=BLUR, reach=reach, debias=False, potentials=True)
    debiased = SamplesLoss(blur=BLUR, reach=reach, potentials=True)
    wanted = (f - (f_aa + g_aa) / 2, g - (f_bb + g_bb) / 2)

    def agree(found, want):
        shift = (found[0] - want[0])[0] if reach is None else 0  # a free constant
        assert_allclose(found[0] - shift, want[0], atol=1e-5)
        assert_allclose(found[1] + shift, want[1], atol=1e-5)

    agree(biased(a, x, b, y), (f, g))
    agree(debiased.plan_potentials(a, x, b, y), (f, g))
    agree(debiased(a, x, b, y), wanted)
    columns = debiased(a[:, None], x, b[:, None], y)
    assert columns[0].shape == (12, 1) and columns[1].shape == (9, 1)
    agree((columns[0][:, 0], columns[1][:, 0]), wanted)


def test_batches_are_their_entries(problem):
    x, y, a, b = problem
    criterion = SamplesLoss(blur=BLUR)
    xs, ys = np.stack([x, x[::-1] * 0.5]), np.stack([y, y + 0.1])
    weights = np.stack([a, a]), np.stack([b, b[::-1]])
    values = criterion(weights[0], xs, weights[1], ys)
    assert values.shape == (2,)
    assert values[1] == criterion(a, xs[1], b[::-1], ys[1])
    columns = criterion(weights[0][..., None], xs, weights[1][..., None], ys)
    assert_allclose(columns, values, rtol=0)
    assert criterion(xs, ys).shape == (2,)
    pair = SamplesLoss(blur=BLUR, potentials=True)(weights[0], xs, weights[1], ys)
    assert pair[0].shape == (2, 12) and pair[1].shape == (2, 9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SamplesLoss("energy"), "loss='energy'"),
        (lambda: SamplesLoss("hausdorff"), "loss='hausdorff'"),
        (lambda: SamplesLoss(p=3), "p=3"),
        (lambda: SamplesLoss(cost=costs), "cost"),
        (lambda: SamplesLoss(kernel=costs), "kernel"),
        (lambda: ot.solve(np.ones((2, 2)), reg=1, method="annealing"), "method='annealing'"),
        (lambda: ot.solve(np.ones((2, 2)), reg=0), "exact"),
        (lambda: ot.solve(np.ones((2, 2)), reg=1, unbalanced=1, unbalanced_type="L2"), "'L2'"),
        (lambda: ot.solve_sample([[0.0]], [[1.0]], cost=costs, reg=1), "callable"),
    ],
)
def test_what_is_not_provided_says_so(call, words):
    with pytest.raises(NotImplementedError, match=words):
        call()


X, Y = np.zeros((3, 2)), np.ones((4, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SamplesLoss("typo"), "loss is 'typo'"),
        (lambda: SamplesLoss(scaling=1.0), "scaling is 1.0"),
        (lambda: SamplesLoss(scaling="x"), "scaling is 'x'"),
        (lambda: SamplesLoss(diameter="x"), "diameter is 'x'"),
        (lambda: SamplesLoss(backend="typo"), "backend is 'typo'"),
        (lambda: SamplesLoss(debias=1), "debias is 1"),
        (lambda: SamplesLoss(blur=0), "blur is 0"),
        (lambda: SamplesLoss(reach=-1.0), "reach is -1"),
        (lambda: SamplesLoss()(X), "got 1 arguments"),
        (lambda: SamplesLoss()(X, Y[None]), "wanted"),
        (lambda: SamplesLoss()(X[None], np.stack([Y, Y])), "2 entries, wanted 1"),
        (lambda: SamplesLoss()(np.ones(3), X, np.ones(4), Y), "mass"),
        (
            lambda: SamplesLoss()(np.ones(3) / 2, X, np.ones(4) / 4, Y[:, :1]),
            "dimension|columns|d =",
        ),
        (lambda: SamplesLoss()([0], None, X, [0] * 4, None, Y), "l_x has 1 labels"),
        (lambda: ot.solve(np.ones((2, 2)), a=[1, 1], b=[1, 2], reg=1), "mass"),
        (lambda: ot.solve_sample(X, Y, reg=1, blur=1), "both reg and blur"),
        (lambda: ot.solve_sample(X, Y, reg=1, unbalanced=1, reach=1), "both unbalanced and reach"),
        (lambda: ot.solve_sample(X, Y, reg=1, cost="typo"), "cost is 'typo'"),
        (lambda: ot.solve_batch(np.ones((2, 3, 3)), reg=1, a=[[1, 1, 1]]), "1 entries, wanted 2"),
        (lambda: ot.solve(np.ones((2, 2)), reg=1).potential_aa, "debias=True"),
        (lambda: SamplesLoss()(X, Y).typo, "typo"),
    ],
)
def test_malformed_arguments(call, words):
    with pytest.raises((ValueError, AttributeError), match=words):
        call()


# ---- geomloss.ot


@pytest.mark.parametrize("rho", [None, 0.7])
def test_solve(problem, rho):
    x, y, a, b = problem
    b = b * (0.7 if rho else 1)
    C = 2 * costs(x, y, 2)
    value, f, _, P = exact(C, a, b, 0.1, rho)
    terms = dict(a=a, b=b, unbalanced=rho, tol=1e-12)
    reach = None if rho is None else (rho / 2) ** 0.5
    for r in (
        ot.solve(C, reg=0.1, **terms),
        ot.solve_sample(x, y, reg=0.1, **terms),
        ot.solve_sample(x, y, a, b, blur=0.05**0.5, reach=reach, tol=1e-12),
    ):
        assert r.value == pytest.approx(value, rel=1e-11)
        assert_allclose(r.plan, P, atol=1e-11)
        assert r.value_linear == pytest.approx(np.sum(P * C), rel=1e-10)
        assert_allclose(r.marginal_a, P.sum(1), atol=1e-11)
        assert_allclose(r.marginal_b, P.sum(0), atol=1e-11)
        assert np.ptp(r.potential_a - f) < 1e-10 and (
            rho is None or abs(r.potential_a - f).max() < 1e-10
        )
        V = np.arange(9 * 6.0).reshape(9, 2, 3)
        assert_allclose(r.plan_operator @ V, np.tensordot(P, V, 1), rtol=1e-9)
        assert_allclose(r.plan_operator.T @ x, P.T @ x, rtol=1e-9)  # n is not m
        assert r.plan_operator.shape == (12, 9) and r.plan_operator.transpose().shape == (9, 12)
    sampled = ot.solve_sample(x, y, reg=0.1, **terms)
    assert_allclose(sampled.a_to_b, P @ y / P.sum(1)[:, None] - x, atol=1e-9)
    assert_allclose(sampled.b_to_a, P.T @ x / P.sum(0)[:, None] - y, atol=1e-9)
    assert ot.solve(C, reg=0.1, **terms).a_to_b is None  # a matrix has no points


def test_value_has_the_mass_terms():
    """The example of GeomLoss's documentation: masses 4, value 0.997 there."""
    C, a, b = np.array([[0.0, 1, 4], [2, 1, 0]]), np.array([2.0, 2]), np.array([1.0, 1, 2])
    r = ot.solve(C, a=a, b=b, reg=0.001)
    P = r.plan
    assert_allclose(P, [[1, 1, 0], [0, 0, 2]], atol=1e-12)
    # KL(P | a b^T) at that P: sum P log(P/(a b^T)) = -4 log 2 + ... , minus 4, plus 16.
    entropy = 2 * np.log(1 / 2) + 2 * np.log(2 / 4) - 4 + 16
    assert r.value == pytest.approx(1 + 0.001 * entropy, rel=1e-9)
    assert f"{r.value:.4f}" == "1.0092"


def test_batched_solves(problem):
    x, y, a, b = problem
    xs, ys = np.stack([x, x / 2]), np.stack([y, y])
    r = ot.solve_sample_batch(xs, ys, np.stack([a, a]), np.stack([b, b]), reg=0.1)
    single = ot.solve_sample(x / 2, y, a, b, reg=0.1)
    for name in ("value", "plan", "potential_a", "marginal_b", "a_to_b"):
        assert_allclose(getattr(r, name)[1], getattr(single, name), rtol=0)
    Cs = np.stack([2 * costs(x, y, 2), costs(x, y, 1)])
    assert_allclose(
        ot.solve_batch(Cs, reg=0.1).value, [ot.solve(C, reg=0.1).value for C in Cs], rtol=0
    )


def test_debias(problem):
    x, y, a, b = problem
    r = ot.solve_sample(x, y, a, b, debias=True, blur=BLUR, reach=REACH, tol=1e-11)
    # The full cost, and epsilon and rho with it: twice the loss of the half cost.
    assert r.value == pytest.approx(2 * loss(x, y, a, b, 2, REACH, True), rel=1e-9)
    _, f_aa, g_aa, _ = exact(2 * costs(x, x, 2), a, a, 2 * BLUR**2, 2 * REACH**2)
    assert_allclose(r.potential_aa, (f_aa + g_aa) / 2, atol=1e-9)
    assert r.potential_bb.shape == (9,)
    assert r.plan.shape == (12, 9)


# ---- torch


# C3
@pytest.mark.parametrize(("p", "reach", "debias"), CASES)
def test_gradients(problem, p, reach, debias):
    torch = pytest.importorskip("torch")
    given = dict(problem._asdict())
    given["b"] = given["b"] * (0.7 if reach else 1)
    tensors = {name: torch.tensor(v, requires_grad=True) for name, v in given.items()}
    x, y, a, b = tensors.values()
    criterion = SamplesLoss(p=p, blur=BLUR, reach=reach, debias=debias)
    value = criterion(a, x, b, y)
    assert isinstance(value, torch.Tensor) and value.shape == ()
    (3 * value).backward()
    rng = np.random.default_rng(5)
    for name, tensor in tensors.items():
        step = rng.normal(size=tensor.shape)
        if reach is None and tensor.ndim == 1:
            step -= step.mean()  # the balanced loss is known where both masses agree

        def moved(h, name=name, step=step):
            return loss(**{**given, name: given[name] + h * step}, p=p, reach=reach, debias=debias)

        slope = (moved(1e-4) - moved(-1e-4)) / 2e-4
        assert np.sum(step * tensor.grad.numpy()) == pytest.approx(3 * slope, rel=1e-5)


def test_batched_gradients_and_types(problem):
    torch = pytest.importorskip("torch")
    x, y, a, b = (torch.tensor(v, dtype=torch.float32) for v in problem)
    criterion = SamplesLoss(blur=BLUR)
    xs = torch.stack([x, 2 * x]).requires_grad_()
    ys = torch.stack([y, y])
    values = criterion(xs, ys)
    assert values.shape == (2,) and values.dtype == torch.float32
    (values * torch.tensor([1.0, 10.0])).sum().backward()
    single = (2 * x).requires_grad_()
    criterion(single, y).backward()
    assert_allclose(xs.grad[1], 10 * single.grad, rtol=1e-6)
    pair = SamplesLoss(potentials=True)(torch.stack([a, a]), xs, torch.stack([b, b]), ys)
    assert pair[0].shape == (2, 12)
    with pytest.raises(NotImplementedError, match="no gradient"):
        pair[0].sum().backward()
    C = torch.tensor(costs(*problem[:2], 2), requires_grad=True)
    r = ot.solve(C, reg=0.1)
    r.value.backward()
    assert_allclose(C.grad, r.plan.detach(), atol=1e-12)
    with pytest.raises(NotImplementedError, match="the plan carries no gradient"):
        r.plan.sum().backward()
    z = x.clone().requires_grad_()
    ot.solve_sample(z, y, debias=True, blur=BLUR).value.backward()
    both = x.clone().requires_grad_()
    criterion(both, y).backward()
    assert_allclose(z.grad, 2 * both.grad, atol=1e-5)


# ---- against GeomLoss


def test_signatures_are_geomlosss():
    pytest.importorskip("torch")
    geomloss = pytest.importorskip("geomloss")
    pytest.importorskip("geomloss.ot")
    for ours, theirs in (
        (SamplesLoss, geomloss.SamplesLoss),
        (ot.solve, geomloss.ot.solve),
        (ot.solve_batch, geomloss.ot.solve_batch),
        (ot.solve_sample, geomloss.ot.solve_sample),
    ):
        ours, theirs = (inspect.signature(f).parameters.values() for f in (ours, theirs))
        assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reach", [None, REACH])
def test_against_geomloss(problem, p, reach):
    """At a scaling near 1, where its schedule is long enough to agree."""
    torch = pytest.importorskip("torch")
    geomloss = pytest.importorskip("geomloss")
    pytest.importorskip("geomloss.ot")
    x, y, a, b = (torch.tensor(v) for v in problem)
    terms = dict(p=p, blur=BLUR, reach=reach, scaling=0.995)
    theirs = geomloss.SamplesLoss(**terms, backend="tensorized")(a, x, b, y)
    assert SamplesLoss(**terms)(a, x, b, y).item() == pytest.approx(theirs.item(), rel=2e-3)
    if p == 2:
        rho = None if reach is None else 2 * reach**2
        theirs = geomloss.ot.solve(
            torch.tensor(problem.cost()), reg=0.1, a=a, b=b, unbalanced=rho, max_iter=2000
        )
        ours = ot.solve(torch.tensor(problem.cost()), reg=0.1, a=a, b=b, unbalanced=rho)
        assert_allclose(ours.plan, theirs.plan, atol=1e-4)
