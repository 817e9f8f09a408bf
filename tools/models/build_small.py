"""Tiny deterministic models that the tests serve: one for each thing a server can get wrong."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_graph import Graph, move_weights_out, save

# KServe's name of each datatype (BYTES is spelt STRING in ONNX) and ONNX's.
DTYPES = {
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
    "fp32": TensorProto.FLOAT,
    "fp64": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


def add_sub(models: Path) -> None:
    """sum = a + b, difference = a - b; all [N,4] f32."""
    graph = Graph("add_sub")
    a, b = graph.input("a", ["N", 4]), graph.input("b", ["N", 4])
    graph.add("Add", a, b, out="sum")
    graph.add("Sub", a, b, out="difference")
    graph.output("sum", ["N", 4])
    graph.output("difference", ["N", 4])
    save(graph.model(), models, "add_sub")


def identities(models: Path) -> None:
    """identity_<dtype>: output = input, [N,M], for every datatype of KServe."""
    for name, dtype in DTYPES.items():
        graph = Graph(f"identity_{name}")
        graph.add("Identity", graph.input("input", ["N", "M"], dtype), out="output")
        graph.output("output", ["N", "M"], dtype)
        save(graph.model(), models, f"identity_{name}")


def dynamic_seq(models: Path) -> None:
    """input f32 [N,S] -> sum [N,1] and passed [N,S], a copy of the input."""
    graph = Graph("dynamic_seq")
    value = graph.input("input", ["N", "S"])
    axes = graph.weight("axes", np.array([1], np.int64))
    graph.add("ReduceSum", value, axes, out="sum", keepdims=1)
    graph.add("Identity", value, out="passed")
    graph.output("sum", ["N", 1])
    graph.output("passed", ["N", "S"])
    save(graph.model(), models, "dynamic_seq")


def loop_body(size: int) -> onnx.GraphProto:
    nodes = [
        helper.make_node("MatMul", ["state_in", "matrix"], ["product"]),
        helper.make_node("Tanh", ["product"], ["state_out"]),
        helper.make_node("Identity", ["go_in"], ["go_out"]),
    ]
    inputs = [
        helper.make_tensor_value_info("step", TensorProto.INT64, []),
        helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
        helper.make_tensor_value_info("state_in", TensorProto.FLOAT, [size, size]),
    ]
    outputs = [
        helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
        helper.make_tensor_value_info("state_out", TensorProto.FLOAT, [size, size]),
    ]
    rotation = np.roll(np.eye(size, dtype=np.float32), 1, axis=1)
    matrix = numpy_helper.from_array(rotation, "matrix")
    return helper.make_graph(nodes, "body", inputs, outputs, [matrix])


def slow_loop(models: Path) -> None:
    """iterations int64 [1] -> value f32 [1]; each multiplies 256x256 matrices (about 0.5 ms)."""
    size = 256
    graph = Graph("slow_loop")
    iterations = graph.input("iterations", [1], TensorProto.INT64)
    start = np.linspace(-1, 1, size * size, dtype=np.float32).reshape(size, size)
    trips = graph.add("Squeeze", iterations)
    go = graph.weight("go", np.array(True))
    state = graph.weight("start", start)
    last = graph.add("Loop", trips, go, state, body=loop_body(size))
    mean = graph.add("ReduceMean", last, keepdims=0)
    axes = graph.weight("axes", np.array([0], np.int64))
    graph.add("Unsqueeze", mean, axes, out="value")
    graph.output("value", [1])
    save(graph.model(), models, "slow_loop")


def fixed_batch(models: Path) -> None:
    """input f32 [2,3] -> output = 2 * input; no dimension is dynamic."""
    graph = Graph("fixed_batch")
    two = graph.weight("two", np.array(2, np.float32))
    graph.add("Mul", graph.input("input", [2, 3]), two, out="output")
    graph.output("output", [2, 3])
    save(graph.model(), models, "fixed_batch")


def argmax_logits(models: Path) -> None:
    """input f32 [N,10] -> logits (a copy) and class int64 [N]; labels.txt names the ten classes."""
    labels = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    graph = Graph("argmax_logits")
    value = graph.input("input", ["N", 10])
    graph.add("Identity", value, out="logits")
    graph.add("ArgMax", value, out="class", axis=1, keepdims=0)
    graph.output("logits", ["N", 10])
    graph.output("class", ["N"], TensorProto.INT64)
    save(graph.model(), models, "argmax_logits")
    (models / "argmax_logits" / "labels.txt").write_text("\n".join(labels) + "\n")


def two_versions(models: Path) -> None:
    """Versions 1 and 3: output = input times the version, [N,4]."""
    for version in (1, 3):
        graph = Graph("two_versions")
        factor = graph.weight("factor", np.array(version, np.float32))
        graph.add("Mul", graph.input("input", ["N", 4]), factor, out="output")
        graph.output("output", ["N", 4])
        save(graph.model(), models, "two_versions", version)


def not_finite(models: Path) -> None:
    """output = log(input), [N,4]: NaN for negative numbers, -inf for 0."""
    graph = Graph("not_finite")
    graph.add("Log", graph.input("input", ["N", 4]), out="output")
    graph.output("output", ["N", 4])
    save(graph.model(), models, "not_finite")


def external_data(models: Path) -> None:
    """output = 2 * input, [N,4]; the weight, a matrix, lies in weights.bin beside the model."""
    graph = Graph("external_data")
    weight = graph.weight("weight", 2 * np.eye(4, dtype=np.float32))
    graph.add("MatMul", graph.input("input", ["N", 4]), weight, out="output")
    graph.output("output", ["N", 4])
    move_weights_out(save(graph.model(), models, "external_data"), bytes_min=0)


def build(staging: Path, cache: Path) -> None:
    del cache  # nothing is downloaded
    models = staging / "models"
    for write in (
        add_sub,
        identities,
        dynamic_seq,
        slow_loop,
        fixed_batch,
        argmax_logits,
        two_versions,
        not_finite,
        external_data,
    ):
        write(models)
