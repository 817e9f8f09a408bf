#!/usr/bin/env python3
"""What plain Python and ONNX Runtime answer on the demo's inputs: the C++ answers must agree.

    reference.py golden --cache DIR --models DIR --data DIR --out testdata/golden
    reference.py fusion --models DIR

Run it in a virtual environment of its own with requirements.txt and requirements-reference.txt; it
is not part of the build. `golden` writes classify.json, embed.json, tokenize.json and ocr.json (OCR
through rapidocr's own code); `fusion` fails unless ONNX Runtime fuses MiniLM's layers.
"""

import argparse
import collections
import importlib
import itertools
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from fetch import wheel
from pins import RAPIDOCR
from tokenizers import Tokenizer

PHOTOGRAPHS = ("coffee.png", "china.jpg", "chelsea.png", "flower.jpg", "rocket.jpg")
PAGES = ("page.png",)
BOX_THRESHOLDS = (0.5, 0.3)
SENTENCES = (
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
)
TOKENIZER_CASES = (
    *SENTENCES,
    "",
    "   \t\n ",
    "Hello, World!!",
    "Crème brûlée à la carte, naïve façade",
    "北京 is the capital of 中国。",
    "don't stop-believing (it's 3.14159)",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "emoji 😀 and zero\u200bwidth and nbsp\u00a0space",
    "control\u0000char and \ufffd replacement",
    "ＦＵＬＬ width ﬁ ligature Straße İstanbul",
    "[CLS] in the text [MASK]",
    "x" * 120,
    "$100 @ 5% <b>html</b> #tag _under_ ~tilde`",
    "العربية עברית हिन्दी 한국어 ไทย",
)


def session(models: Path, name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        str(models / name / "1" / "model.onnx"), providers=["CPUExecutionProvider"]
    )


def photograph(path: Path) -> np.ndarray:
    """RGB, short side to 256, centre 224 x 224, (x - 127) / 128, planes first."""
    image = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    factor = 256 / min(height, width)
    size = (round(width * factor), round(height * factor))
    filter_kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = cv2.resize(image, size, interpolation=filter_kind)
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    image = image[top : top + 224, left : left + 224].astype(np.float32)
    return ((image - 127) / 128).transpose(2, 0, 1)


def classify(models: Path, data: Path) -> list[dict[str, Any]]:
    run = session(models, "efficientnet_lite0")
    labels = (models / "efficientnet_lite0" / "labels.txt").read_text("utf-8").splitlines()
    batch = np.stack([photograph(data / name) for name in PHOTOGRAPHS])
    answers = []
    for name, row in zip(PHOTOGRAPHS, run.run(None, {"image": batch})[0]):
        best = np.argsort(-row)[:5]
        top = [
            {"class": int(i), "label": labels[i], "score": round(float(row[i]), 5)} for i in best
        ]
        answers.append({"image": name, "top": top})
    return answers


def load_tokenizer(models: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(models / "minilm" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def embed(models: Path) -> list[dict[str, Any]]:
    run, tokenizer = session(models, "minilm"), load_tokenizer(models)
    vectors = []
    for sentence in SENTENCES:
        ids = np.array([tokenizer.encode(sentence).ids], np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        vector = run.run(None, feeds)[0][0].mean(axis=0)
        vectors.append(vector / np.linalg.norm(vector))
    cosines = np.array(vectors) @ np.array(vectors).T
    return [
        {
            "text": text,
            "cosines": [round(float(x), 5) for x in row],
            "embedding": [round(float(x), 6) for x in vector],
        }
        for text, row, vector in zip(SENTENCES, cosines, vectors)
    ]


def tokenize(models: Path) -> list[dict[str, Any]]:
    tokenizer = load_tokenizer(models)
    return [{"text": text, "ids": tokenizer.encode(text).ids} for text in TOKENIZER_CASES]


def read_text(cache: Path, data: Path) -> list[dict[str, Any]]:
    """OCR by rapidocr's own code, unpacked from its wheel; the first threshold is its default."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel(RAPIDOCR, cache)) as archive:
            archive.extractall(folder)
        sys.path.insert(0, folder)
        ocr = importlib.import_module("rapidocr_onnxruntime").RapidOCR()
        answers = []
        for name, threshold in itertools.product(PAGES, BOX_THRESHOLDS):
            found, _ = ocr(str(data / name), box_thresh=threshold)
            lines = [
                {"text": text, "score": round(float(score), 4), "box": box}
                for box, text, score in found
            ]
            answers.append({"image": name, "box_thresh": threshold, "lines": lines})
        return answers


def write_json(path: Path, rows: list[Any]) -> None:
    """One row a line, so that a change shows as the rows that changed."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"wrote {path}")


def golden(arguments: argparse.Namespace) -> int:
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_json(arguments.out / "classify.json", classify(arguments.models, arguments.data))
    write_json(arguments.out / "embed.json", embed(arguments.models))
    write_json(arguments.out / "tokenize.json", tokenize(arguments.models))
    write_json(arguments.out / "ocr.json", read_text(arguments.cache, arguments.data))
    return 0


def fusion(arguments: argparse.Namespace) -> int:
    expected = {"Attention": 6, "SkipLayerNormalization": 12, "BiasGelu": 6}
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        options.log_severity_level = 3
        model = str(arguments.models / "minilm" / "1" / "model.onnx")
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        optimised = onnx.load(options.optimized_model_filepath)
    counts = collections.Counter(node.op_type for node in optimised.graph.node)
    print(dict(counts.most_common()))
    missing = [op for op, count in expected.items() if counts[op] != count]
    if missing:
        print(f"not fused as expected ({expected}): {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("golden", help="write the golden answers")
    for option in ("--cache", "--models", "--data", "--out"):
        command.add_argument(option, type=Path, required=True)
    command.set_defaults(run=golden)
    command = commands.add_parser("fusion", help="check that MiniLM's layers are fused")
    command.add_argument("--models", type=Path, required=True)
    command.set_defaults(run=fusion)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
