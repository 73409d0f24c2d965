"""C2, pytest plugin: POT's own tests, run on monge.compat.pot.

Names of POT are rebound before its test modules are imported. A call that asks for what monge does not provide by
design (exact transport, L2 penalties, user functions, other methods) goes on to POT, as the baseline that it is in
these tests; everything else is monge's, and a test that never reached monge is reported as skipped.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ot
import ot.batch
import ot.bregman
import ot.partial
import ot.unbalanced
import pytest
from expected import Expected
from ot.solvers._linear import lst_method_solve_sample

from monge.compat import pot

calls = 0
expected = Expected.read(
    Path(__file__).with_name(os.environ.get("CONFORMANCE_EXPECTED", "pot.txt"))
)


def is_anothers(terms: dict[str, Any]) -> bool:
    """Whether monge does not provide this by design: see the documentation of monge.compat.pot."""
    reg, kind = terms.get("reg", 1), terms.get("reg_type", "kl")
    return (
        reg is None
        or (np.isscalar(reg) and reg == 0)
        or not isinstance(kind, str)
        or kind.lower() not in ("kl", "entropy")
        or str(terms.get("unbalanced_type", "kl")).lower() not in ("kl", "tv")
        or terms.get("method") in set(lst_method_solve_sample) - {"geomloss"}
        or terms.get("method") == "proximal"
        or terms.get("plan_init") is not None
        or terms.get("debias") == "split"
        or terms.get("scaler") is not None
        or terms.get("metric") in ("cityblock", "kl")
    )


def route(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(theirs)

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        global calls
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if is_anothers(bound.arguments):
            return theirs(*args, **kwargs)
        calls += 1
        return ours(*args, **kwargs)

    return call


def rebind() -> None:
    places = [ot, ot.solvers, ot.batch, ot.bregman, ot.unbalanced, ot.partial]
    for module, names in (
        (pot, pot.__all__),
        (pot.batch, pot.batch.__all__),
        (pot.bregman, pot.bregman.__all__),
        (pot.unbalanced, pot.unbalanced.__all__),
        (pot.partial, pot.partial.__all__),
    ):
        for name in names:
            ours = getattr(module, name)
            if not inspect.isfunction(ours):
                continue
            for place in places:
                theirs = getattr(place, name, None)
                if inspect.isfunction(theirs) and not hasattr(theirs, "__wrapped__"):
                    setattr(place, name, route(ours, theirs))


def array(value: Any) -> Any:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def assert_allclose_sol(sol1: Any, sol2: Any) -> None:
    """POT's own discards what np.allclose says. Results of POT alone are none of monge's; potentials are compared up
    to their free constant."""
    if not any(isinstance(sol, (pot.OTResult, pot.BatchResult)) for sol in (sol1, sol2)):
        return
    for name in ("value", "value_linear", "plan", "marginal_a", "marginal_b", "potentials"):
        one, two = (getattr(sol, name) for sol in (sol1, sol2))
        if one is None or two is None:
            continue
        if name == "potentials":
            if any(p is None for p in (*one, *two)):
                continue
            (f, g), (u, v) = (tuple(map(array, pair)) for pair in (one, two))
            shift = f[0] - u[0]
            np.testing.assert_allclose(f - shift, u, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(g + shift, v, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_allclose(array(one), array(two), rtol=1e-5, atol=1e-8, err_msg=name)


rebind()


def backends() -> list[Any]:
    """Those of POT, of the libraries that are installed and that both know."""
    return [nx for nx in ot.backend.get_backend_list() if nx.__name__ in ("numpy", "torch", "jax")]


@pytest.fixture(params=backends(), ids=lambda nx: nx.__name__)
def nx(request: pytest.FixtureRequest) -> Any:
    return request.param


def skip_arg(
    names: Any, values: Any, reason: str | None = None, getter: Any = lambda value: value
) -> Callable[..., Any]:
    """Skips where all these arguments of a test have these values."""
    names, values = (v if isinstance(v, (tuple, list)) else (v,) for v in (names, values))
    getters = getter if isinstance(getter, (tuple, list)) else [getter] * len(names)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            rules = zip(names, values, getters, strict=True)
            if all(name in kwargs and get(kwargs[name]) == value for name, value, get in rules):
                pytest.skip(reason or f"POT skips {values}")
            return function(*args, **kwargs)

        return wrapped

    return decorate


def pytest_configure(config: pytest.Config) -> None:
    if ot.backend.jax:
        ot.backend.jax.config.update("jax_enable_x64", True)
    pytest.skip_arg = skip_arg  # what POT's conftest has
    pytest.skip_backend = functools.partial(skip_arg, "nx", getter=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if hasattr(item.module, "assert_allclose_sol"):
            item.module.assert_allclose_sol = assert_allclose_sol
    expected.mark(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "setup":
        item.calls_before = calls
    if report.when == "call" and report.passed and calls == item.calls_before:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, "Skipped: does not reach monge")
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    expected.finish(session)
