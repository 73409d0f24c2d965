"""Sphinx: run by tools/docs.sh, with warnings as errors and every reference resolved."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = "monge"
author = "the monge authors"
copyright = "the monge authors, Apache-2.0"
release = re.search(r"project\(monge VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]

extensions = ["myst_parser", "breathe", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
breathe_projects = {"monge": str(ROOT / "build/docs/doxygen/xml")}
breathe_default_project = "monge"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

nitpicky = True
# Names of the standard library, of NumPy's typing, and template parameters have no page here.
nitpick_ignore_regex = [
    (r"cpp:.*", r"(std|std::.*|T|U|Operator<T>)"),
    (r"py:.*", r"(numpy|np|collections|typing)\..*"),
]

# Every header opens the namespace again, and is a section of its own.
suppress_warnings = ["duplicate_declaration.cpp"]

html_theme = "furo"
html_title = f"monge {release}"
html_static_path = []
exclude_patterns = ["images"]
