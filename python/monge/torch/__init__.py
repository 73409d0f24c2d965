"""monge for PyTorch: losses and transport that autograd differentiates, twice.

    loss = monge.torch.SamplesLoss(blur=0.1)
    loss(x, y).backward()

`SamplesLoss` is the loss of FlashSinkhorn and GeomLoss; `sinkhorn` and `sinkhorn_divergence` take the
keywords of `monge.solve_sample` and `monge.divergence`; the functions whose names end in ``sqeuclid`` are
those of FlashSinkhorn. Derivatives are closed forms at the solution: nothing is recorded while it is found.
Tensors live on the CPU or a GPU, in float32 or float64.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "monge.torch needs PyTorch, which is not installed: pip install torch"
    ) from error

from .._clouds import Transport
from ._flash import (
    HvpInfo,
    geomloss_to_ott_potentials,
    hvp_x_sqeuclid,
    hvp_x_sqeuclid_from_potentials,
    implicit_grad_x,
    ott_to_geomloss_potentials,
    sinkhorn_geomloss_online_grad_sqeuclid,
    sinkhorn_geomloss_online_potentials_sqeuclid,
)
from ._functional import Product, hvp, sinkhorn, sinkhorn_divergence
from ._loss import SamplesLoss
from ._newton import InverseHvpInfo, inverse_hvp_x_sqeuclid_from_potentials
from ._semi_dual import c_transform_cost, c_transform_fwd

__all__ = [
    "HvpInfo",
    "InverseHvpInfo",
    "Product",
    "SamplesLoss",
    "Transport",
    "c_transform_cost",
    "c_transform_fwd",
    "geomloss_to_ott_potentials",
    "hvp",
    "hvp_x_sqeuclid",
    "hvp_x_sqeuclid_from_potentials",
    "implicit_grad_x",
    "inverse_hvp_x_sqeuclid_from_potentials",
    "ott_to_geomloss_potentials",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_geomloss_online_grad_sqeuclid",
    "sinkhorn_geomloss_online_potentials_sqeuclid",
]
