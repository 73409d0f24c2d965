"""monge.torch: second derivatives, and those of potentials."""

import pytest

import monge

torch = pytest.importorskip("torch")

from sides import SIDES  # noqa: E402
from torch_clouds import DOUBLE, leaves, losses, measures, on_simplex  # noqa: E402

import monge.torch as mt  # noqa: E402


def hessian_product(loss, point, direction):
    """By differentiating twice."""
    (slope,) = torch.autograd.grad(loss(point), point, create_graph=True)
    return torch.autograd.grad((slope * direction).sum(), point)[0]


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_second_derivatives_in_all_blocks(name, sides):
    x, y, a, b = measures()
    loss = losses(sides, tolerance=1e-13)[name]
    if sides == SIDES["semi"]:  # b is exact: the mass of a is free
        b = b / b.sum()
    assert torch.autograd.gradgradcheck(on_simplex(loss, sides), leaves(x, y, a, b))


@pytest.mark.parametrize(
    "options", [{"cost": "half_sqeuclidean"}, {"cost": ("power", 3.0)}], ids=str
)
@pytest.mark.parametrize("name", ["transport", "divergence"])
def test_second_derivatives_of_other_costs(name, options):
    loss = losses(monge.KL(0.6), tolerance=1e-13, **options)[name]
    assert torch.autograd.gradgradcheck(loss, leaves(*measures()))


@pytest.mark.parametrize("debias", [False, True])
def test_hvp_is_double_backward(debias):
    x, y, a, b = measures()
    options = {"epsilon": 0.2, "marginals": monge.KL(0.6), "tolerance": 1e-12}
    verb = (
        mt.sinkhorn_divergence if debias else lambda *args, **more: mt.sinkhorn(*args, **more).value
    )
    inputs, along = leaves(x, y, a, b), [torch.cos(t) for t in (x, y, a, b)]
    slopes = torch.autograd.grad(verb(*inputs, **options), inputs, create_graph=True)
    paired = sum((s * v).sum() for s, v in zip(slopes, along, strict=True))
    twice = torch.autograd.grad(paired, inputs)
    dx, dy, da, db = along
    once = mt.hvp(*inputs, dx=dx, dy=dy, da=da, db=db, debias=debias, **options)
    torch.testing.assert_close(tuple(once), twice, rtol=1e-12, atol=1e-13)
    batched = mt.hvp(
        *(torch.stack([t, t]) for t in (x, y, a, b)),
        **{
            n: torch.stack([v, 2 * v]) for n, v in zip(("dx", "dy", "da", "db"), along, strict=True)
        },
        debias=debias,
        **options,
    )
    for part, alone in zip(batched, once, strict=True):
        torch.testing.assert_close(part[1], 2 * alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("half", [False, True])
def test_a_function_of_the_loss(half):
    """One point against one: L = s (x - y)^2, and the second derivative of L^2 at x - y = 1 is 12 s^2."""
    loss = mt.SamplesLoss(blur=0.5, half_cost=half, debias=False)
    point, other = leaves(torch.ones(1, 1, **DOUBLE))[0], torch.zeros(1, 1, **DOUBLE)
    found = hessian_product(lambda x: loss(x, other) ** 2, point, torch.ones(1, 1, **DOUBLE))
    assert float(found) == pytest.approx(12 * (0.25 if half else 1), rel=1e-10)


def test_float32_is_float64_rounded():
    gen = torch.Generator().manual_seed(2)
    x, y = torch.rand(80, 3, generator=gen, **DOUBLE), torch.rand(70, 3, generator=gen, **DOUBLE)
    direction = torch.randn(80, 3, generator=gen, **DOUBLE)
    found = {}
    for dtype in (torch.float64, torch.float32):
        at, other = leaves(x.to(dtype))[0], y.to(dtype)
        loss = mt.SamplesLoss(blur=0.02**0.5, debias=False, threshold=1e-6)
        found[dtype] = hessian_product(lambda x, o=other, f=loss: f(x, o), at, direction.to(dtype))
    want = found[torch.float64]
    # a solve to 1e-6 moves a product by at most eleven times as much, on either side
    assert (found[torch.float32] - want).norm() <= 2.5e-5 * want.norm()


def test_the_hessian_is_symmetric_and_sums_to_the_marginals():
    x, y, *_ = measures(12, 9)
    loss = mt.SamplesLoss(blur=0.4, debias=False, threshold=1e-12)
    (point,) = leaves(x)
    size = point.numel()
    columns = [
        hessian_product(lambda x: loss(x, y), point, e.reshape(x.shape)).reshape(-1)
        for e in torch.eye(size, **DOUBLE)
    ]
    hessian = torch.stack(columns)
    torch.testing.assert_close(hessian, hessian.T, rtol=1e-7, atol=1e-9)
    # Hxx summed over one index is 2 p_i on the diagonal (balanced, squared cost)
    total = hessian.reshape(12, 2, 12, 2).sum(2)
    torch.testing.assert_close(
        total, (2 / 12 * torch.eye(2, **DOUBLE)).expand(12, 2, 2), rtol=1e-7, atol=1e-8
    )


def test_linear_solves_that_end_early_warn():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.1, reach=0.8, hvp_max_cg_iter=1, hvp_cg_rtol=1e-12)
    (point,) = leaves(x)
    with pytest.warns(monge.ConvergenceWarning, match="second derivative ended after 1"):
        hessian_product(lambda x: loss(a, x, b, y), point, torch.ones_like(x))


