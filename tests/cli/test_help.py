"""The examples of --help run as printed."""

import shlex
import shutil

import pytest
from conftest import ROOT


@pytest.mark.parametrize("command", ["solve", "divergence", "gradient", "batch", "info"])
def test_examples_run(monge, tmp_path, command):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    lines = [line.strip() for line in monge(command, "--help").stdout.splitlines()]
    examples = [line for line in lines if f"monge {command} " in line + " " and "[" not in line]
    assert len(examples) == (3 if command == "solve" else 2)
    for example in examples:
        words = shlex.split(example)
        environment = dict(w.split("=", 1) for w in words[: words.index("monge")])
        arguments = words[words.index("monge") + 1 :]
        monge(*arguments, env=environment or None)
        if "--out" in arguments:
            shutil.rmtree(tmp_path / arguments[arguments.index("--out") + 1])


def test_help_names_every_subcommand(monge):
    text = monge("--help").stdout
    assert all(name in text for name in ("solve", "divergence", "gradient", "hvp", "batch", "info"))
