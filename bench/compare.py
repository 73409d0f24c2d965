"""monge beside POT, GeomLoss, KeOps, OTT-JAX and FlashSinkhorn, on the CPU or a GPU: the time of an iteration, and the time to equal
accuracy, on the same points, each solver in a process of its own library's environment.

Results are kept, a line of JSON each, so a run that was stopped goes on where it was, and the table
can be printed from whatever there is. docs/benchmarks.md says how to read it.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import itertools
import json
import os
import platform
import re
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from solvers import SOLVERS

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers"
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
RATE_EPSILON = 0.1  # of the mean cost: large enough for kernels that are not in the log domain
MEMORY_LIMIT = 12 * 2**30
ROUNDS = 5
BEHIND = 4  # times monge's time, after which a peer is left out
LEAST_LIMIT = 0.05  # seconds that it may take in any case
PRESETS: dict[str, dict[str, Any]] = {
    "": {"sizes": [2000, 10000], "dims": [3, 64], "epsilons": [0.1, 0.01], "limit": 60,
         "kinds": ["rate", "solve"]},
    "quick": {"sizes": [2000], "dims": [3, 64], "epsilons": [0.1, 0.01], "limit": 10,
              "kinds": ["rate", "solve"]},
    "grid": {
        "sizes": [64, 256, 1024, 4096, 10000], "dims": [2, 3, 16, 64],
        "epsilons": [0.1, 0.01, 1e-3, 1e-4], "limit": 2, "kinds": ["solve"],
    },
}  # fmt: skip
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, order=True)
class Case:
    """One cell of a column: `epsilon` is in units of the mean cost; kind is "rate" or "solve"."""

    n: int
    d: int
    dtype: str
    kind: str
    epsilon: float


def cases(
    sizes: Iterable[int], dims: Iterable[int], epsilons: list[float], kinds: Iterable[str]
) -> list[Case]:
    """In the order of running, which is that of the arguments."""
    points = itertools.product(sizes, dims, TOLERANCE)
    each = {
        "rate": [("rate", RATE_EPSILON)],
        "solve": [("solve", e) for e in epsilons],
    }
    return [Case(*point, *kind) for point in points for k in kinds for kind in each[k]]


def share(planned: list[Case], which: int, of: int) -> list[Case]:
    """Points stay together: what a solver compiled for them serves every epsilon."""
    points = list(dict.fromkeys((c.n, c.d, c.dtype) for c in planned))
    mine = set(points[which - 1 :: of])
    return [c for c in planned if (c.n, c.d, c.dtype) in mine]


def problem(n: int, d: int, dtype: str) -> dict[str, np.ndarray]:
    """x uniform in the unit cube, y uniform ^ 1.5, weights uniform(0.5, 1.5) normalised."""
    rng = np.random.default_rng([n, d])
    weights = rng.uniform(0.5, 1.5, (2, n))
    a, b = weights / weights.sum(axis=1, keepdims=True)
    drawn = {"x": rng.random((n, d)), "y": rng.random((n, d)) ** 1.5, "a": a, "b": b}
    return {k: v.astype(dtype) for k, v in drawn.items()}


def mean_cost(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(x.var(axis=0).sum() + y.var(axis=0).sum()) + float(
        np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    )


class Worker:
    """A process that answers the jobs of solvers.py. It starts when first asked, and again after it
    was killed for taking too long."""

    def __init__(self, solver: str, threads: int, device: str, log: Path) -> None:
        self.python = Path(sys.executable) if solver == "monge" else PEERS / "bin/python"
        program = Path(__file__).with_name("solvers.py")
        self.command = [self.python, program, solver, str(threads), device]
        self.log = log
        self.paces: dict[str, list[float]] = {}  # by the points
        self.process: subprocess.Popen[str] | None = None
        # Arrays of n x m values come from memory that the process keeps: page faults would slow peers.
        self.environment = os.environ | dict.fromkeys(
            ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(16 * 2**30)
        )
        self.environment |= {
            "MALLOC_TOP_PAD_": str(2**28),
            "KEOPS_CACHE_FOLDER": str(PEERS / "keops"),
            "JAX_PLATFORMS": device,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        if device == "cpu":
            self.environment["CUDA_VISIBLE_DEVICES"] = ""
        for library in ("OMP", "OPENBLAS", "MKL"):
            self.environment[f"{library}_NUM_THREADS"] = str(threads)
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # a forced kernel is a slow one
            self.environment.pop(name, None)

    def ask(self, seconds: float, **job: Any) -> Row:
        if not self.python.exists():
            return {"note": "not installed: run tools/peers.sh"}
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("a"),
            )  # fmt: skip
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                self.close()
                return {"note": f"no answer in {seconds:.0f} s"}
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        code = self.process.wait()
        self.process = None
        return {"note": f"its process ended with {code}: see {self.log.name}"}

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Results:
    """The rows measured so far, the last one of a solver and case counting, in a file of JSON lines."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self.path, self.device = path, device
        self.rows: dict[tuple[str, Case], Row] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            self._take(json.loads(line))

    def _take(self, row: Row) -> None:
        case = Case(*(row[field.name] for field in dataclasses.fields(Case)))
        self.rows[row["solver"], case] = row

    def add(self, solver: str, case: Case, answer: Row) -> Row:
        row = {"solver": solver, **dataclasses.asdict(case), **answer}
        row["date"] = datetime.date.today().isoformat()
        row["machine"] = machine(self.device)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._take(row)
        return row

    def median(self, solver: str, case: Case) -> float | None:
        seconds = self.rows.get((solver, case), {}).get("seconds")
        return statistics.median(seconds) if seconds else None


