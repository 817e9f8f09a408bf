"""Prometheus' rules and alerts and Grafana's dashboard: checked by promtool, against what a real
server exposes, and evaluated by a real Prometheus."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from urllib.parse import quote

import harness
import yaml

sys.path.append(str(harness.ROOT / "tools/fleet"))
import parts  # noqa: E402: it lies there
from processes import ask  # noqa: E402: as above

RULES = harness.ROOT / "deploy/prometheus"
DASHBOARD = harness.ROOT / "deploy/grafana/baozi.json"
REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1, 2, 3, 4]}]}
# Of a histogram, what it exposes beside its name.
PARTS = re.compile(r"_(bucket|sum|count)$")


def promtool(*words):
    return subprocess.run([parts.program("promtool"), *map(str, words)], capture_output=True,
                          text=True, timeout=60 * harness.SLOWNESS)


def rules(name):
    groups = yaml.safe_load((RULES / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"]
            if panel["type"] != "row"]


def queries():
    """All that is asked of Prometheus, by where it stands."""
    found = {rule.get("record") or rule["alert"]: rule["expr"]
             for name in ("rules.yaml", "alerts.yaml") for rule in rules(name)}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {panel['id']}{target['refId']}"] = target["expr"]
    return found


def documented():
    pages = [(harness.ROOT / "docs" / page).read_text()
             for page in ("operations.md", "response-cache.md", "openai.md", "llm.md")]
    return set(re.findall(r"`((?:baozi_|vllm:)[a-z_]+)", "\n".join(pages)))


class MonitoringTest(unittest.TestCase):
    def test_promtool_finds_no_fault(self):
        checked = promtool("check", "rules", RULES / "rules.yaml", RULES / "alerts.yaml")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertNotIn("WARNING", checked.stdout + checked.stderr)
        tested = promtool("test", "rules", RULES / "rules_test.yaml")
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_every_alert_says_what_to_do_and_fires_in_the_tests(self):
        tests = (RULES / "rules_test.yaml").read_text()
        for rule in rules("alerts.yaml"):
            with self.subTest(rule["alert"]):
                self.assertEqual(set(rule["annotations"]), {"summary", "action"})
                self.assertIn(rule["labels"]["severity"], ("warning", "critical"))
                self.assertIn(f'alertname="{rule["alert"]}"', tests)
                for page in re.findall(r"docs/[a-z-]+\.md", rule["annotations"]["action"]):
                    self.assertTrue((harness.ROOT / page).exists(), page)

    def test_what_is_asked_for_is_exposed(self):
        known = documented() | {rule["record"] for rule in rules("rules.yaml")}
        for where, query in queries().items():
            names = re.findall(r"\b((?:job|job_model):baozi_\w+:\w+|(?:baozi_|vllm:)[a-z_]+)",
                               query)
            self.assertTrue(names or query.startswith("up"), where)
            for name in names:
                with self.subTest(where, name=name):
                    self.assertTrue(name in known or PARTS.sub("", name) in known, name)

    def test_the_dashboards_queries_are_prometheus_own(self):
        ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        found = [{"record": f"panel:{number}", "expr":
                  target["expr"].replace("$__rate_interval", "1m")}
                 for number, target in enumerate(
                     target for panel in panels() for target in panel["targets"])]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "panels.yaml")
            path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": found}]}))
            checked = promtool("check", "rules", path)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_real_prometheus_evaluates_them(self):
        server = harness.Server({"models": [{"path": "bun.fake", "cache": True}]},
                                files={"bun.fake": harness.fake()})
        self.addCleanup(server.end)
        server.wait_ready()
        for _ in range(3):
            self.assertEqual(server.post("/v2/models/bun/infer", REQUEST).status, 200)
        with tempfile.TemporaryDirectory() as folder, \
                parts.Fleet(harness.BAOZI, Path(folder), {}) as fleet:
            fleet.replicas.append(server)  # as it is: Prometheus needs its port only
            fleet.start_prometheus()
            fleet.replicas.clear()
            port = int(fleet.urls["Prometheus"].rpartition(":")[2])

            def value(query):
                answer = json.loads(ask(port, f"/api/v1/query?query={quote(query)}")[1])
                found = answer["data"]["result"]
                return found and float(found[0]["value"][1])

            harness.wait_until(lambda: value('job:baozi_replicas:sum{state="ready"}') == 1,
                               "the count of ready replicas", 40)
            self.assertEqual(value("job:baozi_warmth:avg"), 1)
            groups = json.loads(ask(port, "/api/v1/rules")[1])["data"]["groups"]
            health = {rule["name"]: (rule["health"], rule.get("lastError", ""))
                      for group in groups for rule in group["rules"]}
            self.assertEqual(len(health), len(rules("rules.yaml")) + len(rules("alerts.yaml")))
            self.assertEqual({name: each for name, each in health.items() if each[0] != "ok"}, {})


if __name__ == "__main__":
    harness.main()
