"""What the client tests share: a real `baozi serve` on a free port, and plain HTTP to it.

    class Mine(harness.ServerTest):
        config = {"models": [{"path": harness.model("noop")}]}
        def test_it(self):
            status, body, headers = self.server.post("/v2/models/noop/infer", {"inputs": [...]})

Environment: BAOZI, the binary; BAOZI_CACHE, where models and pictures are. A server is ended by its
own process id, whatever a test did.
"""

import atexit
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools/models"))
import prepare  # noqa: E402: it lies there
BAOZI = Path(os.environ.get("BAOZI", ROOT / "build/release/bin/baozi")).resolve()
CACHE = Path(os.environ.get("BAOZI_CACHE", ROOT / ".cache")).resolve()
MODELS, DATA, HOSTILE = CACHE / "models", CACHE / "data", CACHE / "hostile"
HOST = "127.0.0.1"
# What servers prepare of models is shared by the tests of one file, and is nobody else's.
CACHE_HOME = tempfile.TemporaryDirectory(prefix="baozi-test-cache-")
atexit.register(CACHE_HOME.cleanup)
ENVIRONMENT = {**os.environ, "XDG_CACHE_HOME": CACHE_HOME.name}
# Sanitizers make everything slower; tests that wait multiply their patience by this.
SLOWNESS = int(os.environ.get("BAOZI_SLOWNESS", "1"))
READY_SECONDS_MAX = 60 * SLOWNESS
ANSWER_SECONDS_MAX = 30 * SLOWNESS


TEST_MODELS = prepare.models_of("test", MODELS)


def model(name):
    """A model's folder. Only what `make test` prepares: a fresh machine has nothing else."""
    if name not in TEST_MODELS:
        raise AssertionError(f"`make test` does not prepare '{name}': see tools/models/prepare.py")
    return str(MODELS / name)


class Answer(tuple):
    """(status, body, headers); the body is parsed when it is JSON."""

    @property
    def status(self):
        return self[0]

    @property
    def body(self):
        return self[1]

    @property
    def headers(self):
        return self[2]


def wait_until(condition, what, seconds=20):
    """The condition's first true value."""
    end = time.monotonic() + seconds * SLOWNESS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds * SLOWNESS} s")


class Server:
    """One `baozi serve`; its log goes to a file, from which the port is read."""

    def __init__(self, what, *arguments, files=None, environment=None, port=0):
        """`what`: a config as a dict, or a path; `files`: more files beside it, by relative path;
        `arguments`: more of the command line."""
        self.folder = tempfile.TemporaryDirectory(prefix="baozi-test-")
        for name, text in (files or {}).items():
            self.write(name, text)
        if isinstance(what, dict):
            what = self.write("baozi.yaml", yaml.safe_dump(what))
        self.log_file = open(Path(self.folder.name, "log"), "w+")
        command = [str(BAOZI), "serve", str(what), "--http-port", str(port), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=self.log_file, stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, "XDG_STATE_HOME": self.folder.name, **(environment or {})})
        try:
            self.port = wait_until(self.find_port, f"the port of {command}")
        except AssertionError as error:
            log = self.log()
            self.end()
            raise AssertionError(f"{error}\n{log}") from None

    def write(self, name, text):
        path = Path(self.folder.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self):
        return Path(self.log_file.name).read_text(errors="replace")

    def find_port(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}")
        found = re.search(r"listening on http://[^\s:]+:(\d+)", self.log())
        return int(found[1]) if found else None

    @property
    def url(self):
        return f"{HOST}:{self.port}"

    def connect(self, timeout=ANSWER_SECONDS_MAX):
        return http.client.HTTPConnection(HOST, self.port, timeout=timeout)

    def socket(self, timeout=ANSWER_SECONDS_MAX):
        return socket.create_connection((HOST, self.port), timeout)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if "json" in response.getheader("Content-Type", ""):
            content = json.loads(content)
        return Answer((response.status, content, dict(response.getheaders())))

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body=b"", headers=None):
        """A dict is sent as JSON."""
        if isinstance(body, (dict, list)):
            body = as_json(body)
        return self.ask("POST", path, body, headers)

    def wait_ready(self):
        def ready():
            return self.get("/v2/health/ready").status == 200
        try:
            return wait_until(ready, "ready", READY_SECONDS_MAX)
        except AssertionError as error:
            states = {model["name"]: model["state"] for model in self.get("/health").body["models"]}
            raise AssertionError(f"{error}: {states}\n{self.log()}") from None

    def wait_loaded(self):
        """Until nothing is loading any more; what failed has failed."""
        def settled():
            states = [entry["state"] for entry in self.post("/v2/repository/index").body]
            return states and "LOADING" not in states
        wait_until(settled, "the end of loading", READY_SECONDS_MAX)

    def metrics(self):
        from prometheus_client.parser import text_string_to_metric_families
        text = self.get("/metrics").body.decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    def rss(self):
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def terminate(self):
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40 * SLOWNESS)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10 * SLOWNESS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log_file.close()
        self.folder.cleanup()


class ServerTest(unittest.TestCase):
    """One server for the tests of a class; it must still run when they are done, and end with 0."""

    config = {}
    files = {}
    arguments = ()
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.config, *cls.arguments, files=cls.files,
                            environment=cls.environment)
        try:
            cls.server.wait_loaded()
        except Exception:
            print(cls.server.log(), file=sys.stderr)
            cls.server.end()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            status = cls.server.process.poll()
            if status is None:
                status = cls.server.terminate()
            if status != 0:
                raise AssertionError(f"the server ended with {status}\n{cls.server.log()}")
        finally:
            cls.server.end()

    def error_of(self, answer, status, *words):
        """Checks the protocol's error shape, its status, and that its text names the fault."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(list(answer.body), ["error"])
        for word in words:
            self.assertIn(word, answer.body["error"])
        return answer.body["error"]


def run(*arguments, stdin=None, seconds=60):
    """`baozi …` to its end: the finished process, its output as text."""
    return subprocess.run([str(BAOZI), *map(str, arguments)], input=stdin, capture_output=True,
                          text=True, timeout=seconds * SLOWNESS, env=ENVIRONMENT)


def as_json(value):
    return json.dumps(value).encode()


def fake(**options):
    """The text of a *.fake model file."""
    return yaml.safe_dump(options)


def main():
    if not BAOZI.exists():
        sys.exit(f"{BAOZI} does not exist; build it, or name another with BAOZI")
    if not MODELS.exists():
        sys.exit(f"{MODELS} does not exist; run `make setup`")
    unittest.main(verbosity=2)
