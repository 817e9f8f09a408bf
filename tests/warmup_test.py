"""Warm-up as its users see it: what proves a model, what fails it, and that it leaves no trace."""

import json
import re
import shutil
import struct
import tempfile
import unittest
from pathlib import Path

import harness

ECHO = harness.fake(latency_us=100)
GOLDEN = harness.ROOT / "testdata/golden/tf_serving_warmup_requests"


def row(*values):
    return {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, len(values)],
                        "data": list(values)}]}


def pair(values, expected):
    return {"request": row(*values),
            "response": {"outputs": [{"name": "output", "datatype": "FP32",
                                      "shape": [1, len(expected)], "data": expected}]}}


def echo(**warmup):
    return {"models": [{"path": "echo.fake", "instances": 2, "warmup": warmup}]}


class WarmupTest(unittest.TestCase):
    def start(self, config, environment=None, **files):
        files = {"echo.fake": ECHO, **{name.replace("_", "."): text
                                       for name, text in files.items()}}
        server = harness.Server(config, files=files, environment=environment)
        self.addCleanup(server.end)
        return server

    def state(self, server, name="echo"):
        index = server.post("/v2/repository/index").body
        return next(entry for entry in index if entry["name"] == name)

    def failed(self, server, *words):
        server.wait_loaded()
        entry = self.state(server)
        self.assertEqual(entry["state"], "UNAVAILABLE", server.log())
        for word in words:
            self.assertIn(word, entry["reason"])
        answer = server.post("/v2/models/echo/infer", row(1, 2, 3, 4))
        self.assertEqual(answer.status, 503)
        self.assertIn(words[0], answer.body["error"])

    def test_it_leaves_no_trace_in_statistics_and_metrics(self):
        server = self.start(echo())
        server.wait_ready()
        self.assertRegex(server.log(), r"warm-up: \d+ of 20 batches steady")
        stats = server.get("/v2/models/echo/stats").body["model_stats"][0]
        self.assertEqual(stats["inference_count"], 0)
        self.assertEqual(stats["execution_count"], 0)
        metrics = server.metrics()
        for name in ("baozi_batch_size", "baozi_queue_seconds", "baozi_compute_seconds"):
            count = [s.value for s in metrics[name].samples if s.name.endswith("_count")]
            self.assertEqual(count, [0], name)
        self.assertEqual(server.post("/v2/models/echo/infer", row(1, 2, 3, 4)).status, 200)
        stats = server.get("/v2/models/echo/stats").body["model_stats"][0]
        self.assertEqual(stats["inference_count"], 1)

    def test_it_can_be_left_out(self):
        server = self.start(echo(enabled=False))
        server.wait_ready()
        self.assertNotIn("warm-up", server.log())

    def test_given_samples_prove_the_model(self):
        server = self.start(echo(samples="tea.json"),
                            tea_json=json.dumps([pair([1, 2, 3, 4], [1, 2, 3, 4]),
                                                 row(5, 6, 7, 8)]))
        server.wait_ready()
        self.assertRegex(server.log(), r"warm-up: \d+ of 20 batches")

    def test_another_answer_than_expected_fails_it(self):
        server = self.start(echo(samples="tea.json"),
                            tea_json=json.dumps([row(1, 2, 3, 4),
                                                 pair([1, 2, 3, 4], [1, 2, 3, 5])]))
        self.failed(server, "tea.json, sample 2", "output 'output' has 4 at element 3, but 5")

    def test_the_tolerance_decides(self):
        server = self.start(echo(samples="tea.json", tolerance=0.3),
                            tea_json=json.dumps(pair([1, 2, 3, 4], [1, 2, 3, 5])))
        server.wait_ready()

    def test_a_sample_of_wrong_shape_names_file_and_input(self):
        server = self.start(echo(samples="tea.json"), tea_json=json.dumps(row(1, 2, 3)))
        self.failed(server, "tea.json, sample 1", "tensor 'input' is FP32 [1,3]")

    def test_a_sample_that_is_no_sample(self):
        for text, word in (("{", "tea.json"), ("[{}]", "'inputs'"), ("", "tea.json")):
            with self.subTest(text):
                self.failed(self.start(echo(samples="tea.json"), tea_json=text), word)

    def test_samples_that_are_not_there(self):
        self.failed(self.start(echo(samples="nowhere.json")), "nowhere.json cannot be read")
        self.failed(self.start(echo(samples="tea.txt"), tea_txt="{}"), "*.tfrecord")

    def test_an_answer_that_is_no_number_fails_it(self):
        server = self.start({"models": [{"path": harness.model("not_finite"), "name": "echo",
                                         "warmup": {"samples": "tea.json"}}]},
                            tea_json=json.dumps(row(1, -1, 1, 1)))
        self.failed(server, "tea.json, sample 1: output 'output' has NaN at element 1")

    def test_a_folder_of_samples(self):
        with tempfile.TemporaryDirectory() as folder:
            for number, values in enumerate(([1, 2, 3, 4], [5, 6, 7, 8])):
                Path(folder, f"{number}.json").write_text(json.dumps(row(*values)))
            shutil.copy(GOLDEN, folder)
            server = self.start(echo(samples=folder))
            server.wait_ready()
            # Of one row: 1, 2, 3, 4, 6 … 32; of two: 1, 2, 3, 4, 6, 8, 12, 16 times.
            self.assertRegex(server.log(), r"warm-up: \d+ of 36 batches")

    def test_tensorflows_folder_is_found_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            version = Path(folder, "echo/1")
            (version / "assets.extra").mkdir(parents=True)
            (version / "model.fake").write_text(ECHO)
            shutil.copy(GOLDEN, version / "assets.extra")
            server = self.start(Path(folder))
            server.wait_ready()
            self.assertIn("1 of 3 records are no logs of Predict", server.log())
            damaged = bytearray(GOLDEN.read_bytes())
            damaged[40] ^= 1
            (version / "assets.extra" / GOLDEN.name).write_bytes(damaged)
            self.failed(self.start(Path(folder)), "a record does not have its checksum")

    def test_requests_are_answered_while_it_warms_up(self):
        # Noise is not needed to prove it: a run takes 200 ms, the budget is 20 s.
        slow = harness.fake(latency_us=200_000)
        server = harness.Server(
            {"models": [{"path": "slow.fake", "instances": 1, "warmup": {"budget_ms": 20_000}}]},
            files={"slow.fake": slow})
        self.addCleanup(server.end)
        harness.wait_until(
            lambda: server.post("/v2/models/slow/infer", row(1, 2, 3, 4)).status == 200, "answered")
        self.assertEqual(server.get("/v2/models/slow/ready").status, 503)
        self.assertEqual(server.get("/v2/health/ready").status, 503)
        self.assertEqual(server.terminate(), 0)

    def test_what_is_slower_than_its_budget_is_ready_all_the_same(self):
        server = harness.Server(
            {"models": [{"path": "slow.fake", "instances": 1, "warmup": {"budget_ms": 100}}]},
            files={"slow.fake": harness.fake(latency_us=300_000)})
        self.addCleanup(server.end)
        server.wait_ready()
        self.assertIn("no time for", server.log())

    def test_a_start_that_is_interrupted_ends(self):
        server = harness.Server(
            {"models": [{"path": "slow.fake", "warmup": {"budget_ms": 3_600_000}}]},
            files={"slow.fake": harness.fake(latency_us=60_000_000)})
        self.addCleanup(server.end)
        self.assertEqual(server.terminate(), 0)

    def test_recorded_requests_warm_the_next_start(self):
        with tempfile.TemporaryDirectory() as cache:
            home = {"XDG_CACHE_HOME": cache}
            names = {"name": "any", "dtype": "FP32", "shape": ["batch", "length"]}
            files = {"free.fake": harness.fake(
                inputs=[{**names, "name": "input"}], outputs=[{**names, "name": "output"}])}
            for redact in ("", "zero"):
                config = {"models": [{"path": "free.fake", "instances": 1, "batch": {"max": 1},
                                      "warmup": {"record": True, **({"redact": redact} if redact
                                                                    else {})}}]}
                server = harness.Server(config, files=files, environment=home)
                self.addCleanup(server.end)
                # The same path each time: what is recorded is the file's.
                server.wait_ready()
                self.assertRegex(server.log(), r"\d of 3 batches", "synthesised: three lengths")
                for _ in range(40):
                    answer = server.post("/v2/models/free/infer", row(*range(30_000, 30_007)))
                    self.assertEqual(answer.status, 200)
                self.assertEqual(server.terminate(), 0)
                recorded = list(Path(cache, "baozi/warmup").glob("free-1-*.tfrecord"))
                newest = max(recorded, key=lambda path: path.stat().st_mtime)
                self.assertEqual(newest.stat().st_mode & 0o777, 0o600)
                holds = struct.pack("<f", 30_000) in newest.read_bytes()
                self.assertEqual(holds, redact == "", "the values of the request")
                # As a given sample: the next start proves and heats its one shape.
                again = harness.Server(
                    {"models": [{"path": "free.fake", "instances": 1, "batch": {"max": 1},
                                 "warmup": {"samples": str(newest)}}]}, files=files)
                self.addCleanup(again.end)
                again.wait_ready()
                self.assertRegex(again.log(), r"\d of 1 batches")
                server.end()
                again.end()

    def test_the_same_model_finds_what_was_recorded(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "echo.fake").write_text(ECHO)
            config = {"models": [{"path": f"{folder}/echo.fake", "instances": 1,
                                  "batch": {"max": 1}, "warmup": {"record": True}}]}
            home = {"XDG_CACHE_HOME": folder}
            first = self.start(config, environment=home)
            first.wait_ready()
            for _ in range(40):
                first.post("/v2/models/echo/infer", row(1, 2, 3, 4))
            self.assertEqual(first.terminate(), 0)
            Path(folder, "echo.fake").write_text(harness.fake(fail_value=1))
            second = self.start(config, environment=home)
            second.wait_ready()
            self.assertIn("warm-up goes on without", second.log(),
                          "recorded samples that the model now refuses are passed over")
            self.assertEqual(second.terminate(), 0)
            for file in Path(folder, "baozi/warmup").iterdir():
                file.write_bytes(file.read_bytes()[:-1])
            third = self.start(config, environment=home)
            third.wait_ready()
            self.assertIn("recorded samples are left out", third.log())

    def test_a_redaction_that_is_not_known(self):
        self.failed(self.start(echo(record=True, redact="whisper")), "no redaction 'whisper'")


