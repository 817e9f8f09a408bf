"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

from figures import NotRun
from processes import Process, cpu_seconds, descendants, stat_fields

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(child.pid, flush=True)
time.sleep(60)
"""


class ProcessesTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = Path(folder.name, "log")

    def start(self, script: str) -> Process:
        process = Process([sys.executable, "-c", script], self.log)
        self.addCleanup(process.stop)
        return process

    def wait_log(self) -> str:
        for _ in range(500):
            if text := self.log.read_text().strip():
                return text
            time.sleep(0.02)
        self.fail("the program printed nothing within 10 s")

    def test_stopping_ends_the_children_too(self) -> None:
        process = self.start(PARENT)
        child = int(self.wait_log())
        self.assertEqual(sorted(descendants(process.pid)), sorted([process.pid, child]))
        process.stop()
        for _ in range(500):
            fields = stat_fields(child)
            if fields is None or fields[0] == "Z":
                return
            time.sleep(0.02)
        self.fail("the child lives on")

    def test_a_program_that_ends_early_is_told_with_its_last_words(self) -> None:
        process = self.start("import sys; print('first', flush=True); sys.exit('no such model')")
        with self.assertRaisesRegex(NotRun, "status 1: no such model"):
            process.wait_answer(1, "/")

    def test_a_program_that_cannot_be_started_is_not_run(self) -> None:
        with self.assertRaisesRegex(NotRun, "cannot start"):
            Process([self.log.parent / "absent"], self.log)

    def test_cpu_time_grows_with_work(self) -> None:
        before = cpu_seconds([os.getpid()])
        while time.process_time() < before + 0.1:
            pass
        self.assertGreater(cpu_seconds([os.getpid()]), before)


if __name__ == "__main__":
    unittest.main()
