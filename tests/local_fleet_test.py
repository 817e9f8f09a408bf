"""`make fleet`: a whole fleet on this machine, started, asked and ended."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import harness

START = harness.ROOT / "tools/fleet/start.py"
PATIENCE = 120 * harness.SLOWNESS


def ask_stop(process):
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE)


def still_there(folder):
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if folder.encode() in words:
                found.append(words.replace(b"\0", b" ").decode())
    return found


class LocalFleetTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-test-fleet-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name + "/fleet"
        self.command = [sys.executable, str(START), "--baozi", str(harness.BAOZI), "--models",
                        str(harness.MODELS), "--folder", self.folder]

    def test_it_starts_answers_and_ends(self):
        ran = subprocess.run([*self.command, "--once"], capture_output=True, text=True,
                             timeout=2 * PATIENCE)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        for name in ("Redis", "replica1", "replica2", "replica3", "HAProxy", "nginx", "Prometheus"):
            self.assertRegex(ran.stdout, rf"(?m)^  {name} +\w+://127\.0\.0\.1:\d+$")
        self.assertIn("All of it has ended.", ran.stdout)
        self.assertEqual(still_there(self.folder), [])

    def test_ctrl_c_ends_all_of_it_and_a_taken_port_is_passed_by(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind((harness.HOST, 8080))
            except OSError:
                pass  # somebody else has it: as good
            else:
                taken.listen()
            with open(self.folder + ".log", "w+") as log:
                process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT,
                                           env={**os.environ, "PYTHONUNBUFFERED": "1"})
                self.addCleanup(process.kill)
                said = harness.wait_until(
                    lambda: "Ctrl-C ends" in (text := Path(log.name).read_text()) and text,
                    "the fleet", 60)
                port = int(re.search(r"(?m)^  HAProxy +http://127\.0\.0\.1:(\d+)$", said)[1])
                self.assertNotEqual(port, 8080)
                self.assertEqual(ask_stop(process), 0)
        self.assertEqual(still_there(self.folder), [])

    def test_without_models_it_says_what_to_do(self):
        ran = subprocess.run([*self.command, "--models", "/nowhere"], capture_output=True,
                             text=True, timeout=PATIENCE)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("make fleet", ran.stderr)
        self.assertEqual(still_there(self.folder), [])


if __name__ == "__main__":
    harness.main()
