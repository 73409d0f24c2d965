"""Arrays in and out: NumPy and any DLPack array, on the CPU or a GPU, answered in kind.

The points decide the type, float32 or float64; lists, integers and booleans become float64.
Nothing is copied where the layout allows; the caller's arrays are never written.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._device import CUDA_DEVICES, DeviceArray, device_of, has_cuda
from ._errors import InvalidArgument, NotAvailable

Array = npt.NDArray[Any]  # or a DeviceArray, which stands in for one on a GPU
#: From what the core returns, a NumPy array or one on a GPU for from_dlpack, to the caller's kind.
ToFramework = Callable[[Any], Any]

_CPU_DEVICES = (1, 3)  # DLPack: kDLCPU, kDLCUDAHost (pinned, read as any other memory)
_UNREAD = re.compile("float16|complex|float8|float4")
_WIDE = {"float16": "float32", "bfloat16": "float32", "longdouble": "float64"}


def _as_is(array: Any) -> Any:
    return array


def _framework(value: Any) -> ToFramework | None:
    """What turns a NumPy array into the caller's kind; None for lists and numbers, which have none."""
    if isinstance(value, (np.ndarray, np.generic)):
        return _as_is
    if not hasattr(value, "__dlpack__"):
        return _as_is if hasattr(value, "__array__") else None
    root = type(value).__module__.partition(".")[0]
    if root == "torch":
        return lambda array: importlib.import_module("torch").from_dlpack(array)
    if root in ("jax", "jaxlib"):
        return _to_jax
    if root == "cupy":
        return lambda array: importlib.import_module("cupy").from_dlpack(array)
    if hasattr(value, "__array_namespace__"):
        namespace = value.__array_namespace__()
        return lambda array: namespace.from_dlpack(array)
    return _as_is


def _to_jax(array: Any) -> Any:
    jax = importlib.import_module("jax")
    if isinstance(array, np.ndarray):  # read-only ones have no DLPack that every JAX takes
        return jax.device_put(array, jax.devices("cpu")[0])
    return importlib.import_module("jax.dlpack").from_dlpack(array)


def framework_of(*values: Any) -> ToFramework:
    """The kind of the first array among the values; NumPy where all are lists."""
    for value in values:
        if (found := _framework(value)) is not None:
            return found
    return _as_is


