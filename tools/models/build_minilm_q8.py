"""all-MiniLM-L6-v2, our f32 graph, with every dense layer in 8-bit integers."""

from pathlib import Path

import numpy as np
from build_minilm import FOLDER, Builder, load_safetensors, write_side_files
from fetch import read
from onnx import TensorProto
from onnx_graph import save
from pins import MINILM


class QuantisedBuilder(Builder):
    """Dense layers in 8-bit integers: weights scaled by column, inputs as they come.

    Weights span 7 bits, so that sums of two products fit in 16 bits on CPUs without VNNI.
    """

    WEIGHT_MAX = 63

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self.quantised_inputs: dict[str, tuple[str, str, str]] = {}

    def quantised(self, value: str) -> tuple[str, str, str]:
        """The value's (bytes, scale, zero point); query, key and value projections share one."""
        if value not in self.quantised_inputs:
            names = tuple(f"{value}/{part}" for part in ("bytes", "scale", "zero"))
            self.graph.add("DynamicQuantizeLinear", value, out=names)
            self.quantised_inputs[value] = names
        return self.quantised_inputs[value]

    def matmul(self, value: str, name: str) -> str:
        add = self.graph.add
        weight = self.tensors[f"{name}.weight"].T
        scales = np.abs(weight).max(axis=0) / self.WEIGHT_MAX
        integers = np.rint(weight / scales).astype(np.int8)
        data, scale, zero = self.quantised(value)
        product = add(
            "MatMulInteger",
            data,
            self.constant(f"{name}.weight_int8", integers),
            zero,
            self.constant(f"{name}.weight_zero", np.zeros(len(scales), np.int8)),
            name=f"{name}/matmul",
        )
        scales_name = self.constant(f"{name}.weight_scale", scales.astype(np.float32))
        product = add("Cast", product, to=TensorProto.FLOAT)
        return add("Mul", product, add("Mul", scale, scales_name))


def build(staging: Path, cache: Path) -> None:
    (weights,) = read(MINILM, cache, f"{FOLDER}/model.safetensors")
    graph = QuantisedBuilder(load_safetensors(weights)).build()
    save(graph.model(), staging / "models", "minilm_q8")
    write_side_files(staging / "models" / "minilm_q8", cache, MINILM)
