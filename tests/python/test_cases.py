"""Problems on which users of other libraries were misled, from the folder `shared` beside the project."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOUND = [
    p / "shared/cases/cases.py" for p in ROOT.parents if (p / "shared/cases/cases.py").exists()
]
if not FOUND:
    pytest.skip("no ../shared/cases beside the project: nothing to run", allow_module_level=True)
pytest.importorskip("scipy")

spec = importlib.util.spec_from_file_location("cases", FOUND[0])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.__name__)
def test_case(case):
    if case.__name__.startswith("torch"):
        pytest.importorskip("torch")
    verdict, text = cases.run(case)
    assert verdict == "PASS", text
