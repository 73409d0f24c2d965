"""monge.torch: values are those of the verbs, derivatives those of finite differences, refusals say why."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest

import monge
from monge import _options

torch = pytest.importorskip("torch")

from sides import SIDES  # noqa: E402
from torch_clouds import DOUBLE, leaves, losses, measures, on_simplex  # noqa: E402

import monge.torch as mt  # noqa: E402

# ---- keywords


@pytest.mark.parametrize("verb", [mt.sinkhorn, mt.sinkhorn_divergence], ids=lambda v: v.__name__)
def test_signature_and_docstring_are_the_table(verb):
    parameters = inspect.signature(verb).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert keywords == {o.name: o.default_in(verb.__name__) for o in _options.of(verb.__name__)}
    for name in keywords:
        assert f"    {name}: " in verb.__doc__, name


def test_every_argument_of_the_loss_is_documented():
    for name in list(inspect.signature(mt.SamplesLoss).parameters):
        assert name in mt.SamplesLoss.__doc__, name


# ---- values


@pytest.mark.parametrize("dim", [1, 3, 64, 1500])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("debias", [False, True])
def test_the_loss_is_the_verb(dim, half, debias):
    x, y, a, b = measures(d=dim)
    blur = 0.3 * dim**0.5
    loss = mt.SamplesLoss(
        "sinkhorn", p=2, blur=blur, debias=debias, half_cost=half, reach=2 * blur, threshold=1e-10
    )
    options = {
        "cost": "half_sqeuclidean" if half else "sqeuclidean",
        "blur": blur,
        "reach": 2 * blur,
        "tolerance": 1e-10,
    }
    verb = monge.divergence if debias else monge.solve_sample
    want = verb(x.numpy(), y.numpy(), a.numpy(), b.numpy(), **options).value
    got = loss(a, x, b, y)
    assert got.shape == () and got.dtype == torch.float64
    assert float(got) == pytest.approx(want, rel=1e-12)
    a32, x32, b32, y32 = (t.float() for t in (a, x, b, y))
    short = loss(a32, x32, b32, y32) if dim < 64 else mt.SamplesLoss(blur=blur)(x32, y32)
    assert short.dtype == torch.float32


@pytest.mark.parametrize(("reach_x", "reach_y"), [(0.7, None), (None, 0.7), (0.4, 0.9)])
def test_semi_unbalanced_value_is_the_primal(reach_x, reach_y):
    x, y, a, b = measures()
    value = mt.SamplesLoss(
        blur=0.3, debias=False, reach_x=reach_x, reach_y=reach_y, threshold=1e-13
    )(a, x, b, y)
    found = monge.solve_sample(x, y, a, b, blur=0.3, reach=(reach_x, reach_y), tolerance=1e-13)
    terms = found.plan.terms
    primal = terms.linear + found.epsilon * terms.entropy + terms.penalty_a + terms.penalty_b
    assert float(value) == pytest.approx(primal, rel=1e-10)


def test_a_pair_of_reaches_comes_before_both():
    loss = mt.SamplesLoss(reach=0.5, reach_y=0.8)
    assert (loss.reach_x, loss.reach_y) == (0.5, 0.8)


def test_budget_threshold_and_checks_are_the_solves():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.02, reach=0.5, n_iters=3, threshold=1e-12, inner_iterations=1)
    with pytest.warns(monge.ConvergenceWarning, match="max_iterations"):
        loss(a, x, b, y)


@pytest.mark.parametrize(
    "options",
    [
        {"scaling": 0.9},
        {"diameter": 3.0},
        {"use_epsilon_scaling": False, "eps": 0.09},
        {"eps": 0.09},
        {"eps_list": [1.0, 0.3, 0.09]},
        {"backend": "alternating"},
        {"backend": "multiscale", "tol": 1e-11},
        {"last_extrapolation": False},
        {"pad_to_multiple": 64},
        {"use_exp2": False, "autotune": False, "block_m": 64, "num_warps": 4},
        {"hvp_tau2": 1e-5, "hvp_cg_atol": 1e-6, "hvp_preconditioner": "neumann"},
    ],
    ids=str,
)
def test_what_chooses_a_way_does_not_change_the_result(options):
    x, y, a, b = measures()
    tight = {} if "tol" in options else {"threshold": 1e-11}
    plain = mt.SamplesLoss(blur=0.3, reach=0.8, threshold=1e-11)(a, x, b, y)
    other = mt.SamplesLoss(blur=0.3, reach=0.8, **tight, **options)(a, x, b, y)
    assert float(other) == pytest.approx(float(plain), rel=1e-9)


def test_weights_are_normalised_where_asked_for():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.3, normalize=True, threshold=1e-11)
    want = mt.SamplesLoss(blur=0.3, threshold=1e-11)(a / a.sum(), x, b / b.sum(), y)
    assert float(loss(a, x, b, y)) == pytest.approx(float(want), rel=1e-12)
    with pytest.raises(ValueError, match=r"1\.3.*0\.7"):
        mt.SamplesLoss(blur=0.3)(a, x, b, y)


def test_moving_all_data_leaves_value_and_gradient():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.3, reach=0.8, threshold=1e-11, debias=False)
    here, there = leaves(x)[0], leaves(x + 1000)[0]
    v, w = loss(a, here, b, y), loss(a, there, b, y + 1000)
    assert float(w.detach()) == pytest.approx(float(v.detach()), rel=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(w, there)[0], torch.autograd.grad(v, here)[0], rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("debias", [False, True])
def test_a_batch_is_a_loop(debias):
    batch = [measures(seed=seed) for seed in range(4)]
    x, y, a, b = (torch.stack(parts) for parts in zip(*batch, strict=True))
    loss = mt.SamplesLoss(blur=0.3, reach=0.8, debias=debias, threshold=1e-11)
    together = leaves(x, y, a, b)
    values = loss(together[2], together[0], together[3], together[1])
    assert values.shape == (4,)
    scale = torch.arange(1.0, 5.0, **DOUBLE)
    slopes = torch.autograd.grad((scale * values).sum(), together)
    for i, one in enumerate(batch):
        alone = leaves(*one)
        value = loss(alone[2], alone[0], alone[3], alone[1])
        assert float(value.detach()) == pytest.approx(float(values[i].detach()), rel=1e-12)
        for got, want in zip(slopes, torch.autograd.grad(value, alone), strict=True):
            torch.testing.assert_close(got[i], scale[i] * want, rtol=1e-12, atol=1e-13)


def test_potentials_are_the_plans():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.3, reach=0.8, potentials=True, threshold=1e-12)
    want = monge.solve_sample(x, y, a, b, blur=0.3, reach=0.8, tolerance=1e-12).potentials
    for got, expected in zip(loss(a, x, b, y), want, strict=True):
        torch.testing.assert_close(got, expected)
    f, g = loss(a[:, None], x, b[:, None], y)
    assert f.shape == (6, 1) and g.shape == (5, 1)
    f, g = loss(torch.stack([a, a]), torch.stack([x, x]), torch.stack([b, b]), torch.stack([y, y]))
    assert f.shape == (2, 6) and g.shape == (2, 5)


def test_labels_add_costs():
    x, y, a, b = measures()
    table = torch.tensor([[0.0, 0.4], [0.7, 0.1]], **DOUBLE)
    s, t = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([1, 0, 1, 0, 1])
    options = {"blur": 0.3, "reach": 0.8, "threshold": 1e-12}
    loss = mt.SamplesLoss(
        **options, half_cost=True, label_cost_matrix=table, lambda_x=0.8, lambda_y=0.5
    )

    def cost(u, v, p, q):
        squares = (u[:, None] - v[None]).square().sum(-1)
        return (0.4 * squares + 0.25 * table[p][:, q]).numpy()

    def value(C, v, w):
        solved = monge.solve(C, v, w, epsilon=0.09, marginals=monge.KL(0.64), tolerance=1e-12)
        return solved.value

    want = value(cost(x, y, s, t), a, b)
    want -= value(cost(x, x, s, s), a, a) / 2 + value(cost(y, y, t, t), b, b) / 2
    want += 0.045 * float(a.sum() - b.sum()) ** 2
    got = loss(a, x, b, y, label_x=s, label_y=t)
    assert float(got) == pytest.approx(want, rel=1e-9)
    assert torch.autograd.gradcheck(
        lambda a, x, b, y: loss(a, x, b, y, label_x=s, label_y=t), leaves(a, x, b, y)
    )
    with pytest.raises(ValueError, match="label_x"):
        loss(a, x, b, y)
    for wrong, said in (
        (s + 1, "label of the table, 0 to 1"),
        (s[:3], "shape"),
        (s / 2, "integers"),
    ):
        with pytest.raises(ValueError, match=said):
            loss(a, x, b, y, label_x=wrong, label_y=t)
    single = mt.SamplesLoss(**options, debias=False, label_cost_matrix=table[:, :1], lambda_y=0.5)
    twice = torch.stack([x, x + 0.1]), torch.stack([y, y])
    got = single(*twice, label_x=s, label_y=0 * t)
    for i, (u, v) in enumerate(zip(*twice, strict=True)):
        assert got[i] == pytest.approx(float(single(u, v, label_x=s, label_y=0 * t)), rel=1e-12)


def test_geomloss_agrees_where_it_has_converged():
    geomloss = pytest.importorskip("geomloss")
    x, y, a, b = measures(30, 25, masses=(1.0, 1.0))
    theirs = geomloss.SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.99, backend="tensorized")
    ours = mt.SamplesLoss(blur=0.2, half_cost=True, threshold=1e-10)
    point, other = leaves(x)[0], leaves(x)[0]
    value, want = ours(a, point, b, y), theirs(a, other, b, y)
    assert float(value.detach()) == pytest.approx(float(want.detach()), rel=1e-3)
    torch.testing.assert_close(
        torch.autograd.grad(value, point)[0],
        torch.autograd.grad(want, other)[0],
        rtol=1e-2,
        atol=1e-4,
    )


# ---- derivatives


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_first_derivatives(name, sides):
    x, y, a, b = measures(masses=(1.3, 0.7))
    loss = losses(sides)[name]
    if sides == SIDES["semi"]:  # b is exact: the mass of a is free
        b = b / b.sum()
    assert torch.autograd.gradcheck(on_simplex(loss, sides), leaves(x, y, a, b))


@pytest.mark.parametrize("cost", ["half_sqeuclidean", "euclidean", ("power", 1.5), "cosine", "dot"])
def test_first_derivatives_of_other_costs(cost):
    x, y, a, b = measures()
    for loss in losses(monge.KL(0.6), cost=cost).values():
        assert torch.autograd.gradcheck(loss, leaves(x, y, a, b))


def test_gradients_reach_what_views_were_taken_from():
    _, y, _, b = measures()
    base = torch.rand(2, 6, **DOUBLE).requires_grad_()
    mass = torch.tensor(0.3, **DOUBLE).requires_grad_()

    def loss(base, mass):
        return mt.SamplesLoss(blur=0.3, reach=0.8, threshold=1e-12)(
            mass.expand(6), base.T, b, y.flip(0)
        )

    assert torch.autograd.gradcheck(loss, (base, mass))


def test_a_weight_of_zero_has_a_derivative():
    x, y, a, b = measures()
    a[2] = 0
    point, weights = leaves(x, a)
    loss = mt.SamplesLoss(blur=0.3, reach=0.8, debias=False, threshold=1e-12)
    slope, slope_a = torch.autograd.grad(loss(weights, point, b, y), (point, weights))
    assert (slope[2] == 0).all()
    h = 1e-5
    step = torch.eye(6, **DOUBLE)[2] * h
    one_sided = (loss(a + step, x, b, y) - loss(a, x, b, y)) / h
    assert float(slope_a[2]) == pytest.approx(float(one_sided), abs=1e-4)


def test_gradients_come_in_the_type_of_their_input():
    x, y, a, b = measures()
    weights = a.float().requires_grad_()
    value = mt.sinkhorn(x, y, weights, b, epsilon=0.2, marginals=monge.KL(1)).value
    assert torch.autograd.grad(value, weights)[0].dtype == torch.float32


def test_what_needs_no_gradient_costs_none():
    x, y, a, b = measures()
    assert not mt.sinkhorn(x, y, a, b, epsilon=0.2, marginals=monge.KL(1)).value.requires_grad
    (point,) = leaves(x)
    with torch.no_grad():
        assert not mt.SamplesLoss(reach=1.0)(a, point, b, y).requires_grad


def test_changing_an_input_before_backward_is_noticed():
    x, y, a, b = measures()
    (point,) = leaves(x)
    moved = point * 1.0
    value = mt.SamplesLoss(blur=0.3, reach=0.8)(a, moved, b, y)
    with torch.no_grad():
        moved.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_coincident_points_of_a_euclidean_cost():
    x, y, a, b = measures()
    point = leaves(torch.cat([y[:2], x[2:]]))[0]
    value = mt.sinkhorn_divergence(point, y, a, b, epsilon=0.2, cost="euclidean", reach=1.0)
    assert torch.autograd.grad(value, point)[0].isfinite().all()


def test_what_a_call_keeps_is_neither_stale_nor_left_behind():
    x, y, *_ = measures()
    loss = mt.SamplesLoss(blur=0.3)
    before = loss(x, y)
    loss.blur, loss.reach_x = 0.4, 2.0
    assert float(loss(x, y)) == float(mt.SamplesLoss(blur=0.4, reach_x=2.0)(x, y)) != float(before)
    script = "import torch, monge.torch as mt; mt.SamplesLoss()(*torch.rand(2, 4, 3))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0 and "leaked" not in run.stderr, run.stderr


# ---- the compiler and the types


def test_compiles_without_a_graph_break():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.3, reach=0.8)

    def function(x, y, a, b, sides):
        pair = mt.sinkhorn(x, y, a, b, epsilon=0.1, marginals=sides, tolerance=1e-8)
        return (
            loss(a, x, b, y)
            + mt.SamplesLoss(normalize=True, potentials=True)(x.detach(), y.detach())[1].sum()
            + (pair.value + mt.sinkhorn_divergence(x, y, blur=0.2, reach=(0.5, None)))
        )

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for sides in (monge.KL(1.0), (monge.KL(np.inf), monge.KL(0.5)), monge.TV(2.0)):
        together = leaves(x, y)
        value = compiled(*together, a, b / b.sum(), sides)
        alone = leaves(x, y)
        want = function(*alone, a, b / b.sum(), sides)
        assert float(value.detach()) == float(want.detach())


def test_a_compiled_gradient_is_the_gradient():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.3, reach=0.8)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    one, other = leaves(x, y, a, b), leaves(x, y, a, b)
    compiled(one[2], one[0], one[3], one[1]).backward()
    loss(other[2], other[0], other[3], other[1]).backward()
    for got, want in zip(one, other, strict=True):
        torch.testing.assert_close(got.grad, want.grad, rtol=0, atol=0)


@pytest.mark.parametrize("options", ["{'epsilon': 0.2}", "{'debias': True, 'epsilon': 0.2}"])
@pytest.mark.parametrize("wrt", ["", "ya", "xyab"])
def test_the_operator_tells_torch_the_truth(options, wrt):
    x, y, *_ = measures()
    torch.library.opcheck(
        torch.ops.monge.transport,
        (torch.stack([x, x]), torch.stack([y, y]), None, None, options, wrt),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )


@pytest.mark.parametrize("debias", [False, True])
def test_vmap_is_a_batch(debias):
    batch = [
        torch.stack(parts) for parts in zip(*(measures(seed=s) for s in range(3)), strict=True)
    ]
    loss = mt.SamplesLoss(blur=0.3, reach=0.8, debias=debias)
    x, y, a, b = leaves(*batch)
    values = torch.vmap(loss, in_dims=(0, 0, None, 1))(a, x, b[0], y.movedim(0, 1))
    want = loss(a, x, b[:1].expand(3, -1), y)
    torch.testing.assert_close(values, want, rtol=0, atol=0)
    torch.testing.assert_close(
        torch.autograd.grad(values.sum(), x)[0], torch.autograd.grad(want.sum(), x)[0]
    )


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_types_are_promoted_under_autocast_alone(half):
    x, y, *_ = measures()
    short, other = leaves(x.to(half))[0], y.to(half)
    loss = mt.SamplesLoss(blur=0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(short, other)
    assert value.dtype == torch.float32
    value.backward()
    assert short.grad.dtype == half and short.grad.isfinite().all()
    want = loss(short.detach().float(), other.float())
    assert float(value.detach()) == float(want)
    with pytest.raises(ValueError, match=r"torch\.autocast"):
        loss(short, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y, a, b: mt.sinkhorn(x, y.float(), epsilon=1), "y torch.float32"),
        (lambda x, y, a, b: mt.sinkhorn(x.long(), y, epsilon=1), "x is torch.int64"),
        (lambda x, y, a, b: mt.sinkhorn(x.numpy(), y, epsilon=1), "x is ndarray"),
        (lambda x, y, a, b: mt.sinkhorn(x, y, a[:3], epsilon=1), r"a has shape \(3,\)"),
        (lambda x, y, a, b: mt.sinkhorn(x, y[:, :1], epsilon=1), r"y \(5, 1\)"),
        (lambda x, y, a, b: mt.sinkhorn(x, y[None], epsilon=1), r"\(B, n, d\)"),
        (lambda x, y, a, b: mt.sinkhorn(x, y.to("meta"), epsilon=1), "y on meta"),
        (lambda x, y, a, b: mt.sinkhorn(x, y, epsilon=-1.0), "epsilon is -1"),
        (lambda x, y, a, b: mt.sinkhorn(x, y, epsilon=torch.ones(())), "epsilon is tensor"),
        (lambda x, y, a, b: mt.sinkhorn(x, y), "epsilon, blur"),
        (lambda x, y, a, b: mt.sinkhorn(x, y, a, b, epsilon=1), "0.7"),
        (lambda x, y, a, b: mt.SamplesLoss()(x, y, a), "got 3 tensors"),
        (lambda x, y, a, b: mt.SamplesLoss(backend="online"), "backend is 'online'"),
        (lambda x, y, a, b: mt.SamplesLoss(blur=0), "blur is 0"),
        (lambda x, y, a, b: mt.SamplesLoss(tol=1e-3), "multiscale"),
        (lambda x, y, a, b: mt.SamplesLoss(pad_to_multiple=33), "multiple of 32"),
        (lambda x, y, a, b: mt.SamplesLoss(use_epsilon_scaling=False), "wants eps"),
        (lambda x, y, a, b: mt.SamplesLoss(hvp_tau2=-1), "hvp_tau2 is -1"),
    ],
)
def test_bad_input_says_what_was_given(call, message):
    with pytest.raises(monge.InvalidArgument, match=message):
        call(*measures())


@pytest.mark.parametrize("options", [{"loss": "energy"}, {"p": 1}, {"truncate_tf32": True}])
def test_what_is_not_provided_is_not_available(options):
    with pytest.raises(monge.NotAvailable, match=next(iter(options))):
        mt.SamplesLoss(**options)


# ---- the functions of FlashSinkhorn


def dense(x, y, a, b, f, g, eps):
    cost = (x[:, None] - y[None]).square().sum(-1)
    return a[:, None] * b * ((f[:, None] + g - cost) / eps).exp()


def test_potentials_and_gradients_against_dense_ones():
    x, y, a, b = measures()
    f, g = mt.sinkhorn_geomloss_online_potentials_sqeuclid(
        x, y, a, b, blur=0.4, reach_x=0.7, reach_y=1.1, threshold=1e-13, use_exp2=False
    )
    eps = 0.16
    plan = dense(x, y, a, b, f, g, eps)
    torch.testing.assert_close(plan.sum(1), a * (-f / 0.49).exp(), rtol=1e-9, atol=0)
    torch.testing.assert_close(plan.sum(0), b * (-g / 1.21).exp(), rtol=1e-9, atol=0)
    # at any potentials the gradient is that of the plan they make
    f, g = f + 0.01, g - 0.02
    plan = dense(x, y, a, b, f, g, eps)
    gx, gy = mt.sinkhorn_geomloss_online_grad_sqeuclid(
        x, y, a, b, f, g, eps=eps, grad_scale=torch.tensor(3.0, **DOUBLE)
    )
    pull = 2 * plan[..., None] * (x[:, None] - y[None])
    torch.testing.assert_close(gx, 3 * pull.sum(1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gy, -3 * pull.sum(0), rtol=1e-9, atol=1e-12)


def test_iterations_are_told_and_lists_of_epsilon_end_at_the_last():
    x, y, *_ = measures()
    a, b = torch.full((6,), 1 / 6, **DOUBLE), torch.full((5,), 0.2, **DOUBLE)
    f, _, count = mt.sinkhorn_geomloss_online_potentials_sqeuclid(
        x, y, a, b, eps_list=[1.0, 0.2], cost_scale=0.5, return_n_iters=True, check_every=1
    )
    want = monge.solve_sample(x, y, epsilon=0.2, cost="half_sqeuclidean", check_every=1)
    torch.testing.assert_close(f, want.potential_a)
    assert count == want.iterations
    with pytest.raises(TypeError, match="treshold"):
        mt.sinkhorn_geomloss_online_potentials_sqeuclid(x, y, a, b, treshold=1e-3)


def test_hat_potentials_hold_the_weights():
    x, y, a, b = measures()
    f, g = torch.rand(6, **DOUBLE), torch.rand(5, **DOUBLE)
    f_hat, g_hat = mt.geomloss_to_ott_potentials(f, g, a, b, eps=0.3)
    ones = torch.ones(6, **DOUBLE), torch.ones(5, **DOUBLE)
    torch.testing.assert_close(dense(x, y, *ones, f_hat, g_hat, 0.3), dense(x, y, a, b, f, g, 0.3))
    back = mt.ott_to_geomloss_potentials(f_hat, g_hat, a, b, eps=0.3)
    torch.testing.assert_close(back, (f, g))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_c_transforms_are_minima_with_gradients_in_everything(scale):
    x, y, a, b = measures()
    psi = 0.1 * torch.rand(5, **DOUBLE)
    costs = scale * (x[:, None] - y[None]).square().sum(-1) - psi
    values, column = mt.c_transform_fwd(x, y, psi, cost_scale=scale, autotune=False)
    torch.testing.assert_close(values, costs.min(1).values)
    assert torch.equal(column, costs.argmin(1))

    def semi_dual(x, y, psi, a, b):
        return mt.c_transform_cost(x, y, psi, cost_scale=scale, a=a, b=b)

    torch.testing.assert_close(semi_dual(x, y, psi, a, b), a @ values + b @ psi)
    assert torch.autograd.gradcheck(semi_dual, leaves(x, y, psi, a, b))
    assert torch.autograd.gradgradcheck(semi_dual, leaves(x, y, psi, a, b))
    with pytest.raises(monge.InvalidArgument, match=r"cost_scale is 2\.0"):
        mt.c_transform_fwd(x, y, psi, cost_scale=2.0)


# ---- what a training loop does


def test_a_flow_arrives():
    x, y, *_ = measures(40, 50)
    (point,) = leaves(x)
    loss = mt.SamplesLoss(blur=0.1, half_cost=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = float(loss(point, y).detach())
        for _ in range(10):
            (slope,) = torch.autograd.grad(loss(point, y), point)
            with torch.no_grad():
                point -= 40 * slope
    assert float(loss(point, y).detach()) < 0.05 * first
