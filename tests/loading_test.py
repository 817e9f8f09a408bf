"""How models come and go: requests that wait for them, the order in which they are loaded,
versions, labels, files that change, and what is loaded only when it is asked for."""

import http.client
import signal
import struct
import tempfile
import threading
import time
import unittest
from pathlib import Path

import harness

REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1, 2, 3, 4]}]}
SLOW_MS = 800 * harness.SLOWNESS


class Asked(threading.Thread):
    """One request, asked beside the test; `answered` says when."""

    def __init__(self, server, path, body=REQUEST, headers=None):
        super().__init__(daemon=True)
        self.server, self.path, self.body, self.headers = server, path, body, headers
        self.answer = self.answered = None
        self.start()

    def run(self):
        try:
            self.answer = self.server.post(self.path, self.body, self.headers)
        except (OSError, http.client.HTTPException):
            pass
        self.answered = time.monotonic()

    def wait(self):
        self.join(60 * harness.SLOWNESS)
        return self.answer


class LoadingTest(unittest.TestCase):
    def start(self, config, files, environment=None):
        server = harness.Server(config, files=files, environment=environment)
        self.addCleanup(server.end)
        return server

    def fakes(self, _environment=None, **models):
        """A server of fake models, one instance each: name=options."""
        extra = models.pop("_config", {})
        config = {"models": [{"path": f"{name}.fake", "instances": 1} for name in models], **extra}
        files = {f"{name}.fake": harness.fake(**options) for name, options in models.items()}
        return self.start(config, files, _environment)

    def state(self, server, name, version="1"):
        return {(model["name"], model["version"]): model["state"]
                for model in server.get("/health").body["models"]}.get((name, version))

    def held(self, server):
        return server.metrics()["baozi_requests_held"].samples[0].value


