"""A real HAProxy for the client tests, ended by its own process id."""

import csv
import io
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import harness


def free_port():
    """Below those that Linux gives to connections: whoever listens there may go and come again."""
    while True:
        try:
            with socket.create_server((harness.HOST, random.randrange(12_000, 30_000))) as free:
                return free.getsockname()[1]
        except OSError:
            continue


class HAProxy:
    """Runs `config`, the text of a haproxy.cfg without a global section; `name` is a backend's."""

    def __init__(self, config, port):
        self.port = port
        self.folder = tempfile.TemporaryDirectory(prefix="baozi-test-haproxy-")
        self.stats_path = Path(self.folder.name, "stats")
        path = Path(self.folder.name, "haproxy.cfg")
        path.write_text(f"global\n  stats socket {self.stats_path} level admin\n{config}")
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            raise AssertionError("haproxy is missing; run `make setup`")
        checked = subprocess.run([program, "-c", "-f", path], capture_output=True, text=True)
        if checked.returncode != 0:
            raise AssertionError(checked.stderr)
        self.process = subprocess.Popen([program, "-db", "-f", path],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(self.stats_path.exists, "HAProxy's socket")

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()

    def rows(self):
        """Of HAProxy's statistics, by server."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(10)
            asked.connect(str(self.stats_path))
            asked.sendall(b"show stat\n")
            text = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        return {row["svname"]: row for row in csv.DictReader(io.StringIO(text.lstrip("# ")))}

    def row(self, name):
        return self.rows()[name]