def points_of(case: Case, folder: Path) -> dict[str, Any]:
    """What a job says of the points, in a file, and epsilon."""
    file = folder / f"{case.n}-{case.d}-{case.dtype}.npz"
    if not file.exists():
        np.savez(file, **problem(case.n, case.d, case.dtype))
    with np.load(file) as points:
        return {"points": str(file), "epsilon": case.epsilon * mean_cost(points["x"], points["y"])}


def too_much(solver: str, case: Case) -> Row | None:
    needed = SOLVERS[solver].arrays * case.n**2 * np.dtype(case.dtype).itemsize
    if needed > MEMORY_LIMIT:
        return {"note": f"{needed / 2**30:.0f} GiB predicted"}
    if case.n < SOLVERS[solver].least:
        return {"note": "not for so few points"}
    return None


def measure_rate(solver: str, case: Case, worker: Worker, folder: Path, limit: float) -> Row:
    job = points_of(case, folder)
    return too_much(solver, case) or worker.ask(4 * limit + 120, job="rate", limit=limit, **job)


def measure_solves(
    names: list[str], case: Case, workers: dict[str, Worker], folder: Path, limit: float
) -> dict[str, Row]:
    """Searches first, then the repeats, one of each solver in turn, so that whatever else the machine
    does meets them all. A peer may take BEHIND times as long as monge before it is left out."""
    job = points_of(case, folder)
    patience = 20 * limit + 120  # a search, and a compiler
    monge = workers["monge"]
    plain = monge.ask(patience, job="plain", tolerance=TOLERANCE[case.dtype], limit=limit, **job)
    needed = plain.get("iterations") or 8
    answers: dict[str, Row] = {}
    for name in names:
        guess = int(needed * SOLVERS[name].slower)
        worker = workers[name]
        answers[name] = too_much(name, case) or worker.ask(
            patience, job="search", tolerance=TOLERANCE[case.dtype],
            limit=None if name == "monge" else limit, guess=guess, known=worker.paces.get(job["points"]), **job,
        )  # fmt: skip
        if found := answers[name].pop("pace", None):
            worker.paces[job["points"]] = found
        if name == "monge" and "knobs" in answers[name]:
            once = monge.ask(patience, job="timed", knobs=answers[name]["knobs"], **job)
            limit = min(limit, max(BEHIND * once.get("seconds", limit), LEAST_LIMIT))
    able = [name for name in names if "knobs" in answers[name]]
    for name in able:
        answers[name]["seconds"] = []
    for _ in range(ROUNDS if len(able) > 1 else 1):
        for name in able:
            knobs = answers[name]["knobs"]
            repeat = workers[name].ask(patience, job="timed", knobs=knobs, **job)
            answers[name]["seconds"].append(repeat["seconds"])
    return answers


