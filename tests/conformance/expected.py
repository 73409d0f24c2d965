"""Failures that are expected, each with its reason, from a file of lines ``test id pattern  # reason``.

An unlisted failure fails, a listed test that passes fails (strict xfail), and so does a pattern that matches no
collected test where the whole suite is run. ``needs torch: `` before a pattern: only where torch is installed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest


@dataclass
class Expected:
    path: Path
    reasons: dict[str, str] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)

    @staticmethod
    def read(path: Path) -> Expected:
        reasons = {}
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                pattern, _, reason = line.partition("  # ")
                if not reason.strip():
                    raise pytest.UsageError(f"{path.name}: no reason in {line!r}")
                needs, _, rest = (
                    pattern.rpartition(": ") if pattern.startswith("needs ") else ("", "", pattern)
                )
                if not needs or find_spec(needs.removeprefix("needs ")):
                    reasons[rest] = reason.strip()
        return Expected(path, reasons, set(reasons))

    def mark(self, items: list[pytest.Item]) -> None:
        for item in items:
            name = f"{item.path.name}::{item.name}"
            for pattern, reason in self.reasons.items():
                # Brackets of parameters are themselves, not classes of characters.
                if fnmatchcase(name, pattern.replace("[", "[[]")):
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
                    self.unused.discard(pattern)
                    break

    def finish(self, session: pytest.Session) -> None:
        """Where the whole suite ran, a pattern that no test matched fails it."""
        if os.environ.get("CONFORMANCE_WHOLE") and self.unused and not session.testsfailed:
            for pattern in sorted(self.unused):
                print(f"\n{self.path.name}: {pattern!r} matches no test")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
