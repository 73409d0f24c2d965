"""Sphinx: run by tools/docs.sh, with warnings as errors and every reference resolved."""

import re
from pathlib import Path

from sphinx.ext.napoleon import Config, GoogleDocstring

import monge

ROOT = Path(__file__).resolve().parent.parent

project = "monge"
author = "the monge authors"
copyright = "the monge authors, Apache-2.0"
release = re.search(r"project\(monge VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]

extensions = ["myst_parser", "breathe", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
breathe_projects = {"monge": str(ROOT / "build/docs/doxygen/xml")}
breathe_default_project = "monge"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

nitpicky = True
# Names of the standard library, of NumPy's typing, template parameters and what headers only declare
# have no page here.
nitpick_ignore_regex = [
    (
        r"cpp:.*",
        r"(std|std::.*|T|U|Operator<T>|Inspection|BoundEntries|Plan<T>::kDenseLimit|Linear<T>|LinearDivergence<T>)",
    ),
    (r"py:.*", r"(numpy|np|collections|typing|monge\.(\w+\.)*_\w+)\..*"),
    # Of a named tuple's fields, and of torch.
    (r"py:class", r"_core\.(Derivative|Inverse)Report|Module"),
]

# Every header opens the namespace again, and is a section of its own.
suppress_warnings = ["duplicate_declaration.cpp"]

html_theme = "furo"
html_title = f"monge {release}"
html_static_path = []
exclude_patterns = ["images"]

# Names are documented where users find them, whichever file of the package defines them.
for name in monge.__all__:
    if isinstance(getattr(monge, name), type):
        getattr(monge, name).__module__ = "monge"


def escaped(match):
    return match[1] or "\\" + match[2]


def as_google_style(app, what, name, obj, options, lines):
    """Docstrings are plain text in Google's sections: |x - y| and P_ij mean themselves."""
    lines[:] = [re.sub(r"(``.*?``)|([|*\\]|_(?!\w))", escaped, line) for line in lines]
    if what not in ("attribute", "property"):
        config = Config(
            napoleon_custom_sections=[("Keywords", "params_style")], napoleon_use_rtype=False
        )
        lines[:] = GoogleDocstring(lines, config, app, what, name, obj, options).lines()


def setup(app):
    app.connect("autodoc-process-docstring", as_google_style)