def run(arguments: argparse.Namespace, planned: list[Case], results: Results) -> None:
    log = results.path.with_suffix(".log")
    here = [name for name, solver in SOLVERS.items() if arguments.device in solver.devices]
    workers = {name: Worker(name, arguments.threads, arguments.device, log) for name in here}
    again = [n for n in here if arguments.only and re.search(arguments.only, n)]
    asked = again or here
    with tempfile.TemporaryDirectory() as folder:
        try:
            for case in planned:
                left = [n for n in asked if again or (n, case) not in results.rows]
                if not left:
                    continue
                if case.kind == "rate":
                    rows = {
                        n: measure_rate(n, case, workers[n], Path(folder), arguments.limit)
                        for n in left
                    }
                else:  # ratios are those of one run: monge is in every one
                    names = list(dict.fromkeys(["monge", *left]))
                    rows = measure_solves(names, case, workers, Path(folder), arguments.limit)
                for name, answer in rows.items():
                    row = results.add(name, case, answer)
                    reference = results.median("monge", case)
                    print(name, *dataclasses.astuple(case), cell(row, reference), file=sys.stderr)
        finally:
            for worker in workers.values():
                worker.close()


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def cell(row: Row | None, reference: float | None) -> str:
    """Median and half range, times monge's median, and for a solve the iterations and residual."""
    if row is None:
        return ""
    if "seconds" not in row:
        return row["note"]
    seconds = row["seconds"]
    median = statistics.median(seconds)
    text = duration(median)
    if len(seconds) > 1:
        text += f" ± {50 * (max(seconds) - min(seconds)) / median:.0f} %"
    if reference and row["solver"] != "monge":
        text += f", **{median / reference:.3g}x**"
    if "residual" in row:
        text += f" ({row['iterations']} it., {row['residual']:.1e})"
    return text


def table(results: Results, kind: str, planned: list[Case]) -> Iterator[str]:
    columns = sorted(
        {(c.n, c.d, c.epsilon) for c in planned if c.kind == kind},
        key=lambda column: (column[0], column[1], -column[2]),
    )
    heads = [
        f"n = {n:_}, d = {d}".replace("_", " ") + f", eps = {e:g}" * (kind == "solve")
        for n, d, e in columns
    ]
    yield "| solver | " + " | ".join(heads) + " |"
    yield "|---" * (1 + len(heads)) + "|"
    for dtype, (name, solver) in itertools.product(TOLERANCE, SOLVERS.items()):
        here = [Case(n, d, dtype, kind, e) for n, d, e in columns]
        cells = [cell(results.rows.get((name, c)), results.median("monge", c)) for c in here]
        if any(cells):
            yield f"| {solver.title}, {dtype} | " + " | ".join(cells) + " |"


def grid(results: Results, planned: list[Case]) -> Iterator[str]:
    """Of every solve monge's time, and how many times as long the fastest peer took."""
    solves = [c for c in planned if c.kind == "solve"]
    epsilons = sorted({c.epsilon for c in solves}, reverse=True)
    yield "| n | d | type | " + " | ".join(f"eps = {e:g}" for e in epsilons) + " |"
    yield "|---" * (3 + len(epsilons)) + "|"
    for n, d, dtype in dict.fromkeys((c.n, c.d, c.dtype) for c in solves):
        cells = [fastest(results, Case(n, d, dtype, "solve", e)) for e in epsilons]
        yield f"| {n:_} | {d} | {dtype} | ".replace("_", " ") + " | ".join(cells) + " |"


