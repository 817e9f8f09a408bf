#!/usr/bin/env python3
"""Measures starts, warm-up, loading and the response cache; writes docs/benchmarks-coldstart.md.

    coldstart.py --build build/release --cache .cache [--only ROW,…] [--quick]

As run.py does it, with rows and a page of its own. Standard library only.
"""

import sys

from run import Book, write

HEAD = """# Benchmarks of cold starts

Written by `make bench-coldstart` (tools/bench/coldstart.py) from measurements; not by hand. Servers
are started in alternating rounds on the same machine; a figure is the median of its rounds. *Times
better* is against the best peer, above 1 is ahead; *of limit* is baozi divided by the limit beside
it. Goals in milliseconds were set on a quiet machine of the same kind: compare with the limit, too.
"""
COLDSTART = Book((__doc__ or "").split("\n\n")[0],
                 ("start", "first_requests", "replica", "cache", "layered", "order"),
                 "coldstart-results", "docs/benchmarks-coldstart.md", HEAD, 50 * 60, 10 * 60)

if __name__ == "__main__":
    sys.exit(write(COLDSTART))
