#!/usr/bin/env python3
"""Measures a fleet with real balancers while replicas come and go; writes docs/benchmarks-fleet.md.

    fleet.py --build build/release --cache .cache [--only ROW,…] [--quick]

As run.py does it, with rows and a page of its own. Standard library only.
"""

import sys

from run import Book, write

HEAD = """# Benchmarks of a fleet

Written by `make test-fleet` (tools/bench/fleet.py) from measurements; not by hand. Replicas,
balancers, Redis and the load share one machine: when a replica starts, it takes time from the
others, which it would not do on a machine of its own. Balancers that are compared stand before the
same replicas and are asked in turn; a figure is the median of its rounds.
"""
FLEET = Book((__doc__ or "").split("\n\n")[0],
             ("fleet_join", "fleet_restart", "fleet_kill", "fleet_cache", "fleet_weights"),
             "fleet-results", "docs/benchmarks-fleet.md", HEAD, 50 * 60, 10 * 60)

if __name__ == "__main__":
    sys.exit(write(FLEET))
