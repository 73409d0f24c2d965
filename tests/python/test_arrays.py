"""C6: every kind of array goes in, comes back in kind, and is left as it was."""

import ctypes
import re
import sys
import types

import numpy as np
import pytest

import monge
from monge import _arrays, _core, _device


class Foreign:
    """An array of another framework, as the DLPack protocol shows it: CPU memory and nothing more."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    @property
    def dtype(self):
        return self.array.dtype

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.device


class Namespaced(Foreign):
    """The same with the array API's namespace: the answer comes back as this class."""

    def __array_namespace__(self, api_version=None):
        return Namespaced

    @staticmethod
    def from_dlpack(array):
        return Namespaced(np.from_dlpack(array))


def solve(x, y, a=None, b=None, **more):
    return monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), **more)


LAYOUTS = {
    "contiguous": lambda v: v.copy(),
    "fortran": np.asfortranarray,
    "reversed": lambda v: v[::-1].copy()[::-1],
    "strided": lambda v: np.repeat(np.repeat(v, 2, axis=0), 3, axis=-1)[::2, ::3],
    "byteswapped": lambda v: v.astype(v.dtype.newbyteorder()),
    "unaligned": lambda v: np.frombuffer(b"\0" + v.tobytes(), v.dtype, offset=1).reshape(v.shape),
    "field": lambda v: np.array(
        list(zip(v, range(len(v)), strict=True)), dtype=[("v", v.dtype, v.shape[1:]), ("tag", "i2")]
    )["v"],
    "subclass": lambda v: v.view(type("Sub", (np.ndarray,), {})),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layouts_give_the_same_bits_and_stay_as_they_were(clouds, layout, dtype):
    x, y, a, b = clouds.astype(dtype)
    want = solve(x, y, a, b)
    given = [LAYOUTS[layout](v) for v in (x, y)] + [np.repeat(a, 2)[::2], b[::-1].copy()[::-1]]
    for array in given:
        array.flags.writeable = False
    before = [array.tobytes() for array in given]
    got = solve(*given)
    np.testing.assert_array_equal(got.potential_a, want.potential_a)
    np.testing.assert_array_equal(got.a_to_b, want.a_to_b)
    assert got.value == want.value
    assert [array.tobytes() for array in given] == before
    assert type(got.a_to_b) is np.ndarray and got.a_to_b.dtype == dtype


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cost_matrix_layouts(clouds, layout):
    C = clouds.cost()
    want = monge.solve(C, clouds.a, clouds.b, epsilon=0.1, marginals=monge.KL(1))
    got = monge.solve(LAYOUTS[layout](C), clouds.a, clouds.b, epsilon=0.1, marginals=monge.KL(1))
    assert got.value == pytest.approx(want.value, rel=1e-12)
    np.testing.assert_allclose(got.plan.dense(), want.plan.dense(), rtol=1e-9)


def test_expanded_rows_are_read_without_a_copy():
    point = np.array([[0.25, 0.5]])
    many = np.broadcast_to(point, (1000, 2))
    r = solve(many, point)
    assert r.potential_a.shape == (1000,) and np.ptp(r.potential_a) == 0


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint32", "int64", "uint64"])
def test_integers_become_double(dtype):
    x, y = np.array([[0, 1], [1, 1]], dtype), np.array([[1, 0], [1, 1], [0, 0]], dtype)
    r = solve(x, y, [1, 2], [2, 1, 1])
    assert r.potential_a.dtype == np.float64
    assert r.value == solve(x.astype(float), y.astype(float), [1.0, 2.0], [2.0, 1.0, 1.0]).value


def test_uint8_does_not_wrap():
    black, white = np.array([[0, 0, 0]], np.uint8), np.array([[255, 255, 255]], np.uint8)
    r = monge.solve_sample(black, white, epsilon=1.0)
    assert r.value_linear == pytest.approx(3 * 255.0**2, rel=1e-15)


def test_lists_become_double():
    r = solve([[0.0], [1.0]], [(0.5,), (2.0,), (3.0,)])
    assert type(r.potential_b) is np.ndarray and r.potential_b.dtype == np.float64


@pytest.mark.parametrize(
    "dtype", ["float16", "complex64", "complex128", "object", "datetime64[s]", "U3"]
)
def test_other_types_are_refused_by_name(clouds, dtype):
    x, y, *_ = clouds
    bad = np.zeros(x.shape, dtype)
    for call in (lambda: solve(bad, y), lambda: solve(x, bad), lambda: solve(x, y, bad[:, 0])):
        with pytest.raises(monge.InvalidArgument, match=re.escape(bad.dtype.name)) as caught:
            call()
        assert isinstance(caught.value, ValueError)
    if dtype == "float16":
        with pytest.raises(ValueError, match=r"\.astype\('float32'\)"):
            solve(bad, y)


def test_float_beside_double_points_is_refused_with_the_cast(clouds):
    x, y, *_ = clouds
    with pytest.raises(ValueError, match=r"y\.astype\('float64'\)") as caught:
        solve(x, y.astype("float32"))
    assert caught.value.argument == "y"


def test_weights_convert_to_the_points(clouds):
    x, y, a, b = clouds
    r = solve(x.astype("float32"), y.astype("float32"), a, b)
    assert r.potential_a.dtype == np.float32
    assert r.masses == pytest.approx((1.4, 0.9), rel=1e-6)
    assert solve(x, y, a.astype("float32"), b).potential_a.dtype == np.float64


def test_weights_are_never_rescaled(clouds):
    x, y, a, b = clouds
    r = solve(x, y, 3 * a, b)
    assert r.masses == pytest.approx((4.2, 0.9), rel=1e-15)
    assert r.transported_mass > 0.9


def test_float_weights_beside_double_points_may_disagree_a_little():
    rng = np.random.default_rng(2)
    x, y = rng.random((300, 2)), rng.random((200, 2))
    a, b = (rng.random(n).astype("float32") for n in (300, 200))
    a /= a.sum()
    b /= b.sum()
    gap = abs(a.sum(dtype=float) - b.sum(dtype=float))
    assert 1e-12 < gap < 1e-6
    assert monge.solve_sample(x, y, a, b, epsilon=0.1).converged
    with pytest.raises(ValueError, match="mass"):
        monge.solve_sample(x, y, a.astype(float), b.astype(float), epsilon=0.1)


def test_line_is_a_column():
    with pytest.raises(ValueError, match=r"x\[:, None\]"):
        solve(np.arange(3.0), np.arange(3.0))
    with pytest.raises(ValueError, match=r"wanted \(n, d\)"):
        solve(np.zeros((2, 2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"a has shape \(2, 1\)"):
        solve(np.zeros((2, 2)), np.zeros((2, 2)), np.ones((2, 1)))


def test_masked_and_ragged_are_refused(clouds):
    with pytest.raises(ValueError, match="masked"):
        solve(np.ma.masked_array(clouds.x), clouds.y)
    with pytest.raises(ValueError, match="x cannot be read"):
        solve([[0.0], [1.0, 2.0]], clouds.y)


def test_views_are_taken_without_a_copy():
    """The plan reads the caller's own points: documented, and what saves the memory."""
    values = np.ones((4, 3))
    plan = monge.solve(values, epsilon=1.0).plan
    assert plan.dense().sum() == pytest.approx(1)
    from monge import _arrays

    assert np.shares_memory(_arrays.points(values, "x"), values)
    assert np.shares_memory(_arrays.cost_matrix(values.T), values)
    assert np.shares_memory(_arrays.points(values[::2, ::-1], "x"), values)


# ---- DLPack


def test_dlpack_objects(clouds):
    x, y, a, b = clouds
    want = solve(x, y, a, b)
    got = solve(*(Foreign(v) for v in (x, y, a, b)))
    assert type(got.a_to_b) is np.ndarray and got.value == want.value
    r = solve(Namespaced(x), Namespaced(y))
    assert isinstance(r.potential_a, Namespaced)
    assert isinstance(r.plan @ Namespaced(np.ones(9)), Namespaced)
    assert isinstance(r.plan @ np.ones(9), np.ndarray)


@pytest.mark.skipif(any("cuda" in part for part in _core.components()), reason="has the backend")
def test_arrays_on_a_gpu_are_not_available(clouds):
    x, y, *_ = clouds
    with pytest.raises(monge.NotAvailable, match="y") as caught:
        solve(x, Foreign(y, device=(2, 0)))
    assert isinstance(caught.value, NotImplementedError)


@pytest.mark.filterwarnings("ignore:.*truncated:UserWarning")
def test_jax(clouds):
    jax = pytest.importorskip("jax")
    jnp, host = jax.numpy, jax.devices("cpu")[0]  # test_gpu.py has the others
    x, y, a, b, ones = (jax.device_put(v.astype("float32"), host) for v in (*clouds, np.ones(9)))
    r = solve(x, y, a, b)
    for array in (r.potential_a, r.a_to_b, r.marginal_b, r.gradient().dx, r.plan @ ones):
        assert isinstance(array, jax.Array) and array.dtype == jnp.float32
    assert r.value == solve(*(np.asarray(v) for v in (x, y, a, b))).value
    with pytest.raises(ValueError, match="bfloat16"):
        solve(x.astype(jnp.bfloat16), y)


def test_torch(clouds):
    torch = pytest.importorskip("torch")
    x, y, a, b = (torch.tensor(v) for v in clouds)
    want = solve(*clouds)
    r = solve(x.t().contiguous().t(), y.expand(9, 2), a, b)
    assert isinstance(r.a_to_b, torch.Tensor) and r.a_to_b.dtype == torch.float64
    assert r.value == want.value
    assert isinstance(r.plan @ torch.ones(9), torch.Tensor)
    tape = solve(x.requires_grad_(True), y, a, b)
    assert not tape.potential_a.requires_grad and tape.value == want.value
    with pytest.raises(ValueError, match=r"\.to\(torch\.float32\)"):
        solve(x.detach().to(torch.bfloat16), y)


class OnGpu(Foreign):
    """A CUDA array as DLPack shows it; its memory is never read in these tests."""

    def __init__(self, array, index=0):
        super().__init__(array, device=(2, index))
        self.shape, self.streams = array.shape, []

    def __dlpack__(self, *, stream=None, **keywords):
        self.streams.append(stream)
        return self.array.__dlpack__()

    def astype(self, dtype):
        return OnGpu(self.array.astype(dtype), self.device[1])

    def __getitem__(self, key):
        return OnGpu(self.array[key], self.device[1])


def capsule_on_gpu(array, index):
    """The DLPack capsule of a NumPy array, its device field overwritten."""
    capsule = array.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = pointer(capsule, b"dltensor")
    device = (ctypes.c_int32 * 2).from_address(tensor + ctypes.sizeof(ctypes.c_void_p))
    device[0], device[1] = 2, index  # kDLCUDA
    return capsule


@pytest.mark.skipif(any("cuda" in part for part in _core.components()), reason="has the backend")
def test_a_build_without_cuda_says_so(clouds):
    x, y, _, _ = clouds.astype("float32")
    with pytest.raises(
        monge.NotAvailable, match=r"y is on cuda:3, and this build has no CUDA backend"
    ):
        solve(x, OnGpu(y, 3))


def test_arrays_on_a_gpu_are_described_and_exported_on_the_callers_stream(monkeypatch):
    array = _device.DeviceArray(OnGpu(np.ones((4, 3), np.float32), 2))
    assert (array.device, array.shape, array.ndim, len(array)) == ("cuda:2", (4, 3), 2, 4)
    assert array.dtype == np.float32
    assert array.astype(np.float32) is array
    assert array.astype("float64").dtype == np.float64
    assert array[:, None].shape == (4, 1, 3)
    assert array.__dlpack_device__() == (2, 2)

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    array.__dlpack__(max_version=(1, 1))
    assert array.value.streams == [1]  # CUDA's legacy default stream

    def stream_of(index):
        return types.SimpleNamespace(cuda_stream=100 + index)

    cuda = types.SimpleNamespace(is_initialized=lambda: True, current_stream=stream_of)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    array.__dlpack__()
    assert array.value.streams == [1, 102]
    assert _device.current_stream("cuda:5") == 105
    assert _device.current_stream("cpu") == 0

    # torch's own arrays are read on torch's stream: it is not asked to wait for itself.
    tensor = type("Tensor", (OnGpu,), {"__module__": "torch"})(np.ones((4, 3), np.float32), 2)
    exporter = types.SimpleNamespace(to_dlpack=lambda value: ("capsule", value))
    monkeypatch.setitem(sys.modules, "torch.utils.dlpack", exporter)
    assert _device.DeviceArray(tensor).__dlpack__() == ("capsule", tensor)
    assert tensor.streams == []


def test_arrays_of_several_devices_are_named(clouds, monkeypatch):
    # With every device allowed in, the core is the one that refuses.
    monkeypatch.setattr(_arrays, "has_cuda", lambda: True)
    x, y, _, b = clouds.astype("float32")
    real = _arrays.DeviceArray

    class Claimed(real):
        def __dlpack__(self, **keywords):  # memory of the host that says it is a GPU's
            return capsule_on_gpu(self.value.array, self.value.device[1])

    monkeypatch.setattr(_arrays, "DeviceArray", Claimed)
    with pytest.raises(monge.InvalidArgument, match=r"y is on cuda:1 but x is on cpu") as error:
        solve(x, OnGpu(y, 1))
    assert error.value.argument == "y"
    with pytest.raises(ValueError, match=r"b is on cuda:0 but x is on cpu"):
        solve(x, y, None, OnGpu(b, 0))
