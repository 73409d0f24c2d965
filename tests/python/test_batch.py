"""solve_batch and solve_sample_batch: each entry is the single call, bit for bit."""

import threading
import warnings

import numpy as np
import pytest

import monge

rng = np.random.default_rng(5)
SIZES = [(12, 9), (1, 4), (30, 30), (7, 40), (64, 3)]
XS = [rng.random((n, 2)) for n, _ in SIZES]
YS = [rng.random((m, 2)) * 0.8 + 0.3 for _, m in SIZES]


def weights(count, mass):
    raw = rng.random(count) + 0.5
    return mass * raw / raw.sum()


A = [weights(n, 1.4) for n, _ in SIZES]
B = [weights(m, 0.9) for _, m in SIZES]
KL = monge.KL(0.5)


def assert_same(got, want):
    assert got.value == want.value
    assert (got.status, got.passes, got.absorbed) == (want.status, want.passes, want.absorbed)
    assert (got.epsilon, got.marginals, got.masses) == (want.epsilon, want.marginals, want.masses)
    for p, q in zip(got.potentials, want.potentials, strict=True):
        assert type(p) is type(q) and p.dtype == q.dtype
        np.testing.assert_array_equal(np.asarray(p), np.asarray(q))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ragged_clouds_are_single_solves(dtype):
    parts = [[v.astype(dtype) for v in side] for side in (XS, YS, A, B)]
    results = monge.solve_sample_batch(*parts, epsilon=0.05, marginals=KL)
    assert len(results) == len(SIZES) and results.converged.all()
    for i, (x, y, a, b) in enumerate(zip(*parts, strict=True)):
        assert_same(results[i], monge.solve_sample(x, y, a, b, epsilon=0.05, marginals=KL))
    assert [r.value for r in results] == results.values.tolist()
    assert [r.value for r in results[1:3]] == results.values[1:3].tolist()
    assert results[-1].value == results.values[-1]
    for name in ("marginal_error", "transported_mass"):
        columns = {"marginal_error": "marginal_errors", "transported_mass": "transported_masses"}
        assert [getattr(r, name) for r in results] == getattr(results, columns[name]).tolist()
    assert [r.iterations for r in results] == results.iterations.tolist()
    assert [r.passes for r in results] == results.passes.tolist()
    with pytest.raises(IndexError):
        results[len(SIZES)]


def test_one_array_of_all_clouds():
    x, y = rng.random((6, 20, 3)), rng.random((6, 14, 3))
    a, b = rng.random((6, 20)) + 0.1, rng.random((6, 14)) + 0.1
    for stack in (x, np.asfortranarray(x), x[::-1][::-1]):
        results = monge.solve_sample_batch(stack, y, a, b, epsilon=0.1, marginals=KL)
        for i in range(6):
            single = monge.solve_sample(x[i], y[i], a[i], b[i], epsilon=0.1, marginals=KL)
            assert_same(results[i], single)
    images = results[2].a_to_b  # reads the arrays, which live on with any of the solutions
    del results, stack
    np.testing.assert_allclose(
        images, monge.solve_sample(x[2], y[2], a[2], b[2], epsilon=0.1, marginals=KL).a_to_b
    )


def test_one_value_or_one_for_each():
    epsilon = np.array([0.05, 0.1, 0.2, 0.3, 0.4])
    sides = [KL, (KL, monge.TV(0.3)), monge.KL(2.0), (monge.TV(1.0), KL), KL]
    start = [None, np.zeros(4), (None, np.ones(30)), None, (np.zeros(64), np.zeros(3))]
    results = monge.solve_sample_batch(
        XS, YS, A, B, epsilon=epsilon, marginals=sides, start=start, max_iterations=300
    )
    for i in range(len(SIZES)):
        single = monge.solve_sample(
            XS[i], YS[i], A[i], B[i],
            epsilon=epsilon[i], marginals=sides[i], start=start[i], max_iterations=300,
        )  # fmt: skip
        assert_same(results[i], single)
    lengths = monge.solve_sample_batch(
        XS, YS, A, B, blur=list(np.sqrt(epsilon)), reach=[0.5, (0.5, 1.0), 1.0, 2.0, 0.7]
    )
    single = monge.solve_sample(XS[1], YS[1], A[1], B[1], blur=np.sqrt(0.1), reach=(0.5, 1.0))
    assert_same(lengths[1], single)
    masses = [0.5, 0.4, 0.9, 0.3, 0.2]
    partial = monge.solve_sample_batch(XS, YS, A, B, epsilon=0.1, total_mass=masses)
    np.testing.assert_allclose(partial.transported_masses, masses, rtol=1e-12)
    mixed = monge.solve_sample_batch(
        XS[:2], YS[:2], A[:2], B[:2], epsilon=0.1, total_mass=[0.5, None], marginals=[None, KL]
    )
    assert_same(mixed[1], monge.solve_sample(XS[1], YS[1], A[1], B[1], epsilon=0.1, marginals=KL))


