"""The primitives that JAX knows: transport and its derivatives, each a foreign function that is the core.

Operands carry an axis of entries in front: x (B, n, d), y (B, m, d), a (B, n), b (B, m), e = epsilon (B,), which is read
where no attribute says it. What a primitive gives is named by letters: v the value, f and g the potentials, x, y, a, b, e
what belongs to those inputs.

`transport` is differentiated by its own gradients. `derivative` takes directions (B, k, ...) in what `moved` names to
what `of` names: from parameters to gradients (a Hessian product) or to potentials, and from cotangents of potentials to
parameters. It is linear in the directions, and its transpose is itself with `moved` and `of` exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from .. import _core
from .._device import has_cuda
from .._errors import NotAvailable

PARAMETERS = "xyabe"
POTENTIALS = "fg"
_PLATFORMS = ("cpu", "cuda") if has_cuda() else ("cpu",)
_POINT = 7  # operands of `derivative` before the directions: x, y, a, b, e, f, g

transport = Primitive("monge_transport")
derivative = Primitive("monge_derivative")
transport.multiple_results = derivative.multiple_results = True


@transport.def_abstract_eval
def _(x: Any, y: Any, a: Any, b: Any, e: Any, *, attributes: Any, of: str) -> list[Any]:
    k = 3 if dict(attributes)["debias"] else 1
    shapes = {
        "v": x.shape[:1],
        "f": (x.shape[0], k, x.shape[1]),
        "g": (x.shape[0], k, y.shape[1]),
        **{name: part.shape for name, part in zip(PARAMETERS, (x, y, a, b, e), strict=True)},
    }
    return [ShapedArray(shapes[name], x.dtype) for name in of]


@derivative.def_abstract_eval
def _(*operands: Any, attributes: Any, moved: str, of: str) -> list[Any]:
    x, _, a, b, _ = point = operands[:5]
    count = operands[_POINT].shape[1]
    shapes = {name: part.shape for name, part in zip(PARAMETERS, point, strict=True)}
    shapes |= {"f": a.shape, "g": b.shape}
    return [ShapedArray((x.shape[0], count, *shapes[name][1:]), x.dtype) for name in of]


# ---- differentiation


def _parameters(attributes: Any) -> str:
    """What is differentiated in: epsilon where it is an operand."""
    return PARAMETERS if dict(attributes)["epsilon"] == 0 else PARAMETERS[:-1]


def _named(letters: str, values: Sequence[Any]) -> dict[str, Any]:
    """Those that are not zero by construction."""
    return {
        name: value
        for name, value in zip(letters, values, strict=True)
        if type(value) is not ad.Zero
    }


def _transport_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, attributes: Any, of: str
) -> tuple[list[Any], list[Any]]:
    parameters = _parameters(attributes)
    every = "vfg" + parameters
    found = dict(zip(every, transport.bind(*primals, attributes=attributes, of=every), strict=True))
    along = _named(parameters, tangents[: len(parameters)])
    moving: dict[str, Any] = {"v": _paired(found, along)}
    wanted = parameters if set(parameters) <= set(of) else POTENTIALS if "f" in of else ""
    if wanted:
        parts = derivative.bind(
            *primals,
            found["f"],
            found["g"],
            *(part[:, None] for part in along.values()),
            attributes=attributes,
            moved="".join(along),
            of=wanted,
        )
        # One direction stands where potentials have their one solve.
        moving |= {
            name: part if name in POTENTIALS else part[:, 0]
            for name, part in zip(wanted, parts, strict=True)
        }
    # f and g beside gradients are for `derivative` alone, which is not differentiated in them.
    out = [found[name] for name in of]
    return out, [
        moving[name] if name in moving else ad.Zero(jax.typeof(part).to_tangent_aval())
        for name, part in zip(of, out, strict=True)
    ]


def _paired(slopes: dict[str, Any], along: dict[str, Any]) -> Any:
    """Of each entry <gradient, direction>."""
    return sum((slopes[name] * part).reshape(len(part), -1).sum(1) for name, part in along.items())


def _derivative_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, attributes: Any, moved: str, of: str
) -> tuple[list[Any], list[Any]]:
    if any(type(part) is not ad.Zero for part in tangents[:_POINT]):
        raise NotAvailable(
            "[jax] third derivatives, and second ones of potentials, are not provided"
        )
    out = derivative.bind(*primals, attributes=attributes, moved=moved, of=of)
    along = _named(moved, tangents[_POINT:])
    return out, derivative.bind(
        *primals[:_POINT], *along.values(), attributes=attributes, moved="".join(along), of=of
    )


def _derivative_transpose(
    cotangents: Sequence[Any], *operands: Any, attributes: Any, moved: str, of: str
) -> list[Any]:
    given = _named(of, cotangents)
    asked = [
        name
        for name, part in zip(moved, operands[_POINT:], strict=True)
        if ad.is_undefined_primal(part)
    ]
    if not given:
        return [ad.Zero(part.aval) if ad.is_undefined_primal(part) else None for part in operands]
    parts = derivative.bind(
        *operands[:_POINT],
        *given.values(),
        attributes=attributes,
        moved="".join(given),
        of="".join(asked),
    )
    found = dict(zip(asked, parts, strict=True))
    return [None] * _POINT + [found.get(name) for name in moved]


ad.primitive_jvps[transport] = _transport_jvp
ad.primitive_jvps[derivative] = _derivative_jvp
ad.primitive_transposes[derivative] = _derivative_transpose


# ---- vmap: the mapped axis becomes entries, or directions where the point is one for all


def _front(value: Any, dim: Any, size: int) -> Any:
    return (
        jnp.broadcast_to(value[None], (size, *value.shape))
        if dim is None
        else jnp.moveaxis(value, dim, 0)
    )


def _merged(
    primitive: Primitive, args: Sequence[Any], dims: Sequence[Any], **parameters: Any
) -> tuple[list[Any], list[int]]:
    size = _size(args, dims)
    fronts = [_front(value, dim, size) for value, dim in zip(args, dims, strict=True)]
    parts = primitive.bind(*(value.reshape(-1, *value.shape[2:]) for value in fronts), **parameters)
    return [part.reshape(size, -1, *part.shape[1:]) for part in parts], [0] * len(parts)


def _size(args: Sequence[Any], dims: Sequence[Any]) -> int:
    return next(
        int(value.shape[dim]) for value, dim in zip(args, dims, strict=True) if dim is not None
    )


def _derivative_batch(
    args: Sequence[Any], dims: Sequence[Any], **parameters: Any
) -> tuple[list[Any], list[int]]:
    if any(dim is not None for dim in dims[:_POINT]):
        return _merged(derivative, args, dims, **parameters)
    size = _size(args, dims)
    directions = [
        jnp.moveaxis(_front(value, dim, size), 0, 1)
        for value, dim in zip(args[_POINT:], dims[_POINT:], strict=True)
    ]
    parts = derivative.bind(
        *args[:_POINT],
        *(value.reshape(len(value), -1, *value.shape[3:]) for value in directions),
        **parameters,
    )
    return [part.reshape(len(part), size, -1, *part.shape[2:]) for part in parts], [1] * len(parts)


batching.primitive_batchers[transport] = partial(_merged, transport)
batching.primitive_batchers[derivative] = _derivative_batch


# ---- execution


@lru_cache(maxsize=256)
def _compiled(primitive: Primitive, parameters: tuple[tuple[str, Any], ...]) -> Any:
    return jax.jit(partial(primitive.bind, **dict(parameters)))


def _run(primitive: Primitive, *args: Any, **parameters: Any) -> Any:
    return _compiled(primitive, tuple(parameters.items()))(*args)


def _typed(name: str, value: Any) -> Any:
    """As an attribute of an FFI call."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return np.float64(value)
    return np.uint64(value) if name == "seed" else np.int64(value)


def _lowering(name: str) -> Any:
    def rule(context: Any, *operands: Any, attributes: Any, **letters: str) -> Any:
        typed = {key: _typed(key, value) for key, value in attributes}
        return jax.ffi.ffi_lowering(name)(context, *operands, **typed, **letters)

    return rule


def _elsewhere(context: Any, *_: Any, **__: Any) -> Any:
    where = ", ".join(context.module_context.platforms)
    raise NotAvailable(
        f"[jax] arrays are on {where}, and this build of monge runs on {' and '.join(_PLATFORMS)}: move them"
    )


_targets = _core.xla_targets()
if not _targets:
    raise ImportError(
        "monge.jax is not in this build of monge, which found no jaxlib: build it again where it is "
        "installed, as by pip install --force-reinstall --no-deps . in the source tree"
    )
for _name, _platform, _target in _targets:
    jax.ffi.register_ffi_target(_name, _target, platform=_platform)
for _primitive in (transport, derivative):
    _primitive.def_impl(partial(_run, _primitive))
    mlir.register_lowering(_primitive, _elsewhere)
    for _platform in _PLATFORMS:
        mlir.register_lowering(_primitive, _lowering(_primitive.name), platform=_platform)
