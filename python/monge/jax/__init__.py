"""monge for JAX: transport that ``jax.grad`` differentiates, twice, under ``jit`` and ``vmap``.

    jax.jit(jax.grad(lambda x: monge.jax.sinkhorn_divergence(x, y, blur=0.1)))(x)

`solve` and `sinkhorn_divergence` take the keywords of `monge.solve_sample` and `monge.divergence`, which are static
under ``jit``. Derivatives are closed forms at the solution: nothing is recorded while it is found. Arrays live on the
CPU or a GPU, in float32 or, with ``jax_enable_x64``, float64.
"""

try:
    import jax as _jax  # noqa: F401
except ImportError as error:
    raise ImportError("monge.jax needs JAX, which is not installed: pip install jax") from error

from .._clouds import Transport
from ._functional import sinkhorn_divergence, solve

__all__ = ["Transport", "sinkhorn_divergence", "solve"]
