"""The demo's pictures: photographs and a printed page out of two packages' wheels."""

from pathlib import Path

from fetch import read
from pins import SCIKIT_IMAGE, SCIKIT_LEARN

SKIMAGE = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "page.png")
SKLEARN = ("china.jpg", "flower.jpg")


def build(staging: Path, cache: Path) -> None:
    data = staging / "data"
    data.mkdir()
    members = [f"skimage/data/{name}" for name in (*SKIMAGE, "README.txt")]
    *pictures, terms = read(SCIKIT_IMAGE, cache, *members)
    for name, content in zip(SKIMAGE, pictures):
        (data / name).write_bytes(content)
    (data / "LICENSE-scikit-image.txt").write_bytes(terms)
    members = [f"sklearn/datasets/images/{name}" for name in (*SKLEARN, "README.txt")]
    *pictures, terms = read(SCIKIT_LEARN, cache, *members)
    for name, content in zip(SKLEARN, pictures):
        (data / name).write_bytes(content)
    (data / "LICENSE-scikit-learn.txt").write_bytes(terms)
