"""One measure in every form a file can have gives one report; NumPy writes, monge reads."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SOLVE = ("solve", "source.npy", "target.npy", "--epsilon", 0.5, "--rho", 1)


def solved(monge, source, target="target.npy", *options):
    """All of the report but the names of the files."""
    report = monge.report("solve", source, target, "--epsilon", 0.5, "--rho", 1, *options)
    del report["problem"]["source"], report["problem"]["target"]
    return report


def save(path, array, version=(1, 0)):
    with open(path, "wb") as file:
        np.lib.format.write_array(file, array, version=version)


def test_byte_order_memory_order_and_version_do_not_matter(monge, tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.random((7, 3)), rng.random((5, 3))
    np.save(tmp_path / "target.npy", y)
    np.save(tmp_path / "source.npy", x)
    want = solved(monge, "source.npy")
    for name, array, version in [
        ("big", x.astype(">f8"), (1, 0)),
        ("fortran", np.asfortranarray(x), (1, 0)),
        ("both", np.asfortranarray(x.astype(">f8")), (2, 0)),
        ("two", x, (2, 0)),
        ("three", x, (3, 0)),
    ]:
        save(tmp_path / f"{name}.npy", array, version)
        assert solved(monge, f"{name}.npy") == want, name
    np.savez(tmp_path / "plain.npz", points=x)
    np.savez_compressed(tmp_path / "deflated.npz", points=x, other=np.array(["ignored"]))
    for name in ("plain.npz", "deflated.npz"):
        assert solved(monge, name) == want, name
    lines = "\n".join(",".join(repr(float(v)) for v in row) for row in x)
    (tmp_path / "plain.csv").write_text(lines)
    (tmp_path / "header.csv").write_bytes(b'"x","y","z"\r\n' + lines.replace("\n", "\r\n").encode())
    for name in ("plain.csv", "header.csv"):
        assert solved(monge, name) == want, name


def test_weights_from_every_place(monge, tmp_path):
    rng = np.random.default_rng(2)
    x, y, a = rng.random((6, 2)), rng.random((5, 2)), rng.random(6)
    np.save(tmp_path / "source.npy", x)
    np.save(tmp_path / "target.npy", y)
    np.save(tmp_path / "a.npy", a)
    np.savez(tmp_path / "a.npz", points=x, weights=a)
    rows = [",".join(repr(float(v)) for v in (p[0], w, p[1])) for p, w in zip(x, a, strict=True)]
    (tmp_path / "a.csv").write_text("x,weight,y\n" + "\n".join(rows))
    (tmp_path / "w.csv").write_text("\n".join(repr(float(w)) for w in a))
    want = solved(monge, "source.npy", "target.npy", "--weights-source", "a.npy")
    assert want["problem"]["masses"][0] == pytest.approx(a.sum(), rel=1e-15)
    assert solved(monge, "a.npz") == want
    assert solved(monge, "a.csv") == want
    for name in ("a.npz", "a.csv", "w.csv"):
        assert solved(monge, "source.npy", "target.npy", "--weights-source", name) == want


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", ">i2", "u2", "<i4", ">u4", "i8", "u8"])
def test_integers_become_double(monge, tmp_path, dtype):
    x = np.arange(12).reshape(6, 2).astype(dtype)
    np.save(tmp_path / "target.npy", np.ones((3, 2)))
    np.save(tmp_path / "source.npy", x)
    np.save(tmp_path / "double.npy", x.astype(float))
    assert solved(monge, "source.npy") == solved(monge, "double.npy")


def test_points_decide_the_type(monge, tmp_path):
    rng = np.random.default_rng(3)
    x, y = rng.random((6, 2), np.float32), rng.random((5, 2), np.float32)
    np.savez(tmp_path / "source.npz", points=x, weights=np.full(6, 1 / 6))
    np.save(tmp_path / "target.npy", y)
    np.save(tmp_path / "wide.npy", y.astype(float))
    report = monge.report("solve", "source.npz", "target.npy", "--epsilon", 0.5, "--out", "out")
    assert report["problem"]["type"] == "float32"
    assert np.load(tmp_path / "out/f.npy").dtype == np.float32
    error = monge.error("solve", "source.npz", "wide.npy", "--epsilon", 0.5, code=2)
    assert "float32" in error and "float64" in error and "--precision double" in error
    for how, type_name in (
        ("automatic", "float64"),
        ("accurate", "float32"),
        ("double", "float64"),
    ):
        options = ("--epsilon", 0.5, "--tolerance", 0.9e-7, "--precision", how, "--json")
        out, _ = monge.start("solve", "source.npz", "target.npy", *options).communicate()
        assert json.loads(out)["problem"]["type"] == type_name  # converged or not
    double = ("--epsilon", 0.5, "--precision", "double", "--json")
    widened = monge("solve", "source.npz", "wide.npy", *double).stdout
    assert widened.replace("wide.npy", "target.npy") == (
        monge("solve", "source.npz", "target.npy", *double).stdout
    )


def test_float32_weights_beside_double_points_may_miss_the_balance_a_little(monge, tmp_path):
    rng = np.random.default_rng(4)
    a = rng.random(1000).astype(np.float32)
    a /= a.sum()
    assert abs(a.astype(float).sum() - 1) > 1e-12  # or the test shows nothing
    np.save(tmp_path / "source.npy", rng.random((1000, 1)))
    np.save(tmp_path / "target.npy", rng.random((10, 1)))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "wide.npy", a.astype(float))
    solve = ("solve", "source.npy", "target.npy", "--epsilon", 0.5, "--weights-source")
    monge(*solve, "a.npy")
    monge(*solve, "wide.npy", code=2)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 3))
coordinates = st.floats(-1, 1, width=32, allow_subnormal=False)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    x=hnp.arrays(np.float64, shapes, elements=coordinates),
    order=st.sampled_from("CF"),
    endian=st.sampled_from("<>"),
    archive=st.booleans(),
)
def test_any_array_reads_as_numpy_reads_it(monge, tmp_path, x, order, endian, archive):
    """The mean of the source is the image of a single target point, whatever the potentials."""
    array = np.array(x, dtype=endian + "f8", order=order)
    name = "source.npz" if archive else "source.npy"
    np.savez(tmp_path / name, points=array) if archive else np.save(tmp_path / name, array)
    np.save(tmp_path / "target.npy", np.zeros((1, x.shape[1])))
    monge("solve", name, "target.npy", "--epsilon", 1, "--out", "out", "--force")
    image = np.load(tmp_path / "out/target_to_source.npy")
    np.testing.assert_allclose(image, x.mean(0, keepdims=True), rtol=1e-5, atol=1e-5)
