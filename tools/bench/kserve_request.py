"""A KServe request with binary tensors, made from a model's metadata. Pure."""

import json
import random
import struct
from typing import NamedTuple

TOKENS = (1_000, 21_000)  # within the vocabularies of the models measured here


class Request(NamedTuple):
    body: bytes
    header_bytes: int  # of the JSON at its beginning


def size_of(declared: int | str, at: int, sequence: int) -> int:
    if int(declared) >= 0:
        return int(declared)
    return 1 if at == 0 else sequence


def content(name: str, datatype: str, elements: int) -> bytes:
    """Masks let everything through, types are all the first; as baozi-bare does it."""
    source = random.Random(1)
    if datatype == "INT64":
        if "mask" in name or "type" in name:
            return struct.pack(f"<{elements}q", *([int("mask" in name)] * elements))
        return struct.pack(f"<{elements}q", *(source.randrange(*TOKENS) for _ in range(elements)))
    if datatype == "FP32":
        return struct.pack(f"<{elements}f", *(source.uniform(-1, 1) for _ in range(elements)))
    raise ValueError(f"input {name} is {datatype}; only INT64 and FP32 are made here")


def binary_request(inputs: list[dict], sequence: int) -> Request:
    """One row; free dimensions behind the first get the size `sequence`."""
    tensors, contents = [], []
    for spec in inputs:
        shape = [size_of(size, at, sequence) for at, size in enumerate(spec["shape"])]
        elements = 1
        for size in shape:
            elements *= size
        data = content(spec["name"], spec["datatype"], elements)
        contents.append(data)
        tensors.append({"name": spec["name"], "datatype": spec["datatype"], "shape": shape,
                        "parameters": {"binary_data_size": len(data)}})
    head = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    text = json.dumps(head, separators=(",", ":")).encode()
    return Request(b"".join([text, *contents]), len(text))
