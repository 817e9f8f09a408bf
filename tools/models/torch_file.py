"""Reads a state dictionary of PyTorch before 1.6 without PyTorch, running nothing it asks for.

The file is five pickles (magic, protocol, system, the dictionary, the storage keys), then for each
key an int64 element count and the raw little-endian elements. Tensors are (storage, offset, shape,
strides).
"""

import io
import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGE_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Knows the names a plain state dictionary needs, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise RuntimeError(f"the checkpoint asks for {module}.{name}, which no plain weights need")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size, view = pid
        if kind != "storage" or view is not None:
            raise RuntimeError(f"the checkpoint refers to a {kind}, which no plain weights need")
        return _Storage(key, dtype, size)


def _as_array(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    data = storages[tensor.storage.key][tensor.offset :]
    if tensor.shape and sum(
        (size - 1) * step for size, step in zip(tensor.shape, tensor.strides)
    ) >= len(data):
        raise RuntimeError("a tensor of the checkpoint reaches past its storage")
    steps = [step * data.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(data, tensor.shape, steps, writeable=False)


def load(content: bytes) -> dict[str, np.ndarray]:
    """Name -> array for every tensor of the checkpoint."""
    file = io.BytesIO(content)
    magic, protocol, _system, tensors, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != MAGIC or protocol != PROTOCOL:
        raise RuntimeError("not a PyTorch checkpoint of the format used before version 1.6")
    storages: dict[str, np.ndarray] = {}
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key], count)
    return {name: _as_array(tensor, storages) for name, tensor in tensors.items()}
