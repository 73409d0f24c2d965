"""Registers one cloud in space with another: an affine map is found by Newton's method on transport.

A shell, given by a formula and sampled by a seed, and its image under a rotation, a stretch along the axes and a shift, its
points in no known order. The loss of a map x W + t is the debiased divergence between the image of the first cloud and the
second, which is 0 at the truth and nowhere below; gradient and Hessian in the 12 numbers are exact. A coarse epsilon first
finds the turn, a fine one the rest. With `--full` the clouds have 3500 points, and the setting of the OTT-Hessian paper
(arXiv 2407.02015) follows: no shift, noise of 0.02, and the transport objective as the loss, from a start that is far off.

    python examples/registration.py [--out DIR] [--full]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pictures
from shuffled_regression import Data, Point, newton, told, until_still

import monge

EPSILONS = (0.1, 0.01)
SMALLEST = 1e-10  # improvement of the loss: the minimum is 0


def shell(count: int, rng: np.random.Generator) -> np.ndarray:
    """Points of a snail's shell, a tube that grows as it winds: no motion but the identity maps it to itself."""
    turn, around = 6 * np.pi * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
    wide = np.exp(0.12 * turn)
    points = np.stack(
        [
            wide * (2 + np.cos(around)) * np.cos(turn),
            wide * (2 + np.cos(around)) * np.sin(turn),
            wide * (np.sin(around) - 4),
        ],
        axis=1,
    )
    points -= points.mean(0)
    return points / np.linalg.norm(points, axis=1).max()


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """By Rodrigues' formula."""
    a, b, c = axis / np.linalg.norm(axis)
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def moved(count: int, seed: int = 0) -> Data:
    """The shell with a coordinate 1, so that the last row of w is the shift; its image, shuffled; the identity to begin."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([shell(count, rng), np.ones(count)])
    turned = rotation(np.array([1.0, 2.0, -1.0]), 0.8) @ np.diag([1.2, 0.8, 1.1])
    w = np.vstack([turned, [0.3, -0.2, 0.4]])
    return Data(x, rng.permutation(x @ w), w, np.eye(4, 3), np.empty((0, 0)))


def noisy(count: int, seed: int = 10) -> Data:
    """The paper's: a turn, stretches by 1 to 3, noise; a start that is off by about 3."""
    rng = np.random.default_rng(seed)
    x = shell(count, rng)
    w = rotation(rng.normal(size=3), rng.uniform(0, np.pi)) @ np.diag(rng.uniform(1, 3, 3))
    y = rng.permutation(x @ w + 0.02 * rng.normal(size=x.shape))
    return Data(x, y, w, w + rng.normal(size=w.shape), np.empty((0, 0)))


def divergence(epsilon: float, x: np.ndarray, y: np.ndarray) -> tuple[Any, float]:
    found = monge.divergence(x, y, epsilon=epsilon, tolerance=1e-8, gradients=True)
    return found, found.value


def transport(epsilon: float, x: np.ndarray, y: np.ndarray) -> tuple[Any, float]:
    found = monge.solve_sample(x, y, epsilon=epsilon)
    return found, found.value


def register(data: Data) -> list[Point]:
    path: list[Point] = []
    for epsilon in EPSILONS:
        start = path[-1].w if path else data.start
        path += until_still(newton(data, partial(divergence, epsilon), start), SMALLEST)
    return path


def picture(data: Data, path: list[Point]) -> Any:
    """The image of the first cloud over the second, before and after, seen along an axis; and the losses."""
    box = (*data.y[:, :2].min(0) - 0.3, *data.y[:, :2].max(0) + 0.3)
    views = [
        pictures.clouds(
            [
                (data.y[:, :2], pictures.ORANGE, 4),
                ((data.x @ point.w)[:, :2], pictures.BLUE, 2),
            ],
            box,
        )
        for point in (path[0], path[-1])
    ]
    losses = [max(point.loss, 1e-12) for point in path]
    return pictures.row([*views, pictures.curves([(losses, pictures.BLUE)])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--full", action="store_true", help="3500 points, and the paper's setting")
    arguments = parser.parse_args()
    count = 3500 if arguments.full else 300
    data = moved(count)
    path = told(f"divergence, {count} points", data, lambda: register(data), ".1e")
    arguments.out.mkdir(parents=True, exist_ok=True)
    place = arguments.out / "registration.png"
    picture(data, path).save(place)
    print(place)
    if arguments.full:
        other = noisy(count)
        solve = partial(transport, 0.01)
        told("the paper's setting", other, lambda: until_still(newton(other, solve, other.start)))


if __name__ == "__main__":
    main()
