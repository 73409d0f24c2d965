"""Flows a disc of particles onto two half-moons: the gradient flow of the Sinkhorn divergence, and Newton's.

Particles x move to lower `S(x, y)`, the divergence to 200 target points (cost |x - y|^2 / 2, epsilon 0.05). Euler's step
along the gradient over the particles' weights is the Wasserstein gradient flow; Newton's solves with the Hessian inside
a trust region, by Steihaug's conjugate gradients, whose products are those of torch's double backward. At the end both
are only as good as the minimum is steep, which at y = x it is not. Needs torch:

    python examples/newton_flow.py [--out DIR] [--goal 1e-6]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pictures
import torch

import monge.torch

COUNT = 200
EPSILON = 0.05
BOX = (-1.0, -1.2, 3.2, 1.2)
RADIUS = 0.3  # of the first trust region, in the mean displacement of a particle

Loss = Callable[[torch.Tensor], torch.Tensor]


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    """A sunflower's disc, and two half-moons."""
    k = torch.arange(COUNT, dtype=torch.float64)
    turn = math.pi * (1 + math.sqrt(5)) * k
    disc = 0.8 * ((k + 0.5) / COUNT).sqrt()[:, None] * torch.stack([turn.cos(), turn.sin()], 1)
    t = math.pi * (torch.arange(COUNT // 2, dtype=torch.float64) + 0.5) / (COUNT // 2)
    upper = torch.stack([1 + t.cos(), t.sin() - 0.5], 1)
    lower = torch.stack([2 - t.cos(), -t.sin()], 1)
    return disc, torch.cat([upper, lower])


def euler(loss: Loss, x: torch.Tensor) -> Iterator[tuple[torch.Tensor, float]]:
    """Particles and values, step by step."""
    while True:
        point = x.clone().requires_grad_()
        value = loss(point)
        yield x, float(value.detach())
        (slope,) = torch.autograd.grad(value, point)
        x = x - len(x) * slope


def newton(loss: Loss, x: torch.Tensor) -> Iterator[tuple[torch.Tensor, float]]:
    """Particles and values, trial by trial: also of steps that are taken back."""
    radius = RADIUS * math.sqrt(len(x))
    point = x.clone().requires_grad_()
    value = loss(point)
    (slope,) = torch.autograd.grad(value, point, create_graph=True)
    yield x, float(value.detach())
    while True:

        def product(
            v: torch.Tensor, at: torch.Tensor = point, g: torch.Tensor = slope
        ) -> torch.Tensor:
            return torch.autograd.grad((g * v).sum(), at, retain_graph=True)[0]

        step, promised, at_bound = steihaug(product, slope.detach(), radius)
        trial = (x + step).requires_grad_()
        found = loss(trial)
        (there,) = torch.autograd.grad(found, trial, create_graph=True)
        ratio = float((value - found).detach()) / promised
        if ratio < 0.25:
            radius = float(step.norm()) / 4
        elif ratio > 0.75 and at_bound:
            radius *= 2
        if ratio > 0.1:
            x, point, value, slope = trial.detach(), trial, found, there
        yield x, float(value.detach())


def steihaug(
    product: Callable[[torch.Tensor], torch.Tensor], slope: torch.Tensor, radius: float
) -> tuple[torch.Tensor, float, bool]:
    """A step to lower <slope, z> + <z, H z>/2 with |z| <= radius, what it promises, and whether it ends at the bound."""
    tolerance = min(0.1, math.sqrt(float(slope.norm()))) * float(slope.norm())
    z, image_of_z = torch.zeros_like(slope), torch.zeros_like(slope)
    residual, direction = slope, -slope
    bound = False
    for _ in range(slope.numel()):
        image = product(direction)
        curvature = float((direction * image).sum())
        square = float(residual.square().sum())
        length = square / curvature if curvature > 0 else math.inf
        if float((z + min(length, 1e300) * direction).norm()) >= radius:
            length, bound = to_the_bound(z, direction, radius), True
        z, image_of_z = z + length * direction, image_of_z + length * image
        residual = residual + length * image
        if bound or float(residual.norm()) <= tolerance:
            break
        direction = float(residual.square().sum()) / square * direction - residual
    return z, -float((slope * z).sum() + (z * image_of_z).sum() / 2), bound


def to_the_bound(z: torch.Tensor, direction: torch.Tensor, radius: float) -> float:
    """How far from z along the direction the ball of the radius ends."""
    a, b = float(direction.square().sum()), float((z * direction).sum())
    c = float(z.square().sum()) - radius**2
    return (math.sqrt(b * b - a * c) - b) / a


def run(
    method: Callable[[Loss, torch.Tensor], Iterator[tuple[torch.Tensor, float]]],
    goal: float,
    budget: int,
) -> tuple[torch.Tensor, list[float]]:
    """Particles where the value falls below the goal or the budget of steps ends, and all values."""
    start, y = clouds()
    sharp = monge.torch.SamplesLoss(eps=EPSILON, half_cost=True, threshold=1e-10)
    values: list[float] = []
    for x, value in method(lambda x: sharp(x, y), start):
        values.append(value)
        if value < goal or len(values) > budget:
            return x, values
    raise AssertionError("a flow has no end of its own")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--goal", type=float, default=1e-6)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for method in (euler, newton):
        x, values = run(method, arguments.goal, budget=200)
        path = arguments.out / f"flow_{method.__name__}.png"
        layers = [(clouds()[1].tolist(), pictures.ORANGE, 5), (x.tolist(), pictures.BLUE, 3)]
        pictures.clouds(layers, BOX).save(path)
        print(f"{method.__name__:6} {len(values) - 1:4} steps to {values[-1]:.2e}: {path}")


if __name__ == "__main__":
    main()
