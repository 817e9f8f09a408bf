#!/usr/bin/env python3
"""Benchmarks language models beside llama.cpp's llama-server; writes docs/benchmarks-llm.md.

    llm.py --build build/release --cache .cache [--only ROW,…] [--models NAME,…] [--quick] [--full]
           [--only-peer] [--variants NAME,…]

Every figure comes from this run; a row that is not asked for with --only keeps what an earlier run
found. --quick (a few minutes) is for trying, --full asks 10,000 requests for the row of memory.
Runs of which the page would be a part only (--quick, --only-peer, --models, --variants, or no
figure of baozi) go to build/bench/llm-part.md instead. Standard library only.
"""

import argparse
import importlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path

import machine
from figures import Row, to_dict
from llm_bench import TITLES, Bench, those_that_start
from llm_servers import BAOZI, LLAMA_SERVER, OURS, PREFIXES, VARIANTS, variant
from run import ROOT, earlier_rows, run_row
from setting import Setting
from table import page, verdict

HEAD = """# Benchmarks of language models

Written by `make bench-llm` (tools/bench/llm.py) from measurements; not by hand. Both servers run
two threads on the same machine and are asked in alternating rounds, one at a time; a figure is the
median of its rounds. *Of llama-server* is baozi's figure divided by the peer's, as the goal is. The
synthetic model has random weights in the shapes of a real one of 0.5 billion parameters (Q4_0).
"""
SECONDS_MAX = 60 * 60
SECONDS_MAX_FULL = 3 * SECONDS_MAX
ROWS = ("single", "streams", "shared", "restart", "busy", "memory", "equal")


def some_of(known: tuple[str, ...] | list[str], what: str):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(
                f"there is no {what} {', '.join(unknown)}; there are {', '.join(known)}")
        return names
    return parse


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    models = list(TITLES)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="build folder")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="models and the peer")
    parser.add_argument("--only", metavar="ROW,…", type=some_of(ROWS, "row"), default=list(ROWS),
                        help=f"some of: {', '.join(ROWS)}")
    parser.add_argument("--models", metavar="NAME,…", type=some_of(models, "model"),
                        default=models, help=f"some of: {', '.join(models)}")
    parser.add_argument("--variants", metavar="NAME,…", type=some_of(list(VARIANTS), "variant"),
                        default=[], help="further command lines of the peer, measured beside: "
                        + ", ".join(f"{name} ({' '.join(v)})" for name, v in VARIANTS.items()))
    parser.add_argument("--only-peer", action="store_true",
                        help="without baozi; a server that cannot be started is left out anyway")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--full", action="store_true", help="10,000 requests for memory")
    return parser.parse_args()


def facts_of(setting: Setting) -> dict[str, str]:
    facts = machine.facts(ROOT, setting.build, setting.cache)
    facts.pop("others")  # peers of other benchmarks
    stamp = setting.cache / "llama-server" / ".stamp"
    facts["peer"] = "llama-server is missing"
    if stamp.exists():
        facts["peer"] = (f"llama-server {stamp.read_text().split()[0]}, Release build with this "
                         "processor's own kernels")
    return facts


def for_trying(arguments: argparse.Namespace) -> bool:
    """What is measured is less, or other, than the page shows."""
    return (arguments.quick or arguments.only_peer or bool(arguments.variants)
            or arguments.models != list(TITLES))


def has_ours(rows: list[Row]) -> bool:
    return any(not isinstance(line.baozi, str) for row in rows for line in row.lines)


def write(out: Path, facts: dict[str, str], rows: list[Row], part: bool) -> str:
    """Returns which files were written."""
    part = part or not has_ours(rows)
    results = out / ("llm-part.json" if part else "llm-results.json")
    report = {"machine": facts, "rows": [to_dict(row) for row in rows]}
    results.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    document = out / "llm-part.md" if part else ROOT / "docs" / "benchmarks-llm.md"
    document.write_text(page(facts, rows, HEAD))
    return f"{document.relative_to(ROOT)}, {results.relative_to(ROOT)}"


def main() -> int:
    arguments = parse_arguments()
    # So that the servers are ended, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("llm.py: asked to terminate"))
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / PREFIXES, ignore_errors=True)
    setting = Setting(arguments.build.resolve(), arguments.cache.resolve(), out, arguments.quick,
                      lambda text: print(f"    {text}", flush=True),
                      time.monotonic() + (SECONDS_MAX_FULL if arguments.full else SECONDS_MAX))
    contenders = [LLAMA_SERVER, *map(variant, arguments.variants)]
    if not arguments.only_peer:
        contenders.insert(0, BAOZI)
    bench = Bench(setting, contenders, arguments.models, arguments.full)
    facts = facts_of(setting)
    for name, value in facts.items():
        print(f"{name + ':':12} {value}")

    bench = bench._replace(contenders=those_that_start(bench))
    if not bench.contenders:
        print("llm.py: no server can be started", file=sys.stderr)
        return 1

    part = for_trying(arguments)
    rows = {} if part else earlier_rows(out / "llm-results.json", facts)
    for key in arguments.only:
        rows[key] = run_row(key, importlib.import_module(f"row_llm_{key}"), bench, facts[OURS])
        ordered = [rows[name] for name in ROWS if name in rows]
        written = write(out, facts, ordered, part)
    print(f"\n{verdict(ordered)} See {written}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
