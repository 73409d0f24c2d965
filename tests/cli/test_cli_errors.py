"""Each kind of error has its exit code and says what was given and what was wanted."""

import os
import resource
import subprocess

import numpy as np
import pytest

XY = ("solve", "x.npy", "y.npy")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "subcommand"),
        (("sinkhorn",), "subcommand"),
        (("solve",), "SOURCE"),
        (("solve", "x.npy"), "TARGET"),
        (XY, "--epsilon"),
        ((*XY, "--epsilon", 0.1, "--blur", 0.1), "--blur"),
        ((*XY, "--epsilon", "much"), "much"),
        ((*XY, "--epsilon", 0.1, "--rho", 1, "--reach", 1), "--reach"),
        ((*XY, "--epsilon", 0.1, "--rho", 1, "--rho-source", 1), "--rho-source"),
        ((*XY, "--epsilon", 0.1, "--rho-source", 1, "--tv-source", 1), "--tv-source"),
        ((*XY, "--epsilon", 0.1, "--mass", 0.5, "--tv", 1), "--tv"),
        ((*XY, "--epsilon", 0.1, "--force"), "--out"),
        ((*XY, "--epsilon", 0.1, "--acceleration", "fast"), "over_relaxation"),
        ((*XY, "--epsilon", 0.1, "--initializer", "guess"), "subsample"),
        ((*XY, "--epsilon", 0.1, "--plan-top-k", 3), "--out"),
        (
            (*XY, "--epsilon", 0.1, "--precision", "half"),
            "automatic, accurate, fast, mixed and double",
        ),
        ((*XY, "--epsilon", 0.1, "--reference", "uniform"), "uniform"),
        ((*XY, "--epsilon", 0.1, "--threads", -1), "-1"),
        ((*XY, "--epsilon", 0.1, "--device", "gpu"), "cuda:INDEX"),
        ((*XY, "--epsilon", 0.1, "--anneal"), "--anneal"),
        (("divergence", "x.npy", "y.npy", "--epsilon", 0.1, "--mass", 1), "--mass"),
    ],
)
def test_usage(monge, clouds, arguments, said):
    assert said in monge.error(*arguments, code=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--epsilon", 0), "epsilon"),
        (("--epsilon", -1), "epsilon"),
        (("--epsilon", "nan"), "epsilon"),
        (("--blur", 0), "--blur is 0"),
        (("--blur", -0.1), "--blur is -0.1"),
        (("--epsilon", 0.1, "--reach", -1), "--reach is -1"),
        (("--blur", 0.1, "--cost", "cosine"), "cosine"),
        (("--epsilon", 0.1, "--reach", 1, "--cost", "dot"), "dot"),
        (("--epsilon", 0.1, "--rho", 0), "KL(0)"),
        (("--epsilon", 0.1, "--tv-target", -2), "TV(-2)"),
        (("--epsilon", 0.1, "--tolerance", 0), "tolerance"),
        (("--epsilon", 0.1, "--max-iterations", 0), "max_iterations"),
        (("--epsilon", 0.1, "--kernel-cache", -2), "kernel_cache"),
        (("--epsilon", 0.1, "--mass", 7), "mass"),
        (("--epsilon", 0.1, "--mass", 0), "mass"),
        (("--epsilon", 0.1, "--cost", "manhattan"), "sqeuclidean, half_sqeuclidean"),
        (("--epsilon", 0.1, "--cost", "power"), "power:1.5"),
        (("--epsilon", 0.1, "--cost", "power:"), "power:"),
        (("--epsilon", 0.1, "--cost", "power:two"), "power:two"),
        (("--epsilon", 0.1, "--cost", "power:0.5"), "p >= 1"),
        (("--epsilon", 0.1, "--weights-source", "b.npy"), "20"),
        (("--epsilon", 0.1, "--weights-target", "twice.npy"), "mass"),
        (("--epsilon", 0.1, "--weights-source", "negative.npy"), "[3]"),
        (("--epsilon", 0.1, "--weights-source", "zero.npy"), "mass"),
        (("--epsilon", 0.1, "--weights-source", "nan.npy"), "[2]"),
        (("--epsilon", 0.1, "--plan-top-k", 21, "--out", "out"), "21"),
    ],
)
def test_invalid_arguments(monge, clouds, tmp_path, options, said):
    a, b = clouds["a"], clouds["b"]
    np.save(tmp_path / "twice.npy", 2 * b)
    np.save(tmp_path / "negative.npy", np.where(np.arange(30) == 3, -a, a))
    np.save(tmp_path / "nan.npy", np.where(np.arange(30) == 2, np.nan, a))
    np.save(tmp_path / "zero.npy", 0 * a)
    before = sorted(p.name for p in tmp_path.iterdir())
    error = monge.error(*XY, *options, code=2)
    assert error.startswith("monge: [") and said in error
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_clouds_that_do_not_fit(monge, clouds, tmp_path):
    np.save(tmp_path / "z.npy", np.zeros((4, 3)))
    assert "3" in monge.error("solve", "x.npy", "z.npy", "--epsilon", 1, code=2)
    np.save(tmp_path / "z.npy", np.zeros((0, 2)))
    assert "y" in monge.error("solve", "x.npy", "z.npy", "--epsilon", 1, code=2)
    np.save(tmp_path / "z.npy", np.array([[0, 1], [np.inf, 2]]))
    error = monge.error("solve", "x.npy", "z.npy", "--epsilon", 1, code=2)
    assert "1" in error and "the points of TARGET" in error
    np.savez(tmp_path / "z.npz", points=clouds["y"], weights=clouds["b"])
    error = monge.error(
        "solve", "x.npy", "z.npz", "--epsilon", 1, "--weights-target", "b.npy", code=2
    )
    assert "--weights-target" in error


