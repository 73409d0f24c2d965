"""Bad input: the right class, the numbers, the argument and the index."""

import pickle

import numpy as np
import pytest

import monge

BASES = {
    monge.InvalidArgument: ValueError,
    monge.NotAvailable: NotImplementedError,
    monge.DeviceError: RuntimeError,
    monge.IoError: OSError,
    monge.OutOfMemory: MemoryError,
}


@pytest.mark.parametrize("error", BASES)
def test_errors_are_also_built_in_ones(error):
    assert issubclass(error, monge.Error) and issubclass(error, BASES[error])
    e = pickle.loads(pickle.dumps(error("[room] what", "x", 3)))
    assert (str(e), e.argument, e.index) == ("[room] what", "x", 3)


def replaced(array, where, value):
    array = array.copy()
    array[where] = value
    return array


BAD_MEASURES = {
    "too few weights": (lambda c: (c.x, c.y, c.a[:-1], c.b), "a", None, "11"),
    "too many weights": (lambda c: (c.x, c.y, c.a, np.ones(10)), "b", None, "10"),
    "negative": (lambda c: (c.x, c.y, replaced(c.a, 5, -0.125), c.b), "a", 5, "-0.125"),
    "nan weight": (lambda c: (c.x, c.y, c.a, replaced(c.b, 2, np.nan)), "b", 2, "nan"),
    "infinite weight": (lambda c: (c.x, c.y, c.a, replaced(c.b, 2, np.inf)), "b", 2, "inf"),
    "no mass": (lambda c: (c.x, c.y, 0 * c.a, c.b), "a", None, "mass"),
    "nan point": (lambda c: (replaced(c.x, (4, 1), np.nan), c.y, c.a, c.b), "x", 4, "nan"),
    "infinite point": (lambda c: (c.x, replaced(c.y, (0, 0), np.inf), c.a, c.b), "y", 0, "inf"),
    "dimensions": (lambda c: (c.x, np.ones((9, 3)), c.a, c.b), "y", None, "3"),
    "no points": (lambda c: (c.x, np.ones((0, 2)), c.a, np.ones(0)), "y", None, "(0, 2)"),
    "no dimension": (lambda c: (np.ones((12, 0)), np.ones((9, 0)), c.a, c.b), "x", None, "0"),
}


@pytest.mark.parametrize("case", BAD_MEASURES)
@pytest.mark.parametrize("verb", [monge.solve_sample, monge.divergence], ids=lambda v: v.__name__)
def test_bad_measures(clouds, verb, case):
    make, argument, index, words = BAD_MEASURES[case]
    with pytest.raises(monge.InvalidArgument) as caught:
        verb(*make(clouds), epsilon=0.1, marginals=monge.KL(1))
    assert caught.value.argument == argument
    assert caught.value.index == index
    assert words in str(caught.value)


BAD_OPTIONS = {
    "epsilon 0": ({"epsilon": 0}, "epsilon"),
    "epsilon nan": ({"epsilon": np.nan}, "epsilon"),
    "epsilon negative": ({"epsilon": -1}, "epsilon"),
    "epsilon text": ({"epsilon": "0.1"}, "epsilon"),
    "no epsilon": ({"epsilon": None}, "epsilon"),
    "epsilon and blur": ({"blur": 0.1}, "epsilon"),
    "blur 0": ({"epsilon": None, "blur": 0}, "blur"),
    "blur of a cosine": ({"epsilon": None, "blur": 0.1, "cost": "cosine"}, "blur"),
    "reach of a dot": ({"reach": 1.0, "cost": "dot", "marginals": None}, "reach"),
    "reach and marginals": ({"reach": 1.0}, "reach"),
    "reach of three": ({"reach": (1, 2, 3), "marginals": None}, "reach"),
    "marginals": ({"marginals": 1.0}, "marginals"),
    "marginals of three": ({"marginals": (monge.KL(1),) * 3}, "marginals"),
    "rho 0": ({"marginals": monge.KL(0)}, "marginal_a"),
    "rho nan": ({"marginals": (monge.Balanced(), monge.KL(np.nan))}, "marginal_b"),
    "lambda": ({"marginals": monge.TV(-1)}, "marginal_a"),
    "cost": ({"cost": "manhattan"}, "cost"),
    "power alone": ({"cost": "power"}, "cost"),
    "power 0.5": ({"cost": ("power", 0.5)}, "p"),
    "parameter": ({"cost": ("euclidean", 2)}, "cost"),
    "cost type": ({"cost": abs}, "cost"),
    "tolerance": ({"tolerance": 0}, "tolerance"),
    "max_iterations": ({"max_iterations": 0}, "max_iterations"),
    "max_iterations float": ({"max_iterations": 1.5}, "max_iterations"),
    "check_every": ({"check_every": 0}, "check_every"),
    "annealing": ({"annealing": "fast"}, "annealing"),
    "acceleration": ({"acceleration": "fast"}, "acceleration"),
    "initializer": ({"initializer": "guess"}, "initializer"),
    "seed": ({"seed": -1}, "seed"),
    "seed float": ({"seed": 1.5}, "seed"),
    "precision": ({"precision": "half"}, "precision"),
    "kernel_cache": ({"kernel_cache": -2}, "kernel_cache"),
    "kernel_cache float": ({"kernel_cache": 1e6}, "kernel_cache"),
    "threads": ({"threads": 0}, "threads"),
    "callback": ({"callback": 3}, "callback"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
@pytest.mark.parametrize("verb", [monge.solve_sample, monge.divergence], ids=lambda v: v.__name__)
def test_bad_options(clouds, verb, case):
    changed, argument = BAD_OPTIONS[case]
    with pytest.raises(monge.InvalidArgument) as caught:
        verb(*clouds, **{"epsilon": 0.1, "marginals": monge.KL(1)} | changed)
    assert caught.value.argument == argument


def test_balanced_masses_must_agree(clouds):
    with pytest.raises(ValueError, match=r"1\.4.*0\.9") as caught:
        monge.solve_sample(*clouds, epsilon=0.1)
    assert "KL" in str(caught.value)


@pytest.mark.parametrize("mass", [0, -0.1, 1.0, np.nan])
def test_impossible_total_mass(clouds, mass):
    with pytest.raises(ValueError, match="mass") as caught:
        monge.solve_sample(*clouds, epsilon=0.1, total_mass=mass)
    assert caught.value.argument == "total_mass"
    with pytest.raises(ValueError, match="TV"):
        monge.solve_sample(*clouds, epsilon=0.1, total_mass=0.5, marginals=monge.KL(1))


def test_divergence_has_no_total_mass_and_one_reference(clouds):
    for keyword in ({"total_mass": 0.5}, {"reference": "counting"}):
        with pytest.raises(monge.NotAvailable):
            monge.divergence(*clouds, epsilon=0.1, **keyword)


def test_references(clouds):
    bad = [("uniform", "reference"), ((np.ones(12), None), "reference"), ((np.ones(11), np.ones(9)), "r_a"),
           ((np.ones(12), np.zeros(9)), "r_b")]  # fmt: skip
    for reference, argument in bad:
        with pytest.raises(monge.InvalidArgument) as caught:
            monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1), reference=reference)
        assert caught.value.argument == argument
    with pytest.raises(monge.NotAvailable):
        monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.TV(1), reference="counting")


