"""monge.jax on a GPU: as on the CPU. Skipped without one."""

import numpy as np
import pytest

import monge
from monge import _core

jax = pytest.importorskip("jax")
if len(_core.devices()) < 2 or not _core.xla_targets():
    pytest.skip("no GPU, or a build without CUDA or JAX", allow_module_level=True)
try:
    GPU, CPU = jax.devices("cuda")[0], jax.devices("cpu")[0]
except RuntimeError:
    pytest.skip("JAX sees no GPU", allow_module_level=True)

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402
from test_jax import OPTIONS, losses, measures, posed  # noqa: E402

import monge.jax as mj  # noqa: E402


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True), jax.default_device(GPU):
        yield


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", [monge.Balanced(), monge.KL(0.6), (monge.KL(0.3), monge.KL(2.0))])
def test_derivatives(name, sides):
    at, entering = posed(sides)
    loss = entering(losses(epsilon=0.2, marginals=sides, tolerance=1e-13)[name])
    check_grads(loss, at, order=2, modes=["rev"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("dim", [3, 64])
def test_values_and_gradients_are_those_of_the_cpu(name, dim, dtype):
    at = measures(70, 50, dim, dtype=dtype)
    rho, tolerance = monge.KL(2.0 * dim), 1e-9 if dtype == np.float64 else 1e-5
    loss = losses(epsilon=0.09 * dim, marginals=rho, tolerance=tolerance)[name]
    both = jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3)))
    host = both(*jax.device_put(at, CPU))
    found = both(*jax.device_put(at, GPU))
    assert found[0].devices() == {GPU}
    rtol, atol = (1e-7, 1e-9) if dtype == np.float64 else (2e-4, 2e-4)
    for want, got in zip(jax.tree.leaves(host), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def test_hessians_potentials_and_vmap():
    at = measures()
    here, there = jax.device_put(at, CPU), jax.device_put(at, GPU)
    loss = losses(**OPTIONS)["divergence"]
    dense = jax.jit(jax.hessian(loss))
    np.testing.assert_allclose(dense(*there), dense(*here), rtol=1e-7, atol=1e-9)
    check_grads(lambda x, a: mj.solve(x, there[1], a, there[3], **OPTIONS).potential_a,
                (there[0], there[2]), order=1, modes=["fwd", "rev"])  # fmt: skip
    xs = jnp.stack([there[0], there[0] + 1])
    mapped = jax.vmap(loss, (0, None, None, None))(xs, *there[1:])
    np.testing.assert_allclose(mapped, [loss(x, *there[1:]) for x in xs], rtol=1e-12)


def test_float32_goes_on_in_double():
    x, y, *_ = measures(400, 300, masses=(1, 1), dtype=np.float32)
    for tolerance in (2e-7, 1e-8):
        options = {"epsilon": 1e-3, "tolerance": tolerance}
        found = [mj.solve(*jax.device_put((x, y), d), **options).potential_a for d in (CPU, GPU)]
        np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_it_runs_in_the_order_of_xlas_stream():
    """What is computed just before is read, and what is computed just after reads it."""

    @jax.jit
    def chained(x, y):
        for _ in range(5):
            x = x - len(x) * jax.grad(lambda x: mj.sinkhorn_divergence(x, y, blur=0.5))(x) / 2
        return x

    x, y, *_ = measures(3000, 2500, 3)
    found = [chained(*jax.device_put((x, y), device)) for device in (CPU, GPU)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-7)
