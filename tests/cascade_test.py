"""Cascades: a small model answers while the large one loads, or for good when it is sure."""

import time
import unittest

import harness

SLOW_MS = 1500 * harness.SLOWNESS
SURE, UNSURE = [0.9, 0.1, 0, 0], [0.4, 0.3, 0.2, 0.1]
HEADER = "x-baozi-answered-by"


def request(*rows):
    return {"inputs": [{"name": "input", "shape": [len(rows), 4], "datatype": "FP32",
                        "data": [value for row in rows for value in row]}]}


class Cascades(unittest.TestCase):
    def start(self, config, files=None):
        server = harness.Server(config, files=files)
        self.addCleanup(server.end)
        return server

    def fakes(self, cascade=None, small=None, large=None, models=None, **extra):
        """The cascade "both" of the fake models "little", which echoes, and "big", which sums."""
        options = models or {}
        return self.start(
            {"models": [{"path": f"{name}.fake", "instances": 1, **options.get(name, {})}
                        for name in ("little", "big")],
             "cascades": [{"name": "both", "small": "little", "large": "big", **(cascade or {})}],
             **extra},
            {"little.fake": harness.fake(**(small or {})),
             "big.fake": harness.fake(**{"output": "sum", **(large or {})})})

    def state(self, server, name):
        models = server.get("/health").body["models"]
        return {model["name"]: model["state"] for model in models}[name]

    def wait_for(self, server, name, state="READY"):
        harness.wait_until(lambda: self.state(server, name) == state, f"{name} is {state}")

    def ask(self, server, row=UNSURE):
        answer = server.post("/v2/models/both/infer", request(row))
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.body["model_name"], "both")
        who = answer.headers[HEADER]
        self.assertEqual(answer.body["parameters"],
                         {"answered_by": who, "cascade": "small" if who == "little" else "large"})
        return who

    def answers(self, server):
        family = server.metrics()["baozi_cascade_answers"]
        return {(sample.labels["model"], sample.labels["reason"]): sample.value
                for sample in family.samples
                if sample.name == "baozi_cascade_answers_total" and sample.value}


