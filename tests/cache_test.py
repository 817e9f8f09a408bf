"""The response cache over HTTP: hits, single flight, Cache-Control, and Redis as second tier."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness

SLOW_MS = 300
# Long enough for a healthy Redis on a machine that is busy with other tests: what these tests
# say must not depend on who else has the cores. (What the wait costs is measured by the benchmark.)
REDIS_TIMEOUT_MS = 500


def with_redis(url):
    return {"redis": url, "redis_timeout_ms": REDIS_TIMEOUT_MS}


def request(*values):
    return {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                        "data": list(values)}]}


def config(redis=None, **fake):
    cache = with_redis(redis) if redis else {}
    return ({"models": [{"path": "bun.fake", "instances": 1, "cache": {"ttl_s": 60}},
                        {"path": "plain.fake", "instances": 1}], "cache": cache},
            {"bun.fake": harness.fake(**fake), "plain.fake": harness.fake(**fake)})


def start(test, *arguments, **options):
    settings, files = config(*arguments, **options)
    server = harness.Server(settings, files=files)
    test.addCleanup(server.end)
    return server


def results(server):
    family = server.metrics()["baozi_cache_requests"]
    return {sample.labels["result"]: sample.value for sample in family.samples
            if sample.name == "baozi_cache_requests_total" and sample.labels["model"] == "bun"}


class Redis:
    """A redis-server of the test's own, on a free port, without files."""

    def __init__(self):
        with socket.create_server((harness.HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory(prefix="baozi-test-")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", harness.HOST, "--save", "",
             "--appendonly", "no", "--dir", self.folder.name], stdout=subprocess.DEVNULL)
        harness.wait_until(lambda: self.ask("PING") == "PONG", "Redis")

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-h", harness.HOST, "-p", str(self.port), *words],
                              capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def send(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.kill()
        self.folder.cleanup()

    @property
    def url(self):
        return f"redis://{harness.HOST}:{self.port}/0"


class LocalTest(unittest.TestCase):
    def test_a_hit(self):
        server = start(self)
        server.wait_ready()
        first = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        self.assertEqual(first.status, 200)
        self.assertNotIn("Age", first.headers)
        second = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        self.assertEqual(second.headers["Age"], "0")
        self.assertEqual(second.body, first.body)
        time.sleep(1.1)
        third = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        self.assertGreaterEqual(int(third.headers["Age"]), 1)
        fresh = server.post("/v2/models/bun/infer", request(1, 2, 3, 4),
                            {"Cache-Control": "no-cache"})
        self.assertNotIn("Age", fresh.headers)
        again = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        self.assertEqual(again.headers["Age"], "0", "no-cache keeps what was computed")
        self.assertEqual(results(server),
                         {"hit": 3, "miss": 1, "joined": 0, "expired": 0, "bypass": 1})
        statistics = server.get("/v2/models/bun/stats").body["model_stats"][0]["inference_stats"]
        self.assertEqual(statistics["cache_hit"]["count"], 3)
        self.assertEqual(statistics["cache_miss"]["count"], 1)
        self.assertEqual(server.terminate(), 0)

    def test_a_model_without_a_cache(self):
        server = start(self)
        server.wait_ready()
        for _ in range(2):
            answer = server.post("/v2/models/plain/infer", request(1, 2, 3, 4))
            self.assertNotIn("Age", answer.headers)
        statistics = server.get("/v2/models/plain/stats").body["model_stats"][0]
        self.assertEqual(statistics["execution_count"], 2)

    def test_the_same_at_once_runs_once(self):
        server = start(self, latency_us=SLOW_MS * 1000 * harness.SLOWNESS)
        server.wait_ready()
        answers = []

        def ask():
            answers.append(server.post("/v2/models/bun/infer", request(5, 6, 7, 8)))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer.status for answer in answers], [200] * 50)
        self.assertEqual(len({str(answer.body) for answer in answers}), 1)
        statistics = server.get("/v2/models/bun/stats").body["model_stats"][0]
        self.assertEqual(statistics["execution_count"], 1)
        self.assertEqual(statistics["inference_stats"]["success"]["count"], 50)

    def test_who_disconnects_does_not_end_it_for_others(self):
        server = start(self, latency_us=2 * SLOW_MS * 1000 * harness.SLOWNESS)
        server.wait_ready()
        gone = server.connect()
        gone.request("POST", "/v2/models/bun/infer", harness.as_json(request(1, 1, 1, 1)))
        harness.wait_until(
            lambda: server.metrics()["baozi_requests_in_flight"].samples[0].value == 1, "the run")
        answers = []
        other = threading.Thread(target=lambda: answers.append(
            server.post("/v2/models/bun/infer", request(1, 1, 1, 1))))
        other.start()
        harness.wait_until(lambda: results(server)["joined"] == 1, "the second request")
        gone.close()
        other.join()
        self.assertEqual(answers[0].status, 200)
        statistics = server.get("/v2/models/bun/stats").body["model_stats"][0]
        self.assertEqual(statistics["execution_count"], 1)
        self.assertEqual(server.terminate(), 0)


