"""Checks the links between files in README.md, CONTRIBUTING.md, DESIGN.md and docs/*.md.

Every relative link must name a file of the repository and, after '#', one of its headings. Links to
other sites are not contacted. Prints one line a broken link and exits 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken(page: Path) -> list[str]:
    found = []
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            found.append(f"{page}: {link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            found.append(f"{page}: {link}: no such heading")
    return found


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    pages = [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md"))]
    found = [line for page in pages for line in broken(page)]
    print("\n".join(found) or f"links: {len(pages)} pages, none broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
