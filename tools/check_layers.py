"""Checks who includes whom (DESIGN.md, "Layers"): python tools/check_layers.py [ROOT]

Prints one line for each include that breaks a rule and exits 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The rooms a room may include, beside itself. `include/monge/ROOM` and `src/ROOM` are one room.
OT_AND_BELOW = {"ot", "core"}
MAY_INCLUDE: dict[str, set[str]] = {
    "core": set(),
    "kernels": {"core"},
    "cpu": {"kernels", "core"},
    "cuda": {"kernels", "core"},
    "ot": {"kernels", "core"},
    "pairs": OT_AND_BELOW,
    "bridge": OT_AND_BELOW,
    "dynamics": OT_AND_BELOW,
    "distributed": OT_AND_BELOW | {"kernels"},
    "io": {"core", "info"},
    "store": OT_AND_BELOW | {"io", "info"},  # solutions in files: above what it stores
    "info": {"core", "cpu", "cuda"},  # names what was built, so it knows the backends
    "umbrella": OT_AND_BELOW | {"info", "store", "pairs", "bridge", "dynamics"},
    "cli": OT_AND_BELOW | {"info", "umbrella", "io", "store", "pairs", "bridge", "dynamics"},
    "python": OT_AND_BELOW | {"info", "umbrella", "store", "pairs", "bridge", "dynamics"},
    "examples": OT_AND_BELOW | {"info", "umbrella", "store", "pairs", "bridge", "dynamics"},
    "bench": OT_AND_BELOW | {"info", "umbrella", "kernels", "cpu", "cuda"},
}
# These see the library as any user does: by its public headers.
PUBLIC_ONLY = {"store", "cli", "python", "examples"}
INTERNAL_BUT_SHARED = {"io"}  # files as the command line reads them, no part of the interface

# Where a library's headers may appear: path prefixes of the including file.
LIBRARIES: list[tuple[str, tuple[str, ...]]] = [
    (r"hwy/", ("src/cpu/", "bench/peak.hpp")),  # the machine's own peak is no kernel
    (r"fmt/", ("src/", "cli/")),
    (r"xla/ffi/", ("python/src/xla/",)),
    (r"(unsupported/)?Eigen/", ("src/",)),
    (r"(omp\.h)$", ("src/cpu/parallel.cpp", "bench/peak.hpp")),
    (r"(zip|png)\w*\.h$", ("src/io/",)),
    (r"nlohmann/", ("src/io/", "cli/")),
    (r"CLI/", ("cli/", "bench/")),
    (r"(nanobind|dlpack)/|Python\.h$|dlpack\.h$", ("python/",)),
    (
        r"(cuda|cub|thrust|cutlass|cute)/|(cuda|cublas|cusolver)\w*\.h$|mma\.h$",
        ("src/cuda/", "bench/peak.hpp"),
    ),
    (r"torch/", ("src/dynamics/", "src/bridge/torchscript")),
    (r"(mpi|nccl)\.h$", ("src/distributed/",)),
    (r"benchmark/", ("bench/",)),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = {".hpp", ".cpp", ".cu", ".cuh", ".h"}


def room_of(path: str) -> str | None:
    """The room of a file, by its path from the root; None where no rule applies (tests)."""
    if path == "include/monge/monge.hpp":
        return "umbrella"
    inside = re.match(r"(?:include/monge|src)/(?:(\w+)/|(\w+)\.)", path)
    if inside:
        return inside[1] or inside[2]
    top = path.split("/", 1)[0]
    return top if top in MAY_INCLUDE else None


def room_of_include(name: str) -> str | None:
    """The room an include names; None for a library's header or a file beside the includer."""
    if name == "monge/monge.hpp":
        return "umbrella"
    inside = re.match(r"monge/(?:(\w+)/|(\w+)\.)", name)
    if inside:
        return inside[1] or inside[2]
    first = name.split("/", 1)[0]
    return first if "/" in name and first in MAY_INCLUDE else None


def violation(path: str, name: str, angled: bool) -> str | None:
    """Why the file at `path` may not include `name`, or None."""
    here, there = room_of(path), room_of_include(name)
    if path.startswith("tests/"):
        return None
    if there is not None:
        private = not name.startswith("monge/") and there not in INTERNAL_BUT_SHARED | {here}
        if here in PUBLIC_ONLY and private:
            return f"{here} uses public headers alone"
        if here is None or there == here or there in MAY_INCLUDE.get(here, set()):
            return None
        return f"{here} may not include {there}"
    for pattern, homes in LIBRARIES:
        if re.match(pattern, name) and not path.startswith(homes):
            return f"belongs to {' and '.join(homes)} alone"
    if path.startswith("include/") and not (angled and re.fullmatch(r"[a-z_]+", name)):
        return "public headers include the standard library and monge alone"
    return None


def check(root: Path) -> list[str]:
    """One line, `file:line: include NAME: reason`, for each violation under `root`."""
    found = []
    for top in ("include", "src", "cli", "python", "bench", "examples"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if match := INCLUDE.match(line):
                    reason = violation(path, match[2], angled=match[1] == "<")
                    if reason:
                        found.append(f"{path}:{number}: include {match[2]}: {reason}")
    return found


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = check(root)
    print("\n".join(found) or "layers: every include keeps to its room")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