class LanguageTest(unittest.TestCase):
    def start(self, cache):
        server = harness.Server({
            "models": [{"path": harness.model("smollm2"), "name": "bun", "cache": True,
                        "language": {"context": 2048, "prefixes": "off"}}], "cache": cache})
        self.addCleanup(server.end)
        server.wait_ready()
        return server

    @staticmethod
    def ask(server, **fields):
        answer = server.post("/v1/completions", {
            "prompt": "The capital of France is", "max_tokens": 12, **fields})
        assert answer.status == 200, answer.body
        return answer

    @staticmethod
    def streamed(answer):
        lines = answer.body.decode().splitlines()
        events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        assert events[-1] == "[DONE]", events
        choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
        return "".join(choice["text"] for choice in choices), choices[-1]["finish_reason"]

    def test_repeatable_answers(self):
        server = self.start({})
        first = self.ask(server, temperature=0)
        self.assertNotIn("Age", first.headers)
        again = self.ask(server, temperature=0)
        self.assertEqual(again.headers["Age"], "0")
        self.assertEqual(again.body["choices"], first.body["choices"])
        self.assertEqual(again.body["usage"], first.body["usage"])
        stream = self.ask(server, temperature=0, stream=True)
        self.assertIn("Age", stream.headers)
        choice = first.body["choices"][0]
        self.assertEqual(self.streamed(stream), (choice["text"], choice["finish_reason"]))
        self.assertNotIn("Age", self.ask(server, temperature=1).headers)
        self.assertNotIn("Age", self.ask(server, temperature=1).headers)
        seeded = self.ask(server, temperature=1, seed=7, stream=True)

        def again_kept():  # who asks before the stream's answer is stored runs the model again
            again = self.ask(server, temperature=1, seed=7)
            return again if "Age" in again.headers else None
        again = harness.wait_until(again_kept, "it is kept")
        self.assertEqual(self.streamed(seeded)[0], again.body["choices"][0]["text"])
        self.assertEqual(server.terminate(), 0)

    def test_another_replica_has_it_from_redis(self):
        redis = Redis()
        self.addCleanup(redis.end)
        first = self.start(with_redis(redis.url))
        harness.wait_until(lambda: b"baozi_cache_redis_up 1" in first.get("/metrics").body, "Redis")
        answer = self.ask(first, temperature=0)
        harness.wait_until(lambda: redis.ask("--raw", "KEYS", "baozi:c:*"), "the entry")
        first.terminate()
        other = self.start(with_redis(redis.url))
        harness.wait_until(lambda: b"baozi_cache_redis_up 1" in other.get("/metrics").body, "Redis")
        self.assertEqual(self.ask(other, temperature=0).body["choices"], answer.body["choices"])
        self.assertEqual(results(other), {"hit": 1, "miss": 0, "joined": 0, "expired": 0,
                                          "bypass": 0})


