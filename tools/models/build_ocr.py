"""ocr_det, ocr_cls, ocr_rec: PP-OCRv4 as rapidocr-onnxruntime packages it, and its dictionary."""

from pathlib import Path

import onnx
from fetch import read
from pins import RAPIDOCR

MODELS = {
    "ocr_det": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    "ocr_cls": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "ocr_rec": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
}


def dictionary_of(model: bytes) -> str:
    """The recogniser's characters, one a line: class 0 is the blank, class i is line i."""
    for entry in onnx.load_model_from_string(model).metadata_props:
        if entry.key == "character":
            characters = entry.value.splitlines()
            # The network's last class is the space; it is not in the metadata.
            return "\n".join([*characters, " "]) + "\n"
    raise RuntimeError("the recogniser carries no 'character' metadata")


def build(staging: Path, cache: Path) -> None:
    for (name, _), data in zip(MODELS.items(), read(RAPIDOCR, cache, *MODELS.values())):
        folder = staging / "models" / name
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.onnx").write_bytes(data)
        note = f"PP-OCRv4, PaddleOCR authors, {RAPIDOCR.licence}, from {RAPIDOCR.requirement}.\n"
        (folder / "LICENSE").write_text(note)
        if name == "ocr_rec":
            (folder / "dict.txt").write_text(dictionary_of(data), encoding="utf-8")
        if name == "ocr_cls":
            (folder / "labels.txt").write_text("0\n180\n")
