"""A LoRA adapter for tests, as llama.cpp's converter writes one: GGUF 3, `general.type` adapter,
and for each changed matrix its two thin factors. Nothing was learnt: the factors are random."""

import struct
from pathlib import Path

import numpy as np

ALIGNMENT = 32
STRING, FLOAT32 = 8, 6  # types of metadata
F32 = 0  # type of a tensor


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def write_lora(path: Path, *, width: int, layers: list[int], rank: int = 4, size: float = 1.0,
               architecture: str = "llama", seed: int = 1) -> Path:
    """Changes `attn_output` of the layers, a square matrix of `width`, by numbers around `size`."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in layers:
        name = f"blk.{layer}.attn_output.weight"
        for factor, shape in (("a", (rank, width)), ("b", (width, rank))):
            values = random.normal(0, size / np.sqrt(rank), shape).astype(np.float32)
            tensors[f"{name}.lora_{factor}"] = values
    facts = [("general.type", STRING, text("adapter")),
             ("general.architecture", STRING, text(architecture)),
             ("adapter.type", STRING, text("lora")),
             ("adapter.lora.alpha", FLOAT32, struct.pack("<f", rank))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    for name, kind, value in facts:
        head += text(name) + struct.pack("<I", kind) + value
    data = b""
    for name, values in tensors.items():
        head += text(name) + struct.pack("<I", values.ndim)
        head += struct.pack(f"<{values.ndim}Q", *reversed(values.shape))
        head += struct.pack("<IQ", F32, len(data))
        data += values.tobytes() + bytes(-values.nbytes % ALIGNMENT)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path
