"""The stubs that are shipped are those of the extension, and the package passes its type check."""

import subprocess
import sys
from pathlib import Path

import pytest

import monge

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "python" / "monge" / "_core.pyi"


def test_stub_is_golden(tmp_path):
    pytest.importorskip("nanobind")
    generated = tmp_path / "_core.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "monge._core", "-o"]
    subprocess.run([*command, generated], check=True)
    assert generated.read_text() == STUB.read_text(), (
        f"the extension changed: python -m nanobind.stubgen -q -m monge._core -o {STUB.relative_to(ROOT)}"
    )


def test_types_are_shipped():
    folder = Path(monge.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_core.pyi").exists()


def test_mypy_passes():
    pytest.importorskip("mypy")
    run = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
