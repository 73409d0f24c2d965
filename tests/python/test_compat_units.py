"""One problem in the words of each library: the same canonical problem behind each, and potentials that come back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import monge
from monge.compat import ott, pot
from monge.compat._kind import Kind
from monge.compat.geomloss import SamplesLoss
from monge.compat.geomloss import ot as geomloss_ot

ULP = 2.0**-52
BLUR, REACH = 0.3, 0.7
EPSILON, RHO = 2 * BLUR**2, 2 * REACH**2  # of the full squared cost


def canonical(solution):
    """(epsilon, rho_a, rho_b) in units of the solution's own cost."""
    return (solution.epsilon, *(side.rho for side in solution.marginals))


def words(clouds):
    """The library's words, the factor of its cost against |x - y|^2, and monge's solution behind them."""
    x, y, a, b = clouds
    tau = ott.tau_from_rho(RHO, EPSILON)
    lengths = dict(blur=BLUR, reach=REACH)
    loss = SamplesLoss(**lengths)
    terms = dict(epsilon=EPSILON, marginals=monge.KL(RHO))
    unbalanced = dict(reg=EPSILON, unbalanced=RHO)
    weights = ott.counting_weights(a, tau), ott.counting_weights(b, tau)
    both = dict(tau_a=tau, tau_b=tau, epsilon=EPSILON)
    (half,) = loss._solved(Kind(x), [(x, y, a, b)], debias=False)
    return {
        "monge": (1, monge.solve_sample(x, y, a, b, **terms)),
        "monge blur": (1, monge.solve_sample(x, y, a, b, **lengths, cost_factor=2)),
        "monge half": (0.5, monge.solve_sample(x, y, a, b, **lengths, cost="half_sqeuclidean")),
        "pot": (1, pot.solve_sample(x, y, a, b, **unbalanced).solution),
        "pot matrix": (1, pot.solve(clouds.cost(), a, b, **unbalanced).solution),
        "geomloss": (0.5, half),
        "geomloss.ot": (1, geomloss_ot.solve_sample(x, y, a, b, **lengths).solution),
        "geomloss.ot reg": (1, geomloss_ot.solve_sample(x, y, a, b, **unbalanced).solution),
        "ott": (1, ott.solve(x, y, a, b, **both, reference="product").solution),
        "ott counting": (1, ott.solve(x, y, *weights, **both).solution),
    }


# R3, with what test_compat_ott.py and test_torch_loss.py say of theirs.
def test_each_library_says_one_problem(clouds):
    want = monge.solve_sample(*clouds, epsilon=EPSILON, marginals=monge.KL(RHO), tolerance=1e-10)
    plan = want.plan.dense()
    for name, (factor, solution) in words(clouds).items():
        expected = np.multiply(factor, (EPSILON, RHO, RHO))
        # A ratio tau holds rho to (1 + rho/epsilon) ulps.
        rtol = 4 * ULP * (1 + RHO / EPSILON if "ott" in name else 1)
        assert_allclose(canonical(solution), expected, rtol=rtol, err_msg=name)
        assert_allclose(solution.plan.dense(), plan, atol=1e-6 * plan.max(), err_msg=name)
        if name != "ott counting":  # whose objective has another reference
            assert solution.value == pytest.approx(factor * want.value, rel=1e-8), name


def test_geomloss_of_order_one(clouds):
    """Blur and reach are epsilon and rho themselves, of the distance."""
    x, y, a, b = clouds
    loss = SamplesLoss(p=1, blur=BLUR, reach=REACH)
    (found,) = loss._solved(Kind(x), [(x, y, a, b)], debias=False)
    want = monge.solve_sample(
        x, y, a, b, cost="euclidean", epsilon=BLUR, marginals=monge.KL(REACH), tolerance=1e-10
    )
    assert_allclose(canonical(found), (BLUR, REACH, REACH), rtol=4 * ULP)
    assert found.value == pytest.approx(want.value, rel=1e-8)
    assert_allclose(found.potential_a, want.potential_a, atol=1e-6)


