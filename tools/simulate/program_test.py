#!/usr/bin/env python3
"""The program fleet_simulation: its table, its JSON, and what it refuses.

    python3 program_test.py FLEET_SIMULATION
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
RECORDED = Path(__file__).parents[2] / "testdata/traffic/short.csv"


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=60)


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.here = Path(self.folder.name)

    def test_a_recording_is_run_under_every_policy_and_twice_the_same(self):
        outs = [self.here / "1.json", self.here / "2.json"]
        for out in outs:
            done = run("--traffic", RECORDED, "--out", out)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(outs[0].read_bytes(), outs[1].read_bytes())
        results = json.loads(outs[0].read_text())["results"]
        self.assertEqual([r["policy"] for r in results],
                         ["blind-cpu", "ready-cpu", "steered-cpu", "steered-cpu-queue"])
        for result in results:
            self.assertIn(result["policy"], done.stdout)
            self.assertEqual(len(result["windows"]), 90)
            self.assertAlmostEqual(
                result["answered"] + result["refused"] + result["waiting"], result["requests"],
                delta=1e-6 * result["requests"])
            self.assertGreater(result["replicas_most"], 8)  # of the start
            self.assertGreater(result["seconds_above"], 0)

    def test_a_bad_recording_is_named_with_its_line(self):
        bad = self.here / "bad.csv"
        bad.write_text("seconds,requests_per_second\n0,1\n1;2\n")
        done = run("--traffic", bad)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{bad}:3: no comma", done.stderr)

    def test_what_cannot_be_read_or_written_is_an_error(self):
        self.assertEqual(run("--traffic", self.here / "none.csv").returncode, 1)
        done = run("--traffic", RECORDED, "--policy", "ready-cpu", "--out", self.here / "no/x.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)

    def test_options_that_make_no_sense_are_errors(self):
        for arguments in (["--scenario", "tide"], ["--policy", "best"], ["--seed", "x"],
                          ["--queue-target", "0"], ["--step-ms", "nonsense"]):
            self.assertNotEqual(run(*arguments).returncode, 0, arguments)
        done = run("--traffic", RECORDED, "--servers", "0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("servers must be", done.stderr)


if __name__ == "__main__":
    unittest.main()