def test_cost_matrices():
    costs = [((x[:, None] - y[None]) ** 2).sum(-1) for x, y in zip(XS, YS, strict=True)]
    costs[2] = np.asfortranarray(costs[2])
    problems = [
        (costs[0], A[0], B[0]),
        {"C": costs[1], "a": A[1], "b": B[1], "epsilon": 0.2},
        {"C": costs[2], "marginals": monge.Balanced(), "start": np.zeros(30)},
        {"C": costs[3], "a": A[3], "b": B[3], "total_mass": 0.4, "marginals": None},
        (costs[4],),
    ]
    results = monge.solve_batch(problems, epsilon=0.1, marginals=KL)
    assert_same(results[0], monge.solve(costs[0], A[0], B[0], epsilon=0.1, marginals=KL))
    assert_same(results[1], monge.solve(costs[1], A[1], B[1], epsilon=0.2, marginals=KL))
    assert_same(results[2], monge.solve(costs[2], epsilon=0.1, start=np.zeros(30)))
    assert_same(results[3], monge.solve(costs[3], A[3], B[3], epsilon=0.1, total_mass=0.4))
    assert_same(results[4], monge.solve(costs[4], epsilon=0.1, marginals=KL))
    assert len(monge.solve_batch([], epsilon=0.1)) == 0


def test_float32_goes_on_in_mixed_where_it_is_at_its_floor():
    xs = [rng.random((40, 3)).astype("float32") for _ in range(4)]
    ys = [rng.random((40, 3)).astype("float32") for _ in range(4)]
    epsilon = [1.0, 5e-3, 1.0, 4e-3]
    results = monge.solve_sample_batch(xs, ys, epsilon=epsilon, tolerance=8e-7, kernel_cache=0)
    singles = [
        monge.solve_sample(x, y, epsilon=e, tolerance=8e-7, kernel_cache=0)
        for x, y, e in zip(xs, ys, epsilon, strict=True)
    ]
    assert 0 < len(results._went_on) < 4  # else this tests nothing
    for got, want in zip(results, singles, strict=True):
        assert_same(got, want)
    assert results.values.tolist() == [s.value for s in singles]
    assert results.passes.tolist() == [s.passes for s in singles]


def test_frameworks_answer_in_kind():
    torch = pytest.importorskip("torch")
    x, y = torch.rand(3, 10, 2, requires_grad=True), torch.rand(3, 8, 2)
    for given in (x, [x[0], x[1], x[2]]):
        results = monge.solve_sample_batch(given, y if given is x else list(y), epsilon=0.1)
        assert isinstance(results[0].potential_a, torch.Tensor)
        assert results[0].potential_a.dtype == torch.float32
        single = monge.solve_sample(x[1], y[1], epsilon=0.1)
        assert torch.equal(results[1].potential_b, single.potential_b)


