#!/usr/bin/env bash
# docs.sh: the documentation in build/docs/html. A broken link, an unknown reference or an
# undocumented header is an error.
source "$(dirname "$0")/common.sh"
tools/packages.sh build docs
requirements docs frameworks  # first: with jaxlib there, the package has its JAX part
tools/setup.sh python

say "C++ reference"
for header in $(git ls-files 'include/monge/*/*.hpp' include/monge/info.hpp); do
  grep -q "doxygenfile} $(basename "$header")" docs/cpp.md || { echo "docs/cpp.md lacks $header" >&2; exit 1; }
done
mkdir -p build/docs
doxygen docs/Doxyfile
sed -i '/<includes refid=/d' build/docs/doxygen/xml/*.xml  # include lines would be links to nowhere

say "Pages"
"$venv/bin/sphinx-build" --quiet --fail-on-warning --keep-going --nitpicky --fresh-env \
  -b html docs build/docs/html
"$venv/bin/python" tools/check_links.py
echo "documentation: build/docs/html/index.html"
