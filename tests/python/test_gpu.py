"""Arrays on a GPU: solved there, on the caller's stream, answered there. Skipped without one."""

import subprocess
import sys

import numpy as np
import pytest

import monge
from monge import _core

if len(_core.devices()) < 2:
    pytest.skip("no GPU, or a build without CUDA", allow_module_level=True)


def _torch():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return torch


def _to(kind):
    """NumPy array -> the framework's on the GPU, and back."""
    if kind == "torch":
        torch = _torch()
        return lambda a: torch.from_numpy(a).cuda(), lambda t: t.cpu().numpy()
    if kind == "cupy":
        cupy = pytest.importorskip("cupy")
        return cupy.asarray, cupy.asnumpy
    jax = pytest.importorskip("jax")
    gpus = [d for d in jax.devices() if d.platform == "gpu"]
    if not gpus:
        pytest.skip("jax sees no GPU")
    return lambda a: jax.device_put(a, gpus[0]), np.asarray


@pytest.mark.parametrize("kind", ["torch", "cupy", "jax"])
def test_everything_comes_back_in_kind_and_as_on_the_cpu(clouds, kind):
    there, back = _to(kind)
    x, y, a, b = clouds.astype("float32")
    host = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1))
    gx, gy, ga, gb = (there(v) for v in (x, y, a, b))
    gpu = monge.solve_sample(gx, gy, ga, gb, epsilon=0.1, marginals=monge.KL(1))
    assert gpu.converged
    assert gpu.value == pytest.approx(host.value, rel=1e-4)

    def same(ours, theirs):
        assert type(ours) is type(gx)
        np.testing.assert_allclose(back(ours), theirs, rtol=2e-3, atol=2e-4)

    same(gpu.potential_a, host.potential_a)
    same(gpu.marginal_b, host.marginal_b)
    same(gpu.a_to_b, host.a_to_b)
    same(gpu.plan @ gy, host.plan @ y)
    same(gpu.plan.T @ ga, host.plan.T @ a)
    same(gpu.plan.T.dense(), host.plan.T.dense())
    same(gpu.plan.potential(gx), host.plan.potential(x))
    for ours, theirs in zip(gpu.gradient()[:4], host.gradient()[:4], strict=True):
        same(ours, theirs)
    divergence = monge.divergence(gx, gy, epsilon=0.1, gradients=True)
    same(
        divergence.gradient().dx, monge.divergence(x, y, epsilon=0.1, gradients=True).gradient().dx
    )
    again = monge.solve_sample(
        gx, gy, ga, gb, epsilon=0.1, marginals=monge.KL(1), start=gpu.potentials
    )
    assert again.iterations <= 2


def test_fast_precision_states_its_error_or_says_what_it_needs():
    torch = _torch()
    points = np.random.default_rng(0).standard_normal((2, 500, 16)).astype("float32")
    x, y = (torch.from_numpy(p).cuda() for p in points)
    options = {"epsilon": 2.0, "marginals": monge.KL(10)}
    if torch.cuda.get_device_capability() != (9, 0):
        with pytest.raises(monge.NotAvailable, match=r"compute capability 9\.0"):
            monge.solve_sample(x, y, precision="fast", **options)
        return
    fast = monge.solve_sample(x, y, precision="fast", **options)
    exact = monge.solve_sample(*points, precision="double", **options)
    center = points.reshape(-1, 16).mean(0)
    largest = ((points - center) ** 2).sum(-1).max()
    assert fast.weight_error == pytest.approx(1e-3 * largest / 2, rel=1e-4)
    # The cost of any pair is off by 2^-9 |x| |y| at most, and the value moves by no more than the
    # costs of the mass that is transported, nor than convergence to the default tolerance leaves.
    bound = 2.0**-9 * largest * 1.1 + 1e-4
    assert abs(fast.value - exact.value) <= bound
    with pytest.raises(monge.NotAvailable, match="direct differences"):
        monge.solve_sample(x[:, :3], y[:, :3], precision="fast", **options)