def test_starts(clouds):
    for start in ((None, None), (np.zeros(11), np.zeros(9)), np.full(9, np.nan)):
        with pytest.raises(monge.InvalidArgument) as caught:
            monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1), start=start)
        assert caught.value.argument == "start"


def test_cost_matrices():
    for bad in (np.array([[np.nan, 1.0]]), np.array([[-np.inf, 1.0]]), np.zeros((0, 3))):
        with pytest.raises(monge.InvalidArgument) as caught:
            monge.solve(bad, epsilon=0.1)
        assert caught.value.argument == "C"
    with pytest.raises(ValueError):  # a balanced row without an allowed pair
        monge.solve(np.array([[np.inf, np.inf], [0.0, 1.0]]), epsilon=0.1)


def test_plan_arguments(clouds):
    plan = monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1)).plan
    bad = {
        "V": lambda: plan @ np.ones(12),
        "z": lambda: plan.map(np.ones((2, 3))),
        "k": lambda: plan.top_k(0),
        "k above m": lambda: plan.top_k(10),
        "threshold": lambda: plan.sparse(0.0),
        "draws": lambda: plan.draw_pairs(-1),
        "float z": lambda: plan.map(np.ones((2, 2), "float32")),
    }
    for name, call in bad.items():
        with pytest.raises(ValueError):
            call()
            pytest.fail(name)


def test_cosine_refuses_a_zero_vector(clouds):
    x = replaced(clouds.x, 7, 0.0)
    with pytest.raises(monge.InvalidArgument) as caught:
        monge.solve_sample(x, *clouds[1:], epsilon=0.1, cost="cosine", marginals=monge.KL(1))
    assert (caught.value.argument, caught.value.index) == ("x", 7)


@pytest.mark.parametrize(("options", "status"), [
    ({"max_iterations": 2}, "max_iterations"),
    ({"tolerance": 1e-300}, "precision_floor"),
])  # fmt: skip
def test_unmet_tolerance_warns_at_the_caller(clouds, options, status, capfd):
    with pytest.warns(monge.ConvergenceWarning, match=status) as caught:
        r = monge.solve_sample(*clouds, epsilon=0.1, marginals=monge.KL(1), **options)
    assert r.status == status and not r.converged
    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(monge.ConvergenceWarning) as caught:
        monge.divergence(*clouds, epsilon=0.1, marginals=monge.KL(1), **options)
    assert {w.filename for w in caught} == {__file__}
    assert capfd.readouterr() == ("", "")


def test_a_plan_without_mass_warns():
    with pytest.warns(monge.ConvergenceWarning, match="no mass"):
        r = monge.solve_sample([[0.0]], [[50.0]], epsilon=1, marginals=monge.KL(1))
    assert r.transported_mass == 0 and r.marginal_error == 0
    assert np.isfinite(r.a_to_b).all() and not r.a_to_b_valid.any()


def test_memory_is_released_on_devices_that_exist():
    monge.release_memory("cpu")  # keeps none
    with pytest.raises(monge.InvalidArgument, match="'gpu' is no device; wanted cpu, cuda"):
        monge.release_memory("gpu")
    with pytest.raises(monge.NotAvailable, match="cuda:63 was asked for"):
        monge.release_memory("cuda:63")
