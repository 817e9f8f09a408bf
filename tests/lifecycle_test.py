"""How a server starts, drains and ends, and what it does when something around it fails."""

import http.client
import os
import re
import signal
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path

import harness

REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1, 2, 3, 4]}]}


def fakes(**models):
    """A config of fake models and their files: name=options."""
    config = {"models": [{"path": f"{name}.fake", "instances": 1} for name in models]}
    files = {f"{name}.fake": harness.fake(**options) for name, options in models.items()}
    return config, files


class Background(threading.Thread):
    """One request, asked beside the test."""

    def __init__(self, server, model):
        super().__init__(daemon=True)
        self.server, self.model = server, model
        self.answer = self.error = None
        self.start()

    def run(self):
        try:
            self.answer = self.server.post(f"/v2/models/{self.model}/infer", REQUEST)
        except (OSError, http.client.HTTPException) as error:
            self.error = error

    def wait(self):
        self.join(40 * harness.SLOWNESS)
        return self.answer


class OwnServer(unittest.TestCase):
    """A server a test."""

    def start(self, config, files=None, *arguments):
        server = harness.Server(config, *arguments, files=files)
        self.addCleanup(server.end)
        return server

    def in_flight(self, server, count):
        harness.wait_until(
            lambda: server.metrics()["baozi_requests_in_flight"].samples[0].value == count,
            f"{count} requests in flight")


class StartTest(OwnServer):
    def test_it_listens_before_anything_is_loaded(self):
        config, files = fakes(slow={"load_ms": 1500 * harness.SLOWNESS})
        server = self.start({**config, "hold": {"requests_max": 0}}, files)
        health = server.get("/health")
        self.assertEqual((health.status, health.body["status"]), (503, "starting"))
        self.assertLess(health.body["progress"], 1)
        self.assertIn("slow", health.body["phase"])
        [model] = health.body["models"]
        self.assertEqual((model["name"], model["version"], model["reason"]), ("slow", "1", ""))
        self.assertIn(model["state"], ("ABSENT", "OPENING", "LOADING"))
        self.assertEqual(server.get("/v2/health/live").status, 200)
        ready = server.get("/v2/health/ready")
        self.assertEqual((ready.status, ready.body), (503, {"ready": False}))
        self.assertEqual(server.get("/v2/models/slow/ready").status, 503)
        stages = server.get("/readiness/stages")
        self.assertEqual((stages.status, stages.body["ready"]), (503, False))
        self.assertEqual([stage["name"] for stage in stages.body["stages"]], ["slow/1"])
        early = server.post("/v2/models/slow/infer", REQUEST)
        self.assertEqual(early.status, 503)
        self.assertIn("not ready", early.body["error"])
        self.assertGreaterEqual(int(early.headers["Retry-After"]), 1)
        status = server.get("/v1/models/slow").body["model_version_status"][0]
        self.assertIn(status["state"], ("START", "LOADING"))
        server.wait_ready()
        health = server.get("/health")
        self.assertEqual((health.status, health.body["status"]), (200, "ready"))
        self.assertEqual((health.body["progress"], health.body["seconds_left"]), (1, 0))
        self.assertEqual(server.post("/v2/models/slow/infer", REQUEST).status, 200)
        start = server.get("/v2/coldstart").body
        phases = [(phase["name"], phase["subject"]) for phase in start["phases"]]
        for phase in (("config", ""), ("listen", ""), ("load", "slow/1")):
            self.assertIn(phase, phases)
        load = start["phases"][phases.index(("load", "slow/1"))]
        self.assertGreater(load["end_ms"] - load["start_ms"], 1400 * harness.SLOWNESS)
        self.assertGreater(start["first_answer_ms"], start["ready_ms"])

    def test_sigterm_while_loading(self):
        server = self.start(*fakes(slow={"load_ms": 60_000}))
        start = time.monotonic()
        self.assertEqual(server.terminate(), 0)
        self.assertLess(time.monotonic() - start, 5 * harness.SLOWNESS)

    def test_a_taken_port(self):
        with socket.create_server((harness.HOST, 0)) as taken:
            port = taken.getsockname()[1]
            done = harness.run("serve", harness.model("noop"), "--http-port", port)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{harness.HOST}:{port}", done.stderr)
        self.assertIn("in use", done.stderr)

    def test_no_such_address(self):
        done = harness.run("serve", harness.model("noop"), "--host", "999.0.0.1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("999.0.0.1", done.stderr)

    def test_a_plugin_that_does_not_open_ends_the_server(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder, "libwrong.so")
            wrong.write_text("no library")
            done = harness.run("serve", harness.model("noop"), "--http-port", 0, "--plugin", wrong)
        self.assertEqual(done.returncode, 1)
        self.assertIn("libwrong.so", done.stderr)


class DrainTest(OwnServer):
    def test_a_request_in_flight_finishes(self):
        server = self.start(*fakes(steady={"latency_us": 1_000_000}))
        server.wait_ready()
        request = Background(server, "steady")
        self.in_flight(server, 1)
        server.process.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: "draining" in server.log(), "draining")
        try:
            ready = server.get("/v2/health/ready").status
        except (OSError, http.client.HTTPException):
            ready = "no connection"
        self.assertIn(ready, (503, "no connection"))
        answer = request.wait()
        self.assertIsNotNone(answer, request.error)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers.get("Connection"), "close")
        self.assertEqual(server.process.wait(10 * harness.SLOWNESS), 0)
        self.assertIn("stopped", server.log())

    def test_idle_connections_do_not_hold_it_up(self):
        server = self.start(*fakes(quick={}))
        server.wait_ready()
        idle = [server.connect() for _ in range(20)]
        for connection in idle:
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
        start = time.monotonic()
        self.assertEqual(server.terminate(), 0)
        self.assertLess(time.monotonic() - start, 3 * harness.SLOWNESS)
        for connection in idle:
            connection.close()

    def test_the_second_sigterm_ends_at_once(self):
        server = self.start(*fakes(endless={"latency_us": 25_000_000}))
        server.wait_ready()
        request = Background(server, "endless")
        self.in_flight(server, 1)
        server.process.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: "draining" in server.log(), "draining")
        time.sleep(0.2)
        self.assertIsNone(server.process.poll(), "it waits for the request")
        start = time.monotonic()
        self.assertEqual(server.terminate(), 0)
        self.assertLess(time.monotonic() - start, 3 * harness.SLOWNESS)
        self.assertTrue(request.wait() is None or request.answer.status >= 400)

    def test_the_drain_has_an_end(self):
        config, files = fakes(endless={"latency_us": 25_000_000})
        server = self.start({**config, "http": {"drain_timeout_ms": 300}}, files)
        server.wait_ready()
        Background(server, "endless")
        self.in_flight(server, 1)
        start = time.monotonic()
        self.assertEqual(server.terminate(), 0)
        taken = time.monotonic() - start
        self.assertGreater(taken, 0.25)
        self.assertLess(taken, 5 * harness.SLOWNESS)

    def test_ctrl_c(self):
        server = self.start(*fakes(quick={}))
        server.wait_ready()
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.process.wait(10 * harness.SLOWNESS), 0)


