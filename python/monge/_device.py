"""Arrays on a GPU, as the core takes them: of any framework, by DLPack, never copied.

monge runs on the caller's current stream and hands back arrays that are complete.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core

CUDA_DEVICES = (2, 13)  # DLPack: kDLCUDA, kDLCUDAManaged
_LEGACY = 1  # DLPack's number of CUDA's default stream


@cache
def has_cuda() -> bool:
    """Whether this build has the CUDA backend."""
    return any(part.startswith("cuda") for part in _core.components())


def release_memory(device: str = "cuda:0") -> None:
    """Give back to a GPU what monge keeps of freed memory for the next call: up to a 64th of the GPU's
    memory and 1 GiB, as torch's ``empty_cache`` does for its own. Waits for the GPU. On "cpu", where
    nothing is kept, it does nothing.

    Raises :class:`InvalidArgument` for a name that is no device, :class:`NotAvailable` where there is
    no such GPU."""
    _core.release_memory(device)


def current_stream(device: str) -> int:
    """The caller's stream on "cuda:INDEX" as a cudaStream_t: torch's where torch uses the GPU, else
    CuPy's; 0, the default stream, for others, which have no notion of it, and for "cpu"."""
    if device == "cpu":
        return 0
    index = int(device.partition(":")[2])
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.current_stream(index).cuda_stream)
    cupy = sys.modules.get("cupy")
    if cupy is not None:
        with cupy.cuda.Device(index):
            return int(cupy.cuda.get_current_stream().ptr)
    return 0


class DeviceArray:
    """What of a NumPy array the package uses, over a framework's array on a GPU."""

    def __init__(self, value: Any):
        self.value = value
        self.device = f"cuda:{int(value.__dlpack_device__()[1])}"

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(str(self.value.dtype).removeprefix("torch."))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self.value.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.value[key])

    def astype(self, dtype: npt.DTypeLike, copy: bool = False) -> DeviceArray:
        """The framework converts, on the device; as it is where the type is that already."""
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        name = wanted.name
        if hasattr(self.value, "astype"):
            return DeviceArray(self.value.astype(name))
        return DeviceArray(self.value.to(getattr(importlib.import_module("torch"), name)))

    def __dlpack__(self, **_: Any) -> Any:
        if type(self.value).__module__.partition(".")[0] == "torch":
            # Runs on torch's own stream: nothing waits, and __dlpack__ of torch takes 20 us to say so.
            return importlib.import_module("torch.utils.dlpack").to_dlpack(self.value)
        # The producer makes this stream wait for its own.
        return self.value.__dlpack__(stream=current_stream(self.device) or _LEGACY)

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, index = self.value.__dlpack_device__()
        return int(kind), int(index)


def device_of(array: Any) -> str:
    """ "cpu" or "cuda:INDEX" of what the core is given."""
    return array.device if isinstance(array, DeviceArray) else "cpu"
