"""noop: one Identity node, so that whatever a request costs is the server's own."""

from pathlib import Path

from onnx_graph import Graph, save


def build(staging: Path, cache: Path) -> None:
    del cache  # nothing is downloaded
    graph = Graph("noop")
    graph.add("Identity", graph.input("input", ["N", 4]), out="output")
    graph.output("output", ["N", 4])
    save(graph.model(), staging / "models", "noop")