@pytest.mark.parametrize("balanced", [True, False])
def test_potentials_come_back(clouds, balanced):
    """f of monge, from what each face returns."""
    x, y, a, b = clouds
    b = b * a.sum() / b.sum() if balanced else b
    rho = np.inf if balanced else RHO
    f = monge.solve_sample(x, y, a, b, epsilon=EPSILON, marginals=monge.KL(rho)).potential_a
    scale = 4 * ULP * EPSILON * (1 + abs(f / EPSILON).max() + abs(np.log(a)).max())
    unbalanced = None if balanced else rho
    log_u = pot.solve_sample(x, y, a, b, reg=EPSILON, unbalanced=unbalanced, tol=1e-6).potential_a
    back = EPSILON * (log_u - np.log(a)) if balanced else EPSILON * log_u
    assert_allclose(back, f, atol=scale)
    tau = ott.tau_from_rho(rho, EPSILON)
    theirs = ott.solve(x, y, a, b, epsilon=EPSILON, tau_a=tau, tau_b=tau, reference="product").f
    assert_allclose(ott.from_ott_potentials(theirs, a, EPSILON), f, atol=1e-6)
    found = geomloss_ot.solve_sample(x, y, a, b, reg=EPSILON, unbalanced=unbalanced, tol=1e-6)
    assert_allclose(found.potential_a, f, atol=scale)
    reach = None if balanced else REACH
    half = SamplesLoss(blur=BLUR, reach=reach).plan_potentials(a, x, b, y)[0]
    shift = (2 * half - f)[0] if balanced else 0
    assert_allclose(2 * half - shift, f, atol=1e-6)


def calls(x, y, a, b, C):
    """One call of each face, and the arrays that it returns."""
    loss = SamplesLoss(blur=BLUR)
    samples = pot.solve_sample(x, y, a, b, reg=EPSILON)
    yield (
        samples.plan,
        samples.potential_a,
        samples.marginal_b,
        samples.a_to_b,
        samples.lazy_plan[:2],
    )
    yield (pot.solve(C, a, b, EPSILON).plan, pot.sinkhorn(a, b, C, EPSILON))
    yield (pot.solve_batch(C[None], EPSILON).plan, pot.solve(C, reg=EPSILON, c=C + 1).plan)
    yield (loss(a, x, b, y), loss(x[None], y[None]), *loss.plan_potentials(a, x, b, y))
    found = geomloss_ot.solve_sample(x, y, a, b, reg=EPSILON, debias=True)
    yield found.value, found.plan, found.potential_aa, found.a_to_b, found.plan_operator @ b
    yield (geomloss_ot.solve_batch(C[None], reg=EPSILON).plan,)
    there = ott.solve(x, y, a, b, epsilon=EPSILON, tau_a=0.9, scale_cost="mean")
    yield there.f, there.matrix, there.marginal(0), there.apply(a)
    yield (ott.solve(C=C, reference="product").g,)


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_framework_and_type_are_kept_and_inputs_untouched(clouds, framework, dtype):
    library = pytest.importorskip(framework)
    given = [
        *(clouds.astype(dtype)._replace(b=clouds.b / clouds.b.sum() * clouds.a.sum())),
        clouds.cost(),
    ]
    arrays = [array.astype(dtype) for array in given]
    if framework == "jax":
        library.config.update("jax_enable_x64", True)
    make = {"numpy": np.copy, "torch": getattr(library, "tensor", None)}
    inputs = [make.get(framework, lambda v: library.numpy.asarray(v))(array) for array in arrays]
    for results in calls(*inputs):
        for result in results:
            scalar = framework == "numpy" and np.ndim(result) == 0
            assert isinstance(result, np.floating if scalar else type(inputs[0]))
            assert dtype in str(result.dtype)
    for array, value in zip(arrays, inputs, strict=True):
        assert np.array_equal(np.asarray(value), array)
