"""monge.torch on a GPU: as on the CPU. Skipped without one."""

import pytest

import monge
from monge import _core

torch = pytest.importorskip("torch")
if len(_core.devices()) < 2 or not torch.cuda.is_available():
    pytest.skip("no GPU, or a build without CUDA", allow_module_level=True)

from torch_clouds import DOUBLE, leaves, losses, measures, on_simplex  # noqa: E402

import monge.torch as mt  # noqa: E402


def there(*tensors):
    return [t.cuda() for t in tensors]


@pytest.mark.parametrize("name", ["transport", "divergence"])
@pytest.mark.parametrize("sides", [monge.Balanced(), monge.KL(0.6), (monge.KL(0.3), monge.KL(2.0))])
def test_derivatives(name, sides):
    loss = on_simplex(losses(sides, tolerance=1e-13)[name], sides)
    inputs = leaves(*there(*measures()))
    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("debias", [False, True])
@pytest.mark.parametrize("dim", [3, 64])
def test_values_and_gradients_are_those_of_the_cpu(debias, dim):
    x, y, a, b = measures(70, 50, dim)
    loss = mt.SamplesLoss(blur=0.3 * dim**0.5, reach=1.5 * dim**0.5, debias=debias, threshold=1e-9)
    found = []
    for move in (list, lambda parts: there(*parts)):
        inputs = leaves(*move([torch.stack([t, t]) for t in (x, y, a, b)]))
        values = loss(inputs[2], inputs[0], inputs[3], inputs[1])
        assert values.device == inputs[0].device
        slopes = torch.autograd.grad(values.sum(), inputs)
        found.append([t.detach().cpu() for t in (values, *slopes)])
    for host, gpu in zip(*found, strict=True):
        torch.testing.assert_close(gpu, host, rtol=1e-7, atol=1e-9)


def test_potentials_and_products():
    x, y, a, b = there(*measures())
    options = {"epsilon": 0.2, "marginals": monge.KL(0.6), "tolerance": 1e-13}

    def potentials(x, a):
        return mt.sinkhorn(x, y, a, b, **options).potential_a

    assert torch.autograd.gradcheck(potentials, leaves(x, a))
    here = [t.cpu() for t in (x, y, a, b)]
    want = mt.hvp(*here, dx=torch.cos(here[0]), debias=True, **options)
    got = mt.hvp(x, y, a, b, dx=torch.cos(x), debias=True, **options)
    for gpu, host in zip(got, want, strict=True):
        torch.testing.assert_close(gpu.cpu(), host, rtol=1e-7, atol=1e-9)


def test_compiles_on_another_stream_under_autocast():
    x, y = (t.half() for t in there(*measures(40, 30)[:2]))
    loss = mt.SamplesLoss(blur=0.3)
    with torch.cuda.stream(torch.cuda.Stream()), torch.autocast("cuda"):
        value = torch.compile(loss, fullgraph=True, backend="aot_eager")(x, y)
        torch.cuda.current_stream().synchronize()
    want = loss(x.float(), y.float())
    torch.testing.assert_close(value, want, rtol=0, atol=0)


def test_devices_must_agree():
    x, y, *_ = measures()
    with pytest.raises(monge.InvalidArgument, match=r"x is on cuda:0 but y on cpu"):
        mt.sinkhorn(x.cuda(), y, epsilon=1.0)
    with pytest.raises(monge.InvalidArgument, match=r"b on cpu"):
        mt.sinkhorn(x.cuda(), y.cuda(), b=torch.ones(5, **DOUBLE), epsilon=1.0)