class FaultTest(OwnServer):
    def test_hostile_models_beside_a_good_one(self):
        names = sorted(path.name for path in harness.HOSTILE.iterdir())
        # A sanitizer's operator new aborts, and does not throw.
        sanitized = os.environ.get("BAOZI_SANITIZED") == "1"
        server = self.start({"models": [
            *({"path": str(harness.HOSTILE / name),
               "warmup": {"enabled": not (sanitized and name == "absurd_output")}}
              for name in names),
            {"path": harness.model("noop")}]})
        server.wait_loaded()
        index = {e["name"]: e for e in server.post("/v2/repository/index").body}
        self.assertEqual(index["noop"]["state"], "READY")
        for name in names:
            with self.subTest(name):
                if name == "absurd_output":
                    self.assertEqual(index[name]["state"], "READY")
                    continue
                self.assertEqual(index[name]["state"], "UNAVAILABLE")
                self.assertGreater(len(index[name]["reason"]), 20)
                self.assertNotIn("root:", index[name]["reason"], "no file's content")
                answer = server.post(f"/v2/models/{name}/infer", REQUEST)
                self.assertEqual(answer.status, 503)
                self.assertIn(index[name]["reason"], answer.body["error"])
        if not sanitized:
            huge = {"inputs": [{"name": "count", "shape": [1], "datatype": "INT64", "data": [1]}]}
            answer = server.post("/v2/models/absurd_output/infer", huge)
            self.assertGreaterEqual(answer.status, 400, "4 TiB are not there")
            self.assertEqual(list(answer.body), ["error"])
        self.assertEqual(server.post("/v2/models/noop/infer", REQUEST).status, 200)
        self.assertEqual(server.get("/v2/health/ready").status, 503, "not all is there")
        health = server.get("/health")
        self.assertEqual((health.status, health.body["status"]), (503, "degraded"))
        self.assertEqual(server.terminate(), 0)

    def test_a_model_that_is_not_there_and_a_pipeline_over_it(self):
        server = self.start({
            "models": [{"path": "nowhere"}, {"path": harness.model("noop")}],
            "pipelines": [{"type": "classify", "options": {"model": "nowhere"}},
                          {"type": "sing", "name": "song"}]})
        server.wait_loaded()
        index = {e["name"]: e for e in server.post("/v2/repository/index").body}
        self.assertIn("nowhere does not exist", index["nowhere"]["reason"])
        self.assertIn("nowhere", index["classify"]["reason"])
        self.assertIn("sing", index["song"]["reason"])
        self.assertIn("classify", index["song"]["reason"], "names the kinds there are")
        self.assertEqual(server.post("/v2/models/noop/infer", REQUEST).status, 200)

    def test_a_disconnect_cancels_the_request(self):
        server = self.start(*fakes(endless={"latency_us": 25_000_000}))
        server.wait_ready()
        connection = server.connect()
        connection.request("POST", "/v2/models/endless/infer", harness.as_json(REQUEST))
        self.in_flight(server, 1)
        time.sleep(0.3)  # it runs now
        connection.close()
        self.in_flight(server, 0)
        cancelled = [s for s in server.metrics()["baozi_requests"].samples
                     if s.labels.get("code") == "CANCELLED"]
        self.assertEqual([s.value for s in cancelled], [1.0])
        statistics = server.get("/v2/models/endless/stats").body["model_stats"][0]
        self.assertEqual(statistics["inference_stats"]["fail"]["count"], 1)
        start = time.monotonic()
        self.assertEqual(server.terminate(), 0, "nothing is left running")
        self.assertLess(time.monotonic() - start, 5 * harness.SLOWNESS)

    def test_a_full_queue_refuses_at_once(self):
        config, files = fakes(narrow={"latency_us": 800_000})
        config["models"][0] |= {"queue_max": 2, "batch": {"max": 1}}
        server = self.start(config, files)
        server.wait_ready()
        requests = [Background(server, "narrow") for _ in range(8)]
        answers = [request.wait() for request in requests]
        statuses = sorted(answer.status for answer in answers)
        self.assertEqual(set(statuses), {200, 429})
        self.assertGreaterEqual(statuses.count(429), 5)
        refused = next(answer for answer in answers if answer.status == 429)
        self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(list(refused.body), ["error"])

    def test_the_whole_process_is_full(self):
        config, files = fakes(one={"latency_us": 800_000}, other={"latency_us": 800_000})
        server = self.start({**config, "requests_max": 3}, files)
        server.wait_ready()
        requests = [Background(server, name) for name in ("one", "other") * 4]
        statuses = sorted(request.wait().status for request in requests)
        self.assertEqual(set(statuses), {200, 429})
        self.assertGreaterEqual(statuses.count(429), 3)
        self.assertEqual(server.post("/v2/models/one/infer", REQUEST).status, 200)

    def test_a_failing_instance(self):
        server = self.start(*fakes(flaky={"fail_every": 2}))
        server.wait_ready()
        statuses = [server.post("/v2/models/flaky/infer", REQUEST).status for _ in range(6)]
        self.assertEqual(statuses, [200, 500] * 3)

    def test_requests_of_one_connection_are_answered_in_order(self):
        server = self.start(*fakes(quick={}))
        server.wait_ready()
        body = harness.as_json(REQUEST)
        head = (f"POST /v2/models/quick/infer HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        health = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /v2/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with server.socket() as connection:
            connection.sendall((head + body + health) * 10 + last)
            answers = b""
            while part := connection.recv(65536):
                answers += part
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answers)
        self.assertEqual(statuses, [b"200"] * 20 + [b"404"])
        kinds = re.findall(rb'"model_name"|"live"', answers)
        self.assertEqual(kinds, [b'"model_name"', b'"live"'] * 10)


if __name__ == "__main__":
    harness.main()
