"""The examples that derivatives are for, at their small sizes."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
EXAMPLES = next(
    folder / "examples"
    for folder in Path(__file__).resolve().parents
    if (folder / "examples").exists()
)


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def test_newtons_flow_of_the_divergence_arrives(example):
    pytest.importorskip("torch")
    flow = example("newton_flow")
    _, values = flow.run(flow.newton, goal=1e-6, budget=25)
    assert values[-1] < 1e-6
    _, slower = flow.run(flow.euler, goal=1e-4, budget=10)
    assert slower[-1] < 1e-4 and len(slower) == 6


def test_shuffled_regression_is_solved_with_and_without_gradient_steps(example):
    regression = example("shuffled_regression")
    data = regression.load()
    steps = list(regression.descend(data, regression.converged))
    assert steps[0].loss == pytest.approx(171.4566, abs=1e-4)
    assert np.linalg.eigvalsh(regression.hessian(data, steps[-1]))[0] > 0
    for start in (steps[-1].w, data.start):
        path = regression.until_still(regression.newton(data, regression.converged, start))
        assert path[-1].loss == pytest.approx(0.2364, abs=5e-5)
        assert np.linalg.norm(path[-1].w - data.w) == pytest.approx(0.135, abs=5e-4)
        assert len(path) <= 10
    assert regression.picture(data, [steps, path]).height == 480


@pytest.mark.skipif(
    "MONGE_FULL" not in os.environ, reason="minutes of plain iterations: MONGE_FULL=1"
)
def test_gradient_steps_of_shuffled_regression_are_the_papers(example):
    """Stage 1, whose solves stop early or at 100 000 iterations: to the digits that it reports."""
    regression = example("shuffled_regression")
    data = regression.load()
    steps = list(regression.descend(data, regression.plain))
    reported = "171.4565 142.2288 141.0361 107.9765 90.6729 85.8281 80.0678 94.4056 56.2026 55.7254 47.6222"
    assert [f"{point.loss:.4f}" for point in steps] == reported.split()
    np.testing.assert_allclose(steps[-1].w, data.descended, atol=1e-6)


def test_newtons_path_in_shuffled_regression_is_the_papers(example):
    """Where its gradient steps end, by its own solves, which stop early: to the digits that it reports, and one step on."""
    regression = example("shuffled_regression")
    data = regression.load()
    path = regression.until_still(regression.half_newton(data, regression.plain, data.descended))
    reported = "47.6222 12.5706 3.3627 1.0384 0.4968 0.3028 0.2520 0.2404 0.2374 0.2367 0.2365"
    assert [f"{point.loss:.4f}" for point in path[:11]] == reported.split()
    assert len(path) == 12 and np.linalg.norm(path[-1].w - data.w) == pytest.approx(
        0.1327, abs=5e-5
    )


def test_a_hessian_in_parameters_is_that_of_the_loss(example):
    """Central differences of gradients, each wrong by at most what solves leave, 1e-6 of it; their own error, of the third
    order in the step, is a tenth of that."""
    regression = example("shuffled_regression")
    data = regression.load()
    w, step = data.w + 0.1, 2e-3 * np.cos(np.arange(10.0)).reshape(5, 2)
    either = [regression.evaluate(data, w + sign * step, regression.converged) for sign in (1, -1)]
    want = (either[0].slope - either[1].slope).ravel() / 2
    got = regression.hessian(data, regression.evaluate(data, w, regression.converged))
    size = np.linalg.norm(either[0].slope)
    assert np.linalg.norm(want) > 1e-3 * size
    np.testing.assert_allclose(got @ step.ravel(), want, rtol=0, atol=1e-6 * size)


def test_registration_finds_the_map(example):
    """The loss is 0 at the truth. What solves leave, L1 1e-8 of a gradient of at most 2 |x| |y|, moves the minimum by that over
    the smallest eigenvalue there."""
    registration, regression = example("registration"), example("shuffled_regression")
    data = registration.moved(120)
    path = registration.register(data)
    size = max(np.linalg.norm(points, axis=1).max() for points in (data.x, data.y))
    lowest = np.linalg.eigvalsh(regression.hessian(data, path[-1]))[0]
    assert lowest > 0
    assert np.linalg.norm(path[-1].w - data.w) < 2 * size**2 * 1e-8 / lowest
    assert registration.picture(data, path).height == 480
