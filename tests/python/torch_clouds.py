"""Clouds and losses that the tests of monge.torch share."""

import torch

import monge
import monge.torch as mt

DOUBLE = {"dtype": torch.float64}


def measures(n=6, m=5, d=2, seed=0, masses=(1.3, 0.7)):
    """Clouds with weights neither uniform nor of equal mass."""
    gen = torch.Generator().manual_seed(seed)
    x = torch.rand(n, d, generator=gen, **DOUBLE)
    y = torch.rand(m, d, generator=gen, **DOUBLE) * 0.8 + 0.3
    a = torch.rand(n, generator=gen, **DOUBLE) + 0.3
    b = torch.rand(m, generator=gen, **DOUBLE) + 0.3
    return x, y, masses[0] * a / a.sum(), masses[1] * b / b.sum()


def leaves(*tensors):
    return [t.clone().requires_grad_() for t in tensors]


def balanced(sides):
    return sides == monge.Balanced()


def on_simplex(function, sides):
    """Of balanced sides, weights go through a softmax: only there is the value defined."""
    if not balanced(sides):
        return function
    return lambda x, y, a, b: function(x, y, a.softmax(0), b.softmax(0))


def losses(sides, **options):
    given = {"epsilon": 0.2, "marginals": sides, "tolerance": 1e-12, **options}
    return {
        "transport": lambda x, y, a, b: mt.sinkhorn(x, y, a, b, **given).value,
        "divergence": lambda x, y, a, b: mt.sinkhorn_divergence(x, y, a, b, **given),
    }