class CascadeTest(Cascades):
    def test_the_small_one_answers_while_the_large_one_loads(self):
        server = self.fakes(large={"load_ms": SLOW_MS})
        harness.wait_until(lambda: server.get("/v2/models/both/ready").status == 200, "it is ready")
        self.assertEqual(self.ask(server), "little")
        self.assertIn(self.state(server, "big"), ("OPENING", "LOADING"))
        self.assertEqual(server.get("/v2/health/ready").status, 503, "not everything is ready")
        rows = server.post("/v1/models/both:predict", {"instances": [SURE]})
        self.assertEqual(rows.headers[HEADER], "little")
        self.assertEqual(rows.body, {"predictions": [SURE]})
        server.wait_ready()
        self.assertEqual(self.ask(server, SURE), "big")
        rows = server.post("/v1/models/both:predict", {"instances": [SURE]})
        self.assertEqual(rows.headers[HEADER], "big")
        self.assertEqual(self.answers(server), {("little", "loading"): 2, ("big", "asked"): 2})
        metadata = server.get("/v2/models/both").body
        self.assertEqual(metadata["platform"], "baozi_cascade")
        self.assertEqual(metadata["inputs"][0]["name"], "input")
        self.assertNotIn(HEADER, server.post("/v2/models/big/infer", request(SURE)).headers)

    def test_a_request_that_comes_before_either_waits_for_the_first(self):
        server = self.fakes(small={"load_ms": SLOW_MS // 3}, large={"load_ms": 4 * SLOW_MS},
                            loads_max=2)
        self.assertEqual(self.ask(server), "little")
        self.assertNotEqual(self.state(server, "big"), "READY")

    def test_for_good_when_it_is_sure(self):
        server = self.fakes({"threshold": 0.8})
        server.wait_ready()
        self.assertEqual(self.ask(server, SURE), "little")
        self.assertEqual(self.ask(server, UNSURE), "big")
        both = server.post("/v2/models/both/infer", request(SURE, UNSURE))
        self.assertEqual(both.headers[HEADER], "big", "every row must be sure")
        self.assertEqual(self.answers(server), {("little", "confident"): 1, ("big", "asked"): 2})

    def test_logits(self):
        server = self.fakes({"threshold": 0.9, "logits": True, "output": "output"})
        server.wait_ready()
        self.assertEqual(self.ask(server, [9, 0, 0, 0]), "little")
        self.assertEqual(self.ask(server, [1, 0, 0, 0]), "big")

    def test_scores_that_are_no_probabilities_are_never_sure_and_the_log_says_so_once(self):
        server = self.fakes({"threshold": 0.9})
        server.wait_ready()
        for _ in range(3):
            self.assertEqual(self.ask(server, [9, 0, 0, 0]), "big")
        self.assertEqual(server.log().count("say 'logits: true'"), 1)

    def test_a_request_has_the_large_one_loaded_and_does_not_wait(self):
        server = self.fakes(large={"load_ms": SLOW_MS}, models={"big": {"load": "on_demand"}})
        server.wait_ready()
        self.assertEqual(self.state(server, "big"), "ABSENT")
        begin = time.monotonic()
        self.assertEqual(self.ask(server), "little")
        self.assertLess(time.monotonic() - begin, SLOW_MS / 1000)
        self.wait_for(server, "big")
        self.assertEqual(self.ask(server), "big")

    def test_who_is_sure_loads_nothing(self):
        server = self.fakes({"threshold": 0.8}, models={"big": {"load": "on_demand"}})
        server.wait_ready()
        self.assertEqual(self.ask(server, SURE), "little")
        self.assertEqual(self.state(server, "big"), "ABSENT")
        self.assertEqual(self.ask(server, UNSURE), "little")
        self.wait_for(server, "big")
        self.assertEqual(self.ask(server, UNSURE), "big")

    def test_the_large_one_sleeps_and_the_small_one_does_not(self):
        nap = {"load": "on_demand", "sleep_after_s": 1}
        server = self.fakes(models={"little": nap, "big": nap})
        server.wait_ready()
        self.assertEqual(self.ask(server), "little")
        self.wait_for(server, "big")
        self.wait_for(server, "big", "ABSENT")
        self.assertEqual(self.state(server, "little"), "READY")
        self.assertEqual(self.ask(server), "little")

    def test_an_error_of_the_large_one(self):
        # Its warm-up would fail, too.
        off = {"big": {"warmup": {"enabled": False}}}
        server = self.fakes(large={"fail_every": 1}, models=off)
        server.wait_ready()
        answer = server.post("/v2/models/both/infer", request(SURE))
        self.assertEqual(answer.status, 500, "as it is")
        server = self.fakes({"fall_back": True}, large={"fail_every": 1}, models=off)
        server.wait_ready()
        self.assertEqual(self.ask(server), "little")
        self.assertEqual(self.answers(server), {("little", "failed"): 1})

    def test_one_that_cannot_be_loaded_leaves_the_other(self):
        server = self.start(
            {"models": [{"path": "little.fake"}, {"path": "big.fake"}],
             "cascades": [{"name": "both", "small": "little", "large": "big"},
                          {"name": "other", "small": "big", "large": "little"}]},
            {"little.fake": harness.fake(), "big.fake": "garbage: ["})
        self.wait_for(server, "both")
        self.wait_for(server, "other")
        self.wait_for(server, "big", "FAILED")
        self.assertEqual(self.ask(server), "little")
        answer = server.post("/v2/models/other/infer", request(SURE))
        self.assertEqual(answer.headers[HEADER], "little")

    def test_neither_can_be_loaded(self):
        server = self.start({"models": [{"path": "little.fake"}, {"path": "big.fake"}],
                             "cascades": [{"name": "both", "small": "little", "large": "big"}]},
                            {"little.fake": "garbage: [", "big.fake": "garbage: ["})
        self.wait_for(server, "both", "FAILED")
        answer = server.post("/v2/models/both/infer", request(SURE))
        self.assertEqual(answer.status, 503)
        self.assertIn("'little'", answer.body["error"])

    def test_models_that_do_not_fit(self):
        three = {"inputs": [{"name": "input", "dtype": "FP32", "shape": ["batch", 3]}],
                 "outputs": [{"name": "output", "dtype": "FP32", "shape": ["batch", 3]}]}
        server = self.fakes(large={"load_ms": SLOW_MS // 3, **three})
        self.wait_for(server, "both", "FAILED")
        answer = server.post("/v2/models/both/infer", request(SURE))
        self.assertEqual(answer.status, 503)
        for word in ("'little' and 'big'", "input 'input'", "[-1,4]", "[-1,3]"):
            self.assertIn(word, answer.body["error"])
        self.wait_for(server, "big")
        self.assertEqual(server.post("/v2/models/little/infer", request(SURE)).status, 200)
        self.assertEqual(server.post("/v2/repository/models/both/load").status, 400)

    def test_it_is_unloaded_and_loaded_by_request(self):
        server = self.fakes()
        server.wait_ready()
        self.assertEqual(server.post("/v2/repository/models/both/unload").status, 200)
        gone = server.post("/v2/models/both/infer", request(SURE))
        self.assertEqual(gone.status, 503)
        self.assertEqual(server.post("/v2/models/little/infer", request(SURE)).status, 200)
        self.assertEqual(server.post("/v2/repository/models/both/load").status, 200)
        self.assertEqual(self.ask(server), "big")
        self.assertEqual(server.post("/v2/repository/models/big/unload").status, 200)
        self.assertEqual(self.ask(server), "little")

    def test_what_the_small_one_answered_is_not_kept_as_the_cascades(self):
        cached = {"cache": True}
        server = self.fakes(large={"load_ms": SLOW_MS}, models={"little": cached, "big": cached})
        self.assertEqual(self.ask(server), "little")
        self.assertEqual(self.ask(server), "little")
        hit = server.post("/v2/models/both/infer", request(UNSURE))
        self.assertIn("Age", hit.headers, "the small model's own cache")
        server.wait_ready()
        self.assertEqual(self.ask(server), "big")
        self.assertIn("Age", server.post("/v2/models/both/infer", request(UNSURE)).headers)
        fresh = server.post("/v2/models/both/infer", request(UNSURE), {"Cache-Control": "no-cache"})
        self.assertNotIn("Age", fresh.headers)

    def test_three_steps(self):
        server = self.start(
            {"models": [{"path": f"{name}.fake", "load": "on_demand" if name != "s" else "at_start"}
                        for name in "sml"],
             "cascades": [{"name": "lower", "small": "s", "large": "m"},
                          {"name": "both", "small": "lower", "large": "l"}]},
            {f"{name}.fake": harness.fake() for name in "sml"})
        server.wait_ready()
        first = server.post("/v2/models/both/infer", request(SURE))
        self.assertEqual(first.headers[HEADER], "s")
        self.wait_for(server, "m")
        self.wait_for(server, "l")
        self.assertEqual(server.post("/v2/models/lower/infer", request(SURE)).headers[HEADER], "m")
        self.assertEqual(server.post("/v2/models/both/infer", request(SURE)).headers[HEADER], "l")


class RealTest(Cascades):
    def test_embeddings_of_two_pipelines(self):
        server = self.start(
            {"models": [{"path": harness.model("minilm_q8")},
                        {"path": harness.model("minilm"), "load": "on_demand"}],
             "pipelines": [
                 {"type": "embed", "name": "quick", "options": {"model": "minilm_q8"}},
                 {"type": "embed", "name": "exact", "options": {"model": "minilm"}}],
             "cascades": [{"name": "tokens", "small": "minilm_q8", "large": "minilm"},
                          {"name": "embed", "small": "quick", "large": "exact"}]})
        wanted = {"model": "embed", "input": "steamed buns"}

        def embed():
            answer = server.post("/v1/embeddings", wanted)
            self.assertEqual(answer.status, 200, answer.body)
            return answer.headers[HEADER], answer.body["data"][0]["embedding"]
        quick = embed()
        server.wait_ready()
        self.wait_for(server, "exact")
        exact = embed()
        self.assertIn(quick[0], ("quick", "exact"))
        self.assertEqual(exact[0], "exact")
        self.assertEqual(len(quick[1]), len(exact[1]))
        self.assertGreater(sum(a * b for a, b in zip(quick[1], exact[1])), 0.97)

        def tokens():
            inputs = [{"name": name, "shape": [1, 3], "datatype": "INT64", "data": data}
                      for name, data in (("input_ids", [101, 7592, 102]),
                                         ("attention_mask", [1, 1, 1]),
                                         ("token_type_ids", [0, 0, 0]))]
            return server.post("/v2/models/tokens/infer", {"inputs": inputs})
        answer = tokens()
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers[HEADER], "minilm")
        self.assertEqual(server.post("/v2/repository/models/minilm/unload").status, 200)
        self.assertEqual(tokens().headers[HEADER], "minilm_q8")

    def test_a_pipeline_says_who_spoke(self):
        server = self.start(
            {"models": [{"path": harness.model("minilm_q8")}, {"path": harness.model("minilm")}],
             "cascades": [{"name": "tokens", "small": "minilm_q8", "large": "minilm"}],
             "pipelines": [{"type": "embed", "name": "over", "options": {"model": "tokens"}},
                           {"type": "embed", "name": "plain", "options": {"model": "minilm"}}]})
        server.wait_ready()

        def ask(name="over"):
            texts = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "bun"]}
            answer = server.post(f"/v2/models/{name}/infer", {"inputs": [texts]})
            self.assertEqual(answer.status, 200, answer.body)
            return answer.headers.get(HEADER), answer.body.get("parameters")
        self.assertEqual(ask(), ("minilm", {"answered_by": "minilm"}))
        self.assertEqual(ask("plain"), (None, None), "there is no cascade")
        self.assertEqual(server.post("/v2/repository/models/minilm/unload").status, 200)
        self.assertEqual(ask(), ("minilm_q8", {"answered_by": "minilm_q8"}))
        embedded = server.post("/v1/embeddings", {"model": "over", "input": "bun"})
        self.assertEqual(embedded.headers[HEADER], "minilm_q8")
        rows = server.post("/v1/models/over:predict", {"instances": ["bun"]})
        self.assertEqual(rows.headers[HEADER], "minilm_q8")

    def test_language_models_that_cannot_be_loaded_are_listed(self):
        server = self.start(
            {"models": [{"path": f"{name}.gguf"} for name in ("quick", "good")],
             "cascades": [{"name": "lower", "small": "quick", "large": "good"},
                          {"name": "chat", "small": "lower", "large": "good"}]},
            {"quick.gguf": "garbage", "good.gguf": "garbage"})
        self.wait_for(server, "chat", "FAILED")
        listed = {model["id"]: model["status"]
                  for model in server.get("/v1/models").body["data"]}
        self.assertEqual(sorted(listed), ["chat", "good", "lower", "quick"])
        self.assertEqual(listed["chat"]["value"], "failed")
        self.assertIn("quick", listed["chat"]["reason"])
        one = server.get("/v1/models/chat")
        self.assertEqual((one.status, one.body["status"]["value"]), (200, "failed"))

    def test_language_models(self):
        language = {"context": 512, "answers_max": 1, "prefixes": "off"}
        server = self.start(
            {"models": [{"path": harness.model("smollm2"), "name": "quick", "language": language},
                        {"path": harness.model("smollm2"), "name": "good", "language": language,
                         "load": "on_demand"}],
             "cascades": [{"name": "chat", "small": "quick", "large": "good"}]})

        def chat():
            answer = server.post("/v1/chat/completions", {
                "model": "chat", "max_tokens": 4, "temperature": 0,
                "messages": [{"role": "user", "content": "Hi"}]})
            self.assertEqual(answer.status, 200, answer.body)
            return answer.body["model"]

        def listed():
            return {model["id"]: model["status"]["value"]
                    for model in server.get("/v1/models").body["data"]}
        self.assertEqual(sorted(listed()), ["chat", "good", "quick"], "from the start")
        server.wait_ready()
        self.assertEqual(listed(), {"chat": "loaded", "good": "unloaded", "quick": "loaded"})
        self.assertEqual(chat(), "quick", "the answer's 'model' says who spoke")
        self.wait_for(server, "good")
        self.assertEqual(chat(), "good")
        self.assertEqual(set(listed().values()), {"loaded"})


if __name__ == "__main__":
    harness.main()
