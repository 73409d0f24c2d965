"""monge.jax: values of the core, derivatives of both orders, and how they pass through JAX's transformations."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import monge
from monge import _core, _options

jax = pytest.importorskip("jax")
if not _core.xla_targets():
    pytest.skip("this build found no jaxlib", allow_module_level=True)

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402
from sides import SIDES  # noqa: E402

import monge.jax as mj  # noqa: E402

OPTIONS = {"epsilon": 0.2, "marginals": monge.KL(0.6), "tolerance": 1e-12}


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield


def measures(n=6, m=5, d=2, masses=(1.3, 0.7), dtype=np.float64):
    """Clouds with weights neither uniform nor of equal mass."""
    rng = np.random.default_rng(0)
    x, y = rng.random((n, d)), rng.random((m, d)) * 0.8 + 0.3
    a, b = rng.random(n) + 0.3, rng.random(m) + 0.3
    parts = x, y, masses[0] * a / a.sum(), masses[1] * b / b.sum()
    return tuple(jnp.asarray(part, dtype) for part in parts)


def losses(**options):
    return {
        "transport": lambda *at: mj.solve(*at, **options).value,
        "divergence": lambda *at: mj.sinkhorn_divergence(*at, **options),
    }


def posed(sides):
    """Measures and how weights enter: of balanced sides through a softmax, as only there the value is defined."""
    x, y, a, b = measures()
    if sides == SIDES["balanced"]:
        return (
            x,
            y,
            a,
            b,
        ), lambda loss: lambda x, y, a, b: loss(x, y, jax.nn.softmax(a), jax.nn.softmax(b))
    return (x, y, a, b / b.sum() if sides == SIDES["semi"] else b), lambda loss: loss


# ---- values and first derivatives


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_values_and_gradients_are_those_of_the_core(sides, dtype):
    masses = (1.0, 1.0) if sides == SIDES["balanced"] else (1.3, 1.0)
    at = measures(masses=masses, dtype=dtype)
    options = {"epsilon": 0.2, "marginals": sides}
    arrays = [np.asarray(part) for part in at]
    every = tuple(range(4))

    found, want = mj.solve(*at, **options), monge.solve_sample(*arrays, **options)
    assert found.value.dtype == dtype and found.value == dtype(want.value)
    for got, potential in zip(found[1:], want.potentials, strict=True):
        np.testing.assert_array_equal(got, potential)
    slopes = jax.grad(losses(**options)["transport"], every)(*at)
    for got, part in zip(slopes, want.gradient()[:4], strict=True):
        np.testing.assert_array_equal(got, part)

    want = monge.divergence(*arrays, gradients=True, **options)
    value, slopes = jax.value_and_grad(losses(**options)["divergence"], every)(*at)
    assert value == dtype(want.value)
    for got, part in zip(slopes, want.gradient(), strict=True):
        np.testing.assert_array_equal(got, part)


def test_float32_goes_on_in_double_as_everywhere():
    x, y, *_ = measures(400, 300, masses=(1, 1), dtype=np.float32)
    for tolerance in (2e-7, 1e-8):  # at float's floor, and widened from the first
        options = {"epsilon": 1e-3, "tolerance": tolerance}
        want = monge.solve_sample(np.asarray(x), np.asarray(y), **options)
        found = mj.solve(x, y, **options)
        np.testing.assert_array_equal(found.potential_a, want.potential_a.astype(np.float32))
        assert found.value == np.float32(want.value)


def test_uniform_weights_and_lengths():
    x, y, *_ = measures()
    options = {"blur": 0.4, "reach": 0.9, "cost": "half_sqeuclidean"}
    found, slope = jax.value_and_grad(lambda x: mj.sinkhorn_divergence(x, y, **options))(x)
    want = monge.divergence(np.asarray(x), np.asarray(y), gradients=True, **options)
    assert found == want.value
    np.testing.assert_array_equal(slope, want.gradient().dx)


def test_a_gradient_is_one_solve():
    at = measures()
    for loss in losses(**OPTIONS).values():
        traced = str(jax.make_jaxpr(jax.jit(jax.grad(loss)))(*at))
        assert traced.count("monge_transport[") == 1
        optimised = jax.jit(jax.grad(loss)).lower(*at).compile().as_text()
        assert optimised.count('custom_call_target="monge_') == 1


# ---- second derivatives


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_derivatives_of_both_orders_in_all_blocks(name, sides):
    at, entering = posed(sides)
    loss = entering(losses(epsilon=0.2, marginals=sides, tolerance=1e-13)[name])
    check_grads(loss, at, order=2, modes=["rev"])
    check_grads(loss, at, order=1, modes=["fwd"])
    slopes = jax.grad(loss, tuple(range(4)))
    check_grads(slopes, at, order=1, modes=["fwd"])


@pytest.mark.parametrize("cost", ["half_sqeuclidean", ("power", 3.0)], ids=str)
@pytest.mark.parametrize("name", ["transport", "divergence"])
def test_derivatives_of_other_costs(name, cost):
    check_grads(losses(**OPTIONS, cost=cost)[name], measures(), order=2, modes=["rev"])


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_derivatives_of_potentials(sides):
    at, entering = posed(sides)
    potentials = entering(
        lambda *at: mj.solve(*at, epsilon=0.2, marginals=sides, tolerance=1e-13)[1:]
    )
    check_grads(potentials, at, order=1, modes=["fwd", "rev"])


@pytest.mark.parametrize("name", ["transport", "divergence"])
def test_products_in_every_order_are_those_of_the_core(name):
    at = measures()
    loss, verb = losses(**OPTIONS)[name], {"transport": monge.solve_sample}.get(name)
    along = jnp.cos(at[0])
    solution = (verb or monge.divergence)(*(np.asarray(part) for part in at), **OPTIONS)
    want = solution.linearize().hvp(dx=np.asarray(along), wrt=["x"]).dx
    slope = jax.grad(loss)
    _, forward = jax.jvp(lambda x: slope(x, *at[1:]), at[:1], (along,))
    reverse = jax.grad(lambda x: jnp.vdot(slope(x, *at[1:]), along))(at[0])
    dense = jax.jit(jax.hessian(loss))(*at)
    products = [forward, reverse, jnp.tensordot(dense, along, 2)]
    if (
        name == "divergence"
    ):  # of transport the inner derivative would be that of its potentials too
        products.append(
            jax.grad(lambda x: jax.jvp(lambda x: loss(x, *at[1:]), [x], [along])[1])(at[0])
        )
    for product in products:
        np.testing.assert_allclose(product, want, rtol=1e-7, atol=1e-9)
    flat = dense.reshape(12, 12)
    np.testing.assert_allclose(flat, flat.T, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_epsilon_is_an_operand(name, sides):
    at, entering = posed(sides)

    def loss(e, *at):
        return entering(losses(epsilon=e, marginals=sides, tolerance=1e-13)[name])(*at)

    epsilon = jnp.asarray(0.2)
    check_grads(loss, (epsilon, *at), order=2, modes=["rev"])
    check_grads(jax.grad(loss, tuple(range(5))), (epsilon, *at), order=1, modes=["fwd"])
    fixed = entering(losses(epsilon=0.2, marginals=sides, tolerance=1e-13)[name])
    assert loss(epsilon, *at) == fixed(*at) == jax.jit(loss)(epsilon, *at)
    several = jnp.asarray([0.2, 0.3])
    slopes = jax.vmap(jax.grad(loss), in_axes=(0, *[None] * 4))(several, *at)
    np.testing.assert_array_equal(slopes, [jax.grad(loss)(e, *at) for e in several])


def test_potentials_move_with_epsilon():
    x, y, a, b = measures()
    check_grads(
        lambda e: mj.solve(x, y, a, b, **OPTIONS | {"epsilon": e})[1:],
        (jnp.asarray(0.2),),
        order=1,
        modes=["fwd", "rev"],
    )


def test_every_cloud_of_a_batch_has_its_epsilon():
    x, y, a, b = (jnp.stack([part, part]) for part in measures())
    found = mj.sinkhorn_divergence(x, y, a, b, **OPTIONS | {"epsilon": jnp.asarray([0.2, 0.4])})
    want = [
        mj.sinkhorn_divergence(x[0], y[0], a[0], b[0], **OPTIONS | {"epsilon": e})
        for e in (0.2, 0.4)
    ]
    np.testing.assert_array_equal(found, want)


def test_a_product_of_float32_is_that_of_float64_rounded():
    x, y, *_ = measures(80, 70, 3)
    along = jnp.asarray(np.random.default_rng(1).normal(size=x.shape))
    found = {}
    for dtype in (np.float64, np.float32):
        slope = jax.grad(
            lambda x, y=y, dtype=dtype: mj.solve(x, y.astype(dtype), epsilon=0.02).value
        )
        found[dtype] = jax.jvp(slope, [x.astype(dtype)], [along.astype(dtype)])[1]
        assert found[dtype].dtype == dtype
    want = found[np.float64]
    # a solve to 1e-6 moves a product by at most eleven times as much, on either side
    assert jnp.linalg.norm(found[np.float32] - want) <= 2.5e-5 * jnp.linalg.norm(want)


# ---- transformations


@pytest.mark.parametrize("name", ["transport", "divergence"])
def test_jit_changes_nothing(name):
    at, loss = measures(), losses(**OPTIONS)[name]
    for function in (loss, jax.grad(loss, 2), jax.hessian(loss)):
        np.testing.assert_array_equal(jax.jit(function)(*at), function(*at))


@pytest.mark.parametrize("name", ["transport", "divergence"])
def test_vmap_and_batches_are_the_loop(name):
    x, y, a, b = measures()
    loss = losses(**OPTIONS)[name]
    xs, weights = jnp.stack([x, x + 0.1, 2 * x]), jnp.stack([a, 2 * a, 0.5 * a])
    loop = [loss(at, y, w, b) for at, w in zip(xs, weights, strict=True)]
    mapped = jax.vmap(loss, (0, None, 0, None))(xs, y, weights, b)
    np.testing.assert_array_equal(mapped, loop)
    along_last = jax.vmap(loss, (2, None, 1, None))(
        jnp.moveaxis(xs, 0, 2), y, jnp.moveaxis(weights, 0, 1), b
    )
    np.testing.assert_array_equal(along_last, loop)
    stacked = loss(xs, jnp.stack([y] * 3), weights, jnp.stack([b] * 3))
    np.testing.assert_array_equal(stacked, loop)
    twice = jax.vmap(jax.vmap(loss, (0, None, 0, None)), (0, None, None, None))(
        jnp.stack([xs, xs + 1]), y, weights, b
    )
    np.testing.assert_array_equal(twice[0], loop)

    slope = jax.grad(loss)
    want = [slope(at, y, w, b) for at, w in zip(xs, weights, strict=True)]
    got = jax.vmap(slope, (0, None, 0, None))(xs, y, weights, b)
    np.testing.assert_array_equal(got, want)

    def product(x, along):
        return jax.jvp(lambda x: slope(x, y, a, b), (x,), (along,))[1]

    alongs = jnp.stack([jnp.cos(x), jnp.sin(x), jnp.ones_like(x)])
    want = [product(x, along) for along in alongs]
    for points, axis in ((x, None), (jnp.stack([x] * 3), 0)):  # directions at one point; points
        got = jax.vmap(product, (axis, 0))(points, alongs)
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def test_steps_of_a_flow_within_a_loop():
    x, y, *_ = measures()
    slope = jax.grad(lambda x: mj.sinkhorn_divergence(x, y, blur=0.4))

    def step(x):
        return x - slope(x)

    by_hand = step(step(step(x)))
    np.testing.assert_array_equal(jax.lax.fori_loop(0, 3, lambda _, x: step(x), x), by_hand)


def test_zero_weights_have_derivatives():
    x, y, a, b = measures()
    a = a.at[2].set(0.0)
    check_grads(lambda x: losses(**OPTIONS)["divergence"](x, y, a, b), (x,), order=2, modes=["rev"])


# ---- what it refuses, and what it says


def test_keywords_are_the_table():
    for function, verb in ((mj.solve, "sinkhorn"), (mj.sinkhorn_divergence, "sinkhorn_divergence")):
        parameters = inspect.signature(function).parameters
        keywords = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        own = {"hvp_tolerance": 1e-8, "hvp_max_iterations": 2000}
        assert keywords == {o.name: o.default_in(verb) for o in _options.of(verb)} | own
        assert all(f"    {name}: " in function.__doc__ for name in keywords)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": jnp.ones((6, 2), jnp.int32)}, "x is int32, wanted float32 or float64"),
        ({"x": jnp.ones((6, 2), jnp.float16)}, "x is float16, wanted"),
        ({"y": jnp.ones((5, 2), jnp.float32)}, "x is float64 but y float32"),
        ({"x": np.ones(6)}, "x has shape"),
        ({"y": np.ones((5, 3))}, "must agree"),
        ({"a": np.ones(4)}, "a has shape"),
        ({"epsilon": None}, "exactly one of epsilon, blur"),
        ({"epsilon": "small"}, "epsilon is 'small'"),
        ({"epsilon": jnp.ones(3)}, r"epsilon has shape \(3,\), wanted \(\) or \(1,\)"),
        ({"geometry": "flat"}, "geometry is 'flat'"),
        ({"hvp_tolerance": "small"}, "hvp_tolerance"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:12],
)
def test_malformed_calls(change, message):
    x, y, a, b = measures()
    given = {"x": x, "y": y, "a": a, "b": b, **OPTIONS, **change}
    with pytest.raises(monge.InvalidArgument, match=message):
        mj.solve(**given)


def test_keywords_are_static():
    x, y, *_ = measures()
    with pytest.raises(monge.InvalidArgument, match=r"tolerance is .*wanted a number"):
        jax.jit(lambda t: mj.solve(x, y, epsilon=0.1, tolerance=t).value)(0.1)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_values_are_checked_where_they_are_known(wrap):
    x, y, a, b = measures()
    loss = wrap(losses(**OPTIONS)["transport"])
    for at, message in (
        ((x.at[1, 0].set(jnp.nan), y, a, b), r": \[problem\] x\[1, 0\] is nan"),
        ((x, y, a.at[3].set(-1.0), b), r"a\[3\]"),
    ):
        with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=message):
            jax.block_until_ready(loss(*at))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_solves_that_end_early_warn(wrap):
    at = measures()
    loss = wrap(losses(**OPTIONS | {"max_iterations": 2, "acceleration": "none"})["divergence"])
    with pytest.warns(monge.ConvergenceWarning, match="1 of 1 solves did not meet"):
        jax.block_until_ready(loss(*at))
    hasty = {"hvp_max_iterations": 1, "hvp_tolerance": 1e-12}
    slope = jax.grad(losses(epsilon=0.01, marginals=monge.KL(0.6), **hasty)["transport"])
    with pytest.warns(monge.ConvergenceWarning, match="second derivative ended after 1"):
        jax.block_until_ready(wrap(lambda *at: jax.jvp(slope, at, at))(*at))


def test_what_has_no_derivative_says_so():
    x, y, a, b = measures()
    loss = losses(**OPTIONS)["divergence"]

    def curvature(x):
        return jnp.sum(jax.hessian(loss)(x, y, a, b))

    with pytest.raises(monge.NotAvailable, match="third derivatives"):
        jax.grad(curvature)(x)
    euclidean = losses(**OPTIONS, cost="euclidean")["transport"]
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="coincide"):
        jax.block_until_ready(jax.hessian(euclidean)(x.at[0].set(y[0]), y, a, b))


def test_other_devices_are_named():
    x, y, *_ = measures()
    platform = "rocm" if any(part.startswith("cuda") for part in _core.components()) else "cuda"
    traced = jax.jit(lambda x: mj.solve(x, y, epsilon=0.1).value).trace(x)
    with pytest.raises(monge.NotAvailable, match=f"arrays are on {platform}, and this build"):
        traced.lower(lowering_platforms=(platform,))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("sys.modules['jax'] = None", "monge.jax needs JAX, which is not installed: pip install jax"),
        ("monge._core.xla_targets = list", "monge.jax is not in this build of monge, which found no jaxlib"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(before, message):
    code = f"import sys, monge\n{before}\nimport monge.jax"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"ImportError: {message}" in run.stderr
