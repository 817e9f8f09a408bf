"""What a server tells about itself: /metrics by Prometheus' rules, /v2/trace, timelines."""

import json
import re
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import harness

REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1, 2, 3, 4]}]}


class MetricsTest(harness.ServerTest):
    config = {"models": [{"path": harness.model("noop")}]}

    # Family, type, and the labels each sample has.
    REQUIRED = (
        ("baozi_requests", "counter", {"model", "protocol", "code"}),
        ("baozi_request_seconds", "histogram", {"model", "protocol"}),
        ("baozi_stage_seconds", "histogram", {"model", "stage"}),
        ("baozi_queue_length", "gauge", {"model"}),
        ("baozi_batch_size", "histogram", {"model"}),
        ("baozi_queue_seconds", "histogram", {"model"}),
        ("baozi_compute_seconds", "histogram", {"model"}),
        ("baozi_in_flight", "gauge", {"model"}),
        ("baozi_requests_in_flight", "gauge", set()),
    )

    def test_required_families(self):
        for _ in range(3):
            self.server.post("/v2/models/noop/infer", REQUEST)
        self.server.post("/v2/models/noop/infer", b"{}")
        answer = self.server.get("/metrics")
        self.assertEqual(answer.headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        families = self.server.metrics()
        for name, kind, labels in self.REQUIRED:
            with self.subTest(name):
                family = families[name]
                self.assertEqual(family.type, kind)
                self.assertTrue(family.documentation)
                for sample in family.samples:
                    self.assertEqual(set(sample.labels) - {"le"}, labels)
        counts = {s.labels["code"]: s.value for s in families["baozi_requests"].samples
                  if s.labels["model"] == "noop"}
        self.assertGreaterEqual(counts["OK"], 3)
        self.assertGreaterEqual(counts["INVALID_ARGUMENT"], 1)
        stages = {s.labels["stage"] for s in families["baozi_stage_seconds"].samples}
        self.assertLessEqual({"parse", "queue", "format"}, stages)

    def test_the_manual_lists_every_metric(self):
        self.server.post("/v2/models/noop/infer", REQUEST)
        text = (harness.ROOT / "docs/operations.md").read_text()
        described = set(re.findall(r"^\| `(baozi_\w+)` \| \w+ \|", text, re.MULTILINE))
        served = set(re.findall(r"^# TYPE (baozi_\w+) ",
                                self.server.get("/metrics").body.decode(), re.MULTILINE))
        self.assertEqual(described, served)

    def test_a_stage_is_counted_once_a_request(self):
        def count(stage):
            family = self.server.metrics().get("baozi_stage_seconds")
            return sum(s.value for s in family.samples if s.name.endswith("_count") and
                       s.labels["stage"] == stage) if family else 0
        before = {stage: count(stage) for stage in ("parse", "queue", "model")}
        for _ in range(5):
            self.server.post("/v2/models/noop/infer", REQUEST)
        for stage, times in before.items():
            with self.subTest(stage):
                self.assertEqual(count(stage) - times, 5)

    def test_the_text_keeps_prometheus_rules(self):
        self.server.post("/v2/models/noop/infer", REQUEST)
        text = self.server.get("/metrics").body.decode()
        typed = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
        names = [name for name, _ in typed]
        self.assertEqual(len(names), len(set(names)), "a family is described once")
        samples = [line.rsplit(" ", 1)[0] for line in text.splitlines() if line[0] != "#"]
        self.assertEqual(len(samples), len(set(samples)), "a sample stands once")
        for name, kind in typed:
            self.assertRegex(name, r"^[a-z_:][a-z0-9_:]*$")
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            if kind == "histogram":
                self.check_histogram(name)

    def check_histogram(self, name):
        series = defaultdict(dict)
        counts = {}
        for sample in self.server.metrics()[name].samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            if sample.name.endswith("_bucket"):
                series[labels][float(sample.labels["le"])] = sample.value
            elif sample.name.endswith("_count"):
                counts[labels] = sample.value
        self.assertEqual(set(series), set(counts))
        for labels, buckets in series.items():
            values = [buckets[bound] for bound in sorted(buckets)]
            self.assertEqual(values, sorted(values), f"{name}{labels} is cumulative")
            self.assertEqual(buckets[float("inf")], counts[labels])

    def test_made_up_names_make_no_series(self):
        for index in range(50):
            self.server.post(f"/v2/models/made_up_{index}/infer", REQUEST)
        self.assertNotIn("made_up", self.server.get("/metrics").body.decode())


class TraceTest(harness.ServerTest):
    config = {
        "models": [
            {"path": harness.model("noop")},
            {"path": harness.model("efficientnet_lite0"),
             "labels": harness.model("efficientnet_lite0") + "/labels.txt"},
        ],
        "pipelines": [{"type": "classify", "options": {"model": "efficientnet_lite0"}}],
    }

    def record(self, seconds, requests):
        """The trace's events while `requests` runs."""
        kept = []
        recorder = threading.Thread(
            target=lambda: kept.append(self.server.get(f"/v2/trace?seconds={seconds}")))
        recorder.start()
        requests()
        recorder.join()
        self.assertEqual(kept[0].status, 200, kept[0].body)
        return kept[0].body["traceEvents"]

    def infer_many(self, model, count):
        body, headers = harness.as_json(REQUEST), {}
        if model == "classify":
            body = (harness.DATA / "china.jpg").read_bytes()
            headers = {"Inference-Header-Content-Length": "0"}
        for _ in range(count):
            answer = self.server.post(f"/v2/models/{model}/infer", body, headers)
            self.assertEqual(answer.status, 200, answer.body)

    def tracks(self, events):
        """{(request, id): [(begin, end, name)]}; every begin has its end."""
        open_awaits, tracks = defaultdict(list), defaultdict(list)
        begun = sorted((e for e in events if e["ph"] in "be"),
                       key=lambda e: (e["ts"], e["ph"] == "e"))
        for event in begun:
            key = (event["cat"], event["id"], event["name"])
            if event["ph"] == "b":
                open_awaits[key].append(event["ts"])
                continue
            self.assertTrue(open_awaits[key], f"an end without a begin: {event}")
            span = (open_awaits[key].pop(), event["ts"], event["name"])
            tracks[event["cat"], event["id"]].append(span)
        left = {key: times for key, times in open_awaits.items() if times}
        self.assertEqual(left, {}, "a begin without an end")
        return {key: spans for key, spans in tracks.items() if key[0].startswith("request ")}

    def assert_nested(self, spans):
        for begin, end, _ in spans:
            self.assertLessEqual(begin, end)
            for other_begin, other_end, _ in spans:
                apart = end <= other_begin or other_end <= begin
                inside = begin <= other_begin and other_end <= end
                around = other_begin <= begin and end <= other_end
                self.assertTrue(apart or inside or around, spans)

    def test_one_track_a_request_with_nested_awaits(self):
        tracks = self.tracks(self.record(1, lambda: self.infer_many("noop", 20)))
        full = [spans for spans in tracks.values() if len(spans) > 1]
        self.assertGreaterEqual(len(full), 15)
        for spans in full:
            self.assert_nested(spans)

    def test_a_pipelines_request_stays_one_track_over_threads(self):
        events = self.record(2, lambda: self.infer_many("classify", 3))
        threads = {e["tid"]: e["args"]["name"] for e in events
                   if e["ph"] == "M" and e["name"] == "thread_name"}
        self.assertIn("io", threads.values())
        self.assertTrue(any(name.startswith("cpu") for name in threads.values()), threads)
        used = defaultdict(set)
        for event in events:
            if event["ph"] in "be":
                used[event["cat"]].add(event["tid"])
        for spans in self.tracks(events).values():
            self.assert_nested(spans)
        requests = [tids for cat, tids in used.items() if cat.startswith("request ")]
        self.assertGreaterEqual(len([tids for tids in requests if len(tids) > 1]), 3)

    def test_one_recording_at_a_time(self):
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: self.server.get("/v2/trace?seconds=2"), range(2)))
        refused, kept = sorted(answers, key=lambda answer: answer.status, reverse=True)
        self.assertEqual(kept.status, 200)
        self.error_of(refused, 429, "recorded already")
        for seconds in ("0", "-1", "61", "nan", "inf", "x", ""):
            self.error_of(self.server.get(f"/v2/trace?seconds={seconds}"), 400, "seconds")

    def test_a_timeline_on_request(self):
        body = REQUEST | {"parameters": {"timeline": True}}
        answer = self.server.post("/v2/models/noop/infer", body)
        stages = json.loads(answer.body["parameters"]["timeline"])
        names = [stage["stage"] for stage in stages]
        self.assertIn("parse", names)
        self.assertIn("queue", names)
        for stage in stages:
            self.assertLessEqual(stage["start_us"], stage["end_us"])
        header = self.server.post("/v1/models/noop:predict", {"instances": [[1, 2, 3, 4]]},
                                  {"X-Baozi-Timeline": "1"})
        lower = {name.lower(): value for name, value in header.headers.items()}
        self.assertIn("parse", lower["x-baozi-timeline"])


if __name__ == "__main__":
    harness.main()
