"""Marginals that the tests of monge.torch and monge.jax go through."""

import monge

SIDES = {
    "balanced": monge.Balanced(),
    "kl": monge.KL(0.6),
    "two strengths": (monge.KL(0.3), monge.KL(2.0)),
    "semi": (monge.KL(0.5), monge.Balanced()),
    "tv": monge.TV(0.9),
}
