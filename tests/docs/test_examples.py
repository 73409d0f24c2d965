"""Every example of README.md and docs/ runs, and prints what the page says it prints.

A `python` block is executed; all blocks of a page share one namespace, in their order. A `console`
block is a session: each line after "$ " is run by the shell, in a folder of the page's own that has
the repository's examples/. An `output` block right after a `python` block, and the other lines of a
session, must be what was printed, to the character.
Pages on torch and JAX are left out where they are not installed.
The C++ program of the README is tests/consumer/main.cpp, which tools/consumer.sh builds and runs.
"""

import contextlib
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(\n+```output\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    """Pairs of (code, expected output or None)."""
    return [(m[2], m[4]) for m in BLOCK.finditer(page.read_text()) if m[1] == language]


def with_blocks(language):
    pages = [page for page in PAGES if blocks(page, language)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@with_blocks("python")
def test_python(page, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    if "import torch" in page.read_text():
        pytest.importorskip("torch")
    if "import jax" in page.read_text():
        pytest.importorskip("monge.jax", exc_type=ImportError)
        update = importlib.import_module("jax").config.update
        request.addfinalizer(lambda: update("jax_enable_x64", False))
    namespace = {}
    for code, expected in blocks(page, "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), namespace)
        assert printed.getvalue() == (expected or ""), code


@with_blocks("console")
def test_console(page, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for session, _ in blocks(page, "console"):
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            result = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            assert result.stdout == expected, command


def test_readme_shows_the_consumer():
    code, expected = blocks(ROOT / "README.md", "cpp")[0]
    consumer = ROOT / "tests" / "consumer"
    assert code == (consumer / "main.cpp").read_text()
    assert expected == (consumer / "expected.txt").read_text()


def test_an_output_block_follows_code():
    for page in PAGES:
        text = page.read_text()
        paired = sum(1 for match in BLOCK.finditer(text) if match[4] is not None)
        assert text.count("\n```output\n") == paired, page.name