def test_errors_name_the_entry():
    def refused(*args, match, index, **keywords):
        with pytest.raises(monge.InvalidArgument, match=match) as error:
            monge.solve_sample_batch(*args, **({"epsilon": 0.1, "marginals": KL} | keywords))
        assert error.value.index == index

    bad = [np.where(np.arange(2) == 1, np.nan, x) if i == 3 else x for i, x in enumerate(XS)]
    refused(bad, YS, match=r"entry 3: \[problem\] x\[0, 1\] is nan", index=3)
    refused(XS, [*YS[:4], YS[4][:, 0]], match=r"entry 4: .*shape \(3,\)", index=4)
    refused(XS, [*YS[:4], YS[4].astype("float32")], match="entry 4: ys is float32", index=4)
    refused(XS, YS, A[:4], B, match="a has 4 entries, wanted 5", index=None)
    refused(XS, YS, [*A[:4], A[0]], B, match=r"entry 4: .*a has 12 weights", index=4)
    refused(XS, YS, epsilon=[0.1, 0.1, 0.0, 0.1, 0.1], match="entry 2: .*epsilon is 0", index=2)
    refused(XS, YS, epsilon=[0.1, 0.2], match="epsilon has 2 values for 5", index=None)
    refused(XS[0], YS[0], match=r"xs has shape \(12, 2\), wanted 3 axes", index=None)
    with pytest.raises(monge.InvalidArgument, match="entry 1: it has 'D'") as error:
        monge.solve_batch([(np.ones((2, 2)),), {"D": 1}], epsilon=0.1)
    assert error.value.index == 1
    with pytest.raises(monge.InvalidArgument, match="entry 0 is a ndarray"):
        monge.solve_batch([np.ones((2, 2))], epsilon=0.1)


def test_unmet_entries_warn_once():
    with pytest.warns(
        monge.ConvergenceWarning, match="2 of 5 problems .* first is entry 0"
    ) as seen:
        results = monge.solve_sample_batch(
            XS, YS, epsilon=[1e-3, 10, 10, 1e-3, 10], max_iterations=4
        )
    assert len(seen) == 1 and seen[0].filename == __file__
    assert results.converged.tolist() == [False, True, True, False, True]


def test_the_callback_stops_its_entry_and_what_it_raises_ends_the_batch():
    told = set()

    def stop_third(entry, report):
        told.add(entry)
        return entry != 2 or report.iterations < 0

    with pytest.warns(monge.ConvergenceWarning):
        results = monge.solve_sample_batch(
            XS, YS, A, B, epsilon=0.05, marginals=KL, callback=stop_third
        )
    assert told == set(range(5))
    assert [r.status == "stopped" for r in results] == [False, False, True, False, False]

    def fail(entry, report):
        raise KeyError("mine")

    for threads in (1, 2):
        with pytest.raises(KeyError, match="mine"):
            monge.solve_sample_batch(XS * 20, YS * 20, epsilon=0.05, callback=fail, threads=threads)


def test_progress_counts_problems():
    class Bar:
        total = None

        def __init__(self, desc, unit, total):
            Bar.unit, Bar.total, Bar.done = unit, total, 0

        def update(self, by):
            Bar.done += by

        def close(self):
            pass

    x = rng.random((40, 150, 2))
    monge.solve_sample_batch(x, x[::-1], epsilon=1e-3, progress=Bar, tolerance=1e-3)
    assert (Bar.unit, Bar.total) == ("problem", 40)
    assert 0 <= Bar.done <= 40


def test_many_threads_solve_at_once():
    x, y = rng.random((40, 30, 3)), rng.random((40, 30, 3))
    want = monge.solve_sample_batch(x, y, epsilon=0.05).values
    got = [None] * 6

    def solve(place):
        if place % 2:
            got[place] = [
                monge.solve_sample(p, q, epsilon=0.05).value for p, q in zip(x, y, strict=True)
            ]
        else:
            got[place] = monge.solve_sample_batch(x, y, epsilon=0.05).values.tolist()

    threads = [threading.Thread(target=solve, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(values == want.tolist() for values in got)


def test_inputs_are_left_as_they_are():
    x, y, a = rng.random((5, 9, 2)), rng.random((5, 8, 2)), rng.random((5, 9))
    kept = [v.copy() for v in (x, y, a)]
    for v in (x, y, a):
        v.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monge.solve_sample_batch(x, y, a, epsilon=0.1, marginals=KL)
    for v, before in zip((x, y, a), kept, strict=True):
        np.testing.assert_array_equal(v, before)