class HoldTest(LoadingTest):
    def test_requests_wait_for_their_model(self):
        server = self.fakes(slow={"load_ms": SLOW_MS})
        paths = ["/v2/models/slow/infer", "/v2/models/slow/versions/1/infer",
                 "/v1/models/slow:predict"]
        bodies = [REQUEST, REQUEST, {"instances": [[1, 2, 3, 4]]}]
        asked = [Asked(server, path, body) for path, body in zip(paths, bodies)]
        harness.wait_until(lambda: self.held(server) == 3, "three are held")
        for each in asked:
            self.assertEqual(each.wait().status, 200, each.answer)
        self.assertEqual(self.held(server), 0)

    def test_no_longer_than_they_want(self):
        server = self.fakes(endless={"load_ms": 60_000})
        answer = server.post("/v2/models/endless/infer", REQUEST, {"X-Request-Timeout-Ms": "200"})
        self.assertEqual(answer.status, 504, answer.body)

    def test_no_longer_than_the_server_wants(self):
        server = self.fakes(endless={"load_ms": 60_000}, _config={"hold": {"timeout_ms": 200}})
        answer = server.post("/v2/models/endless/infer", REQUEST)
        self.assertEqual(answer.status, 503)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        chat = server.post("/v1/chat/completions", {"model": "endless", "messages": []})
        self.assertEqual(chat.status, 503, chat.body)
        self.assertEqual(chat.body["error"]["type"], "unavailable_error")

    def test_no_more_than_the_server_wants(self):
        server = self.fakes(slow={"load_ms": SLOW_MS}, _config={"hold": {"requests_max": 2}})
        asked = [Asked(server, "/v2/models/slow/infer") for _ in range(6)]
        statuses = sorted(each.wait().status for each in asked)
        self.assertEqual(statuses, [200, 200, 503, 503, 503, 503])

    def test_a_load_that_fails_answers_all_who_waited(self):
        server = self.start(
            {"models": [{"path": "torn.fake"}, {"path": "slow.fake"}], "loads_max": 1},
            {"torn.fake": "latency_us: many", "slow.fake": harness.fake(load_ms=SLOW_MS)})
        asked = [Asked(server, "/v2/models/torn/infer") for _ in range(3)]
        for each in asked:
            self.assertEqual(each.wait().status, 503)
            self.assertIn("not a whole number", each.answer.body["error"])
            self.assertNotIn("Retry-After", each.answer.headers, "waiting mends nothing")

    def test_who_leaves_does_not_end_the_load_that_others_wait_for(self):
        server = self.fakes(slow={"load_ms": 5 * SLOW_MS})
        leaves = server.connect()
        leaves.request("POST", "/v2/models/slow/infer", harness.as_json(REQUEST))
        loads = server.connect()
        loads.request("POST", "/v2/repository/models/slow/load")
        stays = Asked(server, "/v2/models/slow/infer")
        harness.wait_until(lambda: self.held(server) == 2, "both are held")
        leaves.close()
        loads.close()
        harness.wait_until(lambda: self.held(server) == 1, "one has left")
        self.assertEqual(stays.wait().status, 200)

    def test_the_first_request_that_waits_is_the_proof(self):
        # Had noise been first, the request would have been the second run, which fails.
        server = self.fakes(slow={"load_ms": SLOW_MS, "fail_every": 2})
        asked = Asked(server, "/v2/models/slow/infer")
        harness.wait_until(lambda: self.held(server) == 1, "it is held")
        self.assertEqual(asked.wait().status, 200, asked.answer)

    def test_an_answer_that_proves_nothing_waits_for_the_proof(self):
        server = self.fakes(slow={"load_ms": SLOW_MS})
        data = struct.pack("<4f", 1, float("nan"), 3, 4)
        tensor = {"name": "input", "shape": [1, 4], "datatype": "FP32",
                  "parameters": {"binary_data_size": len(data)}}
        head = harness.as_json({"inputs": [tensor], "parameters": {"binary_data_output": True}})
        asked = Asked(server, "/v2/models/slow/infer", head + data,
                      {"Inference-Header-Content-Length": str(len(head))})
        harness.wait_until(lambda: self.held(server) == 1, "it is held")
        others = [Asked(server, "/v2/models/slow/infer") for _ in range(3)]
        self.assertEqual(asked.wait().status, 200, asked.answer)
        self.assertEqual(asked.answer.body[-len(data):], data)
        self.assertEqual([each.wait().status for each in others], [200] * 3)

    def test_a_first_request_that_takes_far_longer_than_the_budget(self):
        server = self.start(
            {"models": [{"path": "slow.fake", "instances": 1, "warmup": {"budget_ms": 50}}]},
            {"slow.fake": harness.fake(load_ms=SLOW_MS, latency_us=1000 * SLOW_MS, fail_every=2)})
        asked = Asked(server, "/v2/models/slow/infer")
        harness.wait_until(lambda: self.held(server) == 1, "it is held")
        self.assertEqual(asked.wait().status, 200, "noise was not first")
        server.wait_ready()
        self.assertEqual(server.post("/v2/models/slow/infer", REQUEST).status, 500,
                         "nor was it beside it: this is the second run")

    def test_each_that_waits_has_its_own_error(self):
        server = self.fakes(broken={"load_ms": SLOW_MS, "fail_every": 1})
        asked = [Asked(server, "/v2/models/broken/infer") for _ in range(3)]
        harness.wait_until(lambda: self.held(server) == 3, "three are held")
        for each in asked:
            self.assertEqual(each.wait().status, 500, each.answer)
            self.assertIn("fails on run", each.answer.body["error"])

    def test_sigterm_with_requests_held(self):
        server = self.fakes(slow={"load_ms": SLOW_MS})
        asked = Asked(server, "/v2/models/slow/infer")
        harness.wait_until(lambda: self.held(server) == 1, "it is held")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(asked.wait().status, 200, "what was accepted is answered")
        self.assertEqual(server.process.wait(30 * harness.SLOWNESS), 0)

    def test_a_pipeline_waits_for_its_models(self):
        server = self.start(
            {"models": [{"path": "slow.fake"}],
             "pipelines": [{"type": "classify", "options": {"model": "slow"}}]},
            {"slow.fake": harness.fake(load_ms=SLOW_MS)})
        self.assertEqual(self.state(server, "classify"), "ABSENT")
        server.wait_loaded()
        self.assertIn(self.state(server, "classify"), ("READY", "FAILED"), "it was tried")

    def test_the_first_answer_of_a_pipeline_goes_before_its_models_are_heated(self):
        budget = {"budget_ms": 5000 * harness.SLOWNESS}  # who waits has four of them
        server = self.start(
            {"models": [{"path": "slow.fake", "warmup": {"enabled": False}},
                        {"path": harness.model("minilm"), "warmup": budget}],
             "pipelines": [{"type": "embed", "options": {"model": "minilm"}}], "loads_max": 1},
            {"slow.fake": harness.fake(load_ms=SLOW_MS)})
        asked = Asked(server, "/v1/embeddings", {"model": "embed", "input": "steamed buns"})
        harness.wait_until(lambda: self.held(server) == 1, "it is held")
        self.assertEqual(asked.wait().status, 200, asked.answer)

        def phase(name, subject):
            return next((phase for phase in server.get("/v2/coldstart").body["phases"]
                         if (phase["name"], phase["subject"]) == (name, subject)), None)
        harness.wait_until(lambda: phase("heat", "minilm/1"), "it is heated", 60)
        self.assertGreaterEqual(phase("heat", "minilm/1")["start_ms"],
                                phase("prove", "embed/1")["end_ms"])


