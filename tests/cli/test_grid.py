"""--grid: masses on grids, of solve and divergence."""

import numpy as np
import pytest


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(3)
    a, b = rng.random((6, 5)), rng.random((4, 7))
    a[2], b[0, 0] = 0, 0
    np.save(tmp_path / "a.npy", a / a.sum())
    np.save(tmp_path / "b.npy", np.asfortranarray(b / b.sum()))
    axes = [np.arange(n) * 0.2 for n in a.shape]
    x = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    axes = [0.1 + np.arange(n) * s for n, s in zip(b.shape, (0.3, 0.15), strict=True)]
    y = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    np.savez(tmp_path / "x.npz", points=x, weights=(a / a.sum()).ravel())
    np.savez(tmp_path / "y.npz", points=y, weights=(b / b.sum()).ravel())
    return tmp_path


GRID = ("a.npy", "b.npy", "--grid", "--spacing", "0.2", "--target-spacing", "0.3,0.15",
        "--target-origin", "0.1")  # fmt: skip
HOW = ("--epsilon", "0.05", "--tolerance", "1e-10")


def test_solves_like_the_points_and_writes_grids(monge, images):
    report = monge.report("solve", *GRID, *HOW, "--out", "of_grids")
    points = monge.report("solve", "x.npz", "y.npz", *HOW, "--out", "of_points")
    assert report["value"] == pytest.approx(points["value"], abs=1e-9)
    assert report["problem"]["points"] == [30, 28]
    assert report["problem"]["grid"]["target"] == {
        "shape": [4, 7], "spacing": [0.3, 0.15], "origin": [0.1, 0.1]
    }  # fmt: skip
    assert points["problem"]["grid"] is None
    for name, shape in {
        "f": (6, 5), "g": (4, 7), "marginal_source": (6, 5), "source_to_target": (6, 5, 2),
        "target_to_source": (4, 7, 2), "source_to_target_valid": (6, 5),
    }.items():  # fmt: skip
        ours = np.load(images / "of_grids" / f"{name}.npy")
        theirs = np.load(images / "of_points" / f"{name}.npy")
        assert ours.shape == shape
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-8)


def test_saves_what_python_loads_and_starts_from_it(monge, images):
    report = monge.report("solve", *GRID, *HOW, "--save", "s.npz")
    with np.load(images / "s.npz") as file:
        assert file["format"] == 2
        np.testing.assert_array_equal(file["grid_shape"], [[6, 5], [4, 7]])
        np.testing.assert_array_equal(file["grid_spacing"], [[0.2, 0.2], [0.3, 0.15]])
    again = monge.report("solve", *GRID, *HOW, "--initial", "s.npz")
    assert again["iterations"] < report["iterations"]


def test_diverges_like_the_points(monge, images):
    report = monge.report("divergence", *GRID, *HOW)
    points = monge.report("divergence", "x.npz", "y.npz", *HOW)
    assert report["value"] == pytest.approx(points["value"], abs=1e-9)


def test_periodic_axes(monge, tmp_path):
    a, b = np.zeros(10), np.zeros(10)
    a[9] = b[0] = 1
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    report = monge.report(
        "solve", "a.npy", "b.npy", "--grid", "--periodic", "0", "--epsilon", "0.1"
    )
    assert report["terms"]["linear"] == pytest.approx(1)
    assert "axis 1" in monge.error(
        "solve", "a.npy", "b.npy", "--grid", "--periodic", "1", "--epsilon", "0.1", code=2
    )


def test_refusals(monge, images):
    np.save(images / "deep.npy", np.ones((1, 1, 1, 1)))
    assert "1 to 3 axes" in monge.error("solve", "deep.npy", "b.npy", "--grid", *HOW, code=5)
    assert ".npy" in monge.error("solve", "x.npz", "y.npz", "--grid", *HOW, code=5)
    assert "3 entries" in monge.error(
        "solve", "a.npy", "b.npy", "--grid", "--spacing", "1,1,1", *HOW, code=2
    )
    assert "--grid" in monge.error("solve", "x.npz", "y.npz", "--spacing", "1", *HOW, code=2)
    assert "euclidean" in monge.error(
        "solve", "a.npy", "b.npy", "--grid", "--cost", "euclidean", *HOW, code=2
    )