def fastest(results: Results, case: Case) -> str:
    mine = results.median("monge", case)
    if mine is None:
        return cell(results.rows.get(("monge", case)), None)
    peers = {n: results.median(n, case) for n in SOLVERS if n != "monge"}
    timed = {n: seconds for n, seconds in peers.items() if seconds}
    if not timed:
        return f"{duration(mine)}, no peer in {BEHIND} times that"
    best = min(timed, key=lambda n: timed[n])
    return f"{duration(mine)}, **{timed[best] / mine:.3g}x** {best}"


@functools.cache
def machine(device: str) -> str:
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    flags = set(text.split())
    width = next((f for f in ("avx512f", "avx2", "sse4_2") if f in flags), "no SIMD known")
    return f"{model[1] if model else platform.machine()}, {width}"


def report(results: Results, planned: list[Case], arguments: argparse.Namespace) -> str:
    rows = [results.rows[key] for key in results.rows if key[1] in planned]
    dates = sorted({row["date"] for row in rows})
    machines = sorted({row["machine"] for row in rows if "machine" in row})
    versions = sorted({v for row in rows for v in row.get("versions", "").split(", ") if v})
    to = " and ".join(f"{t:.0e} ({dtype})" for dtype, t in TOLERANCE.items())
    return "\n".join([
        f"{' and '.join(machines)}; {arguments.threads} threads; {' to '.join(dates[:1] + dates[1:][-1:])}; "
        f"{', '.join(versions)}; `bench/compare.py {' '.join(sys.argv[1:])}`".replace(" `", " `", 1),
        "",
        *(["Time of an iteration (both potentials):", "", *table(results, "rate", planned), ""]
          if "rate" in arguments.kinds else []),
        *(["monge's time, and that of the fastest peer over it:", "", *grid(results, planned), ""]
          if "solve" in arguments.kinds else []),
        f"Time from the points to an L1 residual of {to}, epsilon in units of the mean cost "
        "(iterations, residual in float64):",
        "",
        *(table(results, "solve", planned) if "solve" in arguments.kinds else []),
    ])  # fmt: skip


def parsed(argv: list[str] | None = None) -> argparse.Namespace:
    def numbers(kind: type) -> Any:
        return lambda text: [kind(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="n = 2000 and 10 s a repeat at most")
    parser.add_argument(
        "--grid", action="store_true", help="solves of many shapes, 2 s a repeat at most"
    )
    parser.add_argument("--sizes", type=numbers(int), help="default 2000,10000")
    parser.add_argument("--dims", type=numbers(int), help="default 3,64")
    parser.add_argument("--epsilons", type=numbers(float),
                        help="in units of the mean cost; default 0.1,0.01")  # fmt: skip
    parser.add_argument("--limit", type=float, help="seconds a repeat may take; default 60")
    parser.add_argument("--kinds", type=lambda text: text.split(","),
                        help="rate, solve (default both)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--shard", metavar="K/N", type=lambda text: [int(part) for part in text.split("/")],
        default=[1, 1], help="the K-th of N shares of the points, to be measured side by side",
    )  # fmt: skip
    parser.add_argument(
        "--only", metavar="REGEX", help=f"measure these again: {', '.join(SOLVERS)}"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--results", type=Path, default=ROOT / "build/compare.jsonl")
    arguments = parser.parse_args(argv)
    defaults = PRESETS["grid" if arguments.grid else "quick" if arguments.quick else ""]
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def main() -> None:
    arguments = parsed()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    if arguments.fresh:
        arguments.results.unlink(missing_ok=True)
    results = Results(arguments.results, arguments.device)
    planned = share(
        cases(arguments.sizes, arguments.dims, arguments.epsilons, arguments.kinds),
        *arguments.shard,
    )
    print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
    try:
        run(arguments, planned, results)
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
    print(report(results, planned, arguments))


if __name__ == "__main__":
    main()