def test_what_has_no_second_derivative_says_so():
    x, y, a, b = measures()
    (point,) = leaves(torch.cat([y[:1], x[1:]]))

    def euclidean(x):
        return mt.sinkhorn(x, y, a, b, epsilon=0.2, cost="euclidean", reach=1.0).value

    with pytest.raises(monge.Error, match="coincide"):
        hessian_product(euclidean, point, torch.ones_like(x))
    (slope,) = torch.autograd.grad(mt.SamplesLoss(blur=0.5)(point, y), point, create_graph=True)
    (second,) = torch.autograd.grad(slope[0, 0], point, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        torch.autograd.grad(second.sum(), point)


@pytest.mark.parametrize("options", [{"debias": False}, {}, {"half_cost": True}], ids=str)
def test_second_derivatives_with_label_costs(options):
    x, y, a, b = measures()
    table = torch.tensor([[0.0, 1.0], [0.7, -0.2], [0.3, 0.5]], **DOUBLE)
    if options.get("debias", True):
        table = table[:2]
    labels = {
        "label_x": torch.arange(6) % table.shape[0],
        "label_y": torch.arange(5) % table.shape[1],
    }
    loss = mt.SamplesLoss(
        eps=0.2, reach=0.8, threshold=1e-13, label_cost_matrix=table, lambda_x=0.8, lambda_y=0.5,
        **options,
    )  # fmt: skip
    labelled = lambda x, y, a, b: loss(a, x, b, y, **labels)  # noqa: E731
    assert torch.autograd.gradgradcheck(labelled, leaves(x, y, a, b))


# ---- potentials


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_derivatives_of_potentials(sides):
    x, y, a, b = measures()
    if sides == SIDES["semi"]:
        b = b / b.sum()

    def potentials(x, y, a, b):
        found = mt.sinkhorn(x, y, a, b, epsilon=0.2, marginals=sides, tolerance=1e-13)
        return found.potential_a, found.potential_b

    assert torch.autograd.gradcheck(on_simplex(potentials, sides), leaves(x, y, a, b))


def test_potentials_of_the_loss_are_differentiable():
    x, y, a, b = measures()
    loss = mt.SamplesLoss(blur=0.4, reach=0.8, potentials=True, threshold=1e-13)
    assert torch.autograd.gradcheck(lambda a, x, b, y: loss(a, x, b, y)[0], leaves(a, x, b, y))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    one, other = leaves(x)[0], leaves(x)[0]
    compiled(a, one, b, y)[1].sum().backward()
    loss(a, other, b, y)[1].sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


def test_implicit_gradients_are_those_of_potentials():
    x, y, *_ = measures()
    a, b = torch.full((6,), 1 / 6, **DOUBLE), torch.full((5,), 0.2, **DOUBLE)
    of_f, of_g = torch.cos(torch.arange(6.0, **DOUBLE)), torch.sin(torch.arange(5.0, **DOUBLE) + 1)
    (point,) = leaves(x)
    found = mt.sinkhorn(point, y, a, b, epsilon=0.2, tolerance=1e-13)
    scalar = (found.potential_a * of_f).sum() + (found.potential_b * of_g).sum()
    (want,) = torch.autograd.grad(scalar, point)
    got, info = mt.implicit_grad_x(x, y, a, b, of_f, of_g, eps=0.2, tau2=1e-5)
    # eleven times the marginal error of its solve, 1e-6, and the tolerance of its linear solve
    assert (got - want).norm() <= 1.3e-5 * want.norm()
    assert info.cg_converged and info.cg_iters > 0


# ---- the functions of FlashSinkhorn


@pytest.mark.parametrize(("rho_x", "rho_y"), [(None, None), (0.5, 0.9), (0.5, None)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_hvp_at_given_potentials(rho_x, rho_y, scale):
    x, y, a, b = measures()
    if rho_x is None:
        a, b = a / a.sum(), b / b.sum()
    if rho_y is None:
        b = b / b.sum()
    a = torch.cat([a, torch.zeros(1, **DOUBLE)])
    x = torch.cat([x, torch.ones(1, 2, **DOUBLE)])
    sides = tuple(monge.Balanced() if rho is None else monge.KL(rho) for rho in (rho_x, rho_y))
    cost = "sqeuclidean" if scale == 1 else "half_sqeuclidean"
    eps, along = 0.2, torch.cos(x)
    options = {"epsilon": eps, "cost": cost, "marginals": sides, "tolerance": 1e-13}
    want = mt.hvp(x, y, a, b, dx=along, **options).dx
    found = mt.sinkhorn(x, y, a, b, **options)
    hats = mt.geomloss_to_ott_potentials(found.potential_a, found.potential_b, a, b, eps=eps)
    got, info = mt.hvp_x_sqeuclid_from_potentials(
        x, y, *hats, along, eps=eps, rho_x=rho_x, rho_y=rho_y, cost_scale=scale, cg_rtol=1e-12,
        cg_atol=1e-6, tau2=1e-5,
    )  # fmt: skip
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9)
    assert info.cg_converged and info.cg_residual <= 1e-12


def test_hvp_from_points():
    x, y, *_ = measures()
    a, b = torch.full((6,), 1 / 6, **DOUBLE), torch.full((5,), 0.2, **DOUBLE)
    got, _ = mt.hvp_x_sqeuclid(x, y, a, b, torch.cos(x), eps_list=[1.0, 0.2])
    want = mt.hvp(x, y, a, b, dx=torch.cos(x), epsilon=0.2, tolerance=1e-13).dx
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_a_newton_direction_with_its_conditioning():
    x, y, *_ = measures(12, 9)
    a, b = torch.full((12,), 1 / 12, **DOUBLE), torch.full((9,), 1 / 9, **DOUBLE)
    options = {"epsilon": 0.2, "tolerance": 1e-13}
    found = mt.sinkhorn(x, y, a, b, **options)
    hats = mt.geomloss_to_ott_potentials(found.potential_a, found.potential_b, a, b, eps=0.2)
    basis = torch.eye(24, **DOUBLE).reshape(24, 12, 2)
    hessian = torch.stack(
        [mt.hvp(x, y, a, b, dx=e, hvp_tolerance=1e-13, **options).dx.reshape(-1) for e in basis]
    )
    eigenvalues = torch.linalg.eigvalsh(hessian)
    assert eigenvalues[0] > 0
    right = torch.cos(torch.arange(24.0, **DOUBLE)).reshape(12, 2)
    got, info = mt.inverse_hvp_x_sqeuclid_from_potentials(
        x, y, *hats, right, eps=0.2, outer_rtol=1e-10, inner_rtol=1e-13
    )
    want = torch.linalg.solve(hessian, right.reshape(-1)).reshape(12, 2)
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-8)
    assert info.cg_converged and info.cg_residual <= 1e-10 and not info.hit_neg_curv
    assert info.condition == pytest.approx(float(eigenvalues[-1] / eigenvalues[0]), rel=1e-3)


def test_a_newton_direction_ends_at_negative_curvature():
    x, y = torch.zeros(1, 1, **DOUBLE), torch.tensor([[-1.0], [1.0]], **DOUBLE)
    found = mt.sinkhorn(x, y, epsilon=0.1, marginals=(monge.Balanced(), monge.KL(0.01)))
    a, b = torch.ones(1, **DOUBLE), torch.full((2,), 0.5, **DOUBLE)
    hats = mt.geomloss_to_ott_potentials(found.potential_a, found.potential_b, a, b, eps=0.1)
    right = torch.ones(1, 1, **DOUBLE)
    got, info = mt.inverse_hvp_x_sqeuclid_from_potentials(x, y, *hats, right, eps=0.1, rho_y=0.01)
    assert info.hit_neg_curv and not info.cg_converged
    torch.testing.assert_close(got, right)
