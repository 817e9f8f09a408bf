"""Models whose instances grow and shrink, with a real server under load."""

import http.client
import json
import threading
import time
import unittest
from pathlib import Path

import numpy

import harness

ROW = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
LATENCY_S = 0.05


class Callers:
    """So many clients that ask one after the other, until the end of the `with`."""

    def __init__(self, server, count, name="bun", body=None, check=None, headers=None):
        self.server, self.path = server, f"/v2/models/{name}/infer"
        self.body = body or json.dumps(ROW)
        self.headers = headers or {"Content-Type": "application/json"}
        self.check = check or (lambda body: None)
        self.times, self.failed = [], []  # (when it was answered, how long it took)
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(count)]

    def ask(self):
        connection = self.server.connect()
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                connection.request("POST", self.path, self.body, self.headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200:
                    raise AssertionError(body)
                self.check(body)
            except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
                self.failed.append(repr(error))
                return
            now = time.monotonic()
            self.times.append((now, now - begun))
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(harness.ANSWER_SECONDS_MAX)

    def rate(self, seconds):
        """Answers a second, from now on."""
        begun, before = time.monotonic(), len(self.times)
        time.sleep(seconds)
        return (len(self.times) - before) / (time.monotonic() - begun)


def instances(server, name="bun"):
    for sample in server.metrics()["baozi_instances"].samples:
        if sample.labels["model"] == name:
            return int(sample.value)
    raise AssertionError("no gauge")


class ElasticTest(unittest.TestCase):
    def serve(self, bounds, model=None, config=None, **options):
        entry = {"path": "bun.fake", "batch": {"max": 1}, "instances": bounds, **(model or {})}
        server = harness.Server({"models": [entry], **(config or {})}, files={
            "bun.fake": harness.fake(latency_us=int(LATENCY_S * 1e6), **options)})
        self.addCleanup(server.end)
        server.wait_ready()
        return server

    def reach(self, server, count):
        harness.wait_until(lambda: instances(server) == count, f"{count} instances")

    def threads(self, server):
        status = (Path("/proc", str(server.process.pid), "status")).read_text()
        return int(status.split("Threads:")[1].split()[0])

    def test_instances_follow_the_load(self):
        server = self.serve({"min": 1, "max": 4, "shrink_after_ms": 1000}, instance_ms=20)
        self.assertEqual(instances(server), 1)
        threads = self.threads(server)
        with Callers(server, 8) as callers:
            harness.wait_until(lambda: len(callers.times) > 3, "answers")
            before = 1 / LATENCY_S  # what one instance can do
            begun = time.monotonic()
            self.reach(server, 4)
            took = time.monotonic() - begun
            rate = callers.rate(2)
        print(f"    from 1 to 4 instances in {took:.2f} s; {rate:.0f} answers/s, "
              f"of one instance at most {before:.0f}")
        self.assertEqual(callers.failed, [])
        self.assertGreater(rate, 2.5 * before)
        self.assertEqual(server.metrics()["baozi_instances_max"].samples[0].value, 4)
        self.reach(server, 1)
        harness.wait_until(lambda: self.threads(server) <= threads, "their threads end")
        stats = server.get("/v2/models/bun/stats").body["model_stats"][0]
        self.assertEqual(stats["inference_stats"]["success"]["count"], len(callers.times))
        with Callers(server, 8) as callers:
            self.reach(server, 4)
        self.assertEqual(callers.failed, [])

    def test_one_caller_needs_one(self):
        server = self.serve({"max": 4})
        with Callers(server, 1):
            time.sleep(1.5)
            self.assertEqual(instances(server), 1)

    def test_a_new_one_is_warm(self):
        """The first run of an instance takes a second, and is no request's."""
        server = self.serve({"max": 3}, {"warmup": {"budget_ms": 4000}}, first_run_us=1_000_000)
        with Callers(server, 6) as callers:
            self.reach(server, 3)
            time.sleep(1)
        self.assertEqual(callers.failed, [])
        slowest = max(took for _, took in callers.times)
        self.assertLess(slowest, 0.9 if harness.SLOWNESS < 6 else 3)
        self.assertRegex(server.log(), r"bun version 1 has 3 instances: requests waited; made and "
                         r"warmed up in \d+ ms, [1-9]\d* runs")

    def test_memory_is_kept_to(self):
        server = self.serve({"max": 4, "shrink_after_ms": 1000},
                            config={"memory_bytes_max": 1250}, memory_bytes=1000,
                            instance_bytes=200)
        with Callers(server, 8) as callers:
            self.reach(server, 2)
            time.sleep(1.5)
            self.assertEqual(instances(server), 2)
        self.assertEqual(callers.failed, [])
        self.assertEqual(server.log().count("there is no memory for one more"), 1)
        self.reach(server, 1)

    def test_no_memory_for_a_second_one_is_no_error(self):
        server = self.serve({"max": 4}, config={"memory_bytes_max": 1100}, memory_bytes=1000,
                            instance_bytes=200)
        with Callers(server, 8) as callers:
            time.sleep(1.5)
            self.assertEqual(instances(server), 1)
        self.assertEqual(callers.failed, [])
        self.assertGreater(len(callers.times), 10)
        self.assertEqual(server.log().count("there is no memory for one more"), 1)

    def test_one_that_cannot_be_made_is_no_error(self):
        server = self.serve({"max": 4}, instances_max=2)
        with Callers(server, 8) as callers:
            self.reach(server, 2)
            time.sleep(1.5)
            self.assertEqual(instances(server), 2)
        self.assertEqual(callers.failed, [])
        self.assertEqual(server.log().count("one more could not be made"), 1)

    def test_an_end_while_one_is_in_the_making(self):
        server = self.serve({"max": 4}, instance_ms=1000)
        with Callers(server, 8) as callers:
            time.sleep(0.8)
            self.assertEqual(instances(server), 1)
            callers.stop.set()
            self.assertEqual(server.terminate(), 0, server.log())

    def test_loaded_anew_and_unloaded_under_load(self):
        server = self.serve({"max": 3}, instance_ms=300)
        with Callers(server, 6) as callers:
            self.reach(server, 2)
            self.assertEqual(server.post("/v2/repository/models/bun/load").status, 200)
            self.reach(server, 3)
        self.assertEqual(callers.failed, [])
        self.assertEqual(server.post("/v2/repository/models/bun/unload").status, 200)
        self.reach(server, 0)
        self.assertEqual(server.post("/v2/repository/models/bun/load").status, 200)
        with Callers(server, 6) as callers:
            self.reach(server, 3)
        self.assertEqual(callers.failed, [])


class OnnxTest(unittest.TestCase):
    """With an engine that computes."""

    def test_answers_stay_right(self):
        server = harness.Server({"models": [
            {"path": harness.model("efficientnet_lite0"), "name": "net", "batch": {"max": 1},
             "instances": {"min": 1, "max": 2, "shrink_after_ms": 1000}}]})
        self.addCleanup(server.end)
        server.wait_ready()
        picture = server.get("/v2/models/net").body["inputs"][0]
        shape = [1, *picture["shape"][1:]]
        values = numpy.random.default_rng(7).standard_normal(shape).astype(numpy.float32)
        head = json.dumps({"inputs": [{
            "name": picture["name"], "datatype": "FP32", "shape": shape,
            "parameters": {"binary_data_size": values.nbytes}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)),
                   "Content-Type": "application/octet-stream"}
        right = []

        def check(body):
            data = numpy.array(body["outputs"][0]["data"])
            if not right:
                right.append(data)
            numpy.testing.assert_allclose(data, right[0], rtol=1e-3, atol=1e-5)

        with Callers(server, 1, "net", head + values.tobytes(), check, headers) as alone:
            harness.wait_until(lambda: right, "an answer")
        with Callers(server, 6, "net", head + values.tobytes(), check, headers) as callers:
            harness.wait_until(lambda: instances(server, "net") == 2, "2 instances")
            rate = callers.rate(2)
        print(f"    {rate:.0f} answers/s from 2 instances")
        self.assertEqual(alone.failed + callers.failed, [])
        self.assertGreater(len(callers.times), 10)
        harness.wait_until(lambda: instances(server, "net") == 1, "1 instance")


if __name__ == "__main__":
    harness.main()