def test_a_staged_schedule_ends_as_accurate():
    torch = _torch()
    points = np.random.default_rng(0).standard_normal((2, 2000, 16)).astype("float32")
    x, y = (torch.from_numpy(p).cuda() for p in points)
    if torch.cuda.get_device_capability() != (9, 0):
        with pytest.raises(monge.NotAvailable, match=r"compute capability 9\.0"):
            monge.solve_sample(x, y, epsilon=2.0, schedule="staged")
        return
    # Streamed: a kernel that is kept is of accurate scores whatever the precision of sweeps.
    options = {"epsilon": 2.0, "tolerance": 2e-6, "kernel_cache": 0}
    staged = monge.solve_sample(x, y, schedule="staged", **options)
    accurate = monge.solve_sample(x, y, **options)
    fast = monge.solve_sample(x, y, precision="fast", **options)
    exact = monge.solve_sample(*points.astype("float64"), epsilon=2.0, tolerance=1e-11)
    assert staged.converged and staged.weight_error == 0
    assert 0 < staged.fast_passes < staged.passes
    assert fast.fast_passes == fast.passes and accurate.fast_passes == 0

    def error(solution):
        f = solution.potential_a.cpu().numpy().astype("float64") - exact.potential_a
        return np.sqrt(np.mean((f - f.mean()) ** 2))

    assert error(staged) <= 2 * error(accurate) + 1e-6  # two runs that stop at the same residual
    assert error(fast) > 4 * error(staged)  # so that it matters who finishes
    # A budget that is too small is divided: what comes back is of accurate sweeps.
    for iterations in (1, 2, 10):
        short = monge.solve_sample(
            x, y, schedule="staged", max_iterations=iterations, annealing="off", **options
        )
        assert short.weight_error == 0 and short.fast_passes < short.passes


def test_automatic_precision_goes_on_where_float32_ends():
    torch = _torch()
    points = np.random.default_rng(4).random((2, 300, 2), dtype="float32")
    x, y = (torch.from_numpy(p).cuda() for p in points)
    result = monge.solve_sample(x, y, epsilon=2e-3, tolerance=2e-7)
    assert result.converged and result.potential_a.is_cuda
    for array in (result.potential_a, result.plan @ y, result.a_to_b, result.plan.map(x[:3])):
        assert array.dtype == torch.float32
    exact = monge.solve_sample(*points.astype("float64"), epsilon=2e-3, tolerance=1e-10)
    assert result.value == pytest.approx(exact.value, rel=1e-7)


def test_the_callers_stream_is_the_one(clouds):
    torch = _torch()
    x, y, _, _ = (torch.from_numpy(v) for v in clouds.astype("float32"))
    want = monge.solve_sample(x.cuda(), y.cuda(), epsilon=0.1).value
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)  # the arrays are late: only this stream knows
        late_x, late_y = x.cuda(non_blocking=True) + 0, y.cuda(non_blocking=True) + 0
        result = monge.solve_sample(late_x, late_y, epsilon=0.1)
        assert result.value == pytest.approx(want, rel=1e-6)
    assert (result.potential_a + 0).isfinite().all()  # on the default stream: complete already


def test_arrays_apart_are_named(clouds):
    torch = _torch()
    x, y, a, _ = clouds.astype("float32")
    on_gpu = torch.from_numpy(x).cuda()
    with pytest.raises(ValueError, match="y is on cpu but x is on cuda:0"):
        monge.solve_sample(on_gpu, y, epsilon=0.1)
    with pytest.raises(ValueError, match="a is on cpu but x is on cuda:0"):
        monge.solve_sample(on_gpu, torch.from_numpy(y).cuda(), a, epsilon=0.1)
    result = monge.solve_sample(on_gpu, torch.from_numpy(y).cuda(), epsilon=0.1)
    with pytest.raises(ValueError, match="v is on cpu but the call runs on cuda:0"):
        _ = result.plan @ y


def test_out_of_memory_is_the_devices_and_the_next_solve_works(clouds):
    torch = _torch()
    x, y, _, _ = (torch.from_numpy(v).cuda() for v in clouds.astype("float32"))
    large = torch.zeros((2_000_000, 8), device="cuda")
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(free - (16 << 20), dtype=torch.uint8, device="cuda")
    with pytest.raises(monge.DeviceError, match=r"no memory for \d+ bytes on cuda:0: \d+ of \d+"):
        monge.solve_sample(large, large[:1000], epsilon=0.1)
    del held
    torch.cuda.empty_cache()
    assert monge.solve_sample(x, y, epsilon=0.1).converged


def test_importing_touches_no_gpu():
    script = "import monge; print(open('/proc/self/maps').read().count('libcuda.so'))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "0"


def test_release_memory_gives_back_what_solves_left():
    torch = _torch()
    x, y = (torch.rand(100_000, 64, device="cuda") for _ in "xy")
    with pytest.warns(monge.ConvergenceWarning):
        monge.solve_sample(x, y, epsilon=1.0, max_iterations=1)

    def free():
        torch.cuda.synchronize()
        return torch.cuda.mem_get_info()[0]

    kept = free()
    monge.release_memory()
    released = free() - kept
    assert released >= 64 << 20  # arrays of 25 MB each, panels, halves and sums, went
    monge.release_memory("cuda:0")
    assert free() >= kept + released  # and what is not there is not given back twice