def rounded_to(dtype: np.dtype[Any], to: ToFramework) -> ToFramework:
    """`to`, of float arrays in this type."""

    def convert(array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return to(array.astype(dtype, copy=False) if array.dtype.kind == "f" else array)
        found = to(array)
        return DeviceArray(found).astype(dtype).value if "float" in str(found.dtype) else found

    return convert


def _refuse(name: str, type_name: str) -> InvalidArgument:
    cast = next((to for short, to in _WIDE.items() if short in type_name), None)
    way_out = f"cast it with .astype('{cast}')" if cast else "wanted float32, float64 or integers"
    if type_name.startswith("torch."):
        way_out = f"cast it with .to(torch.{cast})" if cast else way_out
    if "complex" in type_name:
        way_out = "pass its real part, .real"
    return InvalidArgument(
        f"[arrays] {name} is {type_name}, which monge does not take: {way_out}", name
    )


def _check_device(kind: int, index: int, name: str) -> None:
    if kind in _CPU_DEVICES or (kind in CUDA_DEVICES and has_cuda()):
        return
    where = f"cuda:{index}" if kind in CUDA_DEVICES else f"DLPack device type {kind}"
    why = "has no CUDA backend" if kind in CUDA_DEVICES else "knows only the CPU and CUDA"
    raise NotAvailable(
        f"[arrays] {name} is on {where}, and this build {why}: move it to the CPU, as by {name}.cpu()",
        name,
    )


def _from_dlpack(value: Any, name: str) -> npt.NDArray[Any] | DeviceArray:
    kind, index = (int(part) for part in value.__dlpack_device__())
    _check_device(kind, index, name)
    type_name = str(getattr(value, "dtype", ""))
    if _UNREAD.search(type_name):
        raise _refuse(name, type_name)
    if getattr(value, "requires_grad", False):
        value = value.detach()  # monge keeps no tape: a result carries gradient() instead
    if kind in CUDA_DEVICES:
        return DeviceArray(value)
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidArgument(
            f"[arrays] {name}, a {type(value).__name__} of {type_name or 'unknown type'}, cannot be "
            f"read through DLPack: {error}",
            name,
        ) from error


def _is_native(array: npt.NDArray[Any]) -> bool:
    return (
        array.dtype.isnative
        and array.flags.aligned
        and all(stride % array.itemsize == 0 for stride in array.strides)
    )


def as_array(value: Any, name: str) -> Array:
    """A native float32 or float64 array, the caller's own memory where that is one already."""
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidArgument(
            f"[arrays] {name} is a masked array: pass .filled() values and zero weights where masked",
            name,
        )
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
    elif hasattr(value, "__dlpack__"):
        found = _from_dlpack(value, name)
        if isinstance(found, DeviceArray):
            return cast(Array, _on_device(found, name))
        array = found
    elif hasattr(value, "__cuda_array_interface__"):
        raise NotAvailable(
            f"[arrays] {name} is a CUDA array without __dlpack__, by which monge reads one: give it "
            "as a torch, CuPy or JAX array",
            name,
        )
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:  # ragged lists
            raise InvalidArgument(
                f"[arrays] {name} cannot be read as an array: {error}", name
            ) from error
        if isinstance(value, (list, tuple)) and array.dtype.kind == "f":
            array = array.astype(np.float64)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise _refuse(name, array.dtype.name)
    return array if _is_native(array) else array.astype(array.dtype.newbyteorder("="), order="C")


def _on_device(array: DeviceArray, name: str) -> DeviceArray:
    try:
        dtype = array.dtype
    except TypeError as error:  # a type that NumPy has no name for
        raise _refuse(name, str(array.value.dtype)) from error
    if dtype.kind in "biu":
        return array.astype(np.float64)
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise _refuse(name, dtype.name)
    return array


def points(value: Any, name: str) -> Array:
    """(n, d) points."""
    array = as_array(value, name)
    if array.ndim == 1:
        raise InvalidArgument(
            f"[arrays] {name} has shape {array.shape}, wanted (n, d): for points on a line pass "
            f"{name}[:, None], for one point {name}[None, :]",
            name,
        )
    return _with_dims(array, 2, name, "(n, d)")


def _with_dims(array: Array, dims: int, name: str, wanted: str) -> Array:
    if array.ndim != dims:
        raise InvalidArgument(f"[arrays] {name} has shape {array.shape}, wanted {wanted}", name)
    return array


def same_type(arrays: dict[str, Array]) -> None:
    """Refuses float32 beside float64 points."""
    first, *others = (array.dtype for array in arrays.values())
    if any(other != first for other in others):
        names, types = list(arrays), [array.dtype.name for array in arrays.values()]
        short = names[types.index("float32")]
        raise InvalidArgument(
            f"[arrays] {names[0]} is {types[0]} but {names[1]} is {types[1]}: cast one of them, as by "
            f"{short}.astype('float64')",
            short,
        )


def new_points(value: Any, dtype: npt.DTypeLike) -> Array:
    """(k, d) points to set beside those of a plan: the same type, or lists and integers."""
    array = points(value, "z")
    if "float" in str(getattr(value, "dtype", "")):
        same_type({"z": array, "the plan": np.empty(0, dtype)})
    return array


def vector(value: Any, name: str, dtype: npt.DTypeLike) -> Array | None:
    """(n,) values converted to the type of the points; None stays."""
    if value is None:
        return None
    return _with_dims(as_array(value, name), 1, name, "(n,)").astype(dtype, copy=False)


def whole(value: Any, name: str) -> npt.NDArray[np.int64]:
    """(n,) integers, on the CPU."""
    array = np.asarray(value.cpu() if hasattr(value, "cpu") else value)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise InvalidArgument(
            f"[arrays] {name} is {array.dtype} of shape {array.shape}, wanted integers (n,)", name
        )
    return np.ascontiguousarray(array, np.int64)


def matrix(value: Any, name: str, dtype: npt.DTypeLike) -> Array:
    """(n, k) values converted to the type of the plan."""
    return _with_dims(as_array(value, name), 2, name, "(n, k)").astype(dtype, copy=False)


def cost_matrix(value: Any) -> Array:
    """(n, m) costs with one unit stride, as the core reads them."""
    array = _with_dims(as_array(value, "C"), 2, "C", "(n, m)")
    if device_of(array) != "cpu":
        return array  # nothing is copied there: the core refuses other strides
    unit = any(
        size <= 1 or step == array.itemsize
        for size, step in zip(array.shape, array.strides, strict=True)
    )
    return array if unit else np.ascontiguousarray(array)


def is_float32(value: Any) -> bool:
    """Whether weights were given in a shorter type than double: their masses agree less closely."""
    dtype = getattr(value, "dtype", "")
    return dtype == np.float32 if isinstance(dtype, np.dtype) else "float32" in str(dtype)
