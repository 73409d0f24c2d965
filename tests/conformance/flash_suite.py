"""pytest plugin: FlashSinkhorn's own tests, which its wheel carries, run on monge.torch.

Its public functions, its solvers and the applications of a plan are rebound to monge's, with its defaults where they differ;
its helpers of arrays and its dense references, which its tests compare with, stay its own. Its n_iters and threshold
end a schedule, where monge goes on until its tolerance. Without a GPU the tests' tensors are moved to the CPU and Triton is
a stub. A test that never reached monge is reported as skipped.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from expected import Expected
from torch.overrides import TorchFunctionMode

ON_GPU = torch.cuda.is_available()
STUBS = () if find_spec("triton") else ("triton", "triton.language")
sys.modules.update({name: MagicMock() for name in STUBS})
import flash_sinkhorn  # noqa: E402
from flash_sinkhorn import samples_loss as their_loss  # noqa: E402

for found in pkgutil.walk_packages(flash_sinkhorn.__path__, "flash_sinkhorn."):
    if not found.name.startswith(("flash_sinkhorn.testing", "flash_sinkhorn.bench")):
        importlib.import_module(found.name)
for name in STUBS:  # torch asks for it too
    del sys.modules[name]

import monge.torch as mt  # noqa: E402
from monge import _core  # noqa: E402
from monge._keywords import Ground  # noqa: E402
from monge._marginals import KL  # noqa: E402
from monge.torch._second import plan_of  # noqa: E402

TOLERANCE = 1e-8  # below what float32 reaches: solves are double's, and rounded at the end
# Tests of its multiscale solver's parts, all but those that call the loss: Triton's, or of its cells, masks and checks.
PARTS = ("test_multiscale_kernels.py", "test_multiscale_solver.py")
OF_THE_LOSS = (
    "test_cost_matches",
    "test_debiased_cost",
    "test_input_precisions",
    "test_argument_validation",
)
LARGEST = "test_label_cost_solves_above_the_separate_kernel_threshold"
calls = 0
expected = Expected.read(Path(__file__).with_name("flash.txt"))


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        global calls
        calls += 1
        return function(*args, **kwargs)

    return call


def promoted(x: Any, *others: Any) -> Any:
    """monge reads half types under autocast alone, where FlashSinkhorn always does."""
    return torch.autocast(x.device.type, enabled=x.dtype in (torch.float16, torch.bfloat16))


class SamplesLoss(mt.SamplesLoss):
    """With FlashSinkhorn's defaults and attributes; it solves until converged."""

    _theirs = inspect.signature(their_loss.SamplesLoss.__init__)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self._theirs.bind(self, *args, **kwargs)
        bound.apply_defaults()
        terms = {name: v for name, v in bound.arguments.items() if name != "self"}
        schedule = ("n_iters", "threshold", "allow_tf32", "truncate_tf32")
        given = {name: v for name, v in terms.items() if name not in schedule}
        if given["tol"] is None:
            given["threshold"] = TOLERANCE
        global calls
        calls += 1
        super().__init__(**given)
        for name, value in terms.items():
            if not hasattr(self, name):
                setattr(self, name, value)

    def forward(self, *args: Any, **labels: Any) -> Any:
        clouds = args if len(args) == 2 else args[1::2]
        with promoted(*clouds):
            return super().forward(*args, **labels)