class OrderTest(LoadingTest):
    def order(self, server):
        """In which the models were loaded."""
        phases = [phase for phase in server.get("/v2/coldstart").body["phases"]
                  if phase["name"] == "load"]
        return [phase["subject"].split("/")[0] for phase in phases]

    def test_what_is_asked_for_jumps_the_queue(self):
        server = self.fakes(**{name: {"load_ms": SLOW_MS // 2} for name in "abcd"},
                            _config={"loads_max": 1})
        harness.wait_until(lambda: self.state(server, "a") == "LOADING", "the first load")
        asked = Asked(server, "/v2/models/d/infer")
        self.assertEqual(asked.wait().status, 200)
        server.wait_ready()
        self.assertEqual(self.order(server), ["a", "d", "b", "c"])

    def test_the_next_start_loads_first_what_was_used_most(self):
        state = tempfile.TemporaryDirectory(prefix="baozi-state-")
        self.addCleanup(state.cleanup)
        record = str(Path(state.name, "starts.yaml"))
        models = {name: {"load_ms": 20} for name in "abcd"}
        config = {"loads_max": 1, "start_record": record}
        server = self.fakes(**models, _config=config)
        server.wait_ready()
        self.assertEqual(self.order(server), ["a", "b", "c", "d"])
        for name, times in (("c", 5), ("b", 2)):
            for _ in range(times):
                self.assertEqual(server.post(f"/v2/models/{name}/infer", REQUEST).status, 200)
        self.assertEqual(server.terminate(), 0)
        server = self.fakes(**models, _config=config)
        server.wait_ready()
        self.assertEqual(self.order(server), ["c", "b", "a", "d"])
        Path(record).write_text("garbage: [")
        self.assertEqual(server.terminate(), 0)
        server = self.fakes(**models, _config=config)
        server.wait_ready()

    def test_loads_run_beside_each_other(self):
        server = self.fakes(**{name: {"load_ms": SLOW_MS} for name in "abc"},
                            _config={"loads_max": 3})
        server.wait_ready()
        phases = [phase for phase in server.get("/v2/coldstart").body["phases"]
                  if phase["name"] == "load"]
        self.assertLess(max(phase["start_ms"] for phase in phases),
                        min(phase["end_ms"] for phase in phases))

    def test_the_estimate_of_the_next_start(self):
        state = tempfile.TemporaryDirectory(prefix="baozi-state-")
        self.addCleanup(state.cleanup)
        config = {"start_record": str(Path(state.name, "starts.yaml"))}
        models = {"slow": {"load_ms": 4 * SLOW_MS}}
        server = self.fakes(**models, _config=config)
        server.wait_ready()
        self.assertEqual(server.terminate(), 0)
        server = self.fakes(**models, _config={**config, "hold": {"requests_max": 0}})
        first = server.get("/readiness/stages").body["residual_delay_s"]
        self.assertGreater(first, 2 * SLOW_MS / 1000)
        self.assertLess(first, 5 * SLOW_MS / 1000)
        answer = server.post("/v2/models/slow/infer", REQUEST)
        self.assertEqual(answer.status, 503)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 2)
        self.assertIn("in about", answer.body["error"])
        server.wait_ready()


def versions(*numbers, **options):
    return {f"bun/{number}/model.fake": harness.fake(**options) for number in numbers}


class VersionTest(LoadingTest):
    def served(self, server):
        return sorted(entry["version"] for entry in server.post("/v2/repository/index").body
                      if entry["state"] == "READY")

    def bun(self, files, policy=None, **extra):
        model = {"path": "bun", "name": "bun", "instances": 1}
        if policy is not None:
            model["versions"] = policy
        server = self.start({"models": [model], **extra}, files)
        server.wait_loaded()
        return server

    def test_policies(self):
        files = versions(1, 2, 9, 10)
        for policy, served in ((None, ["10"]), ({"latest": 2}, ["10", "9"]),
                               ({"all": True}, ["1", "10", "2", "9"]),
                               ({"specific": [1, 9]}, ["1", "9"])):
            with self.subTest(policy=policy):
                self.assertEqual(self.served(self.bun(files, policy)), served)

    def test_a_version_that_is_not_there(self):
        server = self.bun(versions(1, 2), {"specific": [3]})
        [model] = server.get("/health").body["models"]
        self.assertEqual(model["state"], "FAILED")
        self.assertIn("no version 3", model["reason"])
        self.assertIn("1, 2", model["reason"])

    def test_labels(self):
        server = self.bun(versions(1, 2), {"all": True, "labels": {"stable": 1, "canary": 2}})
        body = {"instances": [[1, 2, 3, 4]]}
        for label in ("stable", "canary"):
            answer = server.post(f"/v1/models/bun/labels/{label}:predict", body)
            self.assertEqual(answer.status, 200)
        status = server.get("/v1/models/bun/labels/canary").body["model_version_status"]
        self.assertEqual([version["version"] for version in status], ["2"])
        wrong = server.post("/v1/models/bun/labels/beta:predict", body)
        self.assertEqual(wrong.status, 404)
        self.assertIn("canary, stable", wrong.body["error"])

    def test_a_new_version_takes_the_place_of_the_old_one(self):
        server = self.bun(versions(1), reload_ms=50)
        self.assertEqual(self.served(server), ["1"])
        running = Asked(server, "/v2/models/bun/infer")
        server.write("new", harness.fake())
        server.write("bun/2/part", "")
        Path(server.folder.name, "new").rename(Path(server.folder.name, "bun/2/model.fake"))
        harness.wait_until(lambda: self.served(server) == ["2"], "version 2 is served")
        self.assertEqual(running.wait().status, 200)
        self.assertEqual(server.post("/v2/models/bun/infer", REQUEST).body["model_version"], "2")
        gone = server.post("/v2/models/bun/versions/1/infer", REQUEST)
        self.assertEqual(gone.status, 503)
        self.assertIn("another version took its place", gone.body["error"])

    def test_requests_that_run_end_on_the_old_version(self):
        for change_over in ("keep_serving", "spare_memory"):
            with self.subTest(change_over):
                files = versions(1, latency_us=1000 * SLOW_MS)
                server = self.bun(files, {"change_over": change_over}, reload_ms=50)
                running = Asked(server, "/v2/models/bun/infer")
                harness.wait_until(
                    lambda: server.metrics()["baozi_requests_in_flight"].samples[0].value == 1,
                    "it runs")
                server.write("bun/2/model.fake", harness.fake())
                harness.wait_until(lambda: self.served(server) == ["2"], "version 2 is served")
                self.assertEqual(running.wait().status, 200)
                self.assertEqual(running.answer.body["model_version"], "1")

    def test_garbage_leaves_the_old_model_where_it_is(self):
        server = self.bun(versions(1), reload_ms=50)
        server.write("bun/1/model.fake", "latency_us: many")
        harness.wait_until(lambda: "stays as it was" in server.log(), "it was looked at")
        self.assertEqual(server.post("/v2/models/bun/infer", REQUEST).status, 200)
        time.sleep(0.4)
        self.assertEqual(server.log().count("stays as it was"), 1, "the reason is said once")
        server.write("bun/1/model.fake", harness.fake(output="sum"))
        harness.wait_until(lambda: server.post("/v2/models/bun/infer", REQUEST).body["outputs"][0]
                           ["data"] != [1, 2, 3, 4], "the mended file is served")

    def test_weights_beside_the_model(self):
        folder = Path(harness.model("external_data"), "1")
        weights = (folder / "weights.bin").read_bytes()
        doubled = struct.pack("<16f", *(2 * value for value in struct.unpack("<16f", weights)))
        server = self.start(
            {"models": [{"path": "outside", "instances": 1, "cache": True}], "reload_ms": 50},
            {"outside/1/README": ""})
        place = Path(server.folder.name, "outside/1")

        def replace(name, content):
            Path(server.folder.name, "new").write_bytes(content)
            Path(server.folder.name, "new").rename(place / name)

        def answer():
            got = server.post("/v2/models/outside/infer", REQUEST)
            self.assertEqual(got.status, 200, got.body)
            return got.body["outputs"][0]["data"]

        # It could not be loaded: the folder was empty.
        replace("weights.bin", weights)
        replace("model.onnx", (folder / "model.onnx").read_bytes())
        harness.wait_until(lambda: self.served(server) == ["1"], "the model came")
        before = answer()
        replace("weights.bin", weights[:20])
        harness.wait_until(lambda: "stays as it was" in server.log(), "it was looked at")
        self.assertEqual(answer(), before, "half-written weights leave the old ones")
        replace("weights.bin", doubled)
        harness.wait_until(lambda: answer() == [2 * value for value in before],
                           "the new weights are served, and no kept answer of the old ones")

    def test_a_version_whose_folder_goes(self):
        server = self.bun(versions(1, 2), {"all": True}, reload_ms=50)
        Path(server.folder.name, "bun/2/model.fake").unlink()
        harness.wait_until(lambda: self.served(server) == ["1"], "version 2 goes")
        self.assertEqual(server.post("/v2/models/bun/infer", REQUEST).body["model_version"], "1")

    def test_a_model_that_is_added_to_the_folder(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-models-")
        self.addCleanup(folder.cleanup)
        for path, text in versions(1).items():
            Path(folder.name, path).parent.mkdir(parents=True)
            Path(folder.name, path).write_text(text)
        server = self.start(folder.name, {})
        server.wait_ready()
        Path(folder.name, "mantou/1").mkdir(parents=True)
        Path(folder.name, "mantou/1/model.fake").write_text(harness.fake())
        self.assertEqual(server.post("/v2/repository/models/mantou/load").status, 200)
        self.assertEqual(server.post("/v2/models/mantou/infer", REQUEST).status, 200)


class DemandTest(LoadingTest):
    def test_it_is_loaded_when_it_is_asked_for(self):
        server = self.start(
            {"models": [{"path": "often.fake"}, {"path": "rare.fake", "load": "on_demand"}]},
            {"often.fake": harness.fake(), "rare.fake": harness.fake(load_ms=SLOW_MS)})
        server.wait_ready()
        self.assertEqual(self.state(server, "rare"), "ABSENT")
        index = {entry["name"]: entry["state"]
                 for entry in server.post("/v2/repository/index").body}
        self.assertEqual(index, {"often": "READY", "rare": "UNAVAILABLE"})
        asked = [Asked(server, "/v2/models/rare/infer") for _ in range(4)]
        for each in asked:
            self.assertEqual(each.wait().status, 200)
        loads = [phase for phase in server.get("/v2/coldstart").body["phases"]
                 if (phase["name"], phase["subject"]) == ("load", "rare/1")]
        self.assertEqual(len(loads), 1, "four who wait are one load")

    def test_a_budget_lets_go_what_was_used_longest_ago(self):
        names = "abc"
        server = self.start(
            {"models": [{"path": f"{name}.fake", "load": "on_demand"} for name in names],
             "memory_bytes_max": 2_000_000},
            {f"{name}.fake": harness.fake(memory_bytes=900_000) for name in names})
        for name, there in zip("abacab", ("a", "ab", "ab", "ac", "ac", "ab")):
            answer = server.post(f"/v2/models/{name}/infer", REQUEST)
            self.assertEqual(answer.status, 200, answer.body)
            harness.wait_until(lambda: "".join(
                each for each in names if self.state(server, each) == "READY") == there, there)

    def test_what_does_not_fit_is_refused_with_the_numbers(self):
        server = self.start(
            {"models": [{"path": "small.fake", "pin": True}, {"path": "large.fake"}],
             "memory_bytes_max": 2_000_000, "loads_max": 1},
            {"small.fake": harness.fake(memory_bytes=1_500_000),
             "large.fake": harness.fake() + "#" * 900_000})
        server.wait_loaded()
        answer = server.post("/v2/models/large/infer", REQUEST)
        self.assertEqual(answer.status, 503)
        for word in ("needs about 1 MB", "may take 2 MB", "2 MB are pinned"):
            self.assertIn(word, answer.body["error"])
        self.assertEqual(server.post("/v2/models/small/infer", REQUEST).status, 200)

    def test_what_nobody_uses_sleeps_until_it_is_asked_for(self):
        server = self.start({"models": [{"path": "nap.fake", "sleep_after_s": 1}]},
                            {"nap.fake": harness.fake()})
        server.wait_ready()
        harness.wait_until(lambda: self.state(server, "nap") == "ABSENT", "it sleeps")
        self.assertEqual(server.get("/v2/health/ready").status, 200, "asleep is no fault")
        self.assertEqual(server.post("/v2/models/nap/infer", REQUEST).status, 200)

    def test_unloading_what_is_being_loaded(self):
        server = self.start({"models": [{"path": "endless.fake"}, {"path": "next.fake"}],
                             "loads_max": 1},
                            {"endless.fake": harness.fake(load_ms=60_000),
                             "next.fake": harness.fake()})
        asked = Asked(server, "/v2/models/endless/infer")
        harness.wait_until(lambda: self.state(server, "endless") == "LOADING", "it is loading")
        self.assertEqual(server.post("/v2/repository/models/endless/unload").status, 200)
        self.assertEqual(asked.wait().status, 503)
        harness.wait_until(lambda: self.state(server, "next") == "READY", "the next one")
        self.assertEqual(self.state(server, "endless"), "UNLOADED")
        self.assertEqual(server.get("/v2/health/ready").status, 200)


if __name__ == "__main__":
    harness.main()
