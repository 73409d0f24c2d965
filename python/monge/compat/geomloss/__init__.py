"""GeomLoss's names on monge.

    from monge.compat.geomloss import SamplesLoss, ot

``SamplesLoss`` and ``ot.solve, solve_batch, solve_sample, solve_sample_batch`` take GeomLoss 0.3's arguments, NumPy
arrays and torch tensors. Results meet a tolerance instead of following a schedule to its end, and torch's gradients
are those of the value, by the envelope theorem. Other losses than "sinkhorn", callable costs and kernels raise
NotImplementedError.
"""

from . import ot
from ._samples_loss import SamplesLoss

__all__ = ["SamplesLoss", "ot"]
