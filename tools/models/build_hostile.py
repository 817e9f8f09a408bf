"""Models that must be refused (or fail in a bounded way): none may take the server down."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_graph import Graph

HUGE = 1 << 40  # elements: 4 TiB of f32


def good_model() -> onnx.ModelProto:
    graph = Graph("good")
    weight = graph.weight("weight", np.ones((4, 64), np.float32))
    graph.add("MatMul", graph.input("input", ["N", 4]), weight, out="output")
    graph.output("output", ["N", 64])
    return graph.model()


def unknown_op() -> bytes:
    model = good_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    return model.SerializeToString(deterministic=True)


def unknown_domain() -> bytes:
    model = good_model()
    model.graph.node[0].domain = "example.unknown"
    return model.SerializeToString(deterministic=True)


def cyclic() -> bytes:
    """Two additions that wait for each other."""
    graph = Graph("cyclic")
    value = graph.input("input", ["N", 4])
    graph.add("Add", value, "second", out="first")
    graph.add("Add", value, "first", out="second")
    graph.output("second", ["N", 4])
    return graph.model().SerializeToString(deterministic=True)


def absurd_weight() -> bytes:
    """A weight that claims 2^40 elements and carries none."""
    model = good_model()
    weight = model.graph.initializer[0]
    weight.dims[:] = [4, HUGE // 4]
    weight.raw_data = b"\0\0\0\0"
    return model.SerializeToString(deterministic=True)


def absurd_output() -> bytes:
    """Loads; running it asks for 2^40 elements: shape = input[0] * 2^40."""
    graph = Graph("absurd_output")
    count = graph.input("count", [1], TensorProto.INT64)
    factor = graph.weight("factor", np.array([HUGE], np.int64))
    graph.add("ConstantOfShape", graph.add("Mul", count, factor), out="output")
    graph.output("output", ["K"])
    return graph.model().SerializeToString(deterministic=True)


def wrong_type() -> bytes:
    """Declares an int64 output for a float product."""
    model = good_model()
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model.SerializeToString(deterministic=True)


def external_at(location: str) -> bytes:
    """A weight whose data is said to lie in another file."""
    model = good_model()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "1024")):
        weight.external_data.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def other_protobuf() -> bytes:
    """A valid message of another kind: a bare TensorProto."""
    tensor = helper.make_tensor("not a model", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    return tensor.SerializeToString(deterministic=True)


def build(staging: Path, cache: Path) -> None:
    del cache  # nothing is downloaded
    good = good_model().SerializeToString(deterministic=True)
    files = {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "random_bytes": np.random.default_rng(7).bytes(4096),
        "other_protobuf": other_protobuf(),
        "unknown_op": unknown_op(),
        "unknown_domain": unknown_domain(),
        "cyclic": cyclic(),
        "absurd_weight": absurd_weight(),
        "absurd_output": absurd_output(),
        "wrong_type": wrong_type(),
        "external_escape": external_at("../../etc/passwd"),
        "external_escape_far": external_at("../../../../../../../../etc/passwd"),
        "external_absolute": external_at("/etc/passwd"),
        "external_missing": external_at("missing.bin"),
    }
    for name, content in files.items():
        folder = staging / "hostile" / name / "1"
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(content)
