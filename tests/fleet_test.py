"""Replicas behind a real HAProxy whose configuration `baozi steer haproxy` has written: one is
killed, one hangs, all are restarted."""

import http.client
import json
import signal
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import harness
from haproxy import HAProxy, free_port

REQUEST = json.dumps({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                                  "data": [1, 2, 3, 4]}]})
HANG_SECONDS = 2
CLIENTS = 4


def steer(*arguments):
    return subprocess.run([harness.BAOZI, "steer", *arguments], capture_output=True, text=True,
                          timeout=30 * harness.SLOWNESS)


class Load:
    """Clients that ask one after the other, until the block ends."""

    def __init__(self, port, clients=CLIENTS):
        self.port, self.answers, self.failures = port, 0, []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]

    def run(self):
        while not self.stop.is_set():
            connection = http.client.HTTPConnection(harness.HOST, self.port,
                                                    timeout=30 * harness.SLOWNESS)
            try:
                connection.request("POST", "/v2/models/bun/infer", REQUEST)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    self.failures.append(f"{response.status} {body[:200]}")
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60 * harness.SLOWNESS)

    def go_on(self, answers):
        goal = self.answers + answers
        harness.wait_until(lambda: self.answers >= goal, f"{answers} answers", 60)


class FleetTest(unittest.TestCase):
    def setUp(self):
        self.ports = [(free_port(), free_port()) for _ in range(3)]
        self.servers = [None] * 3
        for index in range(3):
            self.start(index)
        port = free_port()
        replicas = [word for own, agent in self.ports
                    for word in ("--replica", f"{harness.HOST}:{own},agent={agent}")]
        written = steer("haproxy", *replicas, "--listen", f"{harness.HOST}:{port}", "--stats",
                        f"{harness.HOST}:{free_port()}", "--timeout", str(HANG_SECONDS))
        self.assertEqual(written.returncode, 0, written.stderr)
        self.proxy = HAProxy(written.stdout, port)
        self.addCleanup(self.proxy.end)
        for index in range(3):
            self.wait_for(index, "UP")

    def start(self, index):
        port, agent = self.ports[index]
        config = {"models": [{"path": "bun.fake", "instances": 4}],
                  "fleet": {"agent": {"port": agent}, "drain_delay_ms": 4000}}
        server = harness.Server(config, files={"bun.fake": harness.fake(latency_us=20_000)},
                                port=port)
        self.addCleanup(server.end)
        self.addCleanup(server.process.kill)  # what a test did not end need not drain
        self.servers[index] = server

    def wait_for(self, index, *states):
        harness.wait_until(
            lambda: self.proxy.row(f"replica{index + 1}")["status"].startswith(states),
            f"replica{index + 1} {states}")

    def test_a_killed_replica_costs_no_answer(self):
        with Load(self.proxy.port) as load:
            load.go_on(50)
            self.servers[1].process.kill()
            load.go_on(100)
            self.wait_for(1, "DOWN")
            load.go_on(50)
        self.assertEqual(load.failures, [])

    def test_a_hung_replica_costs_no_answer(self):
        process = self.servers[2].process
        with Load(self.proxy.port) as load:
            load.go_on(50)
            process.send_signal(signal.SIGSTOP)
            try:
                load.go_on(100)
                self.wait_for(2, "DOWN")
            finally:
                process.send_signal(signal.SIGCONT)
            self.wait_for(2, "UP")
            load.go_on(50)
        self.assertEqual(load.failures, [])
        self.assertEqual(int(self.proxy.row("replica3")["weight"]), 100)

    def test_all_are_restarted_one_after_the_other_and_nobody_sees_it(self):
        with Load(self.proxy.port) as load:
            for index in range(3):
                self.servers[index].process.terminate()
                self.wait_for(index, "DRAIN", "DOWN", "MAINT")
                self.assertEqual(self.servers[index].process.wait(60 * harness.SLOWNESS), 0)
                self.start(index)
                self.wait_for(index, "UP")
                harness.wait_until(
                    lambda at=index: self.proxy.row(f"replica{at + 1}")["weight"] == "100",
                    "its whole weight")
                load.go_on(30)
        self.assertEqual(load.failures, [])

    def test_a_replica_that_comes_and_goes_costs_no_answer(self):
        with Load(self.proxy.port) as load:
            for _ in range(2):
                self.servers[0].process.kill()
                self.servers[0].process.wait()
                load.go_on(20)
                self.start(0)
                load.go_on(20)
        self.assertEqual(load.failures, [])


class SteerTest(unittest.TestCase):
    def test_what_cannot_be_an_address_is_refused(self):
        for address in ("a", "a:0", "a;b:1", "a:1,agent=x", "a b:1"):
            with self.subTest(address):
                refused = steer("haproxy", "--replica", address)
                self.assertEqual((refused.returncode, refused.stdout), (1, ""))
                self.assertIn("HOST:PORT", refused.stderr)

    def test_a_command_line_without_replicas_says_what_is_missing(self):
        refused = steer("haproxy")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--replica", refused.stderr)

    def test_a_file_is_replaced_whole_or_not_at_all(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "haproxy.cfg")
            path.write_text("old")
            refused = steer("haproxy", "--replica", "a", "-o", str(path))
            self.assertEqual((refused.returncode, path.read_text()), (1, "old"))
            written = steer("haproxy", "--replica", "a:8000", "-o", str(path))
            self.assertEqual(written.returncode, 0, written.stderr)
            self.assertIn("server replica1 a:8000", path.read_text())
            self.assertEqual([each.name for each in Path(folder).iterdir()], ["haproxy.cfg"])


if __name__ == "__main__":
    harness.main()