def test_not_available(monge, clouds):
    for options in (("--tv", 1), ("--mass", 0.5)):
        monge.error(*XY, "--epsilon", 0.1, "--reference", "counting", *options, code=3)
    for command in ("solve", "divergence"):
        points = (command, "x.npy", "y.npy", "--epsilon", 0.1)
        assert "on cpu" in monge.error(*points, "--precision", "fast", code=3)


def save_raw(path, dictionary, data=b""):
    header = dictionary.encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data)


def test_unreadable_files(monge, clouds, tmp_path):
    def error(name):
        text = monge.error("solve", name, "y.npy", "--epsilon", 0.1, code=5)
        assert text.startswith("monge: [io]") and name in text
        return text

    assert "No such file" in error("none.npy")
    (tmp_path / "folder.npy").mkdir()
    assert "directory" in error("folder.npy")
    assert ".npy, .npz or .csv" in error("x.txt")
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    assert "truncated" in error("cut.npy")
    np.savez(tmp_path / "z.npz", points=clouds["x"])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "z.npz").read_bytes()[:-30])
    error("cut.npz")
    np.savez(tmp_path / "keys.npz", x=clouds["x"])
    assert "'points'; it has 'x'" in error("keys.npz")
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n3,nan\n")
    assert "line 3, column 2" in error("bad.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "empty" in error("empty.csv")
    np.save(tmp_path / "flat.npy", np.zeros(6))
    assert "(6,), wanted (n, d) with d >= 1: (n, 1)" in error("flat.npy")
    for name, dtype in [("half", "f2"), ("complex", "c16"), ("structured", [("x", "f8")])]:
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 1), dtype))
        assert name in error(f"{name}.npy")
    np.save(tmp_path / "object.npy", np.array([[1, None]], dtype=object))
    assert "Python objects" in error("object.npy")
    np.savez(tmp_path / "object.npz", points=np.array([[1, None]], dtype=object))
    assert "Python objects" in error("object.npz")
    huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"
    save_raw(tmp_path / "huge.npy", huge)
    assert "truncated" in error("huge.npy")


def test_unwritable_results(monge, clouds, tmp_path):
    assert "No such file" in monge.error(*XY, "--epsilon", 0.1, "--out", "none/out", code=5)
    assert "not a directory" in monge.error(*XY, "--epsilon", 0.1, "--out", "x.npy", code=5)


@pytest.mark.skipif(
    "ASAN_OPTIONS" in os.environ, reason="the sanitizer needs more address space than any limit"
)
def test_out_of_memory(monge, tmp_path):
    """The points' file is a hole of 1 GiB: it takes no disk, but memory beyond the limit."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (67108864, 2), }"
    save_raw(tmp_path / "x.npy", header)
    with open(tmp_path / "x.npy", "ab") as file:
        file.truncate(file.tell() + 2**30)
    limit = 2**29
    result = monge(
        "solve", "x.npy", "x.npy", "--epsilon", 1, code=6,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert "memory" in result.stderr


@pytest.mark.parametrize("command", ["solve", "divergence"])
def test_a_device_that_this_build_lacks(monge, clouds, command):
    if "cuda: not built" not in monge("info").stdout:
        pytest.skip("this build has the CUDA backend")
    text = monge.error(command, "x.npy", "y.npy", "--epsilon", 0.1, "--device", "cuda:1", code=3)
    assert "cuda:1" in text
    assert "no CUDA backend" in text
