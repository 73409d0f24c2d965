"""monge gradient and monge hvp: files in and out. Numbers are tested in C++."""

import numpy as np


def test_gradient_writes_what_moves_the_value(monge, clouds, tmp_path):
    arguments = ["x.npy", "y.npy", "--epsilon", "0.1", "--rho", "1", "--tolerance", "1e-12"]
    report = monge.report("gradient", *arguments, "--out", "slopes")
    dx = np.load(tmp_path / "slopes/dx.npy")
    assert dx.shape == (30, 2)
    assert np.load(tmp_path / "slopes/db.npy").shape == (20,)
    # Sums of as many squares in another order.
    rounding = dx.size * 2.0**-53
    np.testing.assert_allclose(report["norms"]["dx"], np.linalg.norm(dx), rtol=rounding)
    along = np.random.default_rng(0).standard_normal(dx.shape)
    x, step, values = np.load(tmp_path / "x.npy"), 1e-4, []
    for sign in (1, -1):
        np.save(tmp_path / "moved.npy", x + sign * step * along)
        values.append(monge.report("solve", "moved.npy", *arguments[1:])["value"])
    np.testing.assert_allclose((values[0] - values[1]) / (2 * step), np.sum(dx * along), rtol=1e-6)


def test_hvp_moves_the_gradient(monge, clouds, tmp_path):
    arguments = ["y.npy", "--epsilon", "0.1", "--rho", "1", "--tolerance", "1e-12"]
    x, step, slopes = np.load(tmp_path / "x.npy"), 1e-4, []
    along = np.random.default_rng(1).standard_normal(x.shape)
    np.savez(tmp_path / "along.npz", dx=along)
    report = monge.report("hvp", "x.npy", *arguments, "--along", "along.npz", "--out", "product")
    assert report["hvp"]["converged"]
    for sign in (1, -1):
        np.save(tmp_path / "moved.npy", x + sign * step * along)
        monge("gradient", "moved.npy", *arguments, "--out", f"slopes{sign}")
        slopes.append(np.load(tmp_path / f"slopes{sign}/dx.npy"))
    product = np.load(tmp_path / "product/dx.npy")
    np.testing.assert_allclose((slopes[0] - slopes[1]) / (2 * step), product, atol=1e-6)

    np.savez(tmp_path / "three.npz", dx=np.stack([along, 2 * along, -along]))
    monge("hvp", "x.npy", *arguments, "--along", "three.npz", "--out", "products")
    three = np.load(tmp_path / "products/dx.npy")
    assert three.shape == (3, 30, 2)
    np.testing.assert_allclose(three[1], 2 * product, atol=1e-6)


def test_directions_that_fit_nothing(monge, clouds, tmp_path):
    arguments = ["hvp", "x.npy", "y.npy", "--epsilon", "0.1", "--rho", "1", "--along"]
    np.savez(tmp_path / "z.npz", z=np.ones(3))
    assert "holds 'z'" in monge.error(*arguments, "z.npz", code=2)
    np.savez(tmp_path / "short.npz", dx=np.ones((4, 2)))
    assert "dx has shape (4, 2), wanted (30, 2)" in monge.error(*arguments, "short.npz", code=2)
    np.savez(tmp_path / "mixed.npz", dx=np.ones((2, 30, 2)), da=np.ones(30))
    assert "several directions" in monge.error(*arguments, "mixed.npz", code=2)
