"""Small clouds with weights that are neither uniform nor of equal mass."""

from typing import NamedTuple

import numpy as np
import pytest


class Clouds(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray

    def cost(self) -> np.ndarray:
        return ((self.x[:, None] - self.y[None]) ** 2).sum(-1)

    def astype(self, dtype: str) -> "Clouds":
        return Clouds(*(array.astype(dtype) for array in self))


@pytest.fixture
def clouds() -> Clouds:
    """Unbalanced: masses 1.4 and 0.9."""
    rng = np.random.default_rng(3)
    a, b = rng.random(12) + 0.5, rng.random(9) + 0.5
    return Clouds(
        rng.random((12, 2)), rng.random((9, 2)) * 0.8 + 0.3, 1.4 * a / a.sum(), 0.9 * b / b.sum()
    )
