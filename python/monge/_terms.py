"""What the keywords of a differentiable face say of the problem."""

from __future__ import annotations

from typing import Any

from . import _core
from ._divergence import divergence_options
from ._keywords import Ground, epsilon_of, marginals_of_reach, number, precision_of
from ._options import of

_VERB = "sinkhorn_divergence"
_MEASURES = ("cost", "cost_factor", "blur", "reach", "marginals", "threads")


class Terms:
    """Cost, epsilon and marginals, and how to solve."""

    def __init__(self, given: dict[str, Any]):
        defaults = {option.name: option.default_in(_VERB) for option in of(_VERB)}
        keywords = defaults | given
        self.debias = keywords.pop("debias", False)
        self.ground = Ground.of(keywords["cost"], keywords["cost_factor"])
        self.epsilon = epsilon_of(keywords["epsilon"], keywords["blur"], self.ground)
        self.sides = marginals_of_reach(keywords["marginals"], None, keywords["reach"], self.ground)
        self.threads = keywords["threads"]
        self.tolerance, self.precision = keywords["tolerance"], keywords["precision"]
        self.widens = _core.widens(
            precision_of(self.precision), number(self.tolerance, "tolerance")
        )
        self.solver = {name: v for name, v in keywords.items() if name not in _MEASURES}

    def options(self, masses: float, gradients: bool) -> _core.DivergenceOptions:
        """For the core's divergences; `masses`: how well those of Balanced sides must agree."""
        solver = self.solver | {"epsilon": self.epsilon, "verify": False}
        return divergence_options(self.ground, self.sides, masses, gradients, **solver)
