#!/usr/bin/env python3
"""Runs the benchmarks and their peers; writes build/bench/results.json and docs/benchmarks.md.

    run.py --build build/release --cache .cache [--only ROW,…] [--quick]

Every figure comes from this run. A row that is not asked for with --only keeps what an earlier run
found, with that run's date. A run ends within 20 minutes; what is left then says so. --quick (4
minutes) is for trying: its figures are rough and its table goes to build/bench/ instead.
Standard library only.
"""

import argparse
import datetime
import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import machine
from figures import Line, NotRun, Row, from_dict, to_dict
from setting import HERE, Setting
from table import HEAD, page, terminal_line, verdict

ROOT = HERE.parents[1]


class Book(NamedTuple):
    """Rows that are measured together, and the page they are written to."""

    about: str
    rows: tuple[str, ...]  # row_NAME.py each, in the page's order
    results: str  # the name of its file in build/bench, without .json
    document: str
    head: str
    seconds_max: float
    quick_seconds_max: float


BENCHMARKS = Book((__doc__ or "").split("\n\n")[0],
                  ("coro", "overhead", "bare", "overlap", "held", "memory", "startup"),
                  "results", "docs/benchmarks.md", HEAD, 20 * 60, 4 * 60)


def run_row(key: str, module: ModuleType, setting: Setting, commit: str) -> Row:
    print(f"\n{module.TITLE}", flush=True)
    began = time.monotonic()
    measured = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC at ") + commit
    try:
        lines = module.run(setting)
    except NotRun as error:
        lines = [Line("all of it", "", f"not run: {error}")]
    for line in lines:
        print(f"  {terminal_line(line)}", flush=True)
    return Row(key, module.TITLE, module.METHOD, measured, time.monotonic() - began, lines,
               list(module.NOTES))


def earlier_rows(results: Path, facts: dict[str, str]) -> dict[str, Row]:
    """Those of the same machine."""
    try:
        report = json.loads(results.read_text())
        if any(report["machine"][fact] != facts[fact] for fact in ("processor", "cores")):
            return {}
        return {row["key"]: from_dict(row) for row in report["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # absent, or of another version of this program


def parse_arguments(book: Book) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=book.about)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="build folder")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="models and peers")
    parser.add_argument("--only", metavar="ROW,…", help=f"some of: {', '.join(book.rows)}")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    arguments = parser.parse_args()
    arguments.rows = arguments.only.split(",") if arguments.only else list(book.rows)
    unknown = [row for row in arguments.rows if row not in book.rows]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; the rows are {', '.join(book.rows)}")
    return arguments


def write(book: Book) -> int:
    """The program: measures what the command line asks for, and writes the page."""
    arguments = parse_arguments(book)
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    over = time.monotonic() + (book.quick_seconds_max if arguments.quick else book.seconds_max)
    setting = Setting(arguments.build.resolve(), arguments.cache.resolve(), out, arguments.quick,
                      lambda text: print(f"    {text}", flush=True), over)
    facts = machine.facts(ROOT, setting.build, setting.cache)
    for name, value in facts.items():
        print(f"{name + ':':12} {value}")

    stem = ("quick-" if arguments.quick else "") + book.results
    results = out / f"{stem}.json"
    rows = earlier_rows(results, facts)
    document = out / f"{stem}.md" if arguments.quick else ROOT / book.document
    for key in arguments.rows:
        rows[key] = run_row(key, importlib.import_module(f"row_{key}"), setting,
                            facts["baozi"])
        ordered = [rows[name] for name in book.rows if name in rows]
        report = {"machine": facts, "rows": [to_dict(row) for row in ordered]}
        results.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        document.write_text(page(facts, ordered, book.head))

    print(f"\n{verdict(ordered)} See {document.relative_to(ROOT)}, {results.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(write(BENCHMARKS))