class RealTest(harness.ServerTest):
    """The models and pipelines of the demo, warmed up by default."""

    config = {
        "models": [{"path": harness.model("efficientnet_lite0"), "name": "image"},
                   {"path": harness.model("minilm"), "name": "text",
                    "pad": {"input_ids": 0, "attention_mask": 0, "token_type_ids": 0}},
                   {"path": harness.model("ocr_det"), "batch": {"max": 1}},
                   {"path": harness.model("ocr_rec"), "pad": {"x": 0}},
                   {"path": harness.model("smollm2"), "language": {"prefixes": "off"}}],
        "pipelines": [{"type": "classify", "options": {"model": "image"}},
                      {"type": "embed", "options": {"model": "text"}},
                      {"type": "ocr", "options": {"detect": "ocr_det", "recognise": "ocr_rec"}}],
    }
    names = ("image", "text", "ocr_det", "ocr_rec", "classify", "embed", "ocr")

    def test_all_of_them_ran(self):
        self.server.wait_ready()
        log = self.server.log()
        for name in (*self.names, "smollm2"):
            self.assertRegex(log, rf"{name} version 1 is ready after \d+ ms; warm-up: \d+ of")
        # PP-OCR's recogniser says that it takes any height, but takes some only.
        refused = set(re.findall(r"(\w+): warm-up goes on without", log))
        self.assertLessEqual(refused, {"ocr_rec"})
        for name in self.names:
            stats = self.server.get(f"/v2/models/{name}/stats").body["model_stats"][0]
            self.assertEqual(stats["inference_stats"]["success"]["count"], 0, name)

    def test_the_language_model_kept_nothing_of_it(self):
        self.server.wait_ready()
        answer = self.server.post("/v1/completions", {
            "model": "smollm2", "prompt": "Steam rises from the trays before the doors open",
            "max_tokens": 1})
        self.assertEqual(answer.status, 200, answer.body)
        cached = answer.body["usage"].get("prompt_tokens_details", {}).get("cached_tokens", 0)
        self.assertEqual(cached, 0)


if __name__ == "__main__":
    harness.main()
