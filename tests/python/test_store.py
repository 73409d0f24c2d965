"""Solutions in files, and plans one after the other."""

from pathlib import Path

import numpy as np
import pytest

import monge

DATA = Path(__file__).parent / "data"


def same(got, want):
    """The same problem, report and plan, to the bit."""
    np.testing.assert_array_equal(got.plan.dense(), want.plan.dense())
    for name in [
        "value",
        "status",
        "converged",
        "marginal_error",
        "duality_gap",
        "iterations",
        "passes",
        "cost",
        "epsilon",
        "reference",
        "marginals",
        "masses",
        "shape",
        "transported_mass",
        "value_linear",
        "citation",
    ]:
        assert getattr(got, name) == getattr(want, name), name
    for pair in zip(got.potentials, want.potentials, strict=True):
        np.testing.assert_array_equal(*pair)
        assert pair[0].dtype == pair[1].dtype
    assert [c.marginal_error for c in got.trace] == [c.marginal_error for c in want.trace]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"marginals": monge.KL(0.7), "cost": ("power", 1.5)},
        {"total_mass": 0.3, "cost": "euclidean"},
        {"marginals": monge.KL(0.7), "reference": "counting"},
        {"marginals": monge.KL(0.7), "reference": (np.full(12, 0.3), np.full(9, 0.6))},
        {"marginals": monge.TV(0.2), "precision": "mixed"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip(clouds, tmp_path, options, dtype):
    x, y, a, b = clouds.astype(dtype)
    if not options:
        a, b = a / a.sum(), b / b.sum()
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, tolerance=1e-5, **options)
    solved.save(tmp_path / "s.npz")
    loaded = monge.load(tmp_path / "s.npz")
    same(loaded, solved)
    np.testing.assert_array_equal(loaded.a_to_b, solved.a_to_b)
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "s.npz").read_bytes()


def test_points_and_costs_may_stay_outside(clouds, tmp_path):
    x, y, a, b = clouds
    path = tmp_path / "s.npz"
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1))
    solved.save(path, points=False)
    same(monge.load(path, x=x, y=y, a=a, b=b), solved)
    with pytest.raises(monge.InvalidArgument, match="x is not stored") as error:
        monge.load(path, y=y, a=a, b=b)
    assert error.value.argument == "x"
    with pytest.raises(monge.InvalidArgument, match="another than the one"):
        monge.load(path, x=x + 1e-12, y=y, a=a, b=b)
    C = clouds.cost()
    matrix = monge.solve(C, a, b, epsilon=0.1, marginals=monge.KL(1))
    matrix.save(path)
    same(monge.load(path, C=C), matrix)
    same(monge.load(path, C=np.asfortranarray(C)), matrix)


def test_a_solution_starts_another(clouds, tmp_path):
    x, y, a, b = clouds
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1))
    solved.save(tmp_path / "s.npz")
    for start in (solved, monge.load(tmp_path / "s.npz")):
        again = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), start=start)
        assert again.iterations == 1 and again.converged


def test_numpy_reads_the_file(clouds, tmp_path):
    x, y, a, b = clouds
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1))
    solved.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:
        assert file["format"] == 1 and file["version"] == monge.__version__.encode()
        np.testing.assert_array_equal(file["f"], solved.potential_a)
        np.testing.assert_array_equal(file["x"], x)
        arrays = dict(file)
    np.savez(tmp_path / "numpys.npz", **arrays)
    same(monge.load(tmp_path / "numpys.npz"), solved)
    arrays["format"] = np.int64(3)
    np.savez(tmp_path / "newer.npz", **arrays)
    with pytest.raises(monge.IoError, match=r"format 3 of monge .* reads formats up to 2"):
        monge.load(tmp_path / "newer.npz")
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    with pytest.raises(monge.IoError, match="compressed"):
        monge.load(tmp_path / "small.npz")


def test_what_is_no_solution_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", points=np.zeros((2, 2)))
    with pytest.raises(monge.IoError, match="no solution that monge saved"):
        monge.load(tmp_path / "other.npz")
    with pytest.raises(OSError, match="No such file"):
        monge.load(tmp_path / "none.npz")
    solved = monge.solve_sample([[0.0], [1.0]], [[0.5], [2.0]], epsilon=1)
    with pytest.raises(monge.IoError, match="cannot write"):
        solved.save(tmp_path / "none" / "s.npz")


