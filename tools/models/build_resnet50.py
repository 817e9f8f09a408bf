"""resnet50_shaped: a network in the shapes of ResNet50 with random weights, for measuring loads.

image f32 [N,3,224,224] -> scores f32 [N,1000]. Normalisation is folded into the convolutions, as
exporters do it. What it answers means nothing; that it answers the same each time does.
"""

from pathlib import Path

import numpy as np
from onnx_graph import Graph, save

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels within a block, blocks
EXPANSION = 4
CLASSES = 1000
SEED = 7


class Builder:
    def __init__(self) -> None:
        self.graph = Graph("resnet50_shaped")
        self.random = np.random.default_rng(SEED)

    def weights(self, name: str, shape: tuple[int, ...], gain: float) -> str:
        """Such that values neither grow nor fade on their way through the layers."""
        fan_in = int(np.prod(shape[1:]))
        value = self.random.standard_normal(shape, np.float32)
        return self.graph.weight(name, value * np.float32(gain / np.sqrt(fan_in)))

    def conv(self, value: str, name: str, channels: tuple[int, int], size: int, stride: int = 1,
             gain: float = np.sqrt(2)) -> str:
        into, out = channels
        weight = self.weights(f"{name}.weight", (out, into, size, size), float(gain))
        bias = self.graph.weight(f"{name}.bias", np.full(out, 0.01, np.float32))
        pad = size // 2
        return self.graph.add("Conv", value, weight, bias, name=name, kernel_shape=[size, size],
                              strides=[stride, stride], pads=[pad] * 4)

    def block(self, value: str, name: str, into: int, width: int, stride: int) -> str:
        out = width * EXPANSION
        inner = self.graph.add("Relu", self.conv(value, f"{name}.1", (into, width), 1))
        inner = self.graph.add("Relu", self.conv(inner, f"{name}.2", (width, width), 3, stride))
        inner = self.conv(inner, f"{name}.3", (width, out), 1, gain=0.5)
        if into != out:
            value = self.conv(value, f"{name}.shortcut", (into, out), 1, stride, gain=1)
        return self.graph.add("Relu", self.graph.add("Add", inner, value))

    def build(self) -> Graph:
        value = self.graph.input("image", ["N", 3, 224, 224])
        value = self.graph.add("Relu", self.conv(value, "stem", (3, 64), 7, 2))
        value = self.graph.add("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        into = 64
        for stage, (width, blocks) in enumerate(STAGES):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                value = self.block(value, f"stage{stage}.{block}", into, width, stride)
                into = width * EXPANSION
        pooled = self.graph.add("Flatten", self.graph.add("GlobalAveragePool", value))
        weight = self.weights("classes.weight", (CLASSES, into), 1.0)
        bias = self.graph.weight("classes.bias", np.zeros(CLASSES, np.float32))
        self.graph.add("Gemm", pooled, weight, bias, out="scores", transB=1)
        self.graph.output("scores", ["N", CLASSES])
        return self.graph


def build(staging: Path, cache: Path) -> None:
    del cache  # nothing is downloaded
    save(Builder().build().model(), staging / "models", "resnet50_shaped")
