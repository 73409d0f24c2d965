"""monge batch: each pair is `monge solve` of it."""

import json

import numpy as np


def pairs(tmp_path, *lines):
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return "pairs.txt"


def test_each_pair_is_a_single_solve(monge, tmp_path, clouds):
    (tmp_path / "in").mkdir()
    for name in ("x", "y"):
        np.save(tmp_path / "in" / f"{name}32.npy", clouds[name].astype("float32"))
    listed = pairs(tmp_path, "# of both types", "x.npy, y.npy", "", "in/x32.npy,in/y32.npy,0.3")
    summary = monge.report("batch", listed, "--epsilon", 0.1, "--rho", 1, "--out", "out")
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["problems"], summary["converged"]) == (2, 2)
    for entry, (x, y, epsilon) in zip(
        summary["entries"],
        [("x.npy", "y.npy", 0.1), ("in/x32.npy", "in/y32.npy", 0.3)],
        strict=True,
    ):
        single = monge.report(
            "solve", x, y, "--epsilon", epsilon, "--rho", 1, "--out", f"single{epsilon}"
        )
        report = json.loads((tmp_path / "out" / entry["report"]).read_text())
        for field in ("value", "status", "passes", "marginal_error", "trace", "absorbed"):
            assert report[field] == single[field]
        assert entry["value"] == single["value"] and entry["epsilon"] == epsilon
        with np.load(tmp_path / "out" / entry["potentials"]) as potentials:
            for name in ("f", "g"):
                want = np.load(tmp_path / f"single{epsilon}" / f"{name}.npy")
                assert potentials[name].dtype == want.dtype
                np.testing.assert_array_equal(potentials[name], want)


def test_float32_at_its_floor_goes_on(monge, tmp_path, clouds):
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}32.npy", clouds[name].astype("float32"))
    listed = pairs(tmp_path, "x32.npy, y32.npy, 1", "x32.npy, y32.npy, 0.005")
    options = ("--tolerance", 5e-7, "--kernel-cache", 0)
    summary = monge.report("batch", listed, *options, "--out", "out")
    for entry, epsilon in zip(summary["entries"], (1, 0.005), strict=True):
        single = monge.report("solve", "x32.npy", "y32.npy", "--epsilon", epsilon, *options)
        assert (entry["value"], entry["passes"]) == (single["value"], single["passes"])


def test_force_leaves_nothing_of_an_earlier_batch(monge, tmp_path, clouds):
    three = pairs(tmp_path, *["x.npy, y.npy"] * 3)
    monge("batch", three, "--epsilon", 0.1, "--out", "out")
    (tmp_path / "out" / "mine.txt").write_text("kept")
    assert "not empty" in monge.error("batch", three, "--epsilon", 0.1, "--out", "out", code=5)
    one = pairs(tmp_path, "x.npy, y.npy")
    monge("batch", one, "--epsilon", 0.1, "--out", "out", "--force")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["0000.json", "0000.npz", "mine.txt", "summary.json"]


def test_an_unmet_pair_is_the_exit_code(monge, tmp_path, clouds):
    listed = pairs(tmp_path, "x.npy, y.npy, 10", "x.npy, y.npy, 0.001")
    run = monge("batch", listed, "--max-iterations", 5, "--out", "out", code=1)
    assert run.stdout.startswith("1 of 2 pairs converged")


def test_errors_name_the_line_or_the_entry(monge, tmp_path, clouds):
    def error(*lines, code):
        message = monge.error("batch", pairs(tmp_path, *lines), "--out", "out", code=code)
        assert not (tmp_path / "out").exists()
        return message

    assert "pairs.txt, line 2: 1 fields" in error("x.npy, y.npy, 1", "x.npy", code=5)
    assert "line 1: the epsilon 'low' is no number" in error("x.npy, y.npy, low", code=5)
    assert "no-such" in error("x.npy, no-such.npy, 1", code=5)
    assert "names no pair" in error("# none", code=5)
    assert "neither --epsilon nor --blur" in error("x.npy, y.npy", code=2)
    np.save(tmp_path / "flat.npy", np.zeros((3, 5)))
    assert "entry 1: [problem]" in error("x.npy, y.npy, 1", "x.npy, flat.npy, 1", code=2)
