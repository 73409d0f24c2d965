"""divergence_batch, and references in batches: what each pair alone gets, to the bit."""

import numpy as np
import pytest

import monge

KL = monge.KL(0.7)


@pytest.fixture
def pairs():
    """Ragged pairs with weights of their own, some of them uniform."""
    rng = np.random.default_rng(3)
    sizes = [(9, 7), (1, 5), (20, 31), (12, 12)]
    xs = [rng.random((n, 2)) for n, _ in sizes]
    ys = [rng.random((m, 2)) for _, m in sizes]
    a = [rng.random(len(x)) + 0.1 for x in xs[:-1]] + [None]
    b = [None] + [rng.random(len(y)) + 0.1 for y in ys[1:]]
    return xs, ys, a, b


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_is_the_divergence_alone(pairs, dtype):
    xs, ys, a, b = pairs
    xs, ys = [x.astype(dtype) for x in xs], [y.astype(dtype) for y in ys]
    epsilon = [0.1, 0.2, 0.05, 0.1]
    options = {"marginals": KL, "tolerance": 1e-5, "gradients": True}
    got = monge.divergence_batch(xs, ys, a, b, epsilon=epsilon, **options)
    assert len(got) == 4 and got.converged.all() and got.passes.shape == (4, 3)
    for i, one in enumerate(got):
        want = monge.divergence(xs[i], ys[i], a[i], b[i], epsilon=epsilon[i], **options)
        assert one.value == want.value == got.values[i]
        np.testing.assert_array_equal(one.potential_a, want.potential_a)
        assert one.potential_a.dtype == want.potential_a.dtype
        np.testing.assert_array_equal(one.ab.plan.dense(), want.ab.plan.dense())
        for ours, theirs in zip(one.gradient(), want.gradient(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert got.marginal_errors[i, 2] == want.bb.marginal_error
    assert [one.value for one in got[1:3]] == got.values[1:3].tolist()


def test_stacks_sides_and_callbacks(pairs):
    rng = np.random.default_rng(1)
    x, y = rng.random((3, 8, 2)), rng.random((3, 6, 2))
    told = []
    sides = [KL, (monge.TV(0.4), KL), monge.TV(0.3)]
    got = monge.divergence_batch(
        x, y, blur=0.3, marginals=sides, callback=lambda i, report: told.append(i)
    )
    assert set(told) == {0, 1, 2}
    for i in range(3):
        want = monge.divergence(x[i], y[i], blur=0.3, marginals=sides[i])
        assert got[i].value == want.value and got[i].marginals == want.marginals
    assert len(monge.divergence_batch([], [], epsilon=0.1)) == 0


def test_errors_name_the_entry(pairs):
    xs, ys, a, b = pairs
    a[2] = -a[2]
    with pytest.raises(monge.InvalidArgument, match="entry 2") as error:
        monge.divergence_batch(xs, ys, a, b, epsilon=0.1, marginals=KL)
    assert error.value.index == 2
    with pytest.raises(monge.NotAvailable, match="total mass"):
        monge.divergence_batch(xs, ys, epsilon=0.1, total_mass=0.5)
    with pytest.raises(monge.NotAvailable, match="product"):
        monge.divergence_batch(xs, ys, epsilon=0.1, reference="counting")
    with pytest.warns(monge.ConvergenceWarning, match="divergences did not meet"):
        monge.divergence_batch(xs[2:], ys[2:], epsilon=1e-3, max_iterations=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_references_are_those_of_each_alone(pairs, dtype):
    xs, ys, a, b = pairs
    xs, ys = [x.astype(dtype) for x in xs], [y.astype(dtype) for y in ys]
    rng = np.random.default_rng(2)
    custom = [np.abs(rng.random(len(x))) + 0.2 for x in xs], [np.full(len(y), 0.3) for y in ys]
    for reference in ("counting", custom):
        options = {"epsilon": 0.1, "marginals": KL, "tolerance": 1e-5}
        got = monge.solve_sample_batch(xs, ys, a, b, reference=reference, **options)
        for i, one in enumerate(got):
            own = reference if isinstance(reference, str) else (custom[0][i], custom[1][i])
            want = monge.solve_sample(xs[i], ys[i], a[i], b[i], reference=own, **options)
            assert one.value == want.value == got.values[i]
            assert one.reference == want.reference
            np.testing.assert_array_equal(one.potential_b, want.potential_b)
            np.testing.assert_array_equal(one.plan.dense(), want.plan.dense())
        warm = monge.solve_sample_batch(
            xs, ys, a, b, reference=reference, start=[one.potentials for one in got], **options
        )
        assert (warm.iterations <= 2).all()
    costs = [((x[:, None] - y[None]) ** 2).sum(-1) for x, y in zip(xs, ys, strict=True)]
    counted = monge.solve_batch([(C,) for C in costs], epsilon=0.1, reference="counting")
    alone = monge.solve(costs[0], epsilon=0.1, reference="counting")
    assert counted.values[0] == alone.value


def test_a_reference_survives_the_floor_of_float32():
    rng = np.random.default_rng(4)
    x, y = rng.random((300, 2), dtype="float32"), rng.random((240, 2), dtype="float32") ** 2
    options = {"epsilon": 2e-3, "tolerance": 2e-7, "reference": "counting"}
    got = monge.solve_sample_batch([x], [y], **options)
    want = monge.solve_sample(x, y, **options)
    assert got.converged[0] and got.values[0] == want.value
