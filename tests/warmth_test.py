"""What a replica says of its warmth, and a real HAProxy that acts on it."""

import http.client
import json
import re
import socket
import threading
import time
import unittest

import harness
from haproxy import HAProxy, free_port

REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1, 2, 3, 4]}]}
AGENT_SECONDS = 1


def config_for(servers, port):
    """haproxy.cfg in front of servers that get a little while they are starting: name → (port,
    agent's port)."""
    lines = "".join(
        f"  server {name} {harness.HOST}:{own} weight 100 maxconn 100 check inter 200ms "
        f"agent-check agent-addr {harness.HOST} agent-port {agent} "
        f"agent-inter {AGENT_SECONDS}s\n" for name, (own, agent) in servers.items())
    return ("defaults\n  mode http\n  retries 3\n  option redispatch\n"
            "  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
            f"frontend all\n  bind {harness.HOST}:{port}\n  default_backend replicas\n"
            f"backend replicas\n  option httpchk GET /v2/health/live\n{lines}")


class Asked(threading.Thread):
    """One request, asked beside the test."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.answer = server, None
        self.start()

    def run(self):
        self.answer = self.server.post("/v2/models/bun/infer", REQUEST)


class WarmthTest(unittest.TestCase):
    def start(self, fleet=None, **options):
        return self.serve({"bun.fake": harness.fake(**options)}, fleet)

    def serve(self, files, fleet=None):
        config = {"models": [{"path": name, "instances": 1} for name in files],
                  "fleet": {"agent": {"port": 0}, "connections_max": 100, **(fleet or {})}}
        server = harness.Server(config, files=files)
        self.addCleanup(server.end)
        found = re.search(r"agent-check is answered on [^:]+:(\d+)", server.log())
        server.agent = int(found[1])
        return server

    def ready(self, server):
        harness.wait_until(lambda: server.get("/v2/health/ready").status == 200, "ready")

    def haproxy(self, **servers):
        port = free_port()
        servers = {name: (each.port, each.agent) for name, each in servers.items()}
        proxy = HAProxy(config_for(servers, port), port)
        self.addCleanup(proxy.end)
        return proxy

    def line(self, server):
        with socket.create_connection((harness.HOST, server.agent), 10) as asked:
            return b"".join(iter(lambda: asked.recv(4096), b"")).decode()

    def test_the_record_the_gauges_and_the_agent_say_the_same(self):
        server = self.start(load_ms=1500 * harness.SLOWNESS)
        record = server.get("/v2/warmth").body
        self.assertEqual(record["state"], "starting")
        self.assertLess(record["warmth"], 1)
        self.assertRegex(self.line(server), r"^up ready ([5-9]|1\d|2[0-5])% maxconn:2\n$")
        self.ready(server)
        record = server.get("/v2/warmth").body
        self.assertEqual((record["state"], record["warmth"], record["seconds_left"]),
                         ("ready", 1, 0))
        self.assertEqual(self.line(server), "up ready 100% maxconn:100\n")
        metrics = server.metrics()
        self.assertEqual(metrics["baozi_warmth"].samples[0].value, 1)
        states = {s.labels["state"]: s.value for s in metrics["baozi_state"].samples}
        self.assertEqual([state for state, on in states.items() if on], ["ready"])

    def test_a_model_that_cannot_be_loaded_takes_the_replica_out(self):
        server = self.serve({"bun.onnx": "no model"})
        harness.wait_until(lambda: server.get("/v2/warmth").body["state"] == "failed", "failed")
        self.assertEqual(self.line(server), "down #load-failed\n")
        self.assertEqual(server.get("/v2/health/steer").status, 503)

    def test_haproxy_takes_a_replica_back_once_its_model_can_be_loaded(self):
        server = self.serve({"bun.fake": "latency_us: never"})
        proxy = self.haproxy(bun=server)
        harness.wait_until(lambda: proxy.row("bun")["status"].startswith("DOWN"), "down")
        server.write("bun.fake", harness.fake())
        self.assertEqual(server.post("/v2/repository/models/bun/load").status, 200)
        harness.wait_until(lambda: proxy.row("bun")["status"].startswith("UP"), "up")
        harness.wait_until(lambda: int(proxy.row("bun")["weight"]) == 100, "its whole weight")
        states = server.metrics()["baozi_model_state"].samples
        self.assertEqual([sample.labels for sample in states],
                         [{"model": "bun", "version": "1", "state": "READY"}])

    def test_requests_that_wait_and_run_are_counted(self):
        server = self.start(latency_us=1_500_000)
        self.ready(server)
        asked = [Asked(server) for _ in range(2)]
        harness.wait_until(lambda: server.get("/v2/warmth").body["in_flight"] == 2, "in flight")
        for each in asked:
            each.join(20 * harness.SLOWNESS)
            self.assertEqual(each.answer.status, 200)
        record = server.get("/v2/warmth").body
        self.assertEqual((record["in_flight"], record["queue"]), (0, 0))

    def test_haproxys_weight_follows_the_warmth(self):
        server = self.start(load_ms=3000 * harness.SLOWNESS)
        proxy = self.haproxy(bun=server)
        harness.wait_until(lambda: int(proxy.row("bun")["weight"]) <= 25, "a low weight")
        self.assertEqual(proxy.row("bun")["slim"], "2")
        self.ready(server)
        since = time.monotonic()
        harness.wait_until(lambda: int(proxy.row("bun")["weight"]) == 100, "the whole weight")
        self.assertLess(time.monotonic() - since, (AGENT_SECONDS + 0.5) * harness.SLOWNESS)
        self.assertEqual(proxy.row("bun")["slim"], "100")

    def test_a_replica_that_ends_is_left_before_it_goes(self):
        first = self.start({"drain_delay_ms": 3000 * harness.SLOWNESS})
        second = self.start()
        self.ready(first)
        self.ready(second)
        proxy = self.haproxy(first=first, second=second)
        harness.wait_until(lambda: all(int(proxy.row(name)["weight"]) == 100
                                       for name in ("first", "second")), "both")
        first.process.terminate()
        left = harness.wait_until(lambda: "DRAIN" in proxy.row("first")["status"], "drain")
        self.assertTrue(left)
        self.assertIsNone(first.process.poll())  # it still answers
        self.assertEqual(first.post("/v2/models/bun/infer", REQUEST).status, 200)
        self.assertEqual(first.get("/v2/health/ready").status, 503)
        while first.process.poll() is None:
            connection = http.client.HTTPConnection(harness.HOST, proxy.port, timeout=20)
            connection.request("POST", "/v2/models/bun/infer", json.dumps(REQUEST))
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()
        self.assertEqual(first.process.returncode, 0)

    def test_answers_carry_a_load_report_when_it_is_wished_for(self):
        server = self.start({"drain_delay_ms": 3_600_000})
        self.ready(server)
        path, wish = "/v2/models/bun/infer", "endpoint-load-metrics-format"
        self.assertNotIn("endpoint-load-metrics", server.post(path, REQUEST).headers)
        report = server.post(path, REQUEST, {wish: "json"}).headers["endpoint-load-metrics"]
        self.assertTrue(report.startswith("JSON "), report)
        self.assertEqual(json.loads(report[5:])["named_metrics"]["warmth"], 1)
        report = server.post(path, REQUEST, {wish: "text"}).headers["endpoint-load-metrics"]
        self.assertRegex(report, r"^TEXT application_utilization=[\d.]+,")
        answer = server.post(path, REQUEST, {wish: "\xff" * 100})
        self.assertEqual(answer.status, 200)
        self.assertNotIn("endpoint-load-metrics", answer.headers)
        self.assertNotIn("x-envoy-immediate-health-check-fail", answer.headers)
        server.process.terminate()
        harness.wait_until(lambda: server.get("/v2/warmth").body["state"] == "draining", "drain")
        self.assertEqual(server.get("/v2/health/live").status, 200)
        health = server.get("/v2/health/steer")
        self.assertEqual((health.status, health.body["state"]), (503, "draining"))
        for answer in (server.post(path, REQUEST), health):
            self.assertEqual(answer.headers["x-envoy-immediate-health-check-fail"], "true")

    def test_load_reports_may_be_said_to_all_and_of_every_protocol(self):
        server = self.start({"load_reports": "always"})
        self.ready(server)
        for path, body, status in (("/v2/models/bun/infer", REQUEST, 200),
                                   ("/v2/models/no/infer", REQUEST, 404),
                                   ("/v1/models/bun:predict", {"instances": [[1, 2, 3, 4]]}, 200),
                                   ("/v1/embeddings", {"input": "bun"}, 404)):
            with self.subTest(path):
                answer = server.post(path, body)
                self.assertEqual(answer.status, status, answer.body)
                self.assertRegex(answer.headers["endpoint-load-metrics"],
                                 r"^TEXT application_utilization=[\d.]+,")

    def test_a_replica_that_computes_says_so(self):
        server = self.start(latency_us=1000)
        self.ready(server)
        self.assertIn("utilisation", server.get("/v2/warmth").body)
        end = time.monotonic() + 2
        while time.monotonic() < end:  # parsing takes the cores, too
            server.post("/v2/models/bun/infer", REQUEST)
        self.assertGreater(server.get("/v2/warmth").body["utilisation"], 0)

    def test_envoys_health_check_learns_that_a_replica_is_lukewarm(self):
        server = self.start(load_ms=1500 * harness.SLOWNESS)
        health = server.get("/v2/health/steer")
        self.assertEqual((health.status, health.headers["x-envoy-degraded"]), (200, "true"))
        self.ready(server)
        self.assertNotIn("x-envoy-degraded", server.get("/v2/health/steer").headers)

    def test_a_second_signal_ends_the_delay(self):
        server = self.start({"drain_delay_ms": 3_600_000})
        self.ready(server)
        server.process.terminate()
        harness.wait_until(lambda: server.get("/v2/warmth").body["state"] == "draining", "drain")
        self.assertEqual(self.line(server), "drain\n")
        self.assertEqual(server.terminate(), 0)

    def test_a_scanned_agent_port_costs_nothing(self):
        server = self.start()
        self.ready(server)
        for garbage in (b"", b"\xff" * 100_000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
            with socket.create_connection((harness.HOST, server.agent), 10) as scan:
                try:
                    scan.sendall(garbage)
                except OSError:
                    pass  # it hung up already
        idle = [socket.create_connection((harness.HOST, server.agent), 10) for _ in range(300)]
        self.assertEqual(self.line(server), "up ready 100% maxconn:100\n")
        self.assertEqual(server.post("/v2/models/bun/infer", REQUEST).status, 200)
        for each in idle:
            each.close()

    def test_an_agent_port_that_is_taken_is_said_at_the_start(self):
        with socket.create_server((harness.HOST, 0)) as taken:
            port = taken.getsockname()[1]
            with self.assertRaisesRegex(AssertionError, f"cannot listen on 127.0.0.1:{port}"):
                self.start({"agent": {"port": port}})


if __name__ == "__main__":
    harness.main()
