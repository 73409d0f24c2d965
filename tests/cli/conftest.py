"""Runs the built `monge`: $MONGE_BINARY, or the one installed beside this Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MONGE_BINARY", str(Path(sys.executable).parent / "monge"))
TIMEOUT = 300  # seconds; against a hang, never part of an assertion


class Runner:
    def __init__(self, directory):
        self.directory = directory

    def start(self, *arguments, **keywords):
        keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **keywords}
        command = [BINARY, *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.directory, **keywords)

    def __call__(self, *arguments, code=0, **keywords):
        """The finished process, which must have ended with `code`."""
        process = self.start(*arguments, **keywords)
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == code, (process.returncode, out, err)
        return subprocess.CompletedProcess(process.args, code, out, err)

    def report(self, *arguments, code=0):
        return json.loads(self(*arguments, "--json", code=code).stdout, parse_constant=refuse)

    def error(self, *arguments, code):
        """What is printed on standard error of a command that fails."""
        result = self(*arguments, code=code)
        assert result.stdout == ""
        return result.stderr


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


@pytest.fixture
def monge(tmp_path):
    return Runner(tmp_path)


@pytest.fixture
def clouds(tmp_path):
    """Points and weights, saved as x.npy, y.npy, a.npy, b.npy: both masses are 1."""
    rng = np.random.default_rng(7)
    x, y = rng.random((30, 2)), rng.random((20, 2)) * 0.8 + 0.3
    a, b = rng.random(30) + 0.2, rng.random(20) + 0.2
    arrays = {"x": x, "y": y, "a": a / a.sum(), "b": b / b.sum()}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return arrays