def solver(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Potentials of monge, by the arguments of one of their solvers."""
    signature = inspect.signature(theirs)

    def solve(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments

        def reach(side: str) -> float | None:
            for rho, length in (("rho_" + side, "reach_" + side), ("rho", "reach")):
                if given[rho] is not None:
                    return float(given[rho]) ** 0.5
                if given[length] is not None:
                    return float(given[length])
            return None

        labels = {name: given.get(name) for name in ("label_x", "label_y")}
        loss = mt.SamplesLoss(
            potentials=True,
            threshold=TOLERANCE,
            blur=given.get("blur", 0.05),
            eps=given.get("eps"),
            eps_list=given.get("eps_list"),
            half_cost=given["cost_scale"] == 0.5,
            reach_x=reach("x"),
            reach_y=reach("y"),
            **{
                name: given[name]
                for name in ("label_cost_matrix", "lambda_x", "lambda_y")
                if name in given
            },
        )
        a, x, b, y = (given[name] for name in "axby")
        with torch.no_grad(), promoted(x):
            f, g = loss(a, x, b, y, **labels)
        if given.get("ott_convention"):
            f, g = mt.geomloss_to_ott_potentials(f, g, a, b, eps=given["eps"])
        prelast = (f, g) if given.get("return_prelast") else ()
        count = (0,) if given.get("return_n_iters") else ()
        return (f, g, *prelast, *count)

    return counted(solve)


def applied(
    x: Any, y: Any, f_hat: Any, g_hat: Any, log_a: Any, log_b: Any, values: Any, *,
    eps: float, axis: int, cost_scale: float = 1.0, scale: Any = None, **tuning: Any,
) -> Any:  # fmt: skip
    """The plan of potentials less the squared norms, on a vector or a matrix."""
    f = f_hat + cost_scale * x.float().square().sum(1)
    g = g_hat + cost_scale * y.float().square().sum(1)
    soft = KL(1.0)
    name = {1.0: "sqeuclidean", 0.5: "half_sqeuclidean"}[cost_scale]
    plan = plan_of(
        (x.float(), y.float(), log_a.exp(), log_b.exp()), (f, g),
        ground=Ground.of(name, 1.0), epsilon=eps, sides=(soft, soft),
    )  # fmt: skip
    if scale is not None:
        values = values * scale[:, None]
    rows = _core.Side.source if axis == 1 else _core.Side.target
    matrix = (values if values.ndim == 2 else values[:, None]).contiguous()
    call = _core.Call(stream=torch.cuda.current_stream().cuda_stream if ON_GPU else 0)
    found = torch.from_dlpack(plan.apply(rows, matrix if ON_GPU else matrix.numpy(), call))
    return found if values.ndim == 2 else found[:, 0]


def transported(
    x: Any, y: Any, f: Any, g: Any, values: Any, eps: float, axis: int, **tuning: Any
) -> Any:
    """The same of potentials that hold the weights."""
    zero = torch.zeros_like
    f_hat, g_hat = f - x.float().square().sum(1), g - y.float().square().sum(1)
    return applied(x, y, f_hat, g_hat, zero(f), zero(g), values, eps=eps, axis=axis)


def fifth(
    x: Any, y: Any, f: Any, g: Any, A: Any, *, eps: float, cost_scale: float = 1.0, **tuning: Any
) -> Any:
    """-4 cost_scale / eps sum_j P_ij (A_i . y_j) y_j, a term of its Hessian products, from the plan's second moments."""
    n, d = x.shape
    moments = transported(x, y, f, g, (y[:, :, None] * y[:, None]).reshape(-1, d * d), eps, 1)
    return -4 * cost_scale / eps * torch.einsum("id,ide->ie", A, moments.reshape(n, d, d))


def rebind() -> None:
    names: dict[str, Any] = {
        "mat5_sqeuclid": counted(fifth),
        "SamplesLoss": SamplesLoss,
        "apply_plan_vec_flashstyle": counted(applied),
        "apply_plan_mat_flashstyle": counted(applied),
        "apply_transport_from_potentials_sqeuclid": counted(transported),
    }
    for name in (
        "c_transform_fwd",
        "c_transform_cost",
        "geomloss_to_ott_potentials",
        "hvp_x_sqeuclid",
        "hvp_x_sqeuclid_from_potentials",
        "inverse_hvp_x_sqeuclid_from_potentials",
        "implicit_grad_x",
        "sinkhorn_geomloss_online_grad_sqeuclid",
    ):
        names[name] = counted(getattr(mt, name))
    solvers = flash_sinkhorn.sinkhorn_solvers
    for name in ("sinkhorn_flashstyle_symmetric", "sinkhorn_flashstyle_alternating"):
        names[name] = solver(getattr(solvers, name))
    name = "sinkhorn_geomloss_online_potentials_sqeuclid"
    names[name] = solver(getattr(flash_sinkhorn.kernels.sinkhorn_triton_geomloss_sqeuclid, name))
    for module in [m for key, m in sys.modules.items() if key.startswith("flash_sinkhorn")]:
        for name, ours in names.items():
            if name in vars(module):
                setattr(module, name, ours)


class OnTheCpu(TorchFunctionMode):
    """Tensors that are asked for on a GPU are made on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def moved(value: Any) -> Any:
            named = isinstance(value, str) and value.startswith("cuda")
            device = isinstance(value, torch.device) and value.type == "cuda"
            return "cpu" if named or device else value

        if func is torch.Tensor.cuda:
            return args[0]
        return func(*map(moved, args), **{k: moved(v) for k, v in (kwargs or {}).items()})


if not ON_GPU:
    torch.cuda.is_available = lambda: True
    torch.cuda.synchronize = lambda *_: None
    torch.cuda.current_device = lambda: 0
    OnTheCpu().__enter__()
rebind()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = [
        item for item in items if item.path.name not in PARTS or item.name.startswith(OF_THE_LOSS)
    ]
    expected.mark(items)
    for item in items:
        if item.name == LARGEST and not ON_GPU:
            item.add_marker(pytest.mark.skip(reason="30 000 points: on a GPU alone"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    expected.finish(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "setup":
        item.calls_before = calls
    if report.when == "call":
        asks_triton = not ON_GPU and call.excinfo and "CUDA" in str(call.excinfo.value)
        if asks_triton or (report.passed and calls == item.calls_before):
            report.outcome = "skipped"
            reason = "asks Triton for a kernel" if asks_triton else "does not reach monge"
            report.longrepr = (str(item.path), 0, f"Skipped: {reason}")
    return report
