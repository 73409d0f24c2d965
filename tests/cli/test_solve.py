"""What solve, divergence and info print and write, checked with NumPy from the formulas."""

import json
import re

import numpy as np
import pytest

RESULTS = {
    "report.json", "f.npy", "g.npy", "marginal_source.npy", "marginal_target.npy",
    "source_to_target.npy", "source_to_target_valid.npy",
    "target_to_source.npy", "target_to_source_valid.npy",
}  # fmt: skip
WEIGHTS = ("--weights-source", "a.npy", "--weights-target", "b.npy")


def squared(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def load(directory):
    return {path.stem: np.load(path) for path in directory.glob("*.npy")}


def dense(out, x, y, a, b, epsilon):
    exponent = (out["f"][:, None] + out["g"][None] - squared(x, y)) / epsilon
    return a[:, None] * b[None] * np.exp(exponent)


def test_results_are_those_of_the_plan_of_their_potentials(monge, clouds, tmp_path):
    report = monge.report(
        "solve", "x.npy", "y.npy", *WEIGHTS, "--epsilon", 0.05, "--rho-source", 0.5,
        "--tv-target", 0.3, "--out", "out", "--plan-top-k", 4, "--draw", 50, "--seed", 3,
    )  # fmt: skip
    assert {p.name for p in (tmp_path / "out").iterdir()} == RESULTS | {"plan.npz", "pairs.npy"}
    x, y, a, b = clouds["x"], clouds["y"], clouds["a"], clouds["b"]
    out = load(tmp_path / "out")
    plan = dense(out, x, y, a, b, 0.05)
    p, q = plan.sum(1), plan.sum(0)
    near = {"rtol": 1e-10, "atol": 1e-15}
    np.testing.assert_allclose(out["marginal_source"], p, **near)
    np.testing.assert_allclose(out["marginal_target"], q, **near)
    np.testing.assert_allclose(out["source_to_target"], plan @ y / p[:, None], **near)
    np.testing.assert_allclose(out["target_to_source"], plan.T @ x / q[:, None], **near)
    assert out["source_to_target_valid"].dtype == bool
    assert out["source_to_target_valid"].all() and out["target_to_source_valid"].all()

    with np.load(tmp_path / "out/plan.npz") as top:
        assert (top["shape"] == plan.shape).all()
        assert (top["offsets"] == 4 * np.arange(31)).all()
        rows = np.repeat(np.arange(30), 4)
        np.testing.assert_allclose(top["values"], plan[rows, top["columns"]], **near)
        want = np.sort(plan, axis=1)[:, :-5:-1]
        np.testing.assert_allclose(top["values"].reshape(30, 4), want, **near)
    assert out["pairs"].shape == (50, 2) and out["pairs"].dtype == np.int64
    assert (plan[tuple(out["pairs"].T)] > 0).all()

    linear = (plan * squared(x, y)).sum()
    kl = (plan * np.log(plan / np.outer(a, b)) - plan + np.outer(a, b)).sum()
    terms = report["terms"]
    assert terms["linear"] == pytest.approx(linear, rel=1e-10)
    assert terms["entropy"] == pytest.approx(kl, rel=1e-10)
    assert terms["penalty_source"] == pytest.approx(
        0.5 * (p * np.log(p / a) - p + a).sum(), rel=1e-9
    )
    assert terms["penalty_target"] == pytest.approx(0.3 * abs(q - b).sum(), rel=1e-9)


def test_report_states_the_problem_as_solved(monge, clouds):
    report = monge.report(
        "solve", "x.npy", "y.npy", "--cost", "power:1.5", "--blur", 0.2, "--reach", 0.7,
        "--tolerance", 1e-8, "--threads", 1,
    )  # fmt: skip
    assert report["format"] == 1 and report["command"] == "solve"
    assert report["version"] and report["commit"] and report["instruction_set"]
    problem = report["problem"]
    assert problem["cost"] == {"name": "power", "p": 1.5}
    assert problem["epsilon"] == pytest.approx(0.2**1.5, rel=1e-15)
    assert [side["kind"] for side in problem["marginals"]] == ["kl", "kl"]
    assert problem["marginals"][0]["rho"] == pytest.approx(0.7**1.5, rel=1e-15)
    assert problem["masses"] == pytest.approx([1, 1], rel=1e-15)
    assert problem["points"] == [30, 20] and problem["dimension"] == 2
    assert problem["type"] == "float64" and problem["reference"] == "product"
    assert report["options"]["tolerance"] == 1e-8 and report["seed"] is None
    assert report["status"] == "converged" and report["marginal_error"] <= 1e-8
    assert report["iterations"] >= 1 and report["passes"] >= 2 * report["iterations"]
    assert len(report["trace"]) >= 1 and report["duality_gap"] >= 0


def test_json_on_standard_output_is_the_report_in_the_directory(monge, clouds, tmp_path):
    printed = monge.report("solve", "x.npy", "y.npy", "--epsilon", 0.1, "--out", "out")
    assert json.loads((tmp_path / "out/report.json").read_text()) == printed


def test_summary_names_value_and_status(monge, clouds):
    report = monge.report("solve", "x.npy", "y.npy", "--epsilon", 0.1)
    text = monge("solve", "x.npy", "y.npy", "--epsilon", 0.1).stdout
    assert text.startswith("converged after ")
    assert f"{report['value']:.9g}" in text


def test_reach_and_blur_are_lengths(monge, clouds):
    by_length = monge.report("solve", "x.npy", "y.npy", "--blur", 0.25, "--reach", 0.5)
    by_strength = monge.report("solve", "x.npy", "y.npy", "--epsilon", 0.0625, "--rho", 0.25)
    assert by_length == by_strength


def test_infinite_strength_is_balanced(monge, clouds):
    report = monge.report("solve", "x.npy", "y.npy", "--epsilon", 0.1, "--rho", "inf")
    assert [side["kind"] for side in report["problem"]["marginals"]] == ["balanced"] * 2


def test_mass_is_transported_within_the_weights(monge, clouds, tmp_path):
    report = monge.report(
        "solve", "x.npy", "y.npy", *WEIGHTS, "--epsilon", 0.05, "--mass", 0.4,
        "--tolerance", 1e-9, "--out", "out",
    )  # fmt: skip
    assert report["transported_mass"] == pytest.approx(0.4, rel=1e-8)
    out = load(tmp_path / "out")
    assert out["marginal_source"].sum() == pytest.approx(0.4, rel=1e-8)
    assert (out["marginal_source"] <= clouds["a"] + 1e-9).all()
    assert (out["marginal_target"] <= clouds["b"] + 1e-9).all()


def test_counting_reference_moves_value_and_potentials_but_not_a_balanced_plan(
    monge, clouds, tmp_path
):
    options = ("solve", "x.npy", "y.npy", *WEIGHTS, "--epsilon", 0.1, "--tolerance", 1e-10)
    product = monge.report(*options, "--out", "product")
    counting = monge.report(*options, "--reference", "counting", "--out", "counting")
    ours, theirs = load(tmp_path / "product"), load(tmp_path / "counting")
    a, b = clouds["a"], clouds["b"]
    plan = dense(ours, clouds["x"], clouds["y"], a, b, 0.1)
    other = dense(theirs, clouds["x"], clouds["y"], np.ones(30), np.ones(20), 0.1)
    np.testing.assert_allclose(other, plan, rtol=1e-8)
    # KL(P | 1) - KL(P | a b^T) for a plan with marginals a and b of mass 1
    offset = 0.1 * ((a * np.log(a)).sum() + (b * np.log(b)).sum() + 30 * 20 - 1)
    assert counting["value"] - product["value"] == pytest.approx(offset, rel=1e-8)
    assert counting["terms"] == {"linear": pytest.approx(product["terms"]["linear"], rel=1e-8)}


def test_not_converged_is_exit_1_with_results(monge, clouds, tmp_path):
    report = monge.report(
        "solve", "x.npy", "y.npy", "--epsilon", 1e-3, "--max-iterations", 2, "--out", "out", code=1
    )
    assert report["status"] == "max_iterations" and not report["converged"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == RESULTS


def test_kernel_cache_reaches_the_solver(monge, clouds, tmp_path):
    options = ("--epsilon", 0.02, "--tolerance", 1e-9, "--precision", "double")
    cached = monge.report("solve", "x.npy", "y.npy", *options)
    streamed = monge.report("solve", "x.npy", "y.npy", *options, "--kernel-cache", 0)
    assert streamed["absorbed"] == 0 < cached["absorbed"]


def test_seed_decides_the_pairs(monge, clouds, tmp_path):
    options = ("solve", "x.npy", "y.npy", "--epsilon", 0.1, "--draw", 100)
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        monge(*options, "--seed", seed, "--out", name)
    one, again, two = (np.load(tmp_path / n / "pairs.npy") for n in ("one", "again", "two"))
    assert (one == again).all() and (one != two).any()


def test_threads_do_not_change_the_results(monge, clouds, tmp_path):
    for threads in (1, 2):
        monge("solve", "x.npy", "y.npy", "--epsilon", 0.1, "--threads", threads, "--out", threads)
    one, two = load(tmp_path / "1"), load(tmp_path / "2")
    assert all((one[name] == two[name]).all() for name in one)


def test_existing_results_need_force(monge, clouds, tmp_path):
    solve = ("solve", "x.npy", "y.npy", "--out", "out", "--epsilon")
    monge(*solve, 0.1, "--plan-top-k", 2)
    (tmp_path / "out/notes.txt").write_text("mine")
    before = (tmp_path / "out/report.json").read_text()
    assert "not empty" in monge.error(*solve, 0.2, code=5)
    assert (tmp_path / "out/report.json").read_text() == before
    monge(*solve, 0.2, "--force")
    assert json.loads((tmp_path / "out/report.json").read_text())["epsilon"] == 0.2
    assert {p.name for p in (tmp_path / "out").iterdir()} == RESULTS | {"notes.txt"}


def test_divergence_of_a_translate_is_the_squared_shift(monge, clouds, tmp_path):
    np.save(tmp_path / "shifted.npy", clouds["x"] + [0.3, -0.4])
    options = ("--weights-source", "a.npy", "--weights-target", "a.npy", "--tolerance", 1e-11)
    report = monge.report("divergence", "x.npy", "shifted.npy", "--epsilon", 0.1, *options)
    assert report["value"] == pytest.approx(0.25, rel=1e-9)
    assert report["converged"]
    for part in ("source_target", "source_source", "target_target"):
        assert report[part]["status"] == "converged"
    text = monge("divergence", "x.npy", "shifted.npy", "--epsilon", 0.1, *options).stdout
    assert "divergence       0.25" in text and text.count("converged after") == 3


def test_divergence_that_did_not_converge_is_exit_1(monge, clouds):
    options = ("--epsilon", 1e-3, "--max-iterations", 1)
    assert not monge.report("divergence", "x.npy", "y.npy", *options, code=1)["converged"]


def test_info(monge):
    text = monge("info").stdout
    for heading in ("version", "commit", "build", "instruction set", "devices", "components"):
        assert f"\n{heading} " in "\n" + text
    assert monge("--version").stdout.strip() in text
    cuda = r"cuda \d+\.\d+ for ((sm|compute)_\d+a?(, )?)+ \(driver: (none|CUDA \d+\.\d+)\)"
    assert "cuda: not built" in text or re.search(cuda, text)


def test_full_standard_output_is_an_io_error(monge, clouds):
    with open("/dev/full", "w") as full:
        result = monge("solve", "x.npy", "y.npy", "--epsilon", 0.1, stdout=full, code=5)
    assert "standard output" in result.stderr


def test_float_goes_on_in_double_where_it_ends(monge, tmp_path):
    rng = np.random.default_rng(4)
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}32.npy", rng.random((200, 2), dtype="float32"))
    report = monge.report(
        "solve", "x32.npy", "y32.npy", "--epsilon", 0.002, "--tolerance", 2e-7, "--out", "out"
    )
    assert report["converged"] and report["problem"]["type"] == "float64"
    assert load(tmp_path / "out")["f"].dtype == np.float64


def test_save_is_what_python_loads(monge, clouds, tmp_path):
    module = pytest.importorskip("monge")
    solve = ("solve", "x.npy", "y.npy", "--weights-source", "a.npy", "--weights-target", "b.npy")
    for reference in ("product", "counting"):
        monge(
            *solve, "--epsilon", 0.1, "--rho", 0.7, "--reference", reference, "--save", "s.npz",
            "--out", reference,
        )  # fmt: skip
        loaded = module.load(tmp_path / "s.npz")
        assert loaded.converged and loaded.reference == reference
        out = tmp_path / reference
        np.testing.assert_array_equal(loaded.potential_a, np.load(out / "f.npy"))
        np.testing.assert_array_equal(loaded.marginal_b, np.load(out / "marginal_target.npy"))
    assert "cannot write" in monge.error(*solve, "--epsilon", 1, "--save", "none/s.npz", code=5)