CHAT = ("/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 6})
RESPONSE = ("/v1/responses", {"input": "Name a fruit.", "max_output_tokens": 6})
COMPLETION = ("/v1/completions", {"prompt": ["One, two,", [28, 33]], "max_tokens": 4,
                                  "logprobs": 2})


class AbsentLanguageTest(unittest.TestCase):
    """What was answered once is answered while the model is not there, and does not bring it up."""

    def start(self, files=None, models=(), model=None, **settings):
        server = harness.Server({
            "models": [*models, {"path": harness.model("smollm2"), "name": "bun", "cache": True,
                                 "language": {"context": 1024, "prefixes": "off"},
                                 **(model or {})}], **settings}, files=files)
        self.addCleanup(server.end)
        return server

    @staticmethod
    def state(server):
        return {model["name"]: model["state"] for model in server.get("/health").body["models"]}[
            "bun"]

    @staticmethod
    def entries(server):
        return server.metrics()["baozi_cache_entries"].samples[0].value

    def ask(self, server, to, age, **fields):
        """What the answer says that is not another thing each time."""
        path, body = to
        answer = server.post(path, {"temperature": 0, **body, **fields})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual("Age" in answer.headers, age, path)
        if not fields.get("stream"):
            said = answer.body.get("choices") or [
                item["content"] for item in answer.body["output"]]
            return said, answer.body["usage"], answer.body["model"]
        lines = answer.body.decode().splitlines()
        self.assertTrue(lines[-2].endswith("[DONE]"), lines)
        choices = [choice for line in lines if line.startswith("data: {")
                   for choice in json.loads(line.removeprefix("data: "))["choices"]]
        return "".join(choice["delta"].get("content", "") for choice in choices)

    def test_while_it_sleeps(self):
        server = self.start(model={"load": "on_demand", "sleep_after_s": 1})
        first = [self.ask(server, to, False) for to in (CHAT, RESPONSE, COMPLETION)]
        # Of two prompts there are two answers; and what is noted of each request.
        harness.wait_until(lambda: self.entries(server) == 7, "all is kept")
        harness.wait_until(lambda: self.state(server) == "ABSENT", "it sleeps")
        again = [self.ask(server, to, True) for to in (CHAT, RESPONSE, COMPLETION)]
        self.assertEqual(again, first)
        self.assertEqual(self.ask(server, CHAT, True, stream=True),
                         first[0][0][0]["message"]["content"])
        self.assertEqual(self.state(server), "ABSENT", "nobody brought it up")
        self.ask(server, CHAT, False, max_tokens=5)
        self.assertEqual(server.terminate(), 0)

    def test_a_new_replica_has_it_from_redis(self):
        redis = Redis()
        self.addCleanup(redis.end)
        cache = with_redis(redis.url)
        first = self.start(cache=cache)
        first.wait_ready()
        harness.wait_until(lambda: b"baozi_cache_redis_up 1" in first.get("/metrics").body, "Redis")
        answers = [self.ask(first, to, False) for to in (CHAT, COMPLETION)]
        harness.wait_until(lambda: len(redis.ask("--raw", "KEYS", "baozi:c:*").split()) == 5,
                           "what was kept is in Redis")
        first.terminate()
        # Who is not answered at once is not waited for, so nothing is loaded.
        other = self.start(cache=cache, model={"load": "on_demand"}, hold={"requests_max": 0})
        path, body = CHAT
        harness.wait_until(
            lambda: other.post(path, {"temperature": 0, **body}).status == 200, "a hit")
        self.assertEqual([self.ask(other, to, True) for to in (CHAT, COMPLETION)], answers)
        self.assertEqual(self.state(other), "ABSENT")
        self.assertEqual(other.terminate(), 0)

    def test_who_cannot_wait_is_told_when_it_will_be_there(self):
        state = tempfile.TemporaryDirectory(prefix="baozi-state-")
        self.addCleanup(state.cleanup)
        slow_ms = 4000 * harness.SLOWNESS

        def start(**settings):
            return self.start({"slow.fake": harness.fake(load_ms=slow_ms)},
                              [{"path": "slow.fake", "instances": 1}], loads_max=1,
                              start_record=os.path.join(state.name, "starts.yaml"), **settings)
        server = start()
        server.wait_ready()
        for i in range(5):  # what is used more is loaded first
            self.assertEqual(server.post("/v2/models/slow/infer", request(i, 0, 0, 0)).status, 200)
        self.assertEqual(server.terminate(), 0)
        server = start(hold={"requests_max": 0})
        path, body = CHAT
        for fields in ({}, {"temperature": 0}, {"temperature": 0, "stream": True}):
            refused = server.post(path, {**body, **fields})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertGreaterEqual(int(refused.headers["Retry-After"]), 2, "it is an estimate")
            self.assertEqual(refused.body["error"]["type"], "unavailable_error")
            self.assertIn("'bun' version 1 is not ready", refused.body["error"]["message"])
            self.assertIn("in about", refused.body["error"]["message"])
        server.wait_ready()
        self.ask(server, CHAT, False)

    def test_without_a_model_s_name_requests_wait_too(self):
        server = harness.Server({
            "models": [{"path": harness.model("minilm_q8")}],
            "pipelines": [{"type": "embed", "cache": True, "options": {"model": "minilm_q8"}}]})
        self.addCleanup(server.end)
        answer = server.post("/v1/embeddings", {"input": "bun"})
        self.assertEqual(answer.status, 200, answer.body)


class RedisTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.end)

    def up(self, server):
        family = server.metrics()["baozi_cache_redis_up"]
        return family.samples[0].value

    def wait_up(self, server, value=1):
        harness.wait_until(lambda: self.up(server) == value, f"baozi_cache_redis_up {value}")

    def fill(self):
        """A server that has answered once, and Redis knows it."""
        server = start(self, self.redis.url)
        server.wait_ready()
        self.wait_up(server)
        answer = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        harness.wait_until(lambda: self.redis.ask("--raw", "KEYS", "baozi:c:*"), "the entry")
        return server, answer

    def test_a_replica_answers_before_its_model_is_there(self):
        first, answer = self.fill()
        first.terminate()
        # The same file; only that it takes its time is told by the loading of another one.
        settings, files = config(self.redis.url)
        settings["models"].insert(0, {"path": "slow.fake", "instances": 1})
        files["slow.fake"] = harness.fake(load_ms=5000 * harness.SLOWNESS)
        settings |= {"loads_max": 1, "hold": {"requests_max": 0}}
        replica = harness.Server(settings, files=files)
        self.addCleanup(replica.end)
        self.wait_up(replica)
        early = harness.wait_until(lambda: self.kept(replica), "a hit")
        self.assertEqual(early.body["outputs"], answer.body["outputs"])
        rows = replica.post("/v1/models/bun:predict", {"instances": [[1, 2, 3, 4]]})
        self.assertEqual((rows.status, rows.body), (200, {"predictions": [[1, 2, 3, 4]]}))
        self.assertIn("Age", rows.headers)
        self.assertEqual(replica.get("/v2/models/bun/ready").status, 503, "it is not loaded yet")
        self.assertEqual(replica.post("/v2/models/bun/infer", request(9, 9, 9, 9)).status, 503)

    @staticmethod
    def kept(server):
        answer = server.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        return answer if answer.status == 200 and "Age" in answer.headers else None

    def test_damaged_entries_are_misses(self):
        server, answer = self.fill()
        server.terminate()
        for name in self.redis.ask("--raw", "KEYS", "baozi:c:*").split():
            self.redis.ask("SETRANGE", name, "100", "garbage")
        self.redis.ask("--raw", "EVAL",
                       "for _, k in ipairs(redis.call('KEYS', 'baozi:h:*')) do "
                       "redis.call('DEL', k) end", "0")
        replica = start(self, self.redis.url)
        replica.wait_ready()
        self.wait_up(replica)
        again = replica.post("/v2/models/bun/infer", request(1, 2, 3, 4))
        self.assertEqual(again.body, answer.body)
        self.assertNotIn("Age", again.headers)
        damaged = replica.metrics()["baozi_cache_damaged"].samples
        self.assertEqual([s.value for s in damaged if s.name.endswith("_total")], [1.0])

    def test_killed_and_back(self):
        server, _ = self.fill()
        self.redis.kill()
        for i in range(5):
            self.assertEqual(server.post("/v2/models/bun/infer", request(2, i, 0, 0)).status, 200)
        self.wait_up(server, 0)
        self.redis.start()
        self.wait_up(server)
        server.post("/v2/models/bun/infer", request(3, 0, 0, 0))
        harness.wait_until(lambda: self.redis.ask("--raw", "KEYS", "baozi:c:*"), "an entry")
        self.assertEqual(server.terminate(), 0)

    def test_hung(self):
        server, _ = self.fill()
        self.redis.send(signal.SIGSTOP)
        try:
            for i in range(20):
                answer = server.post("/v2/models/bun/infer", request(4, i, 0, 0))
                self.assertEqual(answer.status, 200)
            self.wait_up(server, 0)
            self.assertEqual(server.log().count("redis 127"), 2, "connected, and that it hangs")
        finally:
            self.redis.send(signal.SIGCONT)
        self.wait_up(server)
        self.assertEqual(server.terminate(), 0)

    def test_not_there_at_all(self):
        self.redis.kill()
        server = start(self, self.redis.url)
        server.wait_ready()
        self.assertEqual(server.post("/v2/models/bun/infer", request(1, 2, 3, 4)).status, 200)
        self.assertEqual(server.post("/v2/models/bun/infer", request(1, 2, 3, 4)).headers["Age"],
                         "0")
        self.assertEqual(self.up(server), 0)


if __name__ == "__main__":
    harness.main()
