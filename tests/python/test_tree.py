"""geometry='tree': certified truncation, as Python sees it."""

import numpy as np
import pytest

import monge


def clouds(n, d=2):
    rng = np.random.default_rng(5)
    return rng.random((n, d)), rng.random((n, d)) ** 1.5


def test_tree_agrees_with_dense_within_its_certificate():
    x, y = clouds(700)
    how = {"epsilon": 2e-3, "tolerance": 1e-7}
    tree = monge.solve_sample(x, y, geometry="tree", verify=True, **how)
    dense = monge.solve_sample(x, y, geometry="dense", verify=True, **how)
    assert tree.converged and dense.converged
    assert (tree.geometry, dense.geometry) == ("tree", "dense")
    assert tree.truncation > 0 and tree.marginal_error + tree.truncation <= 1e-7
    assert dense.truncation == dense.verified == 0 and dense.kept == 1
    assert tree.kept < 1 and tree.verified <= tree.truncation
    assert 0 < tree.plan.truncation <= tree.truncation
    assert tree.value == pytest.approx(dense.value, abs=1e-6)
    np.testing.assert_allclose(tree.a_to_b, dense.a_to_b, atol=1e-3)
    assert np.isnan(monge.solve_sample(x, y, **how).verified)


def test_automatic_takes_the_tree_where_it_visits_few():
    x, y = clouds(4200)
    small = monge.solve_sample(x, y, epsilon=3e-4, tolerance=1e-2)
    assert small.geometry == "tree" and small.kept < 0.25
    assert monge.solve_sample(x, y, epsilon=1.0, tolerance=1e-2).geometry == "dense"


def test_tree_is_refused_by_name():
    x, y = clouds(20, d=4)
    with pytest.raises(monge.NotAvailable, match="dimension 4"):
        monge.solve_sample(x, y, epsilon=0.1, geometry="tree")
    with pytest.raises(monge.NotAvailable, match="euclidean"):
        monge.solve_sample(x[:, :2], y[:, :2], cost="euclidean", epsilon=0.1, geometry="tree")
    with pytest.raises(monge.NotAvailable, match="matrix"):
        monge.solve(np.ones((3, 3)), epsilon=0.1, geometry="tree")
    with pytest.raises(monge.InvalidArgument, match="geometry"):
        monge.solve_sample(x, y, epsilon=0.1, geometry="oct")
