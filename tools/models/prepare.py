#!/usr/bin/env python3
"""Turns pinned packages into the models and data that `make` demo, test and bench use.

    python tools/models/prepare.py --cache DIR --out DIR [--data DIR] [--hostile DIR]
                                   [--only demo|test|bench|bench-llm]

Every step leaves a stamp (a hash of its scripts and pins, and the size of each file it wrote); a
step whose stamp still holds is skipped without importing anything beyond the standard library.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SHARED_SOURCES = ("prepare.py", "fetch.py", "pins.py", "onnx_graph.py", "requirements.txt")


class Step(NamedTuple):
    """`module.build(staging, cache)` writes into staging/models, /data or /hostile."""

    module: str
    groups: tuple[str, ...]
    sources: tuple[str, ...] = ()  # modules and files that it uses beside the shared ones

    @property
    def name(self) -> str:
        return self.module.removeprefix("build_")


STEPS = (
    Step("build_noop", ("test", "bench")),
    Step("build_small", ("test",)),
    Step("build_hostile", ("test",)),
    Step("build_pictures", ("demo", "test", "bench")),
    Step("build_ocr", ("demo", "test", "bench")),
    Step("build_efficientnet", ("demo", "test", "bench"), ("torch_file",)),
    Step("build_minilm", ("demo", "test", "bench")),
    Step("build_smollm2", ("demo", "test", "bench", "bench-llm")),
    Step("build_minilm_q8", ("test", "bench"), ("build_minilm",)),
    Step("build_minilm_int8", ("bench",), ("build_minilm",)),
    Step("build_resnet50", ("bench",)),
    Step("build_synthetic_llm", ("bench-llm",), ("requirements-llm.txt",)),
)
GROUPS = ("demo", "test", "bench")
# Prepared only when named, because it needs another environment (requirements-llm.txt).
GROUP_APART = "bench-llm"


class Roots(NamedTuple):
    models: Path
    data: Path
    hostile: Path


def step_digest(step: Step) -> str:
    digest = hashlib.sha256()
    own = (name if "." in name else f"{name}.py" for name in (step.module, *step.sources))
    for name in (*SHARED_SOURCES, *own):
        digest.update(name.encode() + b"\0" + (HERE / name).read_bytes() + b"\0")
    return digest.hexdigest()


def stamp_path(step: Step, roots: Roots) -> Path:
    return roots.models / ".stamps" / f"{step.name}.json"


def is_current(step: Step, roots: Roots) -> bool:
    try:
        stamp = json.loads(stamp_path(step, roots).read_text())
        if stamp["digest"] != step_digest(step):
            return False
        return all(
            os.stat(getattr(roots, root) / path).st_size == size
            for root, path, size in stamp["files"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # absent, damaged or of an older format: build again


def models_of(group: str, models: Path) -> set[str]:
    """The models that `--only group` prepares, of those that are in the folder `models`."""
    roots = Roots(models, models.parent / "data", models.parent / "hostile")
    stamps = (stamp_path(step, roots) for step in STEPS if group in step.groups)
    files = (json.loads(path.read_text())["files"] for path in stamps if path.exists())
    return {Path(path).parts[0] for listed in files for root, path, _ in listed if root == "models"}


def install(staging: Path, roots: Roots) -> list[tuple[str, str, int]]:
    """Moves what a step wrote to its place, one top-level entry at a time; returns the files."""
    files: list[tuple[str, str, int]] = []
    for root_name in Roots._fields:
        source_root = staging / root_name
        target_root = getattr(roots, root_name)
        if not source_root.exists():
            continue
        target_root.mkdir(parents=True, exist_ok=True)
        for path in sorted(source_root.rglob("*")):
            if path.is_file():
                files.append((root_name, str(path.relative_to(source_root)), path.stat().st_size))
        for entry in sorted(source_root.iterdir()):
            target = target_root / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(entry, target)
    return files


def run_step(step: Step, roots: Roots, cache: Path) -> None:
    from fetch import megabytes

    print(f"  build     {step.name}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=roots.models) as temporary:
        staging = Path(temporary)
        importlib.import_module(step.module).build(staging, cache)
        files = install(staging, roots)
    stamp = stamp_path(step, roots)
    stamp.parent.mkdir(exist_ok=True)
    partial = stamp.with_suffix(".tmp")
    partial.write_text(json.dumps({"digest": step_digest(step), "files": files}, indent=0))
    os.replace(partial, stamp)
    total = megabytes(sum(size for _, _, size in files))
    print(f"            {len(files)} files, {total}, {time.monotonic() - start:.1f} s", flush=True)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Two commands started at once do not write over each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="where downloads are kept")
    parser.add_argument("--out", type=Path, required=True, help="the model repository to fill")
    parser.add_argument("--data", type=Path, help="pictures (default: OUT/../data)")
    parser.add_argument("--hostile", type=Path, help="broken models (default: OUT/../hostile)")
    parser.add_argument("--only", choices=(*GROUPS, GROUP_APART), help="what one command needs")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    out = arguments.out.resolve()
    roots = Roots(
        out,
        (arguments.data or out.parent / "data").resolve(),
        (arguments.hostile or out.parent / "hostile").resolve(),
    )
    groups = {arguments.only} if arguments.only else set(GROUPS)
    wanted = [step for step in STEPS if groups & set(step.groups)]
    stale = [step for step in wanted if not is_current(step, roots)]
    if not stale:
        return 0
    with exclusive(out):
        stale = [step for step in wanted if not is_current(step, roots)]
        print(f"models: {len(stale)} of {len(wanted)} to build in {out}", flush=True)
        for step in stale:
            try:
                run_step(step, roots, arguments.cache.resolve())
            except (RuntimeError, OSError) as error:
                print(f"prepare.py: {step.name}: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
