"""A thin writer of ONNX graphs over onnx.helper; the files are checked and deterministic."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # read by every ONNX Runtime since 1.10

Shape = Sequence[int | str]


class Graph:
    """Collects nodes and weights; `add` returns the name of the (first) output."""

    def __init__(self, name: str, opset: int = OPSET) -> None:
        self.name = name
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.shapes: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Shape, dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, name: str, shape: Shape, dtype: int = TensorProto.FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def annotate(self, name: str, shape: Shape, dtype: int = TensorProto.FLOAT) -> str:
        """States a shape that inference cannot find by itself."""
        self.shapes.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def weight(self, name: str, value: np.ndarray) -> str:
        if name not in self.weights:
            contiguous = np.ascontiguousarray(value).reshape(np.shape(value))
            self.weights[name] = numpy_helper.from_array(contiguous, name)
        return name

    def add(
        self,
        op: str,
        *inputs: str,
        name: str = "",
        out: str | Sequence[str] = "",
        **attributes: Any,
    ) -> str:
        label = name or f"{op}_{len(self.nodes)}"
        outputs = [out] if isinstance(out, str) else list(out)
        outputs = [output or f"{label}_out" for output in outputs]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=label, **attributes))
        return outputs[0]

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            self.name,
            self.inputs,
            self.outputs,
            list(self.weights.values()),
            value_info=self.shapes,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph, producer_name="baozi-models", ir_version=IR_VERSION, opset_imports=opsets
        )


def save(model: onnx.ModelProto, models: Path, name: str, version: int = 1) -> Path:
    """Checks the model and writes it as `models/name/version/model.onnx`."""
    onnx.checker.check_model(model, full_check=True)
    folder = models / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def move_weights_out(path: Path, bytes_min: int = 1024) -> None:
    """Moves weights of at least `bytes_min` to `weights.bin` beside the model: engines map them.

    Small ones stay: shape inference reads the operands of a Reshape in the model itself.
    """
    onnx.save_model(
        onnx.load(str(path)),
        str(path),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=bytes_min,
    )
    (path.parent / "weights.bin").chmod(0o644)
