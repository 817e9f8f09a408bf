"""synthetic_llm: a language model of 0.5 billion random weights in 4 bits, with a real vocabulary.

Its shapes are those of Qwen2.5-0.5B, so that it costs what such a model costs; what it says means
nothing. It answers in words of ASCII letters only, so that each of its tokens is text by itself.
Needs requirements-llm.txt, and the vocabulary that setup/lib/llama_server.sh puts into the cache.
"""

import re
from pathlib import Path

import gguf
import numpy as np

VOCABULARY = Path("llama-server", "ggml-vocab-qwen2.gguf")
LAYERS = 24
WIDTH = 896
HEADS = 14
KV_HEADS = 2
HEAD_WIDTH = WIDTH // HEADS
FEED_FORWARD = 4864
SEED = 5
BLOCK = 32  # weights of Q4_0 that share a scale
BLOCK_BYTES = 2 + BLOCK // 2
# The standard deviation of a nibble that is 1 to 15 with equal chances.
NIBBLE_DEVIATION = 4.32
WORD = re.compile("Ġ?[A-Za-z]+")  # Ġ is how the vocabulary spells a space
# A byte is two nibbles; 0 (the value −8) becomes 8 (the value 0), or the mean would not be zero.
NIBBLES = np.array([n or 8 for n in range(16)], np.uint8)
BYTES = (NIBBLES[:, None] << 4 | NIBBLES[None, :]).reshape(-1)


def q4_0(random: np.random.Generator, rows: int, columns: int, deviation: float) -> np.ndarray:
    """Random weights around zero, a row of blocks a row: a scale in f16, then 32 nibbles."""
    blocks = np.empty((rows, columns // BLOCK, BLOCK_BYTES), np.uint8)
    scale = np.array([deviation / NIBBLE_DEVIATION], np.float16)
    blocks[:, :, :2] = scale.view(np.uint8)
    nibbles = random.integers(0, 256, (rows, columns // BLOCK, BLOCK // 2), np.uint8)
    blocks[:, :, 2:] = BYTES[nibbles]
    return blocks.reshape(rows, -1)


def layer_matrices() -> dict[str, tuple[int, int]]:
    """Rows and columns of what a layer multiplies with."""
    kv_width = KV_HEADS * HEAD_WIDTH
    return {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (kv_width, WIDTH),
        "attn_v": (kv_width, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (FEED_FORWARD, WIDTH),
        "ffn_up": (FEED_FORWARD, WIDTH),
        "ffn_down": (WIDTH, FEED_FORWARD),
    }


def add_facts(writer: gguf.GGUFWriter) -> None:
    writer.add_name("Synthetic 0.5B")
    writer.add_description("Random weights: what it says means nothing.")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(32768)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)


def add_vocabulary(writer: gguf.GGUFWriter, path: Path) -> list[str]:
    """Copies all that the file says of its tokenizer; returns the tokens."""
    if not path.exists():
        raise RuntimeError(f"{path} is missing: setup/setup.sh bench-llm puts it there")
    fields = gguf.GGUFReader(path).fields
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            kinds = field.types
            inner = kinds[1] if kinds[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kinds[0], inner)
    return fields["tokenizer.ggml.tokens"].contents()


def add_tensors(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    random = np.random.default_rng(SEED)
    kind = gguf.GGMLQuantizationType.Q4_0
    ones = np.ones(WIDTH, np.float32)
    # The embedding is the output matrix, too. A row of zeros makes a token's logit zero, which is
    # never the greatest.
    embedding = q4_0(random, len(tokens), WIDTH, 2 / WIDTH**0.5)
    embedding[[WORD.fullmatch(token) is None for token in tokens]] = 0
    writer.add_tensor("token_embd.weight", embedding, raw_dtype=kind)
    writer.add_tensor("output_norm.weight", ones)
    for layer in range(LAYERS):
        for name, (rows, columns) in layer_matrices().items():
            weights = q4_0(random, rows, columns, 1 / columns**0.5)
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights, raw_dtype=kind)
            if name in ("attn_q", "attn_k", "attn_v"):
                writer.add_tensor(f"blk.{layer}.{name}.bias", np.zeros(rows, np.float32))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)


def build(staging: Path, cache: Path) -> None:
    folder = staging / "models" / "synthetic_llm"
    (folder / "1").mkdir(parents=True)
    writer = gguf.GGUFWriter(folder / "1" / "model.gguf", "qwen2")
    add_facts(writer)
    tokens = add_vocabulary(writer, cache / VOCABULARY)
    add_tensors(writer, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    note = "The weights are random. The vocabulary is Qwen2's (Apache-2.0), as llama.cpp has it.\n"
    (folder / "LICENSE").write_text(note)