def test_format_1_is_read():
    """A file as this format had it first: whatever changes, it must go on being read."""
    loaded = monge.load(DATA / "solution_1.npz")
    assert loaded.cost == ("power", 1.5) and loaded.epsilon == 0.1
    assert loaded.marginals == (monge.KL(0.7), monge.Balanced())
    assert loaded.status == "converged" and loaded.shape == (12, 9)
    x, y, a, b = (np.load(DATA / "solution_1.npz")[name] for name in "xyab")
    again = monge.solve_sample(
        x, y, a, b, cost=loaded.cost, epsilon=0.1, marginals=loaded.marginals, start=loaded
    )
    assert again.iterations == 1
    assert again.value == pytest.approx(loaded.value, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("periodic", [False, (True, False)])
def test_grids_come_back_in_their_shapes(tmp_path, dtype, periodic):
    rng = np.random.default_rng(5)
    a, b = rng.random((5, 4)).astype(dtype), rng.random((5, 6)).astype(dtype)
    a[1] = 0
    path = tmp_path / "s.npz"
    keywords = {"spacing": 0.2, "target_spacing": (0.2, 0.15), "periodic": periodic}
    solved = monge.solve_lattice(a, b, **keywords, epsilon=0.1, marginals=monge.KL(0.7))
    solved.save(path)
    loaded = monge.load(path)
    assert isinstance(loaded, monge.LatticeSolution) and loaded.potential_b.shape == b.shape
    assert loaded.value == solved.value and loaded.cost == solved.cost
    np.testing.assert_array_equal(loaded.potential_a, solved.potential_a)
    np.testing.assert_array_equal(loaded.a_to_b, solved.a_to_b)
    again = monge.solve_lattice(
        a, b, **keywords, epsilon=0.1, marginals=monge.KL(0.7), start=loaded.potentials
    )
    assert again.iterations == 1
    solved.save(path, points=False)
    np.testing.assert_array_equal(monge.load(path, a=a, b=b).marginal_b, solved.marginal_b)
    with pytest.raises(monge.InvalidArgument, match="a is not stored"):
        monge.load(path, b=b)


@pytest.mark.parametrize("points", [True, False])
def test_labels_come_back(clouds, tmp_path, points):
    x, y, a, b = clouds
    labels = monge.Labels(
        np.arange(len(x)) % 3, np.arange(len(y)) % 2, [[0.0, 1.0], [0.5, 0.3], [2.0, 0.1]], 0.8, 1.2
    )
    solved = monge.solve_sample(
        x, y, a, b, labels=labels, epsilon=0.1, marginals=monge.KL(1), tolerance=1e-8
    )
    solved.save(tmp_path / "s.npz", points=points)
    arrays = {} if points else {"x": x, "y": y, "a": a, "b": b}
    loaded = monge.load(tmp_path / "s.npz", **arrays)
    same(loaded, solved)
    np.testing.assert_array_equal(loaded.a_to_b, solved.a_to_b)
    np.testing.assert_array_equal(loaded.gradient().dx, solved.gradient().dx)
    loaded.save(tmp_path / "again.npz", points=points)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "s.npz").read_bytes()


def test_lower_bounds_come_back(clouds, tmp_path):
    x, y, a, b = clouds
    bounds = ([0, 3], [1, 2], [0.02, 0.05])
    solved = monge.solve_sample(x, y, a, b, epsilon=0.1, marginals=monge.KL(1), bounds=bounds)
    solved.save(tmp_path / "s.npz")
    loaded = monge.load(tmp_path / "s.npz")
    same(loaded, solved)
    assert loaded.plan.dense()[3, 2] >= 0.05


# ---- plans one after the other


def test_then_is_the_dense_product(clouds):
    x, y, a, b = clouds
    z = y[::-1] * 0.5
    a, b = a / a.sum(), b / b.sum()
    first = monge.solve_sample(x, y, a, b, epsilon=0.1).plan
    second = monge.solve_sample(y, z, b, b, epsilon=0.1).plan
    both = first.then(second)
    Q = second.dense()
    want = first.dense() @ (Q / Q.sum(1, keepdims=True))
    near = {"rtol": 1e-12, "atol": 1e-15}
    np.testing.assert_allclose(both.dense(), want, **near)
    np.testing.assert_allclose(both.T.dense(), want.T, **near)
    np.testing.assert_allclose(both.marginal(), want.sum(1), **near)
    np.testing.assert_allclose(both.T.marginal(), want.sum(0), **near)
    np.testing.assert_allclose(both @ z, want @ z, **near)
    np.testing.assert_allclose(both.T @ x[:, 0], want.T @ x[:, 0], **near)
    assert both.shape == (12, 9) and both.T.shape == (9, 12)
    third = both.then(second)
    np.testing.assert_allclose(third.dense(), want @ (Q / Q.sum(1, keepdims=True)), **near)
    with pytest.raises(monge.InvalidArgument, match="9 points but plan 1 begins with 12"):
        first.then(first)
    with pytest.raises(monge.InvalidArgument, match="wanted a plan"):
        both.then(second.T)
